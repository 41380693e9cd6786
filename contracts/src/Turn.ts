import * as Schema from "effect/Schema"
import { type Rule, ruleCheck } from "./Rule.ts"

export const turnStates = ["Idle", "Opening", "Active", "Terminal", "Closed"] as const
export const TurnState = Schema.Literals(turnStates)
export type TurnState = typeof TurnState.Type

/** The legal transitions (CONTRACT section 4). Each trigger has one state to start from and one to go to. */
export const legalTransitions = [
  { from_state: "Idle", trigger: "turn_open_proposed", to_state: "Opening" },
  { from_state: "Opening", trigger: "turn_open", to_state: "Active" },
  { from_state: "Opening", trigger: "reject", to_state: "Idle" },
  { from_state: "Opening", trigger: "defer", to_state: "Idle" },
  { from_state: "Opening", trigger: "stale_epoch_reject", to_state: "Idle" },
  { from_state: "Opening", trigger: "deauthorized_drain", to_state: "Idle" },
  { from_state: "Active", trigger: "commit", to_state: "Terminal" },
  { from_state: "Active", trigger: "abort", to_state: "Terminal" },
  { from_state: "Terminal", trigger: "close", to_state: "Closed" }
] as const satisfies ReadonlyArray<
  { readonly from_state: TurnState; readonly trigger: string; readonly to_state: TurnState }
>

export type TurnTrigger = typeof legalTransitions[number]["trigger"]
export const turnTriggers: ReadonlyArray<TurnTrigger> = legalTransitions.map((row) => row.trigger)
export const TurnTrigger = Schema.Literals(turnTriggers)

/** Abort reasons in use. The list is not closed: any non-empty reason validates. */
export const abortReasons = [
  "cancelled",
  "authority_loss",
  "recording_evidence_unavailable",
  "node_timeout_or_failure",
  "provider_failure",
  "transport_disconnect_or_stall",
  "turn_budget_exhausted"
] as const
export type AbortReason = typeof abortReasons[number]

export const transitionRules: ReadonlyArray<Rule> = legalTransitions.flatMap(({ from_state, to_state, trigger }) => {
  const when = [{ field: "trigger", in: [trigger] }]
  return [
    {
      id: `transition.${trigger}.from-state`,
      when,
      then: { field: "from_state", in: [from_state] },
      message: `${trigger} is legal only from ${from_state}`
    },
    {
      id: `transition.${trigger}.to-state`,
      when,
      then: { field: "to_state", in: [to_state] },
      message: `${trigger} leads to ${to_state}`
    }
  ]
})

/** One step of a turn's lifecycle. */
export const TurnTransition = Schema.Struct({
  from_state: TurnState,
  trigger: TurnTrigger,
  to_state: TurnState,
  deterministic: Schema.Literal(true)
}).check(ruleCheck(transitionRules)).annotate({ identifier: "TurnTransition" })
export type TurnTransition = typeof TurnTransition.Type
