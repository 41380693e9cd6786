import type { Room } from "@livekit/rtc-node"
import type { TransportFailure } from "@rspp/runtime/ports/Transport"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Scope } from "effect"
import { nativeClient } from "./NativeClient.ts"
import { NativeRoom } from "./NativeRoom.ts"
import { joinFailure } from "./RoomFailure.ts"

/** Where a room is, and the token that lets its bearer in. */
export interface RoomAddress {
  readonly url: string
  readonly token: Redacted.Redacted<string>
}

/** How long joining may take, ms: twice a slow mobile handshake; the client alone waits 16 s for a silent peer. */
export const defaultConnectTimeoutMs = 10_000

/** How long leaving may take, ms; then the room is left to the server's own timeout. */
const leaveTimeoutMs = 3_000

const within = async (work: Promise<unknown>, boundMs: number): Promise<void> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const bound = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, boundMs)
  })
  try {
    await Promise.race([work, bound])
  } catch {
    // It is left all the same.
  } finally {
    clearTimeout(timer)
  }
}

const leave = async (room: NativeRoom): Promise<void> => {
  await within(room.disconnect(), leaveTimeoutMs)
  room.close()
}

/**
 * A joined room, for as long as the scope; no track is subscribed to by itself.
 *
 * Fails with a {@link TransportFailure} whose `cause` is a `RoomJoinError`: classified, without tokens. The native client
 * cannot be told to stop joining: when time is up, or on interruption, a later success is disconnected again.
 */
export const joinRoom = (
  address: RoomAddress,
  options?: { readonly connectTimeoutMs?: number; readonly beforeConnect?: (room: Room) => void }
): Effect.Effect<Room, TransportFailure, Scope.Scope> =>
  Effect.gen(function*() {
    const { url } = address
    const timeoutMs = options?.connectTimeoutMs ?? defaultConnectTimeoutMs
    yield* nativeClient
    const room = yield* Effect.sync(() => new NativeRoom())
    options?.beforeConnect?.(room)
    let joined = false
    let abandoned = false
    yield* Effect.addFinalizer(() => joined ? Effect.promise(() => leave(room)) : Effect.sync(() => room.close()))
    const connect = Effect.callback<void, TransportFailure>((resume) => {
      const connecting = async () => {
        try {
          await room.connect(url, Redacted.value(address.token), { autoSubscribe: false, dynacast: false })
        } catch (cause) {
          return resume(Effect.fail(joinFailure(url, cause)))
        }
        if (abandoned) return void leave(room)
        joined = true
        resume(Effect.void)
      }
      void connecting()
      return Effect.sync(() => {
        abandoned = true
      })
    })
    yield* connect.pipe(Effect.timeoutOrElse({
      duration: timeoutMs,
      orElse: () => Effect.fail(joinFailure(url, `no answer within ${timeoutMs} ms`, "timeout"))
    }))
    return room
  })
