import type { TurnState, TurnTrigger } from "@rspp/contracts/Turn"
import { legalTransitions } from "@rspp/contracts/Turn"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { InvariantBroken } from "../authority/InvariantBroken.ts"
import type { EndCause } from "./Turn.ts"
import { endRank } from "./Turn.ts"

type Row = typeof legalTransitions[number]
const rows = new Map<TurnTrigger, Row>(legalTransitions.map((row) => [row.trigger, row]))

/** The one row of the table that a trigger has. */
export const transitionOf = (trigger: TurnTrigger): Row => {
  const row = rows.get(trigger)
  if (row === undefined) throw new InvariantBroken("I-TURN-LEGAL", `${trigger} is no trigger`)
  return row
}

/** `yes`, or why not: what admission, snapshots and the plan resolver answer. */
export type Verdict = { readonly ok: true } | {
  readonly ok: false
  readonly outcome: "reject" | "defer"
  readonly reason: string
}

/** The plan of the turn, or why it cannot be materialised. */
export type PlanVerdict = { readonly ok: true; readonly plan: ResolvedTurnPlan } | {
  readonly ok: false
  readonly outcome: "reject" | "defer"
  readonly reason: string
}

/** What arbitration of an opening turn looks at, in the order in which it looks. */
export interface OpeningFacts {
  readonly snapshots: () => Verdict
  readonly admission: () => Verdict
  readonly intentEpoch: number
  readonly epoch: number
  readonly authorised: boolean
  readonly plan: () => PlanVerdict
}

/** What becomes of an opening turn: rows T2 to T5a of CONTRACT section 4. */
export type OpeningDecision =
  | { readonly row: "T2" | "T5a"; readonly trigger: "reject" | "defer"; readonly reason: string }
  | { readonly row: "T3"; readonly trigger: "stale_epoch_reject"; readonly reason: string }
  | { readonly row: "T4"; readonly trigger: "deauthorized_drain"; readonly reason: string }
  | { readonly row: "T5"; readonly trigger: "turn_open"; readonly plan: ResolvedTurnPlan }

/**
 * Turn arbiter (RK-03): the lifecycle of a turn as pure decisions.
 *
 * Guarantees: I-TURN-LEGAL only the transitions of CONTRACT section 4 are taken; I-TURN-ORDER before `turn_open` the
 * order is snapshots and admission, epoch, revocation, plan; I-TURN-PRECEDENCE when several ends meet, the one of the
 * lowest rank wins.
 */
export class TurnArbiter extends Context.Service<TurnArbiter, {
  /** The state that a trigger leads to. Dies with I-TURN-LEGAL for a transition that is not in the table. */
  readonly next: (state: TurnState, trigger: TurnTrigger) => TurnState
  readonly arbitrateOpening: (facts: OpeningFacts) => OpeningDecision
  /** The cause that prevails of the one that is under way and a new one. */
  readonly prevailing: (current: EndCause | undefined, incoming: EndCause) => EndCause
}>()("rspp/TurnArbiter") {
  static readonly layer = Layer.succeed(TurnArbiter, {
    next: (state, trigger) => {
      const row = transitionOf(trigger)
      if (row.from_state === state) return row.to_state
      throw new InvariantBroken("I-TURN-LEGAL", `${trigger} is not legal in state ${state}`)
    },
    arbitrateOpening: (facts) => {
      const snapshots = facts.snapshots()
      if (!snapshots.ok) return { row: "T2", trigger: snapshots.outcome, reason: snapshots.reason }
      const admission = facts.admission()
      if (!admission.ok) return { row: "T2", trigger: admission.outcome, reason: admission.reason }
      if (facts.intentEpoch !== facts.epoch) {
        return { row: "T3", trigger: "stale_epoch_reject", reason: "intent_of_another_epoch" }
      }
      if (!facts.authorised) return { row: "T4", trigger: "deauthorized_drain", reason: "authority_revoked" }
      const plan = facts.plan()
      if (!plan.ok) return { row: "T5a", trigger: plan.outcome, reason: plan.reason }
      return { row: "T5", trigger: "turn_open", plan: plan.plan }
    },
    prevailing: (current, incoming) =>
      current !== undefined && endRank[current.kind] <= endRank[incoming.kind] ? current : incoming
  })
}
