import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { VendorClosed, VendorSocket } from "../hosted/VendorSocket.ts"

/** How often a connection that waits to be used says that it is there, ms: vendors give up after 10 s. */
export const keepAliveMs = 4_000

/** How long a connection may wait to be used, ms: then it is closed, and the next call makes its own. */
export const spareIdleMs = 60_000

export interface SpareSocketsOptions {
  /** A connection that is ready for use, open for as long as the scope that it is made in. */
  readonly open: Effect.Effect<VendorSocket, ProviderFailure, Scope.Scope>
  /** How many connections wait to be used, at most. */
  readonly spares: number
  /** The vendor's message that keeps a connection open. */
  readonly keepAlive: string
}

export interface SpareSockets {
  /** A connection for one call, open for as long as the call's scope: one that waits, or else a new one. */
  readonly take: Effect.Effect<VendorSocket, ProviderFailure, Scope.Scope>
}

/** A connection that waits. */
interface Spare {
  readonly socket: VendorSocket
  readonly scope: Scope.Closeable
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  taken: boolean
}

/**
 * Connections of a provider, each for one call, and a few that are open before they are needed.
 *
 * Guarantees: I-SPARE-BOUND no more than `spares` connections wait or are being opened for that, none for longer than
 * {@link spareIdleMs}, and none outlives the scope; one that the vendor closes is dropped. Spares are opened only after a
 * call has got its connection, so that a vendor that is away, or that nobody calls, is not asked. A connection is never
 * used for two calls.
 */
export const makeSpareSockets = Effect.fnUntraced(function*({ keepAlive, open, spares }: SpareSocketsOptions) {
  const owner = yield* Effect.scope
  const ready: Array<Spare> = []
  let opening = 0

  /** Waits until the connection is of no more use as a spare. */
  const kept = (socket: VendorSocket): Effect.Effect<void, ProviderFailure | VendorClosed> =>
    Effect.raceFirst(
      Effect.timeoutOption(
        Effect.forever(Effect.andThen(Effect.sleep(keepAliveMs), socket.send(keepAlive))),
        spareIdleMs
      ),
      Effect.forever(socket.receive)
    )

  const spare = Effect.gen(function*() {
    const scope = yield* Scope.make()
    const self: { waiting: Spare | undefined } = { waiting: undefined }
    yield* open.pipe(
      Scope.provide(scope),
      Effect.ensuring(Effect.sync(() => void opening--)),
      Effect.tap((socket) =>
        Effect.withFiber((fiber) =>
          Effect.sync(() => ready.push(self.waiting = { socket, scope, fiber, taken: false }))
        )
      ),
      Effect.flatMap(kept),
      Effect.ignore,
      Effect.onExit(() =>
        Effect.suspend(() => {
          const { waiting } = self
          if (waiting?.taken === true) return Effect.void
          if (waiting !== undefined && ready.includes(waiting)) ready.splice(ready.indexOf(waiting), 1)
          return Scope.close(scope, Exit.void)
        })
      )
    )
  })

  const refill = Effect.suspend(() => {
    const missing = Math.max(0, Math.floor(spares) - ready.length - opening)
    opening += missing
    return Effect.forEach(Array.from({ length: missing }), () => Effect.forkIn(spare, owner), { discard: true })
  })

  const take = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const waiting = ready.shift()
      if (waiting === undefined) {
        const socket = yield* restore(open)
        yield* refill
        return socket
      }
      waiting.taken = true
      yield* Scope.addFinalizerExit(scope, (exit) => Scope.close(waiting.scope, exit))
      if (waiting.fiber !== undefined) yield* Fiber.interrupt(waiting.fiber)
      yield* refill
      return waiting.socket
    })
  )
  const sockets: SpareSockets = { take }
  return sockets
})
