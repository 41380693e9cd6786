import type { Figure, Measure } from "../Figure.ts"
import { percentile, percentiles } from "../Figure.ts"
import { OneSession } from "../OneSession.ts"
import { PlainPipeline } from "../PlainPipeline.ts"

const turns = 5000
const warmUp = 500
/** Turns in each of the two windows that are compared. */
const window = 200

/** What the caller says costs nothing: the endpoint is at the last sample. */
const sessionConfig = { session_config: { endpointing: { min_ms: 0 } } }

const spokenTurns = async (count: number, tell: (progress: string) => void) => {
  const session = await OneSession.open({ output: "instant", voiceMs: 100, sessionConfig })
  const samples = new Float64Array(count)
  for (let turn = 0; turn < count; turn++) {
    if (turn % 1000 === 0) tell(`spoken turn ${turn} of ${count}`)
    const final = await session.speak()
    await session.closes(() => {
      const started = performance.now()
      session.line.onFrame = () => {
        session.line.onFrame = () => {}
        samples[turn] = performance.now() - started
      }
      final()
    })
  }
  const { commits } = session.line
  await session.end()
  if (commits !== count + 1) throw new Error(`${commits} of ${count + 1} turns were committed`)
  return samples
}

const typedTurns = async (count: number) => {
  const session = await OneSession.open({ output: "instant", voiceMs: 100, sessionConfig })
  const samples = new Float64Array(count)
  for (let turn = 0; turn < count; turn++) {
    await session.closes(() => {
      const started = performance.now()
      session.line.onFrame = () => {
        session.line.onFrame = () => {}
        samples[turn] = performance.now() - started
      }
      session.type()
    })
  }
  await session.end()
  return samples
}

const plainTurns = async (count: number) => {
  const samples = new Float64Array(count)
  let onFrame = () => {}
  const pipeline = new PlainPipeline(() => onFrame(), 100)
  for (let turn = 0; turn < count; turn++) {
    await new Promise<void>((resolve) => {
      const started = performance.now()
      onFrame = () => {
        onFrame = () => {}
        samples[turn] = performance.now() - started
        setImmediate(resolve)
      }
      pipeline.transcripts.push("what time is it")
    })
  }
  return samples
}

const measure: Measure = {
  about:
    "A live session with instant providers and an output that plays at once: from the recogniser's final text after the endpoint (or a typed message) to the first frame at the transport. Every turn is recorded and committed; a session of 500 turns runs first.",
  run: async (tell) => {
    await spokenTurns(warmUp, () => {})
    await plainTurns(warmUp)
    const spoken = await spokenTurns(turns, tell)
    tell("typed turns, bare loop")
    const typed = await typedTurns(2000)
    const plain = await plainTurns(turns)
    const early = spoken.slice(50, 50 + window)
    const late = spoken.slice(turns - window)
    const figures: Array<Figure> = [
      ...percentiles("end of user turn → first frame", "ms", spoken, plain, { p50: 0.5, p99: 1 }),
      ...percentiles("typed message → first frame", "ms", typed.slice(100), plain, { p50: 0.5, p99: 1 })
    ]
    for (const [label, p] of [["p50", 0.5], ["p99", 0.99]] as const) {
      const value = percentile(late, p) / percentile(early, p)
      figures.push({
        name: `growth: turns ${turns - window}–${turns} ÷ turns 50–${50 + window}, ${label}`,
        value,
        unit: "×",
        ...(label === "p50" ? { bound: { atMost: 1.2 } } : {}),
        note: `${percentile(late, p).toFixed(3)} ÷ ${percentile(early, p).toFixed(3)} ms`
      })
    }
    return figures
  }
}
export default measure
