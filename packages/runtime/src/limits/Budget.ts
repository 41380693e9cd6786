import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"

/** What a budget timer that fired means. */
export type BudgetVerdict =
  | { readonly kind: "none" }
  | { readonly kind: "warned"; readonly invocation?: string }
  | { readonly kind: "exhausted"; readonly turnId: string; readonly budget: "turn" | "path" }
  | { readonly kind: "first_result_late"; readonly invocation: string }

/** The budgets of one session. Times are timers of the session, so replay sees the same expiries. */
export interface SessionBudgets {
  /** `turn_open`: the turn's and the path's envelopes to the first output start. */
  readonly turnOpened: (plan: ResolvedTurnPlan) => void
  /** The first output left, or the turn is ending: the envelopes are over. */
  readonly turnSettled: (turnId: string) => void
  /** An invocation is to give its first result within `capMs`; past `softMs` a warning is given. */
  readonly invocationStarted: (invocation: string, capMs: number, softMs: number | undefined) => void
  readonly invocationSettled: (invocation: string) => void
  /** An item became the head of an edge whose consumer is free, or the edge is empty again. */
  readonly edgeWaiting: (turnId: string, edgeId: string, budgetMs: number) => void
  readonly edgeServed: (turnId: string, edgeId: string) => void
  /** A timer with a budget's name fired. */
  readonly expired: (timer: string) => BudgetVerdict
}

/**
 * Budgets (RK-17): the turn's envelope to its first output, the path's, the nodes' soft limit, the edges' and each
 * provider call's time to its first result. All in milliseconds, from the frozen plan.
 *
 * Guarantees: I-BUDGET-NAMED each expiry is recorded as `budget_warning` or `budget_exhausted` and names its budget.
 */
export class Budget extends Context.Service<Budget, {
  readonly open: (context: KernelContext, gateway: SessionGateway) => SessionBudgets
}>()("rspp/Budget") {
  static readonly layer = Layer.succeed(Budget, {
    open: (context, gateway) => ({
      turnOpened: (plan) => {
        context.arm(`budget.turn:${plan.turn_id}`, context.now + plan.budgets.turn_budget_ms)
        context.arm(`budget.path:${plan.turn_id}`, context.now + plan.budgets.path_budget_ms_default)
      },
      turnSettled: (turnId) => {
        context.disarm(`budget.turn:${turnId}`)
        context.disarm(`budget.path:${turnId}`)
      },
      invocationStarted: (invocation, capMs, softMs) => {
        context.arm(`budget.call:${invocation}`, context.now + capMs)
        if (softMs !== undefined && softMs < capMs) context.arm(`budget.node:${invocation}`, context.now + softMs)
      },
      invocationSettled: (invocation) => {
        context.disarm(`budget.call:${invocation}`)
        context.disarm(`budget.node:${invocation}`)
      },
      edgeWaiting: (turnId, edgeId, budgetMs) => {
        const timer = `budget.edge:${turnId}:${edgeId}`
        if (!context.isArmed(timer)) context.arm(timer, context.now + budgetMs)
      },
      edgeServed: (turnId, edgeId) => context.disarm(`budget.edge:${turnId}:${edgeId}`),
      expired: (timer) => {
        const colon = timer.indexOf(":")
        const [kind, subject] = [timer.slice(0, colon), timer.slice(colon + 1)]
        switch (kind) {
          case "budget.turn":
          case "budget.path": {
            const budget = kind === "budget.turn" ? "turn" : "path"
            gateway.signal("budget_exhausted", "RK-17", { turn_id: subject, reason: `${budget}_budget` })
            return { kind: "exhausted", turnId: subject, budget }
          }
          case "budget.node": {
            gateway.signal("budget_warning", "RK-17", { reason: "node_budget", provider_invocation_id: subject })
            return { kind: "warned", invocation: subject }
          }
          case "budget.edge": {
            const at = subject.indexOf(":")
            const [turnId, edgeId] = [subject.slice(0, at), subject.slice(at + 1)]
            gateway.signal("budget_warning", "RK-17", { turn_id: turnId, edge_id: edgeId, reason: "edge_budget" })
            return { kind: "warned" }
          }
          case "budget.call": {
            gateway.signal("budget_exhausted", "RK-17", {
              reason: "first_result",
              provider_invocation_id: subject
            })
            return { kind: "first_result_late", invocation: subject }
          }
          default:
            return { kind: "none" }
        }
      }
    })
  })
}
