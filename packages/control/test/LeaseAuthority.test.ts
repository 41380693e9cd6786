import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { LeaseAuthority } from "../src/LeaseAuthority.ts"
import type { LeaseChange } from "../src/LeaseAuthority.ts"
import { LeaseStore, LeaseStoreFailure } from "../src/LeaseStore.ts"
import { LeaseTokens } from "../src/LeaseTokens.ts"
import { overLeaseStores } from "./support/LeaseStores.ts"
import type { LeaseStoreUnderTest } from "./support/LeaseStores.ts"

/** What a call is refused with; the store itself is well. */
const refused = <A, E, R>(call: Effect.Effect<A, E | LeaseStoreFailure, R>) =>
  Effect.flip(Effect.catchTag(call, "LeaseStoreFailure", Effect.die))

const cases = (fresh: Effect.Effect<LeaseStoreUnderTest>): void => {
  const test = <A, E>(
    run: (given: LeaseStoreUnderTest) => Effect.Effect<A, E, LeaseAuthority | LeaseStore | Scope.Scope>
  ) =>
    Effect.flatMap(fresh, (given) =>
      Effect.scoped(run(given)).pipe(
        Effect.provide(
          LeaseAuthority.layerNoDeps({ ttlMs: 1000 }).pipe(
            Layer.provideMerge(given.layer),
            Layer.provide(LeaseTokens.layerSeeded(1))
          ),
          { local: true }
        )
      ))

  describe("a lease", () => {
    it.effect("is issued with epoch 1, then one higher after each end", () =>
      test(() =>
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
        })
      ))

    it.effect("is refused while another holds it, also to the same placement", () =>
      test(() =>
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          yield* leases.acquire("s", "a")
          for (const placement of ["a", "b"]) {
            const error = yield* refused(leases.acquire("s", placement))
            assert.deepStrictEqual([error._tag, error.message], ["LeaseHeld", "session s is held by a at epoch 1"])
          }
        })
      ))

    it.effect("that ran out can be taken, and cannot be renewed", () =>
      test(({ pass }) =>
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          const lease = yield* leases.acquire("s", "a")
          yield* pass(999)
          assert.strictEqual((yield* leases.current("s"))?.ttl_ms, 1)
          yield* pass(1)
          assert.strictEqual(yield* leases.current("s"), undefined)
          assert.strictEqual((yield* refused(leases.renew(lease))).reason, "expired")
          assert.strictEqual((yield* leases.acquire("s", "b")).authority_epoch, 2)
          assert.strictEqual((yield* refused(leases.renew(lease))).reason, "rotated")
        })
      ))

    it.effect("cannot be renewed after it was revoked or rotated, nor with a wrong token", () =>
      test(() =>
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          const lease = yield* leases.acquire("s", "a")
          assert.strictEqual((yield* refused(leases.renew({ ...lease, lease_token: "x" }))).reason, "rotated")
          assert.strictEqual((yield* refused(leases.renew({ ...lease, session_id: "t" }))).reason, "unknown")
          const rotated = yield* leases.rotate("s", 1, "b")
          assert.deepStrictEqual([rotated.authority_epoch, rotated.placement_id], [2, "b"])
          assert.strictEqual((yield* refused(leases.renew(lease))).reason, "rotated")
          yield* leases.revoke("s", 2)
          yield* leases.revoke("s", 2)
          assert.strictEqual((yield* refused(leases.renew(rotated))).reason, "revoked")
        })
      ))

    it.effect("is rotated or revoked only by who knows its epoch", () =>
      test(() =>
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          yield* leases.acquire("s", "a")
          const error = yield* refused(leases.rotate("s", 2, "b"))
          assert.deepStrictEqual([error._tag, error.message], ["LeaseConflict", "session s is at epoch 1, not 2"])
          assert.strictEqual((yield* refused(leases.revoke("t", 1))).authority_epoch, undefined)
          assert.strictEqual((yield* leases.current("s"))?.authority_epoch, 1)
        })
      ))
  })

  describe("a subscriber", () => {
    it.effect("hears the lease as it stands, then each change in order, until its scope closes", () =>
      test(({ pass }) =>
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          const heard: Array<LeaseChange> = []
          const scope = yield* Scope.make()
          const lease = yield* leases.acquire("s", "a")
          yield* pass(100)
          yield* Scope.provide(leases.subscribe("s", (change) => heard.push(change)), scope)
          yield* leases.renew(lease)
          yield* leases.rotate("s", 1, "b")
          yield* pass(1000)
          yield* leases.acquire("s", "a")
          yield* leases.revoke("s", 3)
          yield* leases.acquire("t", "a")
          yield* Scope.close(scope, Exit.void)
          yield* leases.acquire("s", "a")
          assert.deepStrictEqual(
            heard.map((c) => [c.status, c.authority_epoch, c.ttl_ms, c.lease_token !== undefined]),
            [
              ["issued", 1, 900, true],
              ["renewed", 1, 1000, true],
              ["rotated", 2, 1000, true],
              ["expired", 2, 0, false],
              ["issued", 3, 1000, true],
              ["revoked", 3, 0, false]
            ]
          )
        })
      ))
  })

  describe("a held lease", () => {
    it.effect("is renewed before half its TTL for as long as the scope, then revoked", () =>
      test(({ pass }) =>
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
          for (now = 10; now <= 5000; now += 10) yield* pass(10)
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
        })
      ))

    it.effect("stops renewing once it was rotated away, and leaves the new holder alone", () =>
      test(({ pass }) =>
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          const statuses: Array<string> = []
          const scope = yield* Scope.make()
          yield* Scope.provide(leases.hold("s", "a"), scope)
          yield* leases.subscribe("s", (change) => statuses.push(change.status))
          yield* leases.rotate("s", 1, "b")
          yield* pass(500)
          yield* Scope.close(scope, Exit.void)
          assert.deepStrictEqual(statuses, ["issued", "rotated"])
          assert.strictEqual((yield* leases.current("s"))?.placement_id, "b")
        })
      ))

    it.effect("is not renewed by a placement that slept past the TTL", () =>
      test(({ pass }) =>
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          const statuses: Array<string> = []
          yield* leases.subscribe("s", (change) => statuses.push(change.status))
          const lease = yield* leases.acquire("s", "a")
          yield* pass(5000)
          yield* refused(leases.renew(lease))
          yield* refused(leases.renew(lease))
          assert.deepStrictEqual(statuses, ["issued", "expired"])
        })
      ))

    it.effect("is not taken when the session is held", () =>
      test(() =>
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          const started = yield* Deferred.make<void>()
          const fiber = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
            yield* leases.hold("s", "a")
            yield* Deferred.succeed(started, undefined)
            return yield* Effect.never
          })))
          yield* Deferred.await(started)
          assert.strictEqual((yield* refused(leases.hold("s", "b"))).placement_id, "a")
          yield* Fiber.interrupt(fiber)
          assert.strictEqual((yield* leases.hold("s", "b")).authority_epoch, 2)
        })
      ))
  })

  describe("a lease that is to be regained", () => {
    it.effect("is taken again under a new epoch after it ran out while the store was away", () =>
      test(({ pass }) =>
        Effect.gen(function*() {
          const store = yield* LeaseStore
          let away = false
          const reach = <A, E>(call: Effect.Effect<A, E>) =>
            Effect.suspend((): Effect.Effect<A, E | LeaseStoreFailure> =>
              away ? Effect.fail(new LeaseStoreFailure({ store: "test", message: "it is away" })) : call
            )
          yield* Effect.gen(function*() {
            const leases = yield* LeaseAuthority
            const heard: Array<string> = []
            yield* leases.subscribe("s", (change) => heard.push(`${change.status} ${change.authority_epoch}`))
            yield* leases.hold("s", "a", { regain: true })
            yield* pass(400)
            away = true
            for (let ms = 0; ms < 2000; ms += 50) yield* pass(50)
            assert.deepStrictEqual(heard, ["issued 1", "renewed 1"])
            away = false
            for (let ms = 0; ms < 500; ms += 50) yield* pass(50)
            assert.deepStrictEqual(heard, ["issued 1", "renewed 1", "expired 1", "issued 2", "renewed 2"])
            assert.strictEqual((yield* leases.current("s"))?.authority_epoch, 2)
          }).pipe(
            Effect.scoped,
            Effect.provide(
              LeaseAuthority.layerNoDeps({ ttlMs: 1000 }).pipe(
                Layer.provide([
                  LeaseTokens.layerSeeded(1),
                  Layer.succeed(LeaseStore, {
                    read: (id) => reach(store.read(id)),
                    compareAndSet: (expected, row) => reach(store.compareAndSet(expected, row)),
                    orphans: store.orphans
                  })
                ])
              ),
              { local: true }
            )
          )
        })
      ))

    it.effect("is left to whoever took it, and the loss is told", () =>
      test(({ pass }) =>
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          const store = yield* LeaseStore
          const heard: Array<string> = []
          yield* leases.hold("s", "a", { regain: true })
          yield* leases.subscribe(
            "s",
            (change) => heard.push(`${change.status} ${change.authority_epoch} ${change.placement_id}`)
          )
          const { row } = yield* store.read("s")
          // another process, which knows nothing of the subscribers here
          if (row === undefined) return assert.fail("no row")
          const taken = {
            ...row,
            authority_epoch: 2,
            placement_id: "b",
            lease_token: "b's",
            revision: row.revision + 1
          }
          assert.isTrue(yield* store.compareAndSet(row.revision, taken))
          yield* pass(400)
          assert.deepStrictEqual(heard, ["issued 1 a", "rotated 2 b"])
          yield* pass(400)
          assert.deepStrictEqual(heard.length, 2)
        })
      ))

    it.effect("is left, and its loss told, also when another takes it in the instant in which it is found to be over", () =>
      test(({ pass }) =>
        Effect.gen(function*() {
          const store = yield* LeaseStore
          let away = false
          const snatching = Layer.succeed(LeaseStore, {
            ...store,
            read: (id) =>
              away ? Effect.fail(new LeaseStoreFailure({ store: "test", message: "it is away" })) : store.read(id),
            compareAndSet: (expected, row) =>
              Effect.tap(store.compareAndSet(expected, row), () =>
                row.state === "expired"
                  ? store.compareAndSet(row.revision, {
                    ...row,
                    revision: row.revision + 1,
                    authority_epoch: 2,
                    placement_id: "b",
                    state: "held",
                    expires_at_ms: row.expires_at_ms + 100_000
                  })
                  : Effect.void)
          })
          yield* Effect.gen(function*() {
            const leases = yield* LeaseAuthority
            const heard: Array<string> = []
            yield* leases.subscribe("s", (change) =>
              heard.push(`${change.status} ${change.authority_epoch} ${change.placement_id}`))
            yield* leases.hold("s", "a", { regain: true })
            away = true
            for (let ms = 0; ms < 1200; ms += 50) {
              yield* pass(50)
            }
            away = false
            for (let ms = 0; ms < 200; ms += 50) {
              yield* pass(50)
            }
            assert.deepStrictEqual(heard, ["issued 1 a", "expired 1 a", "rotated 2 b"])
          }).pipe(
            Effect.scoped,
            Effect.provide(
              LeaseAuthority.layerNoDeps({ ttlMs: 1000 }).pipe(Layer.provide([LeaseTokens.layerSeeded(1), snatching])),
              { local: true }
            )
          )
        })
      ))

    it.effect("is not taken again when it was revoked", () =>
      test(({ pass }) =>
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          yield* leases.hold("s", "a", { regain: true })
          yield* leases.revoke("s", 1)
          for (let ms = 0; ms < 3000; ms += 200) yield* pass(200)
          assert.strictEqual(yield* leases.current("s"), undefined)
        })
      ))

    it.effect("counts from before the store was asked, however late the answer is heard", () =>
      test(({ pass }) =>
        Effect.gen(function*() {
          const store = yield* LeaseStore
          const slow = Layer.succeed(LeaseStore, {
            ...store,
            compareAndSet: (expected, row) => Effect.tap(store.compareAndSet(expected, row), () => Effect.sleep(300))
          })
          yield* Effect.gen(function*() {
            const leases = yield* LeaseAuthority
            const ends: Array<bigint> = []
            yield* leases.subscribe("s", ({ as_of_ns, ttl_ms }) => ends.push(as_of_ns / 1_000_000n + BigInt(ttl_ms)))
            const acquiring = yield* Effect.forkChild(leases.acquire("s", "a"), { startImmediately: true })
            for (let ms = 0; ms < 400; ms += 50) yield* pass(50)
            yield* Fiber.join(acquiring)
            assert.deepStrictEqual(ends, [1000n])
          }).pipe(
            Effect.scoped,
            Effect.provide(
              LeaseAuthority.layerNoDeps({ ttlMs: 1000 }).pipe(Layer.provide([LeaseTokens.layerSeeded(1), slow])),
              { local: true }
            )
          )
        })
      ))
  })

  describe("orphans", () => {
    it.effect("are at once what a holder that is interrupted leaves, when it said so; else it is given back", () =>
      test(() =>
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          const held = (session: string, leaves: boolean) =>
            Effect.scoped(Effect.andThen(leases.hold(session, "a", { leaves }), Effect.interrupt))
          yield* Effect.exit(held("kept", false))
          yield* Effect.scoped(leases.hold("over", "a", { leaves: true }))
          assert.deepStrictEqual(yield* leases.orphans(9), [])
          yield* Effect.exit(held("left", true))
          assert.deepStrictEqual(yield* leases.orphans(9), ["left"])
          assert.strictEqual((yield* leases.acquire("left", "b")).authority_epoch, 2)
        })
      ))

    it.effect("are sessions whose lease ran out, longest first; not those that were given back", () =>
      test(({ pass }) =>
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          yield* leases.acquire("first", "a")
          yield* pass(100)
          const second = yield* leases.acquire("second", "a")
          yield* leases.acquire("given back", "a")
          yield* leases.revoke("given back", 1)
          assert.deepStrictEqual(yield* leases.orphans(9), [])
          yield* pass(900)
          assert.deepStrictEqual(yield* leases.orphans(9), ["first"])
          yield* pass(100)
          assert.deepStrictEqual(yield* leases.orphans(9), ["first", "second"])
          assert.deepStrictEqual(yield* leases.orphans(1), ["first"])
          assert.deepStrictEqual(yield* leases.orphans(9, 99), ["second"], "the first is given up by now")
          assert.deepStrictEqual(yield* leases.orphans(9, 100), ["first", "second"])
          yield* refused(leases.renew(second)) // which marks it as expired
          yield* leases.acquire("first", "b")
          assert.deepStrictEqual(yield* leases.orphans(9), ["second"])
        })
      ))
  })
}

overLeaseStores("leases", cases)

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
