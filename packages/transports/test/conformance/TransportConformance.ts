// What every media transport must do, whatever is behind it. Run it from the transport's own test file.
import type { SessionInput } from "@rspp/contracts/SessionInput"
import { EgressWriter } from "@rspp/runtime/connection/EgressWriter"
import { frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { AudioFrame } from "@rspp/runtime/ports/AudioFrame"
import { type AudioOutput, type ConnectionState, Transport, type TransportIngress } from "@rspp/runtime/ports/Transport"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Exit, Fiber, Layer, Scope } from "effect"

/** The other end of the line. */
export class FarEnd extends Context.Service<FarEnd, {
  /** The agent's audio as it was heard there; its silence in between may be left out or stretched. */
  readonly heard: Effect.Effect<Int16Array>
  /** The caller is cut off, and comes back a while later; absent where nothing can be cut. */
  readonly cutAndBack?: Effect.Effect<void>
}>()("rspp/test/FarEnd") {}

/** Sounds that the far end can tell apart, in frames of 20 ms. */
export interface Marks {
  /** The `index`-th frame of a stretch that is marked so. */
  readonly frame: (mark: number, index: number) => Int16Array
  /** How many frames of what was heard are marked so. */
  readonly count: (mark: number, heard: Int16Array) => number
  /** How far the count may be off, in frames: what a codec smears at the edges of a stretch. */
  readonly smear: number
  /** Frames that had left the queue when it was cleared, and are heard all the same. */
  readonly tail: number
}

export interface TransportHarness {
  /** A transport whose caller says `caller` at once, stays on the line for `lingerMs` more, and hangs up. */
  readonly layer: (call: { readonly caller: Int16Array; readonly lingerMs: number }) => Layer.Layer<Transport | FarEnd>
  /** How the session is run: as it is, or in virtual time. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
  /** How exactly time is kept, in ms. */
  readonly toleranceMs: number
  /** Whether the caller's samples arrive unchanged. */
  readonly lossless: boolean
  readonly marks: Marks
  /** A caller who hangs up may be back at once: until it is not, it is told to be `disconnected`. */
  readonly mayComeBack?: boolean
  /** Cases that cannot be asked of this transport, and why; they are reported as skipped, with the reason. */
  readonly cannot?: Partial<Record<Case, string>>
  /** What the transport needs and this machine has not: nothing is run, and each case says so. */
  readonly missing?: string
}

type Event =
  | { readonly type: "audio"; readonly frame: AudioFrame; readonly atMs: number }
  | { readonly type: "connection"; readonly state: ConnectionState; readonly atMs: number }
  | { readonly type: "audio_ended"; readonly atMs: number }
  | { readonly type: "text"; readonly text: string; readonly atMs: number }
  | { readonly type: "push_to_talk"; readonly state: "pressed" | "released" | "cancelled"; readonly atMs: number }

/** An ingress that keeps everything. */
export const recordingIngress = (clock: Clock.Clock, accept = (_frame: AudioFrame) => true) => {
  const events: Array<Event> = []
  const nowMs = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const ingress: TransportIngress = {
    audio: (frame) => {
      events.push({ type: "audio", frame, atMs: nowMs() })
      return accept(frame)
    },
    connection: (state) => void events.push({ type: "connection", state, atMs: nowMs() }),
    text: (text) => void events.push({ type: "text", text, atMs: nowMs() }),
    pushToTalk: (state) => void events.push({ type: "push_to_talk", state, atMs: nowMs() }),
    audioEnded: () => void events.push({ type: "audio_ended", atMs: nowMs() })
  }
  return { events, ingress, frames: () => events.flatMap((event) => event.type === "audio" ? [event] : []) }
}

/** Samples that can be told apart: a ramp that avoids 0. */
export const ramp = (length: number, from = 1): Int16Array =>
  Int16Array.from({ length }, (_, i) => (from + i) % 30_000 + 1)

/** Marks of transports that change nothing: the value of the samples. */
export const exactMarks: Marks = {
  frame: (mark) => new Int16Array(frameSamples).fill(1000 * mark),
  count: (mark, heard) => heard.filter((x) => x === 1000 * mark).length / frameSamples,
  smear: 0,
  tail: 0
}

const ms = (count: number) => count * samplesPerMs

/** What was heard that is not silence. */
const sounding = (heard: Int16Array) => heard.filter((x) => x !== 0)

const names = {
  order: "reports connected first, then frames, then the end of the audio, then ended",
  positions: "delivers 20 ms frames whose positions have no gaps, each in a buffer of its own",
  time: "delivers each frame in its time",
  refused: "goes on when the session refuses frames",
  late: "delivers frames that come late, in order and without loss",
  pace: "paces capture by what its queue plays, and never holds more than its capacity",
  whole: "lets the far end hear what was captured, in order and whole",
  clear: "clears at once: the queue is empty, what it held is not heard, and the next audio is",
  waiting: "drops a capture that waits for room when it is cleared",
  fence: "lets nothing of a turn be heard after its fence, tells how much was, and plays the next turn whole",
  reconnect: "tells that the caller was cut off and is back, and its positions move on by the time between",
  close: "fails captures after the caller has hung up",
  interrupt: "stops delivering when its run is interrupted",
  release: "releases everything when its scope closes"
} as const

/** The cases of the suite. */
export type Case = keyof typeof names

/** Waits for a fact, on the session's clock. */
const until = (fact: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => fact() ? Effect.void : Effect.andThen(Effect.sleep(5), until(fact)))

/** The cases as effects that fail where the transport does not do what it must. */
export const conformanceCases = (harness: TransportHarness): ReadonlyMap<Case, Effect.Effect<unknown, unknown>> => {
  const { marks, toleranceMs } = harness
  /** What is told of a caller who hangs up, before it is gone for good. */
  const hungUp = harness.mayComeBack === true ? ["disconnected"] : []
  const cases = new Map<Case, Effect.Effect<unknown, unknown>>()

  interface InCall {
    readonly transport: Transport["Service"]
    readonly far: FarEnd["Service"]
    readonly clock: Clock.Clock
    readonly nowMs: () => number
  }
  const ask = <E>(
    asked: Case,
    call: { readonly caller: Int16Array; readonly lingerMs: number },
    body: (place: InCall) => Effect.Effect<void, E, Scope.Scope>
  ) => {
    cases.set(
      asked,
      Effect.suspend(() =>
        harness.run(
          Effect.gen(function*() {
            const transport = yield* Transport
            const far = yield* FarEnd
            const clock = yield* Clock.Clock
            const nowMs = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
            yield* Effect.scoped(body({ transport, far, clock, nowMs }))
          }).pipe(Effect.provide(harness.layer(call), { local: true }))
        )
      )
    )
  }
  /** The call is up: run in the background, and frames come. */
  const started = ({ clock, transport }: InCall) =>
    Effect.gen(function*() {
      const session = yield* transport.open({ session_id: "s1" })
      const recorded = recordingIngress(clock)
      const call = yield* Effect.forkScoped(session.run(recorded.ingress))
      yield* until(() => recorded.frames().length > 0)
      return { session, output: session.output, call, ...recorded }
    })
  const captureMark = (output: AudioOutput, mark: number, frames: number) =>
    Effect.gen(function*() {
      for (let i = 0; i < frames; i++) yield* output.capture(marks.frame(mark, i))
    })
  /** Captures until the next frame would have to wait; returns how many frames went in. */
  const fill = (output: AudioOutput, mark: number) =>
    Effect.gen(function*() {
      const most = output.capacityMs / 20
      let frames = 0
      while (frames < most && output.queuedSamples() + frameSamples <= ms(output.capacityMs)) {
        yield* output.capture(marks.frame(mark, frames++))
      }
      return frames
    })

  ask("order", { caller: ramp(ms(100)), lingerMs: 100 }, ({ clock, transport }) =>
    Effect.gen(function*() {
      const session = yield* transport.open({ session_id: "s1" })
      const { events, ingress } = recordingIngress(clock)
      yield* session.run(ingress)
      const order = events.map((event) => event.type === "connection" ? event.state : event.type)
      const leaving = [...hungUp, "audio_ended", "ended"]
      assert.strictEqual(order[0], "connected")
      assert.deepStrictEqual(order.filter((what) => what !== "audio").slice(1), leaving)
      assert.strictEqual(order[order.indexOf(leaving[0] ?? "") - 1], "audio")
    }))

  ask("positions", { caller: ramp(ms(200)), lingerMs: 300 }, ({ clock, transport }) =>
    Effect.gen(function*() {
      const session = yield* transport.open({ session_id: "s1" })
      const { frames, ingress } = recordingIngress(clock)
      yield* session.run(ingress)
      const delivered = frames()
      assert.isAtLeast(delivered.length, 10)
      delivered.forEach(({ frame }, i) => {
        assert.strictEqual(frame.samples.length, frameSamples)
        assert.strictEqual(frame.sampleIndex, delivered[0]!.frame.sampleIndex + i * frameSamples)
        assert.strictEqual(frame.samples.buffer.byteLength, frameSamples * 2)
      })
      assert.strictEqual(new Set(delivered.map(({ frame }) => frame.samples.buffer)).size, delivered.length)
      if (harness.lossless) {
        const said = delivered.flatMap(({ frame }) => Array.from(frame.samples)).filter((x) => x !== 0)
        assert.deepStrictEqual(said, Array.from(ramp(ms(200))))
      }
    }))

  ask("time", { caller: ramp(ms(300)), lingerMs: 100 }, ({ clock, transport }) =>
    Effect.gen(function*() {
      const session = yield* transport.open({ session_id: "s1" })
      const { frames, ingress } = recordingIngress(clock)
      yield* session.run(ingress)
      const delivered = frames()
      delivered.forEach(({ atMs }, i) => {
        assert.closeTo(atMs - delivered[0]!.atMs, i * 20, toleranceMs, `frame ${i}`)
      })
    }))

  ask("refused", { caller: ramp(ms(100)), lingerMs: 200 }, ({ clock, transport }) =>
    Effect.gen(function*() {
      const session = yield* transport.open({ session_id: "s1" })
      const { events, ingress } = recordingIngress(clock, () => false)
      yield* session.run(ingress)
      assert.isAtLeast(events.filter((event) => event.type === "audio").length, 10)
      assert.deepInclude(events.at(-1)!, { type: "connection", state: "ended" })
    }))

  ask("late", { caller: ramp(ms(900)), lingerMs: 300 }, (place) =>
    Effect.gen(function*() {
      const { call, frames } = yield* started(place)
      const before = frames().length
      // The whole process stands still: what comes meanwhile is late.
      const end = performance.now() + 300
      while (performance.now() < end) { /* busy */ }
      yield* until(() => frames().length >= before + 15)
      yield* Fiber.join(call)
      const delivered = frames()
      delivered.forEach(({ frame }, i) => {
        assert.strictEqual(frame.sampleIndex, delivered[0]!.frame.sampleIndex + i * frameSamples)
      })
    }))

  ask("pace", { caller: ramp(ms(20)), lingerMs: 1_500 }, (place) =>
    Effect.gen(function*() {
      const { output } = yield* started(place)
      assert.isAtMost(output.capacityMs, 200)
      yield* output.capture(marks.frame(1, 0))
      const beganMs = place.nowMs()
      const queued = output.queuedSamples()
      let most = 0
      for (let i = 1; i <= 40; i++) {
        yield* output.capture(marks.frame(1, i))
        most = Math.max(most, output.queuedSamples())
      }
      assert.isAtMost(most, ms(output.capacityMs))
      const took = place.nowMs() - beganMs
      const soonest = 40 * 20 - output.capacityMs + queued / samplesPerMs
      // It may be slower on a slow machine, but never faster than the queue plays.
      assert.isAtLeast(took, soonest - Math.min(toleranceMs, 20))
      if (harness.cannot?.time === undefined) assert.isAtMost(took, soonest + toleranceMs)
    }))

  ask("whole", { caller: ramp(ms(20)), lingerMs: 1_500 }, (place) =>
    Effect.gen(function*() {
      const { call, output } = yield* started(place)
      yield* captureMark(output, 1, 20)
      yield* captureMark(output, 2, 10)
      yield* Fiber.join(call)
      assert.strictEqual(output.queuedSamples(), 0)
      const heard = yield* place.far.heard
      assert.closeTo(marks.count(1, heard), 20, marks.smear)
      assert.closeTo(marks.count(2, heard), 10, marks.smear)
      if (harness.lossless) {
        const expected = [...Array.from({ length: 20 }, () => 1), ...Array.from({ length: 10 }, () => 2)]
        assert.deepStrictEqual(
          Array.from(sounding(heard)),
          expected.flatMap((mark, i) => Array.from(marks.frame(mark, i)))
        )
      }
    }))

  ask("clear", { caller: ramp(ms(20)), lingerMs: 1_500 }, (place) =>
    Effect.gen(function*() {
      const { call, output } = yield* started(place)
      const captured = yield* fill(output, 1)
      yield* Effect.sleep(40)
      const queued = output.queuedSamples()
      const dropped = output.clear()
      assert.strictEqual(output.queuedSamples(), 0)
      assert.closeTo(dropped, queued, ms(toleranceMs) + 1)
      assert.strictEqual(output.clear(), 0)
      yield* Effect.sleep(200)
      yield* captureMark(output, 2, 10)
      yield* Fiber.join(call)
      const heard = yield* place.far.heard
      const played = captured - dropped / frameSamples
      assert.isAtMost(marks.count(1, heard), played + marks.tail + marks.smear + 1 / frameSamples)
      assert.closeTo(marks.count(2, heard), 10, marks.smear)
      if (harness.lossless) assert.isAtLeast(marks.count(1, heard), played - 1 / frameSamples)
    }))

  ask("waiting", { caller: ramp(ms(20)), lingerMs: 1_500 }, (place) =>
    Effect.gen(function*() {
      const { call, output } = yield* started(place)
      // On a slow machine the queue may have played by then: it is tried again, with another sound.
      for (let mark = 2;; mark++) {
        assert.isAtMost(mark, 6, "no capture ever waited for room")
        yield* fill(output, 1)
        const writer = yield* Effect.forkChild(output.capture(marks.frame(mark, 0)), { startImmediately: true })
        const waited = writer.pollUnsafe() === undefined &&
          output.queuedSamples() + frameSamples > ms(output.capacityMs)
        output.clear()
        yield* Fiber.join(writer)
        if (!waited) continue
        yield* Fiber.join(call)
        assert.strictEqual(marks.count(mark, yield* place.far.heard), 0)
        return
      }
    }))

  ask("fence", { caller: ramp(ms(20)), lingerMs: 2_500 }, (place) =>
    Effect.gen(function*() {
      const { call, output } = yield* started(place)
      const reports: Array<SessionInput> = []
      const writer = yield* EgressWriter.make(output, (input) => void reports.push(input), {
        epoch: () => 1,
        leaseHolds: () => true
      })
      const writing = yield* Effect.forkScoped(writer.run)
      const speech = (mark: number, frames: number) => {
        const samples = new Int16Array(frames * frameSamples)
        for (let i = 0; i < frames; i++) samples.set(marks.frame(mark, i), i * frameSamples)
        return samples
      }
      writer.enqueue("t1", "t1/1", 1, speech(1, 100))
      yield* until(() => reports.some(({ type }) => type === "playback_started"))
      yield* Effect.sleep(300)
      writer.fence("t1")
      const cut = reports.find((input) => input.type === "playback_cancelled")!.samples / frameSamples
      // What comes too late for the fence is not spoken either.
      writer.enqueue("t1", "t1/2", 1, speech(3, 20))
      yield* Effect.sleep(200)
      writer.enqueue("t2", "t2/1", 1, speech(2, 10))
      writer.endSegment("t2", "t2/1")
      yield* until(() => reports.some((input) => input.type === "playback_completed"))
      yield* Fiber.interrupt(writing)
      yield* Fiber.join(call)
      const heard = yield* place.far.heard
      assert.isAtMost(marks.count(1, heard), cut + marks.tail + marks.smear + 1 / frameSamples)
      assert.isAtLeast(marks.count(1, heard), cut - marks.smear - 1 / frameSamples)
      assert.closeTo(marks.count(2, heard), 10, marks.smear)
      assert.strictEqual(marks.count(3, heard), 0)
    }))

  ask("reconnect", { caller: ramp(ms(100)), lingerMs: 1_000 }, (place) =>
    Effect.gen(function*() {
      const { call, events, frames } = yield* started(place)
      yield* place.far.cutAndBack ?? Effect.die("the harness has nothing to cut")
      yield* Fiber.join(call)
      const states = events.flatMap((event) => event.type === "connection" ? [event.state] : [])
      assert.deepStrictEqual(states, ["connected", "disconnected", "connected", ...hungUp, "ended"])
      const delivered = frames()
      delivered.forEach(({ frame }, i) => {
        if (i > 0) assert.isAtLeast(frame.sampleIndex, delivered[i - 1]!.frame.sampleIndex + frameSamples)
      })
      const first = delivered[0]!
      const last = delivered.at(-1)!
      // Nowhere near the second between: the clock of both is the session's.
      assert.closeTo((last.frame.sampleIndex - first.frame.sampleIndex) / samplesPerMs, last.atMs - first.atMs, 500)
    }))

  ask("close", { caller: ramp(ms(40)), lingerMs: 20 }, ({ clock, transport }) =>
    Effect.gen(function*() {
      const session = yield* transport.open({ session_id: "s1" })
      yield* session.run(recordingIngress(clock).ingress)
      const error = yield* Effect.flip(session.output.capture(marks.frame(1, 0)))
      assert.strictEqual(error._tag, "TransportFailure")
      assert.strictEqual(session.output.clear(), 0)
    }))

  ask("interrupt", { caller: ramp(ms(1_000)), lingerMs: 1_000 }, (place) =>
    Effect.gen(function*() {
      const { call, events } = yield* started(place)
      yield* Effect.sleep(100)
      yield* Fiber.interrupt(call)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(call)))
      const count = events.length
      yield* Effect.sleep(100)
      assert.strictEqual(events.length, count)
    }))

  ask("release", { caller: ramp(ms(1_000)), lingerMs: 1_000 }, ({ clock, transport }) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const session = yield* Scope.provide(transport.open({ session_id: "s1" }), scope)
      const { events, frames, ingress } = recordingIngress(clock)
      const call = yield* Effect.forkChild(session.run(ingress))
      yield* until(() => frames().length >= 3)
      yield* Fiber.interrupt(call)
      yield* Scope.close(scope, Exit.void)
      const count = events.length
      yield* Effect.sleep(60)
      assert.strictEqual(events.length, count)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(session.output.capture(marks.frame(1, 0)))))
    }))

  return cases
}

/** Registers the suite: each case as a test, and those that cannot be asked as skipped, with the reason. */
export const transportConformance = (name: string, harness: TransportHarness): void => {
  describe(`${name} keeps the transport contract`, () => {
    for (const [asked, run] of conformanceCases(harness)) {
      const reason = harness.missing === undefined ? harness.cannot?.[asked] : `not run: ${harness.missing}`
      const title = reason === undefined ? names[asked] : `${names[asked]} (${reason})`
      it.live.skipIf(reason !== undefined)(title, () => run)
    }
  })
}
