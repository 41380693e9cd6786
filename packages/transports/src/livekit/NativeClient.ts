import { dispose } from "@livekit/rtc-node"
import * as Effect from "effect/Effect"
import type { Scope } from "effect"

let holders = 0
let disposal: Promise<void> | undefined

const release = async (): Promise<void> => {
  holders -= 1
  if (holders > 0 || globalThis._ffiClientInstance === undefined) return
  disposal = dispose()
  try {
    await disposal
  } finally {
    // A client that was disposed of answers no more: whoever comes next gets a new one.
    globalThis._ffiClientInstance = undefined
    disposal = undefined
  }
}

/**
 * Holds LiveKit's native client, which is one per process and keeps the process alive, for as long as the scope.
 *
 * Everything that uses rtc-node does so inside of such a scope; rooms of `joinRoom` hold it themselves. When the last scope
 * closes, the native client is disposed of, whatever still uses it, and the process can exit. It may be held again later.
 */
export const nativeClient: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    holders += 1
    while (disposal !== undefined) await disposal
  }),
  () => Effect.promise(release)
)
