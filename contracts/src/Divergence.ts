import * as Schema from "effect/Schema"
import { Id } from "./Identity.ts"

/** What kind of difference a replay found (CONTRACT section 7). */
export const divergenceClasses = [
  "ORDERING_DIVERGENCE",
  "PLAN_DIVERGENCE",
  "OUTCOME_DIVERGENCE",
  "TIMING_DIVERGENCE",
  "AUTHORITY_DIVERGENCE"
] as const
export const DivergenceClass = Schema.Literals(divergenceClasses)
export type DivergenceClass = typeof DivergenceClass.Type

/** One difference between a recording and its replay, with the records that show it. */
export const Divergence = Schema.Struct({
  divergence_class: DivergenceClass,
  scope: Id,
  message: Id,
  evidence_refs: Schema.Array(Id)
})
export type Divergence = typeof Divergence.Type
