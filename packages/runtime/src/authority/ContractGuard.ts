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

interface GuardedTurn {
  planHash: string
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
 * whatever happens.
 *
 * Guarantees, each an assertion that stays on in production: I-TURN-TERMINAL exactly one terminal per accepted turn;
 * I-TURN-CLOSE `close` follows the terminal, once; I-OUT-AFTER-END after the terminal no lifecycle signal but `close`
 * and no output leaves for the turn; I-PLAN-FROZEN the plan of an open turn does not change.
 */
export class ContractGuard extends Context.Service<ContractGuard, {
  readonly open: (context: KernelContext, gateway: SessionGateway) => SessionGuard
}>()("rspp/ContractGuard") {
  static readonly layer = Layer.succeed(ContractGuard, {
    open: (context, gateway) => {
      const turns = new Map<string, GuardedTurn>()
      return {
        authority: new Authority(context, gateway),
        check: (outputs) => {
          for (const output of outputs) checkOutput(turns, output)
        }
      }
    }
  })
}

const checkOutput = (turns: Map<string, GuardedTurn>, output: KernelOutput): void => {
  switch (output.record) {
    case "plan": {
      const id = output.plan.turn_id
      const known = turns.get(id)
      if (known !== undefined) throw new InvariantBroken("I-PLAN-FROZEN", `${id} got a second plan`)
      turns.set(id, { planHash: output.plan.plan_hash, terminal: false, closed: false })
      if (turns.size > rememberedTurns) {
        for (const oldest of turns.keys()) {
          turns.delete(oldest)
          break
        }
      }
      return
    }
    case "signal": {
      const { signal, turn_id } = output.signal
      const turn = turn_id === undefined ? undefined : turns.get(turn_id)
      if (turn === undefined) return
      if (signal === "commit" || signal === "abort") {
        if (turn.terminal) throw new InvariantBroken("I-TURN-TERMINAL", `second terminal ${signal} for ${turn_id}`)
        turn.terminal = true
      } else if (signal === "close") {
        if (!turn.terminal || turn.closed) {
          throw new InvariantBroken("I-TURN-CLOSE", `close without one terminal before it for ${turn_id}`)
        }
        turn.closed = true
      } else if (turn.terminal && !afterTerminal.has(signal)) {
        throw new InvariantBroken("I-OUT-AFTER-END", `${signal} after the terminal of ${turn_id}`)
      }
      return
    }
    case "command": {
      const { command } = output
      if (command.type !== "enqueue_output" && command.type !== "resume_output") return
      const ended = turns.get(command.turn_id)
      if (ended?.terminal === true && command.type === "enqueue_output") {
        throw new InvariantBroken("I-OUT-AFTER-END", `output after the terminal of ${command.turn_id}`)
      }
      return
    }
    default:
      return
  }
}
