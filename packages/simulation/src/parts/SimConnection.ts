import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { SimCall } from "./SimCall.ts"

/** Connections of a call's simulated providers: one for each call of a provider, from its first moment to its last. */
export class Connections {
  opened = 0
  open = 0
  /** The most that were open at one time. */
  most = 0

  readonly acquire = Effect.acquireRelease(
    Effect.sync(() => {
      this.opened++
      this.open++
      this.most = Math.max(this.most, this.open)
    }),
    () =>
      Effect.sync(() => {
        this.open--
      })
  )
}

/** A provider's stream on a connection of its own. Drawn calls have none: it would only cost time. */
export const connected = <A, E, R>(call: SimCall, stream: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  call.scenario.script === undefined
    ? stream
    : Stream.unwrap(Effect.as(call.connections.acquire, stream))
