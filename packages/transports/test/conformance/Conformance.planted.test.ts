// The conformance suite must be able to fail: each of its cases turns red on a transport that breaks what it asks for.
import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import { Transport, type TransportIngress, type TransportSession } from "@rspp/runtime/ports/Transport"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import * as MemoryTransport from "@rspp/transports/loopback/MemoryTransport"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer } from "effect"
import { type Case, conformanceCases, exactMarks, FarEnd, type TransportHarness } from "./TransportConformance.ts"

type Break = (session: TransportSession) => TransportSession

const harness = (change: Break, run: TransportHarness["run"]): TransportHarness => ({
  layer: ({ caller, lingerMs }) =>
    Layer.effectContext(Effect.gen(function*() {
      const { open } = yield* Transport
      const memory = yield* MemoryTransport.MemoryTracks
      return Context.make(Transport, { open: (options) => Effect.map(open(options), change) }).pipe(
        Context.add(FarEnd, { heard: Effect.map(memory.tracks, ({ agent }) => agent) })
      )
    })).pipe(Layer.provide(MemoryTransport.layer({
      script: makeCallScript([{ say: caller }], { hang_up: { after: "previous", delay_ms: lingerMs } })
    }))),
  run,
  toleranceMs: 0,
  lossless: true,
  marks: exactMarks
})

const virtual: TransportHarness["run"] = (effect) => VirtualTime.run(effect)

/** The session hears something else than what came. */
const hearing = (change: (ingress: TransportIngress) => TransportIngress): Break => (session) => ({
  ...session,
  run: (ingress) => session.run(change(ingress))
})
const speaking =
  (change: (output: TransportSession["output"]) => Partial<TransportSession["output"]>): Break => (session) => ({
    ...session,
    output: {
      capacityMs: session.output.capacityMs,
      capture: session.output.capture,
      queuedSamples: session.output.queuedSamples,
      clear: session.output.clear,
      ...change(session.output)
    }
  })
const outlivesItsInterruption: Break = (session) => ({
  ...session,
  run: (ingress) => Effect.flatMap(Effect.forkDetach(session.run(ingress), { startImmediately: true }), Fiber.join)
})
/** Says that its queue is empty, and plays it. */
const clearsItsBooksOnly: Break = speaking(({ queuedSamples }) => {
  let forgotten = 0
  const queued = () => Math.max(0, queuedSamples() - forgotten)
  return {
    queuedSamples: () => {
      if (queuedSamples() === 0) forgotten = 0
      return queued()
    },
    clear: () => {
      const dropped = queued()
      forgotten += dropped
      return dropped
    }
  }
})

const planted: ReadonlyArray<readonly [string, Case, Break, TransportHarness["run"]?]> = [
  [
    "tells the end before the last of the audio",
    "order",
    hearing((ingress) => ({
      ...ingress,
      audioEnded: () => {},
      connection: (state) => {
        if (state === "connected") ingress.audioEnded()
        ingress.connection(state)
      }
    }))
  ],
  [
    "numbers two frames alike",
    "positions",
    hearing((ingress) => ({
      ...ingress,
      audio: ({ sampleIndex, samples }) =>
        ingress.audio({ sampleIndex: sampleIndex - (sampleIndex === 5 * frameSamples ? frameSamples : 0), samples })
    }))
  ],
  ["delivers every frame in the same buffer", "positions", (session) => {
    const shared = new Int16Array(frameSamples)
    return hearing((ingress) => ({
      ...ingress,
      audio: ({ sampleIndex, samples }) => {
        shared.set(samples)
        return ingress.audio({ sampleIndex, samples: shared })
      }
    }))(session)
  }],
  ["delivers two frames at a time", "time", (session) => {
    const held: Array<() => unknown> = []
    return hearing((ingress) => ({
      ...ingress,
      audio: (frame) => {
        held.push(() => ingress.audio(frame))
        if (held.length === 2) { for (const deliver of held.splice(0)) deliver() }
        return true
      }
    }))(session)
  }],
  ["gives up when a frame is refused", "refused", (session) => {
    let refused = false
    return hearing((ingress) => ({
      ...ingress,
      audio: (frame) => {
        if (refused) return false
        refused = !ingress.audio(frame)
        return !refused
      }
    }))(session)
  }],
  ["drops what comes late", "late", (session) => {
    let last = 0
    return hearing((ingress) => ({
      ...ingress,
      audio: (frame) => {
        const now = performance.now()
        const late = now - last < 5
        last = now
        return late ? true : ingress.audio(frame)
      }
    }))(session)
  }, (effect) => effect],
  [
    "takes captures without end",
    "pace",
    speaking(({ capture }) => ({
      capture: (samples) => Effect.asVoid(Effect.forkDetach(capture(samples), { startImmediately: true }))
    }))
  ],
  ["holds more than it says", "pace", speaking(({ queuedSamples }) => ({ queuedSamples: () => queuedSamples() * 2 }))],
  ["loses a frame of speech", "whole", (session) => {
    let count = 0
    return speaking(({ capture }) => ({ capture: (samples) => ++count === 7 ? Effect.void : capture(samples) }))(
      session
    )
  }],
  ["forgets its queue, and plays it", "clear", clearsItsBooksOnly],
  ["says too much was dropped", "clear", speaking(({ clear }) => ({ clear: () => clear() + 1 }))],
  ["captures again what was cleared while it waited", "waiting", (session) => {
    let clears = 0
    return speaking(({ capture, clear }) => ({
      clear: () => {
        clears += 1
        return clear()
      },
      capture: (samples) => {
        const before = clears
        return Effect.andThen(
          capture(samples),
          Effect.suspend(() => before === clears ? Effect.void : capture(samples))
        )
      }
    }))(session)
  }],
  ["plays on after a fence", "fence", clearsItsBooksOnly],
  [
    "takes captures when the call is over",
    "close",
    speaking(({ capture }) => ({
      capture: (samples) => Effect.ignore(capture(samples))
    }))
  ],
  ["delivers on when it was interrupted", "interrupt", outlivesItsInterruption],
  [
    "takes captures when it was released",
    "release",
    speaking(({ capture }) => ({
      capture: (samples) => Effect.ignore(capture(samples))
    }))
  ]
]

const intact: Break = (session) => session

describe("the conformance suite turns red on a transport that", () => {
  it.live.each(planted)("%s (%s)", ([, asked, change, run = virtual]) =>
    Effect.gen(function*() {
      const caseOf = (how: Break) =>
        conformanceCases({ ...harness(how, run), toleranceMs: run === virtual ? 0 : 150 }).get(asked)!
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(caseOf(intact))), "it is red on an intact transport too")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(caseOf(change))), "it stays green")
    }))
})
