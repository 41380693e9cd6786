import { RoomEvent, RpcError } from "@livekit/rtc-node"
import type { RemoteParticipant, RpcInvocationData } from "@livekit/rtc-node"
import { named } from "@rspp/runtime/determinism/FiberName"
import { Bell } from "@rspp/runtime/events/Bell"
import { Ring } from "@rspp/runtime/events/Ring"
import * as Effect from "effect/Effect"
import type { RoomExtension } from "../RoomExtension.ts"

/** Methods by which front ends say when the caller speaks, for sessions with `turn_detection: push_to_talk`. */
export const turnMethods = { start: "start_turn", end: "end_turn", cancel: "cancel_turn" } as const

/** Keys of a telephone that are taken together at most. */
export const maxDigits = 64

/** Sequences that wait to be taken at most. */
const waitingSequences = 8

/** How a telephone's keys become text. */
export interface DigitText {
  /** What stands before the digits, so that the model knows what they are. Default `The caller pressed the keys `. */
  readonly prefix?: string
  /** Keys within this time of each other are one text, ms. Default 1500. */
  readonly pauseMs?: number
  /** The key that ends a sequence at once, and is no part of it. Default `#`. */
  readonly endKey?: string
}

export const digitDefaults = { prefix: "The caller pressed the keys ", pauseMs: 1500, endKey: "#" } as const

/**
 * What a front end or a telephone sends besides audio and text.
 *
 * - RPC `start_turn`, `end_turn` and `cancel_turn`, of LiveKit's push-to-talk examples, press and release the caller's
 *   key, and take back what was said since the press. They do something in sessions with `turn_detection: push_to_talk`.
 *   Calls of others than the caller are refused.
 * - DTMF (`digits`, off by default): keys that are pressed within 1.5 s of each other, or up to `#`, are typed text with
 *   a prefix, at most 64 of them.
 *
 * Not taken: other data packets. The session has no input for them.
 *
 * source: livekit/agents-js examples/src/push_to_talk.ts
 */
export const dataInput = (options?: { readonly digits?: DigitText }): RoomExtension => {
  const digits = options?.digits
  return {
    joined: ({ caller, ingress, room }) => {
      const key = (state: "pressed" | "released" | "cancelled") => async ({ callerIdentity }: RpcInvocationData) => {
        if (callerIdentity !== caller()?.identity) {
          throw new RpcError(RpcError.ErrorCode.APPLICATION_ERROR, "only the caller of this session has a key")
        }
        ingress.pushToTalk(state)
        return "ok"
      }
      return Effect.gen(function*() {
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            room.localParticipant?.registerRpcMethod(turnMethods.start, key("pressed"))
            room.localParticipant?.registerRpcMethod(turnMethods.end, key("released"))
            room.localParticipant?.registerRpcMethod(turnMethods.cancel, key("cancelled"))
          }),
          () =>
            Effect.sync(() => {
              for (const method of Object.values(turnMethods)) room.localParticipant?.unregisterRpcMethod(method)
            })
        )
        if (digits === undefined) return
        const { endKey, pauseMs, prefix } = { ...digitDefaults, ...digits }
        const bell = yield* Bell.make
        const finished = new Ring<string>(waitingSequences)
        let pressed = ""
        const finish = () => {
          finished.offer(pressed)
          pressed = ""
        }
        const dial = (_: number, digit: string, participant: RemoteParticipant) => {
          if (participant.identity !== caller()?.identity) return
          if (digit !== endKey) pressed += digit
          if (digit === endKey || pressed.length >= maxDigits) finish()
          bell.ring()
        }
        const collect = Effect.gen(function*() {
          for (;;) {
            const sequence = finished.take()
            if (sequence !== undefined) {
              if (sequence !== "") ingress.text(`${prefix}${sequence}`)
            } else if (pressed === "") yield* bell.wait
            // Each key begins the pause anew.
            else if ((yield* Effect.timeoutOption(bell.wait, pauseMs))._tag === "None") finish()
          }
        })
        yield* Effect.acquireRelease(
          Effect.sync(() => room.on(RoomEvent.DtmfReceived, dial)),
          () => Effect.sync(() => room.off(RoomEvent.DtmfReceived, dial))
        )
        yield* Effect.forkScoped(named("keys of a telephone")(collect))
      })
    }
  }
}
