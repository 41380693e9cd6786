import { assert, describe, it } from "@effect/vitest"
import { schemaVersion } from "@rspp/contracts/Identity"
import type { Snapshot } from "@rspp/contracts/Snapshot"
import { Clock, Effect, Exit, Fiber, Layer, Queue, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { contentHash } from "../src/internal/ContentHash.ts"
import type { FollowerOptions } from "../src/SnapshotFollower.ts"
import { SnapshotFollower } from "../src/SnapshotFollower.ts"
import { SnapshotLog, SnapshotLogFailure } from "../src/SnapshotLog.ts"

const versionOf = (version: number): Snapshot => {
  const body = { contract_versions: ["v1.0"] }
  return {
    schema_version: schemaVersion,
    snapshot_kind: "abi_compatibility_snapshot",
    snapshot_id: `snap_${version}`,
    version,
    issued_at_ms: 0,
    ttl_ms: 1000,
    content_hash: contentHash(body),
    body
  }
}

/** A log that the test writes, takes away and brings back. */
const makeLog = Effect.gen(function*() {
  const pushes = yield* Queue.unbounded<string>()
  const state = {
    away: false,
    hung: false,
    reads: 0,
    /** Reads that are answered in each second; the others are refused, as past a rate. */
    perSecond: Number.POSITIVE_INFINITY,
    answered: new Map<number, number>(),
    published: new Map<string, { snapshot: Snapshot; atMs: number }>()
  }
  const failure = new SnapshotLogFailure({ log: "test", reason: "unavailable", message: "it is away" })
  const publish = (scope: string, version: number) =>
    Effect.map(
      Clock.currentTimeMillis,
      (atMs) => void state.published.set(scope, { snapshot: versionOf(version), atMs })
    )
  const layer = Layer.succeed(SnapshotLog, {
    name: "test",
    publish: () => Effect.fail(failure),
    latest: (scope) =>
      Effect.gen(function*() {
        state.reads++
        if (state.hung) return yield* Effect.never
        const now = yield* Clock.currentTimeMillis
        const second = Math.floor(now / 1000)
        const answered = state.answered.get(second) ?? 0
        if (state.away || answered >= state.perSecond) return yield* failure
        state.answered.set(second, answered + 1)
        const known = state.published.get(scope)
        return known === undefined ? [] : [{ snapshot: known.snapshot, age_ms: now - known.atMs }]
      }),
    changes: Stream.fromQueue(pushes)
  })
  return { state, publish, push: (scope: string) => Queue.offer(pushes, scope), layer }
})

const test = <A, E>(
  options: Partial<FollowerOptions>,
  run: (log: Effect.Success<typeof makeLog>) => Effect.Effect<A, E, SnapshotFollower | Scope.Scope>
) =>
  Effect.flatMap(makeLog, (log) =>
    Effect.scoped(run(log)).pipe(
      Effect.provide(SnapshotFollower.layerNoDeps({ pollMs: 1000, ...options }).pipe(Layer.provide(log.layer)), {
        local: true
      })
    ))

const heardBy = Effect.fnUntraced(function*(scope: string, group?: string) {
  const heard: Array<readonly [version: number, ttl_ms: number]> = []
  const routing = { placement_id: "here", authority_epoch: 1, endpoints: [] }
  yield* (yield* SnapshotFollower).follow(
    scope,
    ({ ttl_ms, version }) => heard.push([version, ttl_ms]),
    group === undefined ? undefined : { group, routing }
  )
  return heard
})

describe("a follower of snapshots", () => {
  it.effect("has the latest before it goes on, with the time for which they still count", () =>
    test({ maxStalenessMs: 500 }, (log) =>
      Effect.gen(function*() {
        yield* log.publish("s", 3)
        yield* TestClock.adjust(200)
        assert.deepStrictEqual(yield* heardBy("s"), [[3, 1300]])
        yield* TestClock.adjust(100)
        assert.deepStrictEqual(yield* heardBy("s"), [[3, 1200]])
      })))

  it.effect("hears of a later version when it is pushed, or else when it is polled; never of an older one", () =>
    test({}, (log) =>
      Effect.gen(function*() {
        yield* log.publish("s", 1)
        const heard = yield* heardBy("s")
        yield* log.publish("s", 2)
        yield* log.push("s")
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(heard.map(([version]) => version), [1, 2])
        yield* log.publish("s", 3)
        yield* log.push("another")
        yield* TestClock.adjust(1000)
        yield* log.publish("s", 2)
        yield* TestClock.adjust(1000)
        assert.deepStrictEqual(heard.map(([version]) => version), [1, 2, 3])
      })))

  it.effect("comes to every scope of a log that answers only a few questions a second", () =>
    test({ openWithinMs: 0 }, (log) =>
      Effect.gen(function*() {
        log.state.perSecond = 0
        const scopes = Array.from({ length: 20 }, (_, i) => `s${i}`)
        const heard = yield* Effect.forEach(scopes, (scope) => heardBy(scope))
        for (const scope of scopes) yield* log.publish(scope, 1)
        log.state.perSecond = 3
        yield* TestClock.adjust(10_000)
        assert.deepStrictEqual(heard.map((of) => of.length), scopes.map(() => 1))
      })))

  it.effect("goes on with the last good ones while the log is away, new sessions too, until they are stale", () =>
    test({ maxStalenessMs: 500 }, (log) =>
      Effect.gen(function*() {
        yield* log.publish("s", 1)
        const heard = yield* heardBy("s")
        log.state.away = true
        yield* TestClock.adjust(600)
        assert.deepStrictEqual(yield* heardBy("s"), [[1, 900]])
        yield* TestClock.adjust(1400)
        // stale at once, but not missing
        assert.deepStrictEqual(yield* heardBy("s"), [[1, 1]])
        assert.deepStrictEqual(yield* heardBy("never read"), [])
        assert.deepStrictEqual(heard, [[1, 1500]])
        log.state.away = false
        yield* log.publish("s", 2)
        yield* TestClock.adjust(1000)
        assert.deepStrictEqual(heard.map(([version]) => version), [1, 2])
      })))

  it.effect("lends a scope that cannot be read the snapshots of its group, until its own can be", () =>
    test({}, (log) =>
      Effect.gen(function*() {
        yield* log.publish("s", 7)
        yield* heardBy("s", "acme v1")
        log.state.away = true
        yield* TestClock.adjust(200)
        const lent = yield* heardBy("new", "acme v1")
        assert.deepStrictEqual(lent, [[0, 800]])
        assert.deepStrictEqual(yield* heardBy("other", "acme v2"), [])
        log.state.away = false
        yield* log.publish("new", 1)
        yield* TestClock.adjust(1000)
        assert.deepStrictEqual(lent, [[0, 800], [1, 200]])
        // its own last good ones come before anyone's
        log.state.away = true
        assert.deepStrictEqual((yield* heardBy("new", "acme v1")).map(([version]) => version), [1])
      })))

  it.effect("lends them also when the log does not answer at all, after no longer than opening may take", () =>
    test({}, (log) =>
      Effect.gen(function*() {
        yield* log.publish("s", 7)
        const running = yield* heardBy("s", "acme v1")
        log.state.hung = true
        const opening = yield* Effect.forkChild(heardBy("new", "acme v1"))
        yield* TestClock.adjust(900)
        assert.isUndefined(opening.pollUnsafe())
        yield* TestClock.adjust(1100)
        assert.deepStrictEqual(yield* Fiber.join(opening), [[0, 1]])
        assert.deepStrictEqual(running, [[7, 1000]])
      })))

  it.effect("waits for the first snapshots of a scope that are not published yet, and no longer than it may", () =>
    test({}, (log) =>
      Effect.gen(function*() {
        const opening = yield* Effect.forkChild(heardBy("s"))
        yield* TestClock.adjust(150)
        assert.isUndefined(opening.pollUnsafe())
        yield* log.publish("s", 1)
        yield* TestClock.adjust(100)
        assert.deepStrictEqual(yield* Fiber.join(opening), [[1, 950]])
        const never = yield* Effect.forkChild(heardBy("never"))
        yield* TestClock.adjust(2000)
        assert.deepStrictEqual(yield* Fiber.join(never), [])
      })))

  it.effect("asks a log that is away no more than a few times a round, however many scopes there are", () =>
    test({}, (log) =>
      Effect.gen(function*() {
        const scopes = Array.from({ length: 200 }, (_, i) => `s${i}`)
        for (const scope of scopes) yield* log.publish(scope, 1)
        for (const scope of scopes) yield* heardBy(scope)
        log.state.away = true
        const { reads } = log.state
        yield* TestClock.adjust(1000)
        assert.isAtMost(log.state.reads - reads, 8)
        log.state.away = false
        const heard = yield* heardBy("s199")
        yield* log.publish("s199", 2)
        yield* TestClock.adjust(1000)
        assert.deepStrictEqual(heard.map(([version]) => version), [1, 2])
      })))

  it.effect("forgets scopes that nobody follows, also while one is followed of which nothing more is heard", () =>
    test({}, (log) =>
      Effect.gen(function*() {
        yield* log.publish("quiet", 1)
        yield* heardBy("quiet")
        log.state.published.delete("quiet")
        for (let i = 0; i <= 1030; i++) {
          yield* log.publish(`s_${i}`, 1)
          yield* Effect.scoped(heardBy(`s_${i}`))
        }
        log.state.away = true
        assert.lengthOf(yield* heardBy("s_0"), 0)
        assert.lengthOf(yield* heardBy("s_1030"), 1)
        assert.lengthOf(yield* heardBy("quiet"), 1)
      })))

  it.effect("reads nothing for a scope that nobody follows any more", () =>
    test({}, (log) =>
      Effect.gen(function*() {
        yield* log.publish("s", 1)
        const scope = yield* Scope.make()
        yield* Scope.provide(heardBy("s"), scope)
        yield* Scope.close(scope, Exit.void)
        const { reads } = log.state
        yield* TestClock.adjust(5000)
        assert.strictEqual(log.state.reads, reads)
      })))
})
