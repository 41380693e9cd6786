import { ControlPlane } from "@rspp/control/ControlPlane"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { RecordAssembler } from "@rspp/timeline/recorder/RecordAssembler"
import { makeHeader } from "@rspp/runtime/session/Session"
import { Effect, Layer } from "effect"
import type { Figure, Measure } from "../Figure.ts"
import { silentFrame, spokenFrame } from "../InstantPorts.ts"
import { OneSession } from "../OneSession.ts"
import { PlainQueue } from "../PlainPipeline.ts"

const frames = 1_000_000
const sessionFrames = 200_000

/** CPU of the whole process, in µs: other programs on the machine do not count. */
const cpu = () => {
  const { system, user } = process.cpuUsage()
  return system + user
}

/** The same frames through two plain queues, to the recogniser's and the detector's side. */
const plain = (samples: Int16Array): number => {
  const ear = new PlainQueue<Int16Array>()
  const detector = new PlainQueue<Int16Array>()
  let heard = 0
  const start = cpu()
  for (let i = 0; i < frames; i++) {
    const frame = samples.slice()
    ear.push(frame)
    detector.push(frame)
    heard += (ear.shift()?.length ?? 0) + (detector.shift()?.[0] ?? 0)
  }
  if (heard < 0) throw new Error("unreachable")
  return (cpu() - start) / frames
}

/** The sequencer's work for a frame: the kernel's step, and its place in the timeline. */
const kernel = Effect.gen(function*() {
  const kernels = yield* SessionKernel
  const { pipeline } = yield* (yield* SpecNormalizer).normalize({
    schema_version: "v1.0",
    pipeline_id: "bench",
    pipeline_version: "bench-1"
  })
  const header = makeHeader(
    { session_id: "ses_bench", tenant_id: "bench", pipeline, seed: 1, payloadKey: "bench", clock: "virtual" },
    0,
    {}
  )
  let records = 0
  const run = () => {
    const session = kernels.open(header)
    const assembler = new RecordAssembler(header, {
      emit: (emission) => {
        records += emission.records.length
      },
      appendRequested: () => {}
    })
    const start = cpu()
    for (let i = 0; i < frames; i++) {
      assembler.audio(session.audio(i * frameSamples, frameSamples, i * 20), i * frameSamples, i * 20)
    }
    return (cpu() - start) / frames
  }
  run()
  const value = run()
  if (records === 0) return yield* Effect.die("nothing was recorded: the figure would mean nothing")
  return value
}).pipe(
  Effect.provide(Layer.mergeAll(SpecNormalizer.layer, SessionKernel.layer, ControlPlane.layerMemory()))
)

/** From the transport's call to the recogniser's stream: door, lane, kernel, recorder, history, detector, feed. */
const inSession = async (speaking: boolean, batch: number): Promise<number> => {
  const session = await OneSession.open({ output: "instant", voiceMs: 100 })
  const { line } = session
  const feed = async (count: number) => {
    for (let i = 0; i < count; i += batch) {
      for (let j = 0; j < batch; j++) line.feed((speaking ? spokenFrame : silentFrame).slice())
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }
  if (speaking) line.edge({ edge: "speech_started", sampleIndex: line.nextSample })
  await feed(sessionFrames / 10)
  const start = cpu()
  await feed(sessionFrames)
  const value = (cpu() - start) / sessionFrames
  if (line.refused > 0) throw new Error(`${line.refused} frames were refused`)
  await session.end()
  return value
}

const measure: Measure = {
  about:
    "CPU time of the process per 20 ms frame of caller audio: in the sequencer (kernel step and recording), and in a whole live session from the transport's call to the recogniser's stream, silent and speaking, the turn of the event loop that wakes it included. Each frame owns its buffer.",
  run: async (tell) => {
    plain(spokenFrame)
    const bare = plain(spokenFrame)
    const figures: Array<Figure> = []
    tell("kernel")
    figures.push({
      name: "kernel CPU per audio frame",
      value: await Effect.runPromise(kernel),
      unit: "µs",
      bare,
      bound: { atMost: 5 }
    })
    for (const batch of [1, 10]) {
      for (const speaking of [false, true]) {
        tell(`live session, ${batch} a turn of the loop`)
        figures.push({
          name: `session CPU per frame, ${speaking ? "speech" : "silence"}, ${batch} a turn of the event loop`,
          value: await inSession(speaking, batch),
          unit: "µs",
          bare
        })
      }
    }
    return figures
  }
}
export default measure
