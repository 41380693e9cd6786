import { providerPhaseDefaults } from "@rspp/contracts/Profile"
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
  /** A call gave no first result in time, stalled after one, or went on for too long. */
  | { readonly kind: "call_late"; readonly invocation: string }
  /** What waits on an edge has waited for as long as the edge may add. */
  | { readonly kind: "edge_late"; readonly turnId: string; readonly edgeId: string }

/** The budgets of one session. Times are timers of the session, so replay sees the same expiries. */
export interface SessionBudgets {
  /** `turn_open`: the turn's and the path's envelopes to the first output start. */
  readonly turnOpened: (plan: ResolvedTurnPlan) => void
  /** Another path to the output is in use from now on: it has the path's budget anew; the turn's runs on. */
  readonly pathStarted: (plan: ResolvedTurnPlan) => void
  /**
   * What is left for a turn's next output: of its two envelopes the one that ends first; once they are over, a path's
   * budget for what follows.
   */
  readonly leftMs: (plan: ResolvedTurnPlan) => number
  /** The first output left, or the turn is ending: the envelopes are over. */
  readonly turnSettled: (turnId: string) => void
  /** An invocation is to give its first result within `capMs`; past `softMs` a warning is given. */
  readonly invocationStarted: (invocation: string, capMs: number, softMs: number | undefined) => void
  /** It gave a result. `streams`: more is to follow, and its later phases are limited. */
  readonly invocationResulted: (invocation: string, streams: boolean) => void
  /** It is held on purpose, or goes on: the time in between counts for none of its budgets. */
  readonly invocationHeld: (invocation: string, held: boolean) => void
  readonly invocationSettled: (invocation: string) => void
  /** An item became the head of an edge. Past `budgetMs` a warning is given, past `latencyMs` the edge is late. */
  readonly edgeWaiting: (turnId: string, edgeId: string, budgetMs: number, latencyMs: number) => void
  readonly edgeServed: (turnId: string, edgeId: string) => void
  /** A timer with a budget's name fired. */
  readonly expired: (timer: string) => BudgetVerdict
}

/** Part of the turn's and the path's budget after which a warning is given. */
export const warningPart = 0.75

/** One call's limits. */
interface Call {
  /** The names of its timers, made once. */
  readonly firstTimer: string
  readonly softTimer: string
  readonly phaseTimer: string
  readonly startedMs: number
  /** When its first result is due, and its warning; undefined once they are settled. */
  firstDue: number | undefined
  softDue: number | undefined
  /** When its last result came, or it went on after having been held; undefined before the first. */
  lastMs: number | undefined
  heldSinceMs: number | undefined
  heldMs: number
}

/** What runs of a turn until its first output has left. */
interface Envelope {
  readonly timers: Array<string>
  readonly turnDue: number
  pathDue: number
}

const none: BudgetVerdict = { kind: "none" }

/**
 * Budgets (RK-17): the turn's envelope to its first output, that of the path in use, the nodes' soft limit, the edges'
 * and each provider call's phases: to the first result, between results, and in all. All in milliseconds, from the
 * frozen plan and the pipeline.
 *
 * Guarantees: I-BUDGET-NAMED each expiry is recorded as `budget_warning` or `budget_exhausted` and names its budget;
 * I-BUDGET-HELD no call runs out of time while it is held on purpose.
 */
export class Budget extends Context.Service<Budget, {
  readonly open: (context: KernelContext, gateway: SessionGateway) => SessionBudgets
}>()("rspp/Budget") {
  static readonly layer = Layer.succeed(Budget, { open: (context, gateway) => new Budgets(context, gateway) })
}

class Budgets implements SessionBudgets {
  readonly #context: KernelContext
  readonly #gateway: SessionGateway
  readonly #betweenMs: number
  readonly #totalMs: number
  /** Recordings of before know the first result's limit only. */
  readonly #limits: boolean
  readonly #calls = new Map<string, Call>()
  /** Edges with something that waits, and when its head will have waited for as long as the edge may add. */
  readonly #edges = new Map<string, number>()
  /** Turns whose envelopes run. */
  readonly #envelopes = new Map<string, Envelope>()

  constructor(context: KernelContext, gateway: SessionGateway) {
    this.#context = context
    this.#gateway = gateway
    const { pipeline } = context.header
    this.#betweenMs = pipeline.provider_between_chunks_ms ?? providerPhaseDefaults.provider_between_chunks_ms
    this.#totalMs = pipeline.provider_total_ms ?? providerPhaseDefaults.provider_total_ms
    this.#limits = context.behaves("limits")
  }

  turnOpened = (plan: ResolvedTurnPlan): void => {
    const context = this.#context
    const timer = `budget.turn:${plan.turn_id}`
    const timers = [timer]
    const { turn_budget_ms } = plan.budgets
    const turnDue = context.now + turn_budget_ms
    this.#envelopes.set(plan.turn_id, { timers, turnDue, pathDue: turnDue })
    context.arm(timer, context.now + turn_budget_ms)
    if (this.#limits) this.#warn(`budget.turn_soft:${plan.turn_id}`, turn_budget_ms, timers)
    this.pathStarted(plan)
  }

  pathStarted = (plan: ResolvedTurnPlan): void => {
    const context = this.#context
    const { path_budget_ms_default, turn_budget_ms } = plan.budgets
    const envelope = this.#envelopes.get(plan.turn_id)
    const timers = envelope?.timers
    const timer = `budget.path:${plan.turn_id}`
    timers?.push(timer)
    if (envelope !== undefined) envelope.pathDue = context.now + path_budget_ms_default
    context.arm(timer, context.now + path_budget_ms_default)
    // Where both are the same, one warning says it.
    if (this.#limits && path_budget_ms_default < turn_budget_ms) {
      this.#warn(`budget.path_soft:${plan.turn_id}`, path_budget_ms_default, timers)
    }
  }

  leftMs = ({ budgets, turn_id }: ResolvedTurnPlan): number => {
    const envelope = this.#envelopes.get(turn_id)
    if (envelope === undefined) return budgets.path_budget_ms_default
    return Math.max(0, Math.min(envelope.turnDue, envelope.pathDue) - this.#context.now)
  }

  turnSettled = (turnId: string): void => {
    const envelope = this.#envelopes.get(turnId)
    if (envelope === undefined) return
    this.#envelopes.delete(turnId)
    for (const timer of envelope.timers) this.#context.disarm(timer)
  }

  invocationStarted = (invocation: string, capMs: number, softMs: number | undefined): void => {
    const context = this.#context
    const { now } = context
    const soft = softMs !== undefined && softMs < capMs ? now + softMs : undefined
    let call = this.#calls.get(invocation)
    if (call === undefined) {
      call = {
        firstTimer: `budget.call:${invocation}`,
        softTimer: `budget.node:${invocation}`,
        phaseTimer: `budget.phase:${invocation}`,
        startedMs: now,
        firstDue: now + capMs,
        softDue: soft,
        lastMs: undefined,
        heldSinceMs: undefined,
        heldMs: 0
      }
      this.#calls.set(invocation, call)
    } else {
      call.firstDue = now + capMs
      call.softDue = soft
    }
    context.arm(call.firstTimer, now + capMs)
    if (soft !== undefined) context.arm(call.softTimer, soft)
  }

  invocationResulted = (invocation: string, streams: boolean): void => {
    const call = this.#calls.get(invocation)
    if (call === undefined) return
    this.#firstSettled(call)
    if (!streams || !this.#limits) return
    const first = call.lastMs === undefined
    call.lastMs = this.#context.now
    // One timer for all results: when it fires, it is seen how long ago the last one came.
    if (first && call.heldSinceMs === undefined) this.#armPhase(call)
  }

  invocationHeld = (invocation: string, held: boolean): void => {
    const context = this.#context
    const { now } = context
    const call = this.#calls.get(invocation)
    if (call === undefined || !this.#limits || held === (call.heldSinceMs !== undefined)) return
    if (held) {
      call.heldSinceMs = now
      return
    }
    const forMs = now - (call.heldSinceMs ?? now)
    call.heldSinceMs = undefined
    call.heldMs += forMs
    if (call.firstDue !== undefined) {
      call.firstDue += forMs
      context.arm(call.firstTimer, call.firstDue)
    }
    if (call.softDue !== undefined) {
      call.softDue += forMs
      context.arm(call.softTimer, call.softDue)
    }
    if (call.lastMs === undefined) return
    call.lastMs = now
    this.#armPhase(call)
  }

  invocationSettled = (invocation: string): void => {
    const call = this.#calls.get(invocation)
    if (call === undefined) return
    this.#calls.delete(invocation)
    this.#firstSettled(call)
    if (call.lastMs !== undefined) this.#context.disarm(call.phaseTimer)
  }

  edgeWaiting = (turnId: string, edgeId: string, budgetMs: number, latencyMs: number): void => {
    const context = this.#context
    const name = `${turnId}:${edgeId}`
    const warning = `budget.edge:${name}`
    if (!this.#limits) {
      if (!context.isArmed(warning)) context.arm(warning, context.now + Math.min(budgetMs, latencyMs))
      return
    }
    // Told once for each head: it goes on waiting, and nothing new is known.
    if (this.#edges.has(name)) return
    this.#edges.set(name, context.now + latencyMs)
    if (budgetMs < latencyMs) context.arm(warning, context.now + budgetMs)
    else context.arm(`budget.latency:${name}`, context.now + latencyMs)
  }

  edgeServed = (turnId: string, edgeId: string): void => {
    const name = `${turnId}:${edgeId}`
    if (!this.#edges.delete(name) && this.#limits) return
    this.#context.disarm(`budget.edge:${name}`)
    this.#context.disarm(`budget.latency:${name}`)
  }

  expired = (timer: string): BudgetVerdict => {
    const colon = timer.indexOf(":")
    const [kind, subject] = [timer.slice(0, colon), timer.slice(colon + 1)]
    switch (kind) {
      case "budget.turn":
      case "budget.path": {
        const budget = kind === "budget.turn" ? "turn" : "path"
        this.#gateway.signal("budget_exhausted", "RK-17", { turn_id: subject, reason: `${budget}_budget` })
        return { kind: "exhausted", turnId: subject, budget }
      }
      case "budget.turn_soft":
      case "budget.path_soft": {
        const budget = kind === "budget.turn_soft" ? "turn" : "path"
        this.#gateway.signal("budget_warning", "RK-17", { turn_id: subject, reason: `${budget}_budget` })
        return { kind: "warned" }
      }
      case "budget.node":
        return this.#nodeLate(subject)
      case "budget.edge":
      case "budget.latency":
        return this.#edgeLate(kind, subject)
      case "budget.call":
        if (this.#isHeld(subject)) return none
        return this.#callLate(subject, "first_result")
      case "budget.phase":
        return this.#phaseLate(subject)
      default:
        return none
    }
  }

  #warn(timer: string, budgetMs: number, timers: Array<string> | undefined): void {
    timers?.push(timer)
    this.#context.arm(timer, this.#context.now + Math.ceil(budgetMs * warningPart))
  }

  #firstSettled(call: Call): void {
    if (call.firstDue === undefined) return
    call.firstDue = undefined
    call.softDue = undefined
    this.#context.disarm(call.firstTimer)
    this.#context.disarm(call.softTimer)
  }

  /** What runs out while the call is held is looked at again when it goes on. */
  #isHeld(invocation: string): boolean {
    return this.#limits && this.#calls.get(invocation)?.heldSinceMs !== undefined
  }

  #armPhase(call: Call): void {
    this.#context.arm(
      call.phaseTimer,
      Math.min((call.lastMs ?? call.startedMs) + this.#betweenMs, call.startedMs + call.heldMs + this.#totalMs)
    )
  }

  #phaseLate(invocation: string): BudgetVerdict {
    const call = this.#calls.get(invocation)
    if (call === undefined || call.heldSinceMs !== undefined) return none
    const { now } = this.#context
    if (now >= call.startedMs + call.heldMs + this.#totalMs) return this.#callLate(invocation, "total")
    if (now >= (call.lastMs ?? call.startedMs) + this.#betweenMs) return this.#callLate(invocation, "between_chunks")
    this.#armPhase(call)
    return none
  }

  #callLate(invocation: string, reason: string): BudgetVerdict {
    this.#gateway.signal("budget_exhausted", "RK-17", { reason, provider_invocation_id: invocation })
    return { kind: "call_late", invocation }
  }

  #nodeLate(invocation: string): BudgetVerdict {
    if (this.#isHeld(invocation)) return none
    const call = this.#calls.get(invocation)
    if (call !== undefined) call.softDue = undefined
    this.#gateway.signal("budget_warning", "RK-17", { reason: "node_budget", provider_invocation_id: invocation })
    return { kind: "warned", invocation }
  }

  #edgeLate(kind: "budget.edge" | "budget.latency", name: string): BudgetVerdict {
    const at = name.indexOf(":")
    const [turnId, edgeId] = [name.slice(0, at), name.slice(at + 1)]
    const about = { turn_id: turnId, edge_id: edgeId } as const
    if (kind === "budget.latency") {
      this.#gateway.signal("budget_exhausted", "RK-17", { ...about, reason: "edge_latency" })
      return { kind: "edge_late", turnId, edgeId }
    }
    this.#gateway.signal("budget_warning", "RK-17", { ...about, reason: "edge_budget" })
    const due = this.#edges.get(name)
    if (due !== undefined) this.#context.arm(`budget.latency:${name}`, Math.max(this.#context.now, due))
    return { kind: "warned" }
  }
}
