import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { failuresOf } from "@rspp/providers/hosted/Failures"
import { VendorClosed } from "@rspp/providers/hosted/VendorSocket"
import type { VendorSocket } from "@rspp/providers/hosted/VendorSocket"
import { keepAliveMs, makeSpareSockets, spareIdleMs } from "@rspp/providers/stt/SpareSockets"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"

const failures = failuresOf("vendor/streaming", "the vendor")

/** Connections that are counted; each can be closed by the vendor. */
const vendor = (opens: (count: number) => Effect.Effect<void, ProviderFailure> = () => Effect.void) => {
  const sent: Array<string | Uint8Array> = []
  const closes: Array<Deferred.Deferred<never, VendorClosed>> = []
  const seen = { opened: 0, open: 0, most: 0 }
  const open: Effect.Effect<VendorSocket, ProviderFailure, Scope.Scope> = Effect.gen(function*() {
    yield* opens(++seen.opened)
    const closed = yield* Deferred.make<never, VendorClosed>()
    closes.push(closed)
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        seen.most = Math.max(seen.most, ++seen.open)
      }),
      () => Effect.sync(() => seen.open--)
    )
    return { send: (frame) => Effect.sync(() => void sent.push(frame)), receive: Deferred.await(closed) }
  })
  return { open, sent, seen, closes }
}

const settled = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

describe("connections that are open before they are needed (I-SPARE-BOUND)", () => {
  it.effect("are not opened before the first call, and then as many as are wanted", () =>
    Effect.gen(function*() {
      const { open, seen } = vendor()
      const { take } = yield* makeSpareSockets({ open, spares: 2, keepAlive: "alive" })
      yield* settled
      assert.strictEqual(seen.open, 0)
      yield* Effect.scoped(Effect.andThen(take, settled))
      assert.deepStrictEqual([seen.open, seen.opened], [2, 3])
    }).pipe(Effect.scoped))

  it.effect("are used before a new one is made, each by one call, and are replaced", () =>
    Effect.gen(function*() {
      const { open, seen } = vendor()
      const { take } = yield* makeSpareSockets({ open, spares: 1, keepAlive: "alive" })
      const used: Array<VendorSocket> = []
      for (let call = 0; call < 10; call++) {
        yield* Effect.scoped(Effect.gen(function*() {
          used.push(yield* take)
          yield* settled
          assert.isAtMost(seen.open, 2)
        }))
      }
      assert.strictEqual(new Set(used).size, 10)
      assert.deepStrictEqual([seen.open, seen.opened, seen.most], [1, 11, 2])
    }).pipe(Effect.scoped))

  it.effect("are kept open by the vendor's message, and closed when nobody has needed them for long", () =>
    Effect.gen(function*() {
      const { open, seen, sent } = vendor()
      const { take } = yield* makeSpareSockets({ open, spares: 1, keepAlive: "alive" })
      yield* Effect.scoped(Effect.andThen(take, settled))
      yield* TestClock.adjust(3 * keepAliveMs)
      assert.deepStrictEqual(sent, ["alive", "alive", "alive"])
      yield* TestClock.adjust(spareIdleMs)
      assert.strictEqual(seen.open, 0)
      const atTheEnd = sent.length
      yield* TestClock.adjust(spareIdleMs)
      assert.deepStrictEqual([seen.opened, sent.length], [2, atTheEnd])
    }).pipe(Effect.scoped))

  it.effect("are no longer kept alive once a call has them", () =>
    Effect.gen(function*() {
      const { open, sent } = vendor()
      const { take } = yield* makeSpareSockets({ open, spares: 1, keepAlive: "alive" })
      yield* Effect.scoped(Effect.andThen(take, settled))
      yield* Effect.scoped(Effect.gen(function*() {
        yield* take
        yield* settled
        sent.length = 0
        yield* TestClock.adjust(2 * keepAliveMs)
        // Those are of the one that waits now.
        assert.strictEqual(sent.length, 2)
      }))
    }).pipe(Effect.scoped))

  it.effect("are dropped when the vendor closes them", () =>
    Effect.gen(function*() {
      const { closes, open, seen } = vendor()
      const { take } = yield* makeSpareSockets({ open, spares: 1, keepAlive: "alive" })
      yield* Effect.scoped(Effect.andThen(take, settled))
      yield* Deferred.fail(closes[1]!, new VendorClosed({ code: 1011, reason: "NET-0001" }))
      yield* settled
      assert.strictEqual(seen.open, 0)
      yield* Effect.scoped(Effect.andThen(take, settled))
      assert.strictEqual(seen.opened, 4)
    }).pipe(Effect.scoped))

  it.effect("are not asked for while the vendor refuses, and nobody is told that one could not be opened", () =>
    Effect.gen(function*() {
      const { open, seen } = vendor((count) =>
        count === 1 || count === 3 ? Effect.fail(failures.unreachable) : Effect.void
      )
      const { take } = yield* makeSpareSockets({ open, spares: 1, keepAlive: "alive" })
      yield* Effect.flip(Effect.scoped(take))
      yield* settled
      assert.strictEqual(seen.opened, 1)
      yield* Effect.scoped(Effect.andThen(take, settled))
      assert.deepStrictEqual([seen.opened, seen.open], [3, 0])
      yield* Effect.scoped(Effect.andThen(take, settled))
      assert.deepStrictEqual([seen.opened, seen.open], [5, 1])
    }).pipe(Effect.scoped))

  it.effect("end with the provider, those that are being opened, too", () =>
    Effect.gen(function*() {
      const late = yield* Deferred.make<void>()
      const { open, seen } = vendor((count) => count > 2 ? Deferred.await(late) : Effect.void)
      const scope = yield* Scope.make()
      const { take } = yield* Scope.provide(makeSpareSockets({ open, spares: 2, keepAlive: "alive" }), scope)
      yield* Effect.scoped(Effect.andThen(take, settled))
      assert.deepStrictEqual([seen.opened, seen.open], [3, 1])
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.succeed(late, undefined)
      yield* settled
      assert.strictEqual(seen.open, 0)
    }))

  it.effect("are left to the next call when a call is cancelled while it connects", () =>
    Effect.gen(function*() {
      const never = yield* Deferred.make<void>()
      const { open, seen } = vendor((count) => count === 1 ? Deferred.await(never) : Effect.void)
      const { take } = yield* makeSpareSockets({ open, spares: 1, keepAlive: "alive" })
      const call = yield* Effect.forkChild(Effect.scoped(take), { startImmediately: true })
      yield* Fiber.interrupt(call)
      yield* settled
      assert.deepStrictEqual([seen.opened, seen.open], [1, 0])
    }).pipe(Effect.scoped))
})
