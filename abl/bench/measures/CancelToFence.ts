import { ControlPlane } from "@rspp/control/ControlPlane"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect, Layer } from "effect"
import type { Measure } from "../Figure.ts"
import { percentiles } from "../Figure.ts"
import { InstantSession } from "../InstantSession.ts"
import { spokenFrame } from "../InstantPorts.ts"
import { OneSession } from "../OneSession.ts"
import { PlainQueue } from "../PlainPipeline.ts"

const cuts = 2000
const warmUp = 300

/** Inside of the kernel: from the input that cancels to the command that fences. */
const inKernel = Effect.gen(function*() {
  const spec = yield* (yield* SpecNormalizer).normalize({
    schema_version: "v1.0",
    pipeline_id: "bench",
    pipeline_version: "bench-1"
  })
  let fencedAt = 0
  const session = yield* InstantSession.open(spec, (type) => {
    if (type === "fence_output") fencedAt = performance.now()
  })
  const samples = new Float64Array(cuts + warmUp)
  for (let i = 0; i < samples.length; i++) {
    session.now += 20
    session.feed({ type: "typed_text", handle: session.handle("text_raw", 20) }, true)
    const accepted = performance.now()
    session.feed({ type: "cancel_requested", scope: "turn", reason: "bench" })
    samples[i] = fencedAt - accepted
  }
  return samples.slice(warmUp)
}).pipe(
  Effect.provide(Layer.mergeAll(SpecNormalizer.layer, SessionKernel.layer, ControlPlane.layerMemory()))
)

/** Waits until the agent speaks, and a few frames of it are in the transport's queue. */
const speaks = (session: OneSession, begin: () => void) =>
  new Promise<void>((resolve) => {
    let frames = 0
    session.line.onFrame = () => {
      if (++frames < 3) return
      session.line.onFrame = () => {}
      setImmediate(resolve)
    }
    begin()
  })

/**
 * A live session whose agent is speaking. `how` cuts it; what is measured is the time until the transport's queue was
 * cleared, which the writer does only when the output is fenced or paused.
 */
const inSession = async (count: number, how: "typed" | "spoken") => {
  const session = await OneSession.open({
    output: "paced",
    voiceMs: 1000,
    sessionConfig: { session_config: { barge_in: { min_ms: 0 } } }
  })
  const { line } = session
  const samples = new Float64Array(count)
  await speaks(session, () => session.type())
  for (let i = 0; i < count; i++) {
    if (how === "typed") {
      // The message supersedes the turn: it is cancelled, and its own turn speaks next.
      await speaks(session, () => {
        const accepted = performance.now()
        line.onClear = () => {
          samples[i] = performance.now() - accepted
          line.onClear = () => {}
        }
        session.type()
      })
      continue
    }
    const closed = session.closes(() => {
      const cut = performance.now()
      line.onClear = () => {
        samples[i] = performance.now() - cut
        line.onClear = () => {}
        // Nothing may come any more until somebody speaks again.
        line.onFrame = () => {
          throw new Error("a frame came out after the cut")
        }
      }
      line.edge({ edge: "speech_started", sampleIndex: line.nextSample })
    })
    await closed
    for (let frame = 0; frame < 10; frame++) line.feed(spokenFrame)
    await new Promise<void>((resolve) => setImmediate(resolve))
    line.edge({ edge: "speech_ended", sampleIndex: line.nextSample })
    await speaks(session, () => session.type())
  }
  await session.end()
  return samples
}

/** The bare loop: a flag is set, and the queue of frames emptied. */
const plain = (count: number) => {
  const samples = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const queue = new PlainQueue<Int16Array>()
    for (let frame = 0; frame < 10; frame++) queue.push(spokenFrame)
    let cut = false
    const started = performance.now()
    cut = true
    if (queue.clear() !== 10 || !cut) throw new Error("unreachable")
    samples[i] = performance.now() - started
  }
  return samples
}

const measure: Measure = {
  about:
    "While the agent speaks: from a cancel that the kernel accepts to its fence command; and in a live session, from a typed message that supersedes the turn, or the first edge of the caller's speech, at the door to the transport's queue cleared. A frame that comes out after a cut fails the run.",
  run: async (tell) => {
    plain(warmUp)
    const bare = plain(cuts)
    const kernel = await Effect.runPromise(inKernel)
    tell("live session, typed")
    await inSession(warmUp, "typed")
    const typed = await inSession(cuts, "typed")
    tell("live session, spoken")
    await inSession(warmUp, "spoken")
    const spoken = await inSession(cuts, "spoken")
    return [
      ...percentiles("cancel accepted → fence commanded, kernel", "ms", kernel, bare, { p99: 1 }),
      ...percentiles("cancel at the door → fence up, live session", "ms", typed, bare, { p99: 1 }),
      ...percentiles("cut at the door → silent sink, live session", "ms", spoken, bare, { p99: 1 })
    ]
  }
}
export default measure
