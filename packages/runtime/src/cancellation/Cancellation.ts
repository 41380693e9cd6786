import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { SessionInvocations } from "../invocation/InvocationLedger.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { Turn } from "../turn/Turn.ts"

/** Cancellation of one session. */
export interface SessionCancellation {
  /** Accepts a cancel of a turn: says so, then fences it. Returns false when it was accepted before. */
  readonly accept: (turn: Turn, scope: "session" | "turn", reason: string) => boolean
  /** Puts up the output fence of a turn and interrupts its provider calls; egress answers with `egress_fenced`. */
  readonly fence: (turn: Turn, reason: string) => void
}

/**
 * Cancellation (RK-16): tier 1 is the fence, which egress puts up synchronously; tier 2 interrupts the provider calls.
 *
 * Guarantees: I-CANCEL-FENCE the fence is commanded in the step that accepts the cancel, before anything else of the
 * turn is ended; I-CANCEL-ONCE a turn is fenced once.
 */
export class Cancellation extends Context.Service<Cancellation, {
  readonly open: (options: {
    readonly context: KernelContext
    readonly gateway: SessionGateway
    readonly invocations: SessionInvocations
  }) => SessionCancellation
}>()("rspp/Cancellation") {
  static readonly layer = Layer.succeed(Cancellation, {
    open: ({ context, gateway, invocations }) => {
      const fence = (turn: Turn, reason: string) => {
        if (turn.fenceRequested) return
        turn.fenceRequested = true
        context.command({
          type: "fence_output",
          turn_id: turn.turnId,
          authority_epoch: turn.epoch,
          reason
        })
        for (const invocation of invocations.ofTurn(turn.turnId)) {
          // The recogniser's call has done its work for this turn and ends by itself.
          if (invocation.modality !== "stt") invocations.cancel(invocation.id, reason)
        }
      }
      return {
        fence,
        accept: (turn, scope, reason) => {
          if (turn.cancelled) return false
          turn.cancelled = true
          gateway.signal("cancel", "RK-16", { turn_id: turn.turnId, scope, reason })
          fence(turn, reason)
          return true
        }
      }
    }
  })
}
