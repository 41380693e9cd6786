import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import type { FileSystem, Path } from "effect"
import { infoOf, makeSegment } from "../../../src/store/TimelineSegment.ts"
import type { StoreError } from "../../../src/store/TimelineStore.ts"
import { TimelineStore } from "../../../src/store/TimelineStore.ts"
import { bytesOf, key, segmentsOf } from "./Segments.ts"

type StoreLayer = Layer.Layer<TimelineStore, StoreError, FileSystem.FileSystem | Path.Path>

/** An adapter, empty, and what is needed to make it fail. */
export interface StoreUnderTest {
  /** Opens it on the same data each time: what another process, or this one after a restart, sees. */
  readonly layer: StoreLayer
  /** Changes the stored bytes of segment 0 of {@link key} behind the store's back. */
  readonly damage: Effect.Effect<void, unknown>
  /** The adapter with no room left, or with nobody at the other end: once open, every put must fail. */
  readonly unable: StoreLayer
}

/** Calls on a store that is opened for them. */
const use = <A, E, R>(layer: StoreLayer, calls: (store: TimelineStore["Service"]) => Effect.Effect<A, E, R>) =>
  Effect.provide(Effect.flatMap(TimelineStore, calls), layer, { local: true })

/** What every TimelineStore keeps; the same lines for each. */
export const storeConformance = (
  name: string,
  setup: Effect.Effect<StoreUnderTest, unknown, FileSystem.FileSystem | Path.Path | Scope.Scope>
): void => {
  const fresh = <A, E, R>(test: (given: StoreUnderTest) => Effect.Effect<A, E, R>) =>
    Effect.scoped(Effect.flatMap(setup, test)).pipe(Effect.provide(NodeServices.layer))

  describe(`${name} as a timeline store`, () => {
    it.effect("gives back the bytes that were put, and what was said of them", () =>
      fresh(({ layer }) =>
        use(layer, (store) =>
          Effect.gen(function*() {
            const large = makeSegment({ ...key, index: 3, offset: 1e10, closed: false }, bytesOf(300_000, 9))
            for (const segment of [...segmentsOf(3), large]) assert.strictEqual(yield* store.put(segment), "stored")
            for (const segment of [...segmentsOf(3), large]) {
              const got = yield* store.get(key, segment.index)
              assert.deepStrictEqual(infoOf(got), infoOf(segment))
              assert.isTrue(Buffer.from(got.bytes).equals(segment.bytes))
            }
          }))
      ))

    it.live("is opened for the first time by several at once", () =>
      fresh(({ layer }) =>
        Effect.gen(function*() {
          const [segment] = segmentsOf(1)
          if (segment === undefined) return
          const done = yield* Effect.forEach(
            Array.from({ length: 8 }),
            () => use(layer, (store) => store.put(segment)),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(done.toSorted(), [...Array.from({ length: 7 }, () => "present"), "stored"])
        })
      ))

    it.effect("lists in order what was put in any order, of all recordings or of some", () =>
      fresh(({ layer }) =>
        use(layer, (store) =>
          Effect.gen(function*() {
            assert.deepStrictEqual(yield* store.list(), [])
            const keys = ["a/b ü", "acme", "."].flatMap((tenant_id) =>
              ["ses_1", "ses_10", "..", "Ses_1"].map((session_id) => ({ tenant_id, session_id }))
            )
            const all = keys.flatMap((of, i) => segmentsOf(12, of, i + 1))
            for (const segment of [...all].reverse()) yield* store.put(segment)
            const infos = yield* store.list()
            assert.strictEqual(infos.length, all.length)
            const names = infos.map(({ index, session_id, tenant_id }) => [tenant_id, session_id, index] as const)
            assert.deepStrictEqual(
              names,
              [".", "a/b ü", "acme"].flatMap((tenant) =>
                ["..", "Ses_1", "ses_1", "ses_10"].flatMap((session) =>
                  Array.from({ length: 12 }, (_, index) => [tenant, session, index] as const)
                )
              )
            )
            for (const of of keys) {
              assert.deepStrictEqual(
                yield* store.list(of),
                all.filter((_) => _.tenant_id === of.tenant_id && _.session_id === of.session_id).map(infoOf)
              )
            }
            assert.strictEqual((yield* store.list({ tenant_id: "acme" })).length, 48)
            assert.strictEqual((yield* store.list({ session_id: "ses_1" })).length, 36)
            assert.deepStrictEqual(yield* store.list({ tenant_id: "nobody", session_id: "ses_1" }), [])
          }))
      ))

    it.effect("stores a segment once, however often it is put, also after a restart", () =>
      fresh(({ layer }) =>
        Effect.gen(function*() {
          const [segment] = segmentsOf(1)
          if (segment === undefined) return
          assert.strictEqual(yield* use(layer, (store) => store.put(segment)), "stored")
          assert.strictEqual(yield* use(layer, (store) => store.put(segment)), "present")
          const infos = yield* use(layer, (store) => Effect.andThen(store.put(segment), store.list()))
          assert.deepStrictEqual(infos, [infoOf(segment)])
        })
      ))

    it.effect("refuses other bytes at the same index, and keeps what it has", () =>
      fresh(({ layer }) =>
        use(layer, (store) =>
          Effect.gen(function*() {
            const [segment] = segmentsOf(1)
            const [other] = segmentsOf(1, key, 2)
            if (segment === undefined || other === undefined) return
            yield* store.put(segment)
            const error = yield* Effect.flip(store.put(other))
            assert.strictEqual(error._tag, "SegmentConflict")
            assert.isFalse(error.retryable)
            assert.isTrue(Buffer.from((yield* store.get(key, 0)).bytes).equals(segment.bytes))
          }))
      ))

    it.effect("refuses bytes that do not fit their hash", () =>
      fresh(({ layer }) =>
        use(layer, (store) =>
          Effect.gen(function*() {
            const [segment] = segmentsOf(1)
            if (segment === undefined) return
            const error = yield* Effect.flip(store.put({ ...segment, bytes: bytesOf(segment.length, 77) }))
            assert.strictEqual(error._tag, "SegmentDamaged")
            assert.isFalse(error.retryable)
            assert.deepStrictEqual(yield* store.list(), [])
          }))
      ))

    it.effect("does not give out bytes that were changed in it", () =>
      fresh(({ damage, layer }) =>
        Effect.gen(function*() {
          yield* use(layer, (store) => Effect.forEach(segmentsOf(2), store.put))
          yield* damage
          const error = yield* use(layer, (store) => Effect.flip(store.get(key, 0)))
          assert.strictEqual(error._tag, "SegmentDamaged")
          assert.strictEqual((yield* use(layer, (store) => store.get(key, 1))).index, 1)
        })
      ))

    it.effect("says so when a segment is missing", () =>
      fresh(({ layer }) =>
        use(layer, (store) =>
          Effect.gen(function*() {
            assert.strictEqual((yield* Effect.flip(store.get(key, 0)))._tag, "SegmentMissing")
          }))
      ))

    it.effect("lets one of several writers of the same index in, and tells the others", () =>
      fresh(({ layer }) =>
        Effect.gen(function*() {
          const candidates = [1, 2, 3, 4].flatMap((seed) => segmentsOf(1, key, seed))
          const scope = yield* Effect.scope
          // Two clients, as two processes have them.
          const stores = yield* Effect.forEach([0, 1], () =>
            Effect.map(
              Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), scope),
              (context) => context.pipe((_) => Effect.provide(TimelineStore, _))
            )).pipe(Effect.flatMap(Effect.forEach((store) => store)))
          const results = yield* Effect.forEach(
            candidates.flatMap((segment) => stores.map((store) => ({ store, segment }))),
            ({ segment, store }) => Effect.exit(store.put(segment)),
            { concurrency: "unbounded" }
          )
          const stored = results.filter((exit) => Exit.isSuccess(exit) && exit.value === "stored")
          const present = results.filter((exit) => Exit.isSuccess(exit) && exit.value === "present")
          assert.deepStrictEqual([results.length, stored.length, present.length], [8, 1, 1])
          for (const store of stores) {
            const [info, second] = yield* store.list()
            assert.isUndefined(second)
            assert.include(candidates.map(({ sha256 }) => sha256), info?.sha256)
          }
        })
      ))

    it.effect("replaces a recording by another, or by nothing, and no other recording with it", () =>
      fresh(({ layer }) =>
        use(layer, (store) =>
          Effect.gen(function*() {
            const other = { ...key, session_id: "ses_2" }
            yield* Effect.forEach([...segmentsOf(5), ...segmentsOf(2, other)], store.put)
            const fewer = segmentsOf(3, key, 8)
            yield* store.replace(key, segmentsOf(5).map(infoOf), fewer)
            assert.deepStrictEqual(yield* store.list(key), fewer.map(infoOf))
            for (const segment of fewer) {
              assert.isTrue(Buffer.from((yield* store.get(key, segment.index)).bytes).equals(segment.bytes))
            }
            yield* store.replace(key, fewer.map(infoOf), [])
            assert.deepStrictEqual(yield* store.list(), segmentsOf(2, other).map(infoOf))
            yield* store.settle()
            yield* store.settle(key)
            // And the place is free again.
            assert.strictEqual(
              yield* store.put(
                segmentsOf(1)[0] ?? makeSegment({ ...key, index: 0, offset: 0, closed: true }, bytesOf(1, 1))
              ),
              "stored"
            )
          }))
      ))

    it.effect("replaces nothing that has changed since it was looked at, nor by bytes that do not fit their hash", () =>
      fresh(({ layer }) =>
        use(layer, (store) =>
          Effect.gen(function*() {
            const segments = segmentsOf(3)
            yield* Effect.forEach(segments, store.put)
            const seen = segments.slice(0, 2).map(infoOf)
            assert.strictEqual((yield* Effect.flip(store.replace(key, seen, [])))._tag, "SegmentConflict")
            const [wrong] = segmentsOf(1, key, 4)
            if (wrong === undefined) return
            const damaged = { ...wrong, bytes: bytesOf(wrong.length, 78) }
            const error = yield* Effect.flip(store.replace(key, segments.map(infoOf), [damaged]))
            assert.strictEqual(error._tag, "SegmentDamaged")
            assert.deepStrictEqual(yield* store.list(key), segments.map(infoOf))
          }))
      ))

    it.effect("lets one of several replacements of what they have seen happen, whole", () =>
      fresh(({ layer }) =>
        use(layer, (store) =>
          Effect.gen(function*() {
            const segments = segmentsOf(4)
            yield* Effect.forEach(segments, store.put)
            const candidates = [2, 3, 4, 5].map((seed) => segmentsOf(seed, key, seed))
            const exits = yield* Effect.forEach(
              candidates,
              (candidate) => Effect.exit(store.replace(key, segments.map(infoOf), candidate)),
              { concurrency: "unbounded" }
            )
            const won = exits.findIndex((exit) => Exit.isSuccess(exit))
            assert.lengthOf(exits.filter((exit) => Exit.isSuccess(exit)), 1)
            yield* store.settle()
            assert.deepStrictEqual(yield* store.list(key), candidates[won]?.map(infoOf))
          }))
      ))

    it.effect("takes many segments at once", () =>
      fresh(({ layer }) =>
        use(layer, (store) =>
          Effect.gen(function*() {
            const segments = segmentsOf(40)
            yield* Effect.forEach(segments, store.put, { concurrency: "unbounded" })
            assert.deepStrictEqual(yield* store.list(key), segments.map(infoOf))
          }))
      ))

    it.effect("shows after a restart what was put before, so that a shipper can go on", () =>
      fresh(({ layer }) =>
        Effect.gen(function*() {
          const segments = segmentsOf(6)
          yield* use(layer, (store) => Effect.forEach(segments.slice(0, 3), store.put))
          const known = yield* use(layer, (store) => store.list(key))
          assert.deepStrictEqual(known, segments.slice(0, 3).map(infoOf))
          yield* use(layer, (store) => Effect.forEach(segments.slice(2), store.put))
          assert.deepStrictEqual(yield* use(layer, (store) => store.list(key)), segments.map(infoOf))
        })
      ))

    it.effect("leaves a segment whole or not there when a put is interrupted", () =>
      fresh(({ layer }) =>
        Effect.gen(function*() {
          const segments = segmentsOf(20)
          yield* use(layer, (store) =>
            Effect.forEach(segments, (segment) =>
              Effect.timeoutOption(store.put(segment), segment.index % 4), {
              concurrency: 4
            })).pipe(Effect.andThen(Effect.void))
          yield* use(layer, (store) =>
            Effect.gen(function*() {
              for (const { index } of yield* store.list(key)) {
                yield* store.get(key, index)
              }
              yield* Effect.forEach(segments, store.put)
              assert.deepStrictEqual(yield* store.list(key), segments.map(infoOf))
            }))
        })
      ))

    it.live("answers with an error that can be tried again when it has no room or is not there", () =>
      fresh(({ layer, unable }) =>
        Effect.gen(function*() {
          const [first, ...rest] = segmentsOf(3)
          if (first === undefined) return
          yield* use(layer, (store) => store.put(first))
          for (const segment of rest) {
            const error = yield* Effect.flip(use(unable, (store) =>
              store.put(makeSegment({ ...key, index: segment.index, offset: 0, closed: false }, bytesOf(200_000, 5)))))
            assert.strictEqual(error._tag, "StoreUnavailable")
            assert.isTrue(error.retryable)
          }
          const infos = yield* use(layer, (store) =>
            store.list(key))
          assert.deepStrictEqual(infos, [infoOf(first)])
        })
      ))
  })
}
