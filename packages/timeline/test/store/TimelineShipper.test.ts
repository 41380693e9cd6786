// Holds I-SHIP-ONCE, I-SHIP-ALL, I-SHIP-BOUNDED.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, FileSystem, Layer, Logger, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { RecordingObserver } from "../../src/recorder/RecordingObserver.ts"
import { RecordingObservers } from "../../src/recorder/RecordingObserver.ts"
import { ExportLag } from "../../src/store/ExportLag.ts"
import * as MemoryObjects from "../../src/store/MemoryObjects.ts"
import * as ObjectTimelineStore from "../../src/store/ObjectTimelineStore.ts"
import { shipperLimits } from "../../src/store/ShipperLimits.ts"
import type { ShipperLimits } from "../../src/store/ShipperLimits.ts"
import { makeSegment } from "../../src/store/TimelineSegment.ts"
import type { TimelineSegment } from "../../src/store/TimelineSegment.ts"
import * as Shipper from "../../src/store/TimelineShipper.ts"
import { TimelineShipper } from "../../src/store/TimelineShipper.ts"
import { StoreRefused, StoreUnavailable, TimelineStore } from "../../src/store/TimelineStore.ts"
import { recordedBytes, recordedKey, writeGrown } from "./support/RecordedFile.ts"

const { bytes, ends } = recordedBytes(6)
const unavailable = new StoreUnavailable({ store: "memory", message: "memory: not there" })

type Store = TimelineStore["Service"]

/** A store in memory whose calls a test can change, and what is told to a shipper over it. */
const setup = Effect.fnUntraced(function*(changes: (store: Store) => Partial<Store> = () => ({}), memory?: Store) {
  const fs = yield* FileSystem.FileSystem
  const path = `${yield* fs.makeTempDirectoryScoped({ prefix: "rspp-ship-" })}/ses_1.timeline`
  const store = memory ??
    (yield* Effect.provide(TimelineStore, ObjectTimelineStore.layer.pipe(Layer.provide(MemoryObjects.layer))))
  return {
    fs,
    path,
    store,
    storeLayer: Layer.succeed(TimelineStore, { ...store, ...changes(store) }),
    /** The file grows to the end of a frame. */
    grow: (frames: number) => writeGrown(fs, path, bytes, ends[frames - 1] ?? bytes.length),
    all: Effect.flatMap(store.list(recordedKey), (infos) =>
      Effect.map(
        Effect.forEach(infos, ({ index }) => store.get(recordedKey, index)),
        (segments) => Buffer.concat(segments.map((segment) => segment.bytes))
      ))
  }
})

type Setup = Effect.Success<ReturnType<typeof setup>>

/** A shipper in a scope of its own, which `stop` closes. */
const start = Effect.fnUntraced(function*({ path, storeLayer }: Setup, limits: Partial<ShipperLimits> = {}) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = yield* Layer.buildWithScope(
    Shipper.layer({ ...shipperLimits, drainMs: 0, ...limits }).pipe(Layer.provide(storeLayer)),
    scope
  )
  const [observer] = yield* Effect.provide(RecordingObservers, context)
  const lag = yield* Effect.provide(ExportLag, context)
  const tell: RecordingObserver = (progress) => observer?.(progress)
  return {
    shipper: yield* Effect.provide(TimelineShipper, context),
    lag: () => lag.lagMs(recordedKey.session_id),
    tell: (length: number, closed = false) => tell({ ...recordedKey, path, bytes: length, closed }),
    stop: Scope.close(scope, Exit.void)
  }
})

/** Lets fibers, files and the store do what they can without time passing. */
const settle = Effect.promise(async () => {
  for (let turn = 0; turn < 60; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
})
/** Waits in real time until it holds; `stepMs` of the test's clock pass before each further look. */
const until = Effect.fnUntraced(function*(holds: () => boolean | Effect.Effect<boolean>, stepMs = 0) {
  for (let look = 0; look < 10_000; look++) {
    const answer = holds()
    if (typeof answer === "boolean" ? answer : yield* Effect.orDie(answer)) return
    if (stepMs > 0) yield* TestClock.adjust(stepMs)
    yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2)))
  }
  assert.fail("it never came about")
})
const pass = (ms: number) => Effect.andThen(TestClock.adjust(ms), settle)
const run = <A, E>(test: Effect.Effect<A, E, FileSystem.FileSystem | Scope.Scope>) =>
  Effect.scoped(test).pipe(Effect.provide([NodeServices.layer, Logger.layer([])]), Random.withSeed(1))

describe("segments", () => {
  it.effect("are cut between frames when enough has come together, and are the file", () =>
    run(Effect.gen(function*() {
      const given = yield* setup()
      const { shipper, tell } = yield* start(given, { segmentBytes: 2048 })
      yield* given.grow(ends.length)
      tell(bytes.length, true)
      yield* shipper.drain(1000)
      const infos = yield* given.store.list(recordedKey)
      assert.isAbove(infos.length, 3)
      for (const { length, offset } of infos) {
        assert.include(ends, offset + length)
        assert.isAtMost(length, Math.max(2048, ends[0] ?? 0))
      }
      assert.deepStrictEqual(infos.map(({ closed }) => closed), infos.map((_, i) => i === infos.length - 1))
      assert.isTrue((yield* given.all).equals(bytes))
      const [report] = yield* shipper.reports
      assert.strictEqual(report?.state, "stored")
      assert.strictEqual(report?.stored_bytes, bytes.length)
    })))

  it.effect("are held back for a second at most, so that a slow call is stored too", () =>
    run(Effect.gen(function*() {
      const given = yield* setup()
      const { lag, tell } = yield* start(given)
      yield* given.grow(10)
      tell(ends[4] ?? 0)
      yield* pass(600)
      tell(ends[9] ?? 0)
      yield* pass(399)
      assert.strictEqual(lag(), 999)
      assert.deepStrictEqual(yield* given.store.list(), [])
      yield* pass(1)
      yield* until(() => lag() === 0)
      assert.strictEqual((yield* given.all).length, ends[9])
      assert.strictEqual(lag(), 0)
      yield* pass(5000)
      assert.strictEqual((yield* given.store.list()).length, 1)
    })))

  it.effect("hold a frame that is larger than a segment may be", () =>
    run(Effect.gen(function*() {
      const given = yield* setup()
      const { shipper, tell } = yield* start(given, { segmentBytes: 16 })
      yield* given.grow(ends.length)
      tell(bytes.length, true)
      yield* shipper.drain(1000)
      assert.strictEqual((yield* given.store.list()).length, ends.length)
      assert.isTrue((yield* given.all).equals(bytes))
    })))

  it.effect("carry the sequence numbers that are in them", () =>
    run(Effect.gen(function*() {
      const given = yield* setup()
      const { shipper, tell } = yield* start(given, { segmentBytes: 8192 })
      yield* given.grow(ends.length)
      tell(bytes.length, true)
      yield* shipper.drain(1000)
      let next = 0
      for (const { first_sequence, last_sequence } of yield* given.store.list()) {
        if (first_sequence === undefined || last_sequence === undefined) continue
        assert.strictEqual(first_sequence, next)
        next = last_sequence + 1
      }
      assert.isAbove(next, 100)
    })))
})

describe("a store that fails", () => {
  it.effect(
    "is tried again after growing pauses, a bounded number of times, then after a rest",
    () =>
      run(Effect.gen(function*() {
        const tries: Array<number> = []
        const given = yield* setup(() => ({
          put: () =>
            Effect.andThen(
              Effect.clockWith((clock) => Effect.sync(() => tries.push(clock.currentTimeMillisUnsafe()))),
              unavailable
            )
        }))
        const { lag, tell } = yield* start(given)
        yield* given.grow(5)
        tell(ends[4] ?? 0)
        yield* until(() => tries.length === 1, 100)
        for (let ms = 0; ms < 12_000; ms += 100) {
          yield* Effect.andThen(
            TestClock.adjust(100),
            Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2)))
          )
        }
        assert.strictEqual(tries.length, 6)
        const pauses = tries.slice(1).map((ms, i) => ms - (tries[i] ?? 0))
        for (const [i, pause] of pauses.entries()) {
          assert.isAtLeast(pause, 0.8 * 100 * 2 ** i - 1)
          assert.isAtMost(pause, 1.2 * 100 * 2 ** i + 101)
        }
        assert.isAbove(lag(), 10_000)
        yield* until(() => tries.length > 6, 100)
      })),
    60_000
  )

  it.effect("gets everything when it is there again, and the lag falls", () =>
    run(Effect.gen(function*() {
      let up = false
      const given = yield* setup((store) => ({
        put: (segment) => up ? store.put(segment) : Effect.fail(unavailable),
        list: (of) => up ? store.list(of) : Effect.fail(unavailable)
      }))
      const { lag, shipper, tell } = yield* start(given, { segmentBytes: 8192 })
      yield* given.grow(ends.length)
      tell(bytes.length)
      yield* pass(5000)
      assert.isAtLeast(lag(), 5000)
      const [waiting] = yield* shipper.reports
      assert.strictEqual(waiting?.state, "shipping")
      assert.strictEqual(waiting?.problem, "memory: not there")
      up = true
      yield* until(() => lag() === 0, 1000)
      assert.isTrue((yield* given.all).equals(bytes))
      assert.strictEqual(lag(), 0)
      const [report] = yield* shipper.reports
      assert.isUndefined(report?.problem)
      assert.isAtLeast(report?.longest_lag_ms ?? 0, 5000)
    })))

  it.effect("and never answers is given up waiting for, with a bounded number of segments in memory", () =>
    run(Effect.gen(function*() {
      let under = 0
      let most = 0
      const given = yield* setup(() => ({
        put: () =>
          Effect.never.pipe(
            Effect.ensuring(Effect.sync(() => under--)),
            (hang) =>
              Effect.suspend(() => {
                most = Math.max(most, ++under)
                return hang
              })
          )
      }))
      const { shipper } = yield* start(given)
      for (let i = 0; i < 12; i++) {
        const path = `${given.path}.${i}`
        yield* given.fs.writeFile(path, bytes)
        yield* shipper.resume(path)
      }
      yield* until(() => most === 4)
      yield* pass(20_000)
      assert.strictEqual(most, 4)
      const fiber = yield* Effect.forkChild(shipper.drain(1000))
      yield* pass(1000)
      assert.isTrue((yield* Fiber.join(fiber)).every(({ state }) => state === "shipping"))
    })))

  it.effect("for good ends the shipping of that recording, and says why", () =>
    run(Effect.gen(function*() {
      let tries = 0
      const given = yield* setup(() => ({
        put: () =>
          Effect.suspend(() => {
            tries++
            return new StoreRefused({ store: "memory", message: "memory: no permission" })
          })
      }))
      const { lag, shipper, tell } = yield* start(given)
      yield* given.grow(ends.length)
      tell(bytes.length, true)
      yield* shipper.drain(1000)
      yield* pass(60_000)
      assert.strictEqual(tries, 1)
      const [report] = yield* shipper.reports
      assert.deepStrictEqual([report?.state, report?.problem], ["failed", "memory: no permission"])
      assert.strictEqual(lag(), 0)
    })))
})

describe("a shipper that was killed", () => {
  /** Stores, and never says so: the process dies between the two. */
  const silent = (store: Store): Partial<Store> => ({
    put: (segment) => Effect.andThen(store.put(segment), Effect.never)
  })

  it.effect("between a put and its answer goes on behind that put", () =>
    run(Effect.gen(function*() {
      const given = yield* setup(silent)
      const first = yield* start(given, { segmentBytes: 8192 })
      yield* given.grow(ends.length)
      first.tell(bytes.length)
      yield* until(() => Effect.map(Effect.orDie(given.store.list()), ({ length }) => length === 1))
      yield* first.stop
      assert.strictEqual((yield* given.store.list()).length, 1)

      const puts: Array<TimelineSegment> = []
      const again = {
        ...given,
        storeLayer: Layer.succeed(TimelineStore, {
          ...given.store,
          put: (segment: TimelineSegment) => {
            puts.push(segment)
            return given.store.put(segment)
          }
        })
      }
      const second = yield* start(again, { segmentBytes: 8192 })
      yield* second.shipper.resume(given.path)
      yield* second.shipper.drain(1000)
      assert.isTrue((yield* given.all).equals(bytes))
      assert.strictEqual(puts[0]?.index, 1)
      assert.strictEqual(puts.length, (yield* given.store.list()).length - 1)
    })))

  it.effect(
    "after any number of puts leaves the file of the store whole once it is started again",
    () =>
      run(Effect.gen(function*() {
        for (let kill = 0; kill < 8; kill++) {
          let puts = 0
          const given = yield* setup((store) => ({
            put: (segment) =>
              Effect.suspend(() =>
                puts++ < kill
                  ? store.put(segment)
                  : kill % 2 === 0
                  ? Effect.never
                  : Effect.andThen(store.put(segment), Effect.never)
              )
          }))
          // The cuts differ from one life to the next.
          const first = yield* start(given, { segmentBytes: 600 + 100 * kill })
          yield* given.grow(ends.length - 3)
          first.tell(ends[ends.length - 4] ?? 0)
          yield* until(() => puts > kill)
          yield* first.stop
          yield* given.fs.writeFile(given.path, bytes)
          const second = yield* start({ ...given, storeLayer: Layer.succeed(TimelineStore, given.store) }, {
            segmentBytes: 1000
          })
          yield* second.shipper.resume(given.path)
          yield* second.shipper.drain(1000)
          assert.isTrue((yield* given.all).equals(bytes))
        }
      })),
    30_000
  )

  it.effect("whose last put arrives late does not spoil the next one's", () =>
    run(Effect.gen(function*() {
      const frames = ends.slice(0, 4)
      const end = frames.at(-1) ?? 0
      const late = makeSegment({ ...recordedKey, index: 0, offset: 0, closed: false }, bytes.subarray(0, end))
      let first = true
      const given = yield* setup((store) => ({
        put: (segment) =>
          Effect.suspend(() => {
            const arrives = first ? Effect.asVoid(store.put(late)) : Effect.void
            first = false
            return Effect.andThen(arrives, store.put(segment))
          })
      }))
      const { shipper } = yield* start(given)
      yield* given.fs.writeFile(given.path, bytes)
      yield* shipper.resume(given.path)
      yield* shipper.drain(1000)
      assert.isTrue((yield* given.all).equals(bytes))
      assert.strictEqual((yield* given.store.list())[0]?.sha256, late.sha256)
    })))

  it.effect("does not mix two recordings of one session", () =>
    run(Effect.gen(function*() {
      const given = yield* setup()
      const { shipper } = yield* start(given)
      const other = Buffer.from(bytes)
      yield* given.store.put(
        makeSegment({ ...recordedKey, index: 0, offset: 0, closed: false }, other.subarray(3, 400))
      )
      yield* given.fs.writeFile(given.path, bytes)
      yield* shipper.resume(given.path)
      yield* shipper.drain(1000)
      const [report] = yield* shipper.reports
      assert.strictEqual(report?.state, "failed")
      assert.include(report?.problem, "another recording is stored there as session ses_1")
    })))

  it.effect("ships what can be read of a file that was torn, and no zeros", () =>
    run(Effect.gen(function*() {
      const given = yield* setup()
      const { shipper } = yield* start(given)
      yield* given.grow(7)
      yield* shipper.resume(given.path)
      yield* shipper.drain(1000)
      assert.isTrue((yield* given.all).equals(bytes.subarray(0, ends[6])))
      const infos = yield* given.store.list()
      assert.isFalse(infos.at(-1)?.closed)
      // Repaired, written on and shipped again: only the rest is added.
      yield* given.fs.writeFile(given.path, bytes)
      yield* shipper.resume(given.path)
      yield* shipper.drain(1000)
      assert.isTrue((yield* given.all).equals(bytes))
      assert.deepStrictEqual((yield* given.store.list()).slice(0, infos.length), infos)
    })))
})

describe("a shipper", () => {
  it.effect("drains when its layer closes, held segments included", () =>
    run(Effect.gen(function*() {
      const given = yield* setup()
      const { stop, tell } = yield* start(given, { drainMs: 1000 })
      yield* given.grow(ends.length)
      tell(bytes.length)
      yield* stop
      assert.isTrue((yield* given.all).equals(bytes))
    })))

  it.effect("gives up the oldest closed recording when there are too many, and keeps the live ones", () =>
    run(Effect.gen(function*() {
      const given = yield* setup(() => ({ list: () => Effect.fail(unavailable) }))
      const { shipper, tell } = yield* start(given, { recordings: 3 })
      yield* given.grow(5)
      tell(ends[4] ?? 0)
      for (const i of [0, 1, 2]) {
        yield* given.fs.writeFile(`${given.path}.${i}`, bytes)
        yield* shipper.resume(`${given.path}.${i}`)
      }
      const reports = yield* shipper.reports
      assert.deepStrictEqual(
        reports.map(({ path, state }) => [path.slice(given.path.length), state]),
        [[".0", "failed"], ["", "shipping"], [".1", "shipping"], [".2", "shipping"]]
      )
    })))
})
