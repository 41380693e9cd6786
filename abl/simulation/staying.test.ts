// Failures from the field in how long calls stay healthy, and how they end. Each title is the scenario's id and sentence.
import { held } from "./Harness.ts"
import { scenario as s14 } from "./scenarios/S14-an-hour-of-audio.ts"
import { scenario as s15 } from "./scenarios/S15-bounded-age.ts"
import { scenario as s16 } from "./scenarios/S16-two-at-once.ts"
import { scenario as s17 } from "./scenarios/S17-silent-model.ts"
import { scenario as s18 } from "./scenarios/S18-a-thousand-interruptions.ts"
import { scenario as s19 } from "./scenarios/S19-taken-over.ts"
import { scenario as s20 } from "./scenarios/S20-finalizers-run.ts"
import { scenario as s21 } from "./scenarios/S21-one-timebase.ts"
import { scenario as s22 } from "./scenarios/S22-typed-durations.ts"

held(s14)
held(s15)
held(s16)
held(s17)
held(s18)
held(s19)
held(s20)
held(s21)
held(s22)
