// Failures from the field in how replies are spoken and cut. Each title is the scenario's id and sentence.
import { held } from "./Harness.ts"
import { scenario as s01 } from "./scenarios/S01-cancel-before-playout.ts"

held(s01)
