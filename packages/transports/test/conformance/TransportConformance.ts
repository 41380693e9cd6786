// What every media transport must do, whatever is behind it. Run it from the transport's own test file.
import { frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { AudioFrame } from "@rspp/runtime/ports/AudioFrame"
import { type ConnectionState, Transport, type TransportIngress } from "@rspp/runtime/ports/Transport"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"

/** The other end of the line. */
export class FarEnd extends Context.Service<FarEnd, {
  /** The agent's audio as it was heard there; its silence in between may be left out or stretched. */
  readonly heard: Effect.Effect<Int16Array>
}>()("rspp/test/FarEnd") {}

export interface TransportHarness {
  /** A transport whose caller says `caller` at once, stays on the line for `lingerMs` more, and hangs up. */
  readonly layer: (call: { readonly caller: Int16Array; readonly lingerMs: number }) => Layer.Layer<Transport | FarEnd>
  /** How the session is run: as it is, or in virtual time. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
  /** How exactly time is kept, in ms. */
  readonly toleranceMs: number
  /** Whether the caller's samples arrive unchanged. */
  readonly lossless: boolean
}

type Event =
  | { readonly type: "audio"; readonly frame: AudioFrame; readonly atMs: number }
  | { readonly type: "connection"; readonly state: ConnectionState; readonly atMs: number }
  | { readonly type: "audio_ended"; readonly atMs: number }
  | { readonly type: "text"; readonly text: string; readonly atMs: number }
  | { readonly type: "push_to_talk"; readonly state: "pressed" | "released"; readonly atMs: number }

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

const ms = (count: number) => count * samplesPerMs
const frame20 = (value: number) => new Int16Array(frameSamples).fill(value)

/** What was heard that is not silence. */
const sounding = (heard: Int16Array) => heard.filter((x) => x !== 0)

export const transportConformance = (name: string, harness: TransportHarness): void => {
  const { toleranceMs } = harness
  const inCall = <A, E>(
    call: { readonly caller: Int16Array; readonly lingerMs: number },
    body: (
      transport: Transport["Service"],
      far: FarEnd["Service"],
      clock: Clock.Clock
    ) => Effect.Effect<A, E, Scope.Scope>
  ) =>
    harness.run(
      Effect.gen(function*() {
        const transport = yield* Transport
        const far = yield* FarEnd
        return yield* Effect.scoped(body(transport, far, yield* Clock.Clock))
      }).pipe(Effect.provide(harness.layer(call), { local: true }))
    )

  describe(`${name} keeps the transport contract`, () => {
    it.live("reports connected first, then frames, then the end of the audio, then ended", () =>
      inCall({ caller: ramp(ms(100)), lingerMs: 100 }, (transport, _far, clock) =>
        Effect.gen(function*() {
          const session = yield* transport.open({ session_id: "s1" })
          const { events, ingress } = recordingIngress(clock)
          yield* session.run(ingress)
          const order = events.map((event) => event.type === "connection" ? event.state : event.type)
          assert.strictEqual(order[0], "connected")
          assert.deepStrictEqual(order.slice(-2), ["audio_ended", "ended"])
          assert.isTrue(order.slice(1, -2).every((what) => what === "audio"))
        })))

    it.live("delivers 20 ms frames without gaps, each in a buffer of its own", () =>
      inCall({ caller: ramp(ms(200)), lingerMs: 100 }, (transport, _far, clock) =>
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
        })))

    it.live("delivers each frame in its time", () =>
      inCall({ caller: ramp(ms(300)), lingerMs: 100 }, (transport, _far, clock) =>
        Effect.gen(function*() {
          const session = yield* transport.open({ session_id: "s1" })
          const { frames, ingress } = recordingIngress(clock)
          yield* session.run(ingress)
          const delivered = frames()
          delivered.forEach(({ atMs }, i) => {
            assert.closeTo(atMs - delivered[0]!.atMs, i * 20, toleranceMs, `frame ${i}`)
          })
        })))

    it.live("goes on when the session refuses frames", () =>
      inCall({ caller: ramp(ms(100)), lingerMs: 100 }, (transport, _far, clock) =>
        Effect.gen(function*() {
          const session = yield* transport.open({ session_id: "s1" })
          const { events, ingress } = recordingIngress(clock, () => false)
          yield* session.run(ingress)
          assert.isAtLeast(events.filter((event) => event.type === "audio").length, 10)
          assert.deepInclude(events.at(-1)!, { type: "connection", state: "ended" })
        })))

    it.live("paces capture by what its queue plays, and never holds more than its capacity", () =>
      inCall({ caller: ramp(ms(20)), lingerMs: 1_500 }, (transport, _far, clock) =>
        Effect.gen(function*() {
          const session = yield* transport.open({ session_id: "s1" })
          const { output } = session
          assert.isAtMost(output.capacityMs, 200)
          yield* Effect.forkScoped(session.run(recordingIngress(clock).ingress))
          yield* Effect.sleep(20)
          const started = Number(clock.monotonicTimeNanosUnsafe()) / 1e6
          let most = 0
          for (let i = 0; i < 40; i++) {
            yield* output.capture(frame20(1000 + i))
            most = Math.max(most, output.queuedSamples())
          }
          const took = Number(clock.monotonicTimeNanosUnsafe()) / 1e6 - started
          assert.isAtMost(most, ms(output.capacityMs))
          assert.closeTo(took, 40 * 20 - output.capacityMs, toleranceMs)
        })))

    it.live("lets the far end hear what was captured, in order and whole", () =>
      inCall({ caller: ramp(ms(20)), lingerMs: 900 }, (transport, far, clock) =>
        Effect.gen(function*() {
          const session = yield* transport.open({ session_id: "s1" })
          const call = yield* Effect.forkScoped(session.run(recordingIngress(clock).ingress))
          yield* Effect.sleep(20)
          for (let i = 0; i < 20; i++) yield* session.output.capture(frame20(1000 + i))
          yield* Fiber.join(call)
          assert.strictEqual(session.output.queuedSamples(), 0)
          if (harness.lossless) {
            const expected = Array.from({ length: 20 }, (_, i) => Array.from(frame20(1000 + i))).flat()
            assert.deepStrictEqual(Array.from(sounding(yield* far.heard)), expected)
          }
        })))

    it.live("clears at once: the queue is empty, what it held is not heard, and the next audio is", () =>
      inCall({ caller: ramp(ms(20)), lingerMs: 900 }, (transport, far, clock) =>
        Effect.gen(function*() {
          const session = yield* transport.open({ session_id: "s1" })
          const { output } = session
          const call = yield* Effect.forkScoped(session.run(recordingIngress(clock).ingress))
          yield* Effect.sleep(20)
          for (let i = 0; i < 10 && output.queuedSamples() + frameSamples <= ms(output.capacityMs); i++) {
            yield* output.capture(frame20(1000))
          }
          yield* Effect.sleep(40)
          const queued = output.queuedSamples()
          const dropped = output.clear()
          assert.strictEqual(output.queuedSamples(), 0)
          assert.closeTo(dropped, queued, ms(toleranceMs) + 1)
          assert.strictEqual(output.clear(), 0)
          yield* Effect.sleep(100)
          yield* output.capture(frame20(2000))
          yield* Fiber.join(call)
          const heard = sounding(yield* far.heard)
          if (harness.lossless) {
            assert.strictEqual(heard.filter((x) => x === 2000).length, frameSamples)
            const before = heard.filter((x) => x === 1000).length
            assert.closeTo(before, ms(40), ms(toleranceMs) + 1)
          }
        })))

    it.live("drops a capture that waits for room when it is cleared", () =>
      inCall({ caller: ramp(ms(20)), lingerMs: 700 }, (transport, far, clock) =>
        Effect.gen(function*() {
          const session = yield* transport.open({ session_id: "s1" })
          const { output } = session
          const call = yield* Effect.forkScoped(session.run(recordingIngress(clock).ingress))
          yield* Effect.sleep(20)
          const writer = yield* Effect.forkChild(Effect.gen(function*() {
            for (let i = 0; i < output.capacityMs / 20; i++) yield* output.capture(frame20(1000))
            yield* output.capture(frame20(3000))
          }))
          yield* Effect.sleep(5)
          assert.isUndefined(writer.pollUnsafe())
          output.clear()
          yield* Fiber.join(writer)
          yield* Fiber.join(call)
          assert.notInclude(Array.from(yield* far.heard), 3000)
        })))

    it.live("fails captures after the caller has hung up", () =>
      inCall({ caller: ramp(ms(40)), lingerMs: 20 }, (transport, _far, clock) =>
        Effect.gen(function*() {
          const session = yield* transport.open({ session_id: "s1" })
          yield* session.run(recordingIngress(clock).ingress)
          const error = yield* Effect.flip(session.output.capture(frame20(1)))
          assert.strictEqual(error._tag, "TransportFailure")
          assert.strictEqual(session.output.clear(), 0)
        })))

    it.live("stops delivering when its run is interrupted", () =>
      inCall({ caller: ramp(ms(1_000)), lingerMs: 1_000 }, (transport, _far, clock) =>
        Effect.gen(function*() {
          const session = yield* transport.open({ session_id: "s1" })
          const { events, ingress } = recordingIngress(clock)
          const call = yield* Effect.forkChild(session.run(ingress))
          yield* Effect.sleep(100)
          yield* Fiber.interrupt(call)
          assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(call)))
          const count = events.length
          yield* Effect.sleep(100)
          assert.strictEqual(events.length, count)
        })))

    it.live("releases everything when its scope closes", () =>
      inCall({ caller: ramp(ms(1_000)), lingerMs: 1_000 }, (transport, _far, clock) =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const session = yield* Scope.provide(transport.open({ session_id: "s1" }), scope)
          const { events, ingress } = recordingIngress(clock)
          const ready = yield* Deferred.make<void>()
          const call = yield* Effect.forkChild(
            Effect.andThen(Deferred.succeed(ready, undefined), session.run(ingress))
          )
          yield* Deferred.await(ready)
          yield* Effect.sleep(60)
          yield* Fiber.interrupt(call)
          yield* Scope.close(scope, Exit.void)
          const count = events.length
          yield* Effect.sleep(60)
          assert.strictEqual(events.length, count)
          assert.isTrue(Exit.isFailure(yield* Effect.exit(session.output.capture(frame20(1)))))
        })))
  })
}
