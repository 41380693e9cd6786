import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { Invocation } from "../invocation/InvocationLedger.ts"
import type { EdgeRun } from "./EdgeRun.ts"
import type { TurnNode } from "./SessionGraph.ts"
import type { TurnWork } from "./TurnWork.ts"

/** Attempts that a `retry` may make of one piece of work, the first one included. */
export const maxAttempts = 2

/**
 * Who may do the work of a failed call again, as the plan allows: the same provider by `retry`, another one by
 * `provider_switch` or `fallback`. Nobody: undefined. What is chosen is told and recorded.
 */
export const spareFor = (
  work: TurnWork,
  invocation: Invocation,
  outcome: string,
  retryable: boolean
): { readonly provider: string; readonly attempts: number } | undefined => {
  const { gateway, turn } = work
  const allowed = turn.plan.allowed_adaptive_actions
  if (retryable && allowed.includes("retry") && invocation.attempts < maxAttempts) {
    invocation.decision = "retry"
    return { provider: invocation.provider, attempts: invocation.attempts + 1 }
  }
  const spare = turn.plan.provider_bindings[`${invocation.modality}.fallback`]
  const action = (["provider_switch", "fallback"] as const).find((candidate) => allowed.includes(candidate))
  if (action === undefined || spare === undefined || spare === invocation.provider) return undefined
  invocation.decision = action
  const about = { turn_id: turn.turnId, provider_invocation_id: invocation.id, reason: outcome } as const
  if (action === "provider_switch") gateway.signal("provider_switch", "RK-11", about)
  else gateway.signal("fallback", "RK-17", about)
  work.newPath()
  return { provider: spare, attempts: 1 }
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
