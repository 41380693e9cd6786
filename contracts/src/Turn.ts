import * as Schema from "effect/Schema"
import { type Rule, ruleCheck } from "./Rule.ts"

export const turnStates = ["Idle", "Opening", "Active", "Terminal", "Closed"] as const
export const TurnState = Schema.Literals(turnStates)
export type TurnState = typeof TurnState.Type

/** The legal transitions (CONTRACT section 4): each trigger has one state to start from and one to go to. */
export const turnTransitions = {
  turn_open_proposed: { from_state: "Idle", to_state: "Opening" },
  turn_open: { from_state: "Opening", to_state: "Active" },
  reject: { from_state: "Opening", to_state: "Idle" },
  defer: { from_state: "Opening", to_state: "Idle" },
  stale_epoch_reject: { from_state: "Opening", to_state: "Idle" },
  deauthorized_drain: { from_state: "Opening", to_state: "Idle" },
  commit: { from_state: "Active", to_state: "Terminal" },
  abort: { from_state: "Active", to_state: "Terminal" },
  close: { from_state: "Terminal", to_state: "Closed" }
} as const satisfies Record<string, { readonly from_state: TurnState; readonly to_state: TurnState }>

export type TurnTrigger = keyof typeof turnTransitions
export const turnTriggers = Object.keys(turnTransitions) as ReadonlyArray<TurnTrigger> as readonly [TurnTrigger, ...Array<TurnTrigger>]
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

export const transitionRules: ReadonlyArray<Rule> = turnTriggers.flatMap((trigger) => {
  const { from_state, to_state } = turnTransitions[trigger]
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
}).check(ruleCheck(transitionRules))
export type TurnTransition = typeof TurnTransition.Type
