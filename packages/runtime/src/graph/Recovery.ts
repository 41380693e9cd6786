import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import * as Duration from "effect/Duration"
import type { Invocation } from "../invocation/InvocationLedger.ts"
import { backoffOf, retryPolicy } from "../invocation/RetryBackoff.ts"
import type { EdgeRun } from "./EdgeRun.ts"
import type { Failure } from "./NodeRun.ts"
import type { TurnNode } from "./SessionGraph.ts"
import type { TurnWork } from "./TurnWork.ts"

/** Attempts in recordings of before, which waited for nothing in between. */
const attemptsOfBefore = 2

/** Who does the work of a failed call again. */
export interface Spare {
  readonly provider: string
  readonly attempts: number
  /** When the first of these attempts began; absent for the first one of a provider. */
  readonly firstStartedMs?: number
  /** After so long; at once when absent. */
  readonly afterMs?: number
}

/**
 * Who may do the work of a failed call again, as the plan allows: the same provider by `retry`, after a wait, another one
 * by `provider_switch` or `fallback`, at once. Nobody: undefined. What is chosen is told and recorded.
 *
 * Guarantees: I-RETRY-SILENT no call is tried again that has given anything; I-RETRY-WAIT an attempt begins no sooner
 * than its backoff and what the vendor asked for, and never once its turn is ending; I-RETRY-FITS a wait is begun only if
 * it leaves a call its least time within what is left of the turn's and the path's budget, and at most three calls are
 * made of one piece of work.
 */
export const spareFor = (work: TurnWork, invocation: Invocation, failure: Failure): Spare | undefined => {
  const { circuits, gateway, turn } = work
  const allowed = turn.plan.allowed_adaptive_actions
  // What tried a half-open circuit has failed: the provider is left alone (I-TRIAL-ENDS).
  const mayRetry = failure.retryable && allowed.includes("retry") && circuits.mayCall(invocation.provider, turn.turnId)
  const again = mayRetry ? retryOf(work, invocation, failure) : undefined
  if (again !== undefined) {
    invocation.decision = "retry"
    return again
  }
  const spare = turn.plan.provider_bindings[`${invocation.modality}.fallback`]
  const action = (["provider_switch", "fallback"] as const).find((candidate) => allowed.includes(candidate))
  if (action === undefined || spare === undefined || spare === invocation.provider) return undefined
  invocation.decision = action
  const about = { turn_id: turn.turnId, provider_invocation_id: invocation.id, reason: failure.outcome } as const
  if (action === "provider_switch") gateway.signal("provider_switch", "RK-11", about)
  else gateway.signal("fallback", "RK-17", about)
  work.newPath()
  return { provider: spare, attempts: 1 }
}

/** Another attempt by the same provider, where one is left and its wait leaves time for a call. */
const retryOf = (work: TurnWork, invocation: Invocation, { retryAfterMs }: Failure): Spare | undefined => {
  const { budgets, context, turn } = work
  const { attempts, firstStartedMs, provider } = invocation
  const next = { provider, attempts: attempts + 1, firstStartedMs }
  if (!context.behaves("attempts")) return attempts < attemptsOfBefore ? next : undefined
  if (attempts >= retryPolicy.attempts) return undefined
  const { seed, session_id } = context.header
  const wait = backoffOf({
    seed,
    name: `${session_id}/${invocation.id}`,
    attempt: attempts,
    retryAfter: retryAfterMs === undefined ? undefined : Duration.millis(retryAfterMs)
  })
  const left = Duration.millis(budgets.leftMs(turn.plan))
  if (Duration.isGreaterThan(Duration.sum(wait, retryPolicy.leastCall), left)) return undefined
  return { ...next, afterMs: Duration.toMillis(wait) }
}

/** Whether the plan has somebody else for the work of this call: another provider, or a node behind a fallback edge. */
export const hasAnotherWay = ({ turn }: TurnWork, of: TurnNode, invocation: Invocation): boolean => {
  const { allowed_adaptive_actions: allowed, provider_bindings } = turn.plan
  const spare = provider_bindings[`${invocation.modality}.fallback`]
  if (
    invocation.modality !== "external" && spare !== undefined && spare !== invocation.provider &&
    (allowed.includes("provider_switch") || allowed.includes("fallback"))
  ) return true
  return allowed.includes("fallback") && of.fallback.some((edge) => edge.fallback_on?.includes("timeout") === true)
}

/**
 * Hands the work of a node that failed to the node behind its fallback edge, where the graph has one for this cause and
 * the plan allows `fallback`. The edges to it; undefined: there is none.
 */
export const takeOver = (
  work: TurnWork,
  of: TurnNode,
  invocation: Invocation,
  outcome: string,
  items: ReadonlyArray<PayloadHandle>
): ReadonlyArray<EdgeRun> | undefined => {
  const { gateway, turn } = work
  const cause = outcome === "timeout" ? "timeout" : "error"
  const edges = of.fallback.filter((edge) => edge.fallback_on?.includes(cause) === true)
  if (edges.length === 0 || !turn.plan.allowed_adaptive_actions.includes("fallback")) return undefined
  invocation.decision = "fallback"
  for (const edge of edges) {
    gateway.signal("fallback", "RK-17", {
      turn_id: turn.turnId,
      provider_invocation_id: invocation.id,
      node_id: of.node.node_id,
      edge_id: edge.edge_id,
      reason: outcome
    })
  }
  work.newPath()
  const runs = work.edges(edges)
  for (const edge of runs) for (const handle of items) edge.offer({ handle }, undefined)
  return runs
}
