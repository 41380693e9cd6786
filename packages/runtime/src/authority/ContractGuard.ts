import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { ControlSignal } from "@rspp/contracts/Signal"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { KernelContext, KernelOutput } from "../kernel/KernelContext.ts"
import { Authority } from "./Authority.ts"
import { InvariantBroken } from "./InvariantBroken.ts"

/** Turns whose end the guard remembers, to see what comes after it. */
export const rememberedTurns = 64

const afterTerminal = new Set([
  "close",
  "playback_started",
  "playback_completed",
  "playback_cancelled",
  "output_accepted",
  "barge_in",
  "cancel",
  "stale_epoch_reject",
  "deauthorized_drain",
  "lease_rotated"
])

/** What a cancel may be about. */
const scopes: ReadonlySet<string | undefined> = new Set(["session", "turn", "node", "provider_invocation"])

/** Timers that belong to a turn and may not outlive its close; its cancellation grace does. */
const turnTimers = ["budget.turn", "budget.path", "budget.edge", "budget.latency", "block", "select"] as const

interface GuardedTurn {
  readonly plan: ResolvedTurnPlan
  readonly epoch: number
  fenced: boolean
  terminal: boolean
  closed: boolean
}

/** The guard of one session. */
export interface SessionGuard {
  readonly authority: Authority
  /** Looks at what a step puts out, before it leaves. Dies with the id of the broken invariant. */
  readonly check: (outputs: ReadonlyArray<KernelOutput>) => void
}

/**
 * Contract guard (RK-24): checks epochs at the door, and every output of the kernel against the rules that must hold
 * whatever happens. A breach is a defect of RSPP: nothing of the step that broke the rule leaves, the session ends, and
 * its recording ends with `broken:` and the invariant's id.
 *
 * Guarantees, each an assertion that stays on in production: I-TURN-TERMINAL exactly one terminal per accepted turn;
 * I-TURN-CLOSE `close` follows the terminal, once; I-OUT-AFTER-END after the terminal no lifecycle signal but `close`
 * and no output leaves for the turn; I-PLAN-FROZEN the plan of an open turn does not change, and cannot; I-CANCEL-FENCE
 * between an accepted cancel and its fence nothing else is commanded; I-OUT-FENCE nothing of a fenced turn goes to
 * egress; I-CANCEL-SCOPE a cancel names its scope; I-EPOCH-OUT what works or speaks does so under the epoch of its
 * turn; I-SEQ-DENSE every output has its number and its cause, so that a replay can be compared; I-STATE-DISPOSED
 * nothing of a turn is armed after its close. I-EDGE-BOUND is asserted where the edges' books are kept.
 */
export class ContractGuard extends Context.Service<ContractGuard, {
  readonly open: (context: KernelContext, gateway: SessionGateway) => SessionGuard
}>()("rspp/ContractGuard") {
  static readonly layer = Layer.succeed(ContractGuard, {
    open: (context, gateway) => {
      const guard = new Guard(context)
      return { authority: new Authority(context, gateway), check: (outputs) => guard.check(outputs) }
    }
  })
}

const broken = (invariant: string, message: string): never => {
  throw new InvariantBroken(invariant, message)
}

class Guard {
  readonly #context: KernelContext
  readonly #turns = new Map<string, GuardedTurn>()
  /** The turn whose cancel was accepted in this step and that is not fenced yet. */
  #cancelled: string | undefined

  constructor(context: KernelContext) {
    this.#context = context
  }

  check(outputs: ReadonlyArray<KernelOutput>): void {
    let expected = this.#context.causeSequence
    let closed: Array<string> | undefined
    this.#cancelled = undefined
    for (const output of outputs) {
      expected += 1
      const sequence = sequenceOf(output)
      if (sequence !== expected) broken("I-SEQ-DENSE", `${output.record} has number ${sequence}, not ${expected}`)
      switch (output.record) {
        case "plan":
          this.#plan(output.plan)
          break
        case "signal":
          this.#signal(output.signal)
          if (output.signal.signal === "close" && output.signal.turn_id !== undefined) {
            closed = [...closed ?? [], output.signal.turn_id]
          }
          break
        case "command":
          this.#command(output.command)
          break
        case "event":
          if (output.event.causal_parent_id === undefined) {
            broken("I-SEQ-DENSE", `${output.event.event_id} has no cause`)
          }
          break
        default:
          break
      }
    }
    if (this.#cancelled !== undefined) {
      broken("I-CANCEL-FENCE", `the cancel of ${String(this.#cancelled)} put up no fence`)
    }
    for (const turnId of closed ?? []) this.#disposed(turnId)
  }

  #plan(plan: ResolvedTurnPlan): void {
    const { turn_id: id } = plan
    if (this.#turns.has(id)) broken("I-PLAN-FROZEN", `${id} got a second plan`)
    if (!Object.isFrozen(plan) || !Object.isFrozen(plan.budgets) || !Object.isFrozen(plan.flow_control)) {
      broken("I-PLAN-FROZEN", `the plan of ${id} can be changed`)
    }
    this.#turns.set(id, { plan, epoch: plan.authority_epoch, fenced: false, terminal: false, closed: false })
    if (this.#turns.size <= rememberedTurns) return
    for (const oldest of this.#turns.keys()) {
      this.#turns.delete(oldest)
      break
    }
  }

  #signal({ causal_parent_id, event_id, scope, signal, turn_id }: ControlSignal): void {
    if (causal_parent_id === undefined) broken("I-SEQ-DENSE", `${event_id} has no cause`)
    if (signal === "cancel" && !scopes.has(scope)) broken("I-CANCEL-SCOPE", `${event_id} cancels without a scope`)
    const turn = turn_id === undefined ? undefined : this.#turns.get(turn_id)
    if (turn === undefined) return
    if (signal === "commit" || signal === "abort") {
      if (turn.terminal) broken("I-TURN-TERMINAL", `second terminal ${signal} for ${turn_id}`)
      turn.terminal = true
    } else if (signal === "close") {
      if (!turn.terminal || turn.closed) {
        broken("I-TURN-CLOSE", `close without one terminal before it for ${turn_id}`)
      }
      turn.closed = true
    } else if (turn.terminal && !afterTerminal.has(signal)) {
      broken("I-OUT-AFTER-END", `${signal} after the terminal of ${turn_id}`)
    }
    if (signal === "cancel" && (scope === "turn" || scope === "session") && !turn.fenced) this.#cancelled = turn_id
  }

  #command(command: SessionCommand): void {
    if (command.type === "fence_output") {
      const turn = this.#turns.get(command.turn_id)
      if (turn !== undefined) turn.fenced = true
      if (this.#cancelled === command.turn_id) this.#cancelled = undefined
      return
    }
    if (this.#cancelled !== undefined) {
      broken("I-CANCEL-FENCE", `${command.type} comes between the cancel of ${this.#cancelled} and its fence`)
    }
    if (command.type === "start_invocation" && command.authority_epoch !== this.#context.epoch) {
      broken("I-EPOCH-OUT", `${command.provider_invocation_id} works under epoch ${command.authority_epoch}`)
    }
    if (command.type !== "enqueue_output") return
    const turn = this.#turns.get(command.turn_id)
    if (turn === undefined) return
    if (turn.terminal) broken("I-OUT-AFTER-END", `output after the terminal of ${command.turn_id}`)
    if (turn.fenced) broken("I-OUT-FENCE", `output of ${command.turn_id}, which is fenced`)
    if (command.authority_epoch !== turn.epoch) {
      broken("I-EPOCH-OUT", `output of ${command.turn_id} under epoch ${command.authority_epoch}`)
    }
  }

  #disposed(turnId: string): void {
    for (const timer of this.#context.armed()) {
      // The graces of turns before may be many where turns are short.
      if (timer.startsWith("grace:") || !timer.includes(turnId)) continue
      const own = turnTimers.some((kind) => timer === `${kind}:${turnId}` || timer.startsWith(`${kind}:${turnId}:`))
      if (own) broken("I-STATE-DISPOSED", `${timer} is armed after the close of ${turnId}`)
    }
  }
}

const sequenceOf = (output: KernelOutput): number => {
  switch (output.record) {
    case "signal":
      return output.signal.runtime_sequence
    case "event":
      return output.event.runtime_sequence
    default:
      return output.runtime_sequence
  }
}
