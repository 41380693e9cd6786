import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { LeaseAuthority } from "../src/LeaseAuthority.ts"
import type { LeaseChange } from "../src/LeaseAuthority.ts"
import { LeaseTokens } from "../src/LeaseTokens.ts"

const layer = LeaseAuthority.layerMemory({ ttlMs: 1000 }).pipe(Layer.provide(LeaseTokens.layerSeeded(1)))
const provide = Effect.provide(layer, { local: true })

describe("a lease", () => {
  it.effect("is issued with epoch 1, then one higher after each end", () =>
    Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      const first = yield* leases.acquire("s", "a")
      assert.deepStrictEqual({ ...first, lease_token: "" }, {
        session_id: "s",
        placement_id: "a",
        authority_epoch: 1,
        lease_token: "",
        ttl_ms: 1000
      })
      assert.match(first.lease_token, /^[0-9a-f]{32}$/u)
      yield* leases.revoke("s", 1)
      const second = yield* leases.acquire("s", "b")
      assert.strictEqual(second.authority_epoch, 2)
      assert.notStrictEqual(second.lease_token, first.lease_token)
      assert.strictEqual((yield* leases.acquire("other", "a")).authority_epoch, 1)
    }).pipe(provide))

  it.effect("is refused while another holds it, also to the same placement", () =>
    Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      yield* leases.acquire("s", "a")
      for (const placement of ["a", "b"]) {
        const error = yield* Effect.flip(leases.acquire("s", placement))
        assert.deepStrictEqual([error._tag, error.message], ["LeaseHeld", "session s is held by a at epoch 1"])
      }
    }).pipe(provide))

  it.effect("that ran out can be taken, and cannot be renewed", () =>
    Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      const lease = yield* leases.acquire("s", "a")
      yield* TestClock.adjust(999)
      assert.strictEqual((yield* leases.current("s"))?.ttl_ms, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* leases.current("s"), undefined)
      assert.strictEqual((yield* Effect.flip(leases.renew(lease))).reason, "expired")
      assert.strictEqual((yield* leases.acquire("s", "b")).authority_epoch, 2)
      assert.strictEqual((yield* Effect.flip(leases.renew(lease))).reason, "rotated")
    }).pipe(provide))

  it.effect("cannot be renewed after it was revoked or rotated, nor with a wrong token", () =>
    Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      const lease = yield* leases.acquire("s", "a")
      assert.strictEqual((yield* Effect.flip(leases.renew({ ...lease, lease_token: "x" }))).reason, "rotated")
      assert.strictEqual((yield* Effect.flip(leases.renew({ ...lease, session_id: "t" }))).reason, "unknown")
      const rotated = yield* leases.rotate("s", 1, "b")
      assert.deepStrictEqual([rotated.authority_epoch, rotated.placement_id], [2, "b"])
      assert.strictEqual((yield* Effect.flip(leases.renew(lease))).reason, "rotated")
      yield* leases.revoke("s", 2)
      yield* leases.revoke("s", 2)
      assert.strictEqual((yield* Effect.flip(leases.renew(rotated))).reason, "revoked")
    }).pipe(provide))

  it.effect("is rotated or revoked only by who knows its epoch", () =>
    Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      yield* leases.acquire("s", "a")
      const error = yield* Effect.flip(leases.rotate("s", 2, "b"))
      assert.deepStrictEqual([error._tag, error.message], ["LeaseConflict", "session s is at epoch 1, not 2"])
      assert.strictEqual((yield* Effect.flip(leases.revoke("t", 1))).authority_epoch, undefined)
      assert.strictEqual((yield* leases.current("s"))?.authority_epoch, 1)
    }).pipe(provide))
})

describe("a subscriber", () => {
  it.effect("hears the lease as it stands, then each change in order, until its scope closes", () =>
    Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      const heard: Array<LeaseChange> = []
      const scope = yield* Scope.make()
      const lease = yield* leases.acquire("s", "a")
      yield* TestClock.adjust(100)
      yield* Scope.provide(leases.subscribe("s", (change) => heard.push(change)), scope)
      yield* leases.renew(lease)
      yield* leases.rotate("s", 1, "b")
      yield* TestClock.adjust(1000)
      yield* leases.acquire("s", "a")
      yield* leases.revoke("s", 3)
      yield* leases.acquire("t", "a")
      yield* Scope.close(scope, Exit.void)
      yield* leases.acquire("s", "a")
      assert.deepStrictEqual(heard.map((c) => [c.status, c.authority_epoch, c.ttl_ms, c.lease_token !== undefined]), [
        ["issued", 1, 900, true],
        ["renewed", 1, 1000, true],
        ["rotated", 2, 1000, true],
        ["expired", 2, 0, false],
        ["issued", 3, 1000, true],
        ["revoked", 3, 0, false]
      ])
    }).pipe(provide))
})

describe("a held lease", () => {
  it.effect("is renewed before half its TTL for as long as the scope, then revoked", () =>
    Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      const renewedAt: Array<number> = []
      const statuses: Array<string> = []
      let now = 0
      yield* leases.subscribe("s", (change) => {
        statuses.push(change.status)
        if (change.status === "renewed") renewedAt.push(now)
      })
      const scope = yield* Scope.make()
      yield* Scope.provide(leases.hold("s", "a"), scope)
      for (now = 10; now <= 5000; now += 10) yield* TestClock.adjust(10)
      assert.deepStrictEqual(renewedAt.slice(0, 3), [400, 800, 1200])
      assert.strictEqual(renewedAt.length, 12)
      let last = 0
      for (const at of renewedAt) {
        assert.isBelow(at - last, 500)
        last = at
      }
      assert.strictEqual((yield* leases.current("s"))?.authority_epoch, 1)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* leases.current("s"), undefined)
      assert.deepStrictEqual([statuses[0], statuses.at(-1)], ["issued", "revoked"])
    }).pipe(provide))

  it.effect("stops renewing once it was rotated away, and leaves the new holder alone", () =>
    Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      const statuses: Array<string> = []
      const scope = yield* Scope.make()
      yield* Scope.provide(leases.hold("s", "a"), scope)
      yield* leases.subscribe("s", (change) => statuses.push(change.status))
      yield* leases.rotate("s", 1, "b")
      yield* TestClock.adjust(500)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(statuses, ["issued", "rotated"])
      assert.strictEqual((yield* leases.current("s"))?.placement_id, "b")
    }).pipe(provide))

  it.effect("is not renewed by a placement that slept past the TTL", () =>
    Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      const statuses: Array<string> = []
      yield* leases.subscribe("s", (change) => statuses.push(change.status))
      const lease = yield* leases.acquire("s", "a")
      yield* TestClock.adjust(5000)
      yield* Effect.flip(leases.renew(lease))
      yield* Effect.flip(leases.renew(lease))
      assert.deepStrictEqual(statuses, ["issued", "expired"])
    }).pipe(provide))

  it.effect("is not taken when the session is held", () =>
    Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      const started = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
        yield* leases.hold("s", "a")
        yield* Deferred.succeed(started, undefined)
        return yield* Effect.never
      })))
      yield* Deferred.await(started)
      assert.strictEqual((yield* Effect.flip(leases.hold("s", "b"))).placement_id, "a")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* leases.hold("s", "b")).authority_epoch, 2)
    }).pipe(provide))
})

it.effect("tokens of one seed are the same again, of another they are not", () =>
  Effect.gen(function*() {
    const draw = (seed: number) =>
      Effect.flatMap(LeaseTokens, (tokens) => Effect.all([tokens.next, tokens.next])).pipe(
        Effect.provide(LeaseTokens.layerSeeded(seed), { local: true })
      )
    const first = yield* draw(7)
    assert.deepStrictEqual(yield* draw(7), first)
    assert.notDeepEqual(yield* draw(8), first)
    assert.strictEqual(new Set(first).size, 2)
    const secure = yield* Effect.flatMap(LeaseTokens, (tokens) => tokens.next).pipe(Effect.provide(LeaseTokens.layer))
    assert.match(secure, /^[0-9a-f]{32}$/u)
  }))
