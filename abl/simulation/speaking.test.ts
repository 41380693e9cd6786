// Failures from the field in how replies are spoken and cut. Each title is the scenario's id and sentence.
import { held } from "./Harness.ts"
import { scenario as s01 } from "./scenarios/S01-cancel-before-playout.ts"
import { scenario as s02 } from "./scenarios/S02-delivery-by-segment.ts"
import { scenario as s03 } from "./scenarios/S03-pause-resume-clear.ts"
import { scenario as s04 } from "./scenarios/S04-fence-clears-the-transport.ts"
import { scenario as s05 } from "./scenarios/S05-chunks-keep-their-turn.ts"
import { scenario as s06 } from "./scenarios/S06-live-segments-survive.ts"
import { scenario as s07 } from "./scenarios/S07-work-ahead-of-a-turn.ts"
import { scenario as s10 } from "./scenarios/S10-what-was-heard.ts"

held(s01)
held(s02)
held(s03)
held(s04)
held(s05)
held(s06)
held(s07)
held(s10)
