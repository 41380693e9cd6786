// Failures from the field in how callers are heard and how their turns open. Each title is the scenario's id and sentence.
import { held } from "./Harness.ts"
import { scenario as s08 } from "./scenarios/S08-one-open-turn.ts"
import { scenario as s09 } from "./scenarios/S09-late-transcripts.ts"
import { scenario as s11 } from "./scenarios/S11-last-utterance.ts"
import { scenario as s12 } from "./scenarios/S12-recogniser-connects.ts"
import { scenario as s13 } from "./scenarios/S13-end-marker-lost.ts"

held(s08)
held(s09)
held(s11)
held(s12)
held(s13)
