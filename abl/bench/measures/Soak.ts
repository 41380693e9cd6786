import { World } from "@rspp/simulation/World"
import { Effect, FiberSet } from "effect"
import { frameAt } from "../Callers.ts"
import type { Figure, Measure } from "../Figure.ts"
import { heapAfterCollection } from "../Figure.ts"
import { benchSessions, Exchange } from "../InstantPorts.ts"
import { PlainQueue } from "../PlainPipeline.ts"

const sessions = 50
const minutes = 60
/**
 * By then every bounded memory of a session is full: the 1024 texts that it keeps for its conversation are the last, at
 * two a turn after 34 minutes.
 */
const settledMinutes = 40

interface Point {
  readonly minute: number
  readonly bytes: number
}

/** The slope of the points, in bytes a minute, by least squares. */
const slope = (points: ReadonlyArray<Point>): number => {
  const meanX = points.reduce((sum, { minute }) => sum + minute, 0) / points.length
  const meanY = points.reduce((sum, { bytes }) => sum + bytes, 0) / points.length
  const square = points.reduce((sum, { minute }) => sum + (minute - meanX) ** 2, 0)
  return points.reduce((sum, { bytes, minute }) => sum + (minute - meanX) * (bytes - meanY), 0) / square
}

const soak = (tell: (progress: string) => void) => {
  const exchange = new Exchange()
  const lines = Array.from({ length: sessions }, (_, i) => exchange.line(`ses_${i}`))
  const world = new World({ seed: 1, horizonMs: (minutes + 5) * 60_000, order: "fifo" })
  const points: Array<Point> = []
  let broken: string | undefined
  let index = 0
  const tick = () => {
    for (let i = 0; i < sessions; i++) lines[i]?.feed(frameAt(index + i * 4))
    index++
    if (index < minutes * 3000) world.after(20e6, tick)
  }
  const look = (minute: number) =>
    world.outside(() => {
      const bytes = heapAfterCollection()
      points.push({ minute, bytes })
      tell(`minute ${minute}: ${(bytes / 1024 / 1024).toFixed(1)} MB`)
    })
  const program = Effect.gen(function*() {
    const { layer, run } = yield* benchSessions(exchange, { nowMs: () => world.nowMs, output: "paced", voiceMs: 1200 })
    yield* Effect.gen(function*() {
      const fibers = yield* FiberSet.make<unknown, unknown>()
      for (const line of lines) {
        yield* FiberSet.run(fibers)(
          Effect.tapCause(run(line.sessionId), (cause) => Effect.sync(() => void (broken ??= String(cause))))
        )
      }
      yield* Effect.sleep(1000)
      world.after(0, tick)
      for (let minute = 5; minute <= minutes; minute += 5) {
        yield* Effect.sleep(5 * 60_000)
        look(minute)
      }
      for (const line of lines) line.hangUp()
      yield* FiberSet.awaitEmpty(fibers)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
  const began = performance.now()
  const { exit, simulatedMs } = world.run(program)
  if (exit._tag === "Failure" || broken !== undefined) throw new Error(broken ?? String(exit))
  const turns = lines.reduce((sum, line) => sum + line.commits, 0)
  const lost = lines.reduce((sum, line) => sum + line.refused, 0)
  const due = sessions * minutes * 15
  if (turns < due * 0.95) throw new Error(`${turns} turns were committed of ${due} that were due`)
  return { points, turns, lost, seconds: (performance.now() - began) / 1000, simulatedMs }
}

/** The same frames through one plain queue a session. */
const plain = (): { readonly seconds: number; readonly growth: number } => {
  const queues = Array.from({ length: sessions }, () => new PlainQueue<Int16Array>())
  const before = heapAfterCollection()
  const began = performance.now()
  let heard = 0
  for (let index = 0; index < minutes * 3000; index++) {
    for (let i = 0; i < sessions; i++) {
      const queue = queues[i]
      queue?.push(frameAt(index + i * 4))
      heard += queue?.shift()?.length ?? 0
    }
  }
  const seconds = (performance.now() - began) / 1000
  if (heard === 0) throw new Error("unreachable")
  return { seconds, growth: heapAfterCollection() - before }
}

const measure: Measure = {
  about:
    `${sessions} sessions of ${minutes} minutes each in one process, on the seeded world's clock: fifty frames a second and a turn every four seconds in each, 1.2 s of reply. Live heap and buffers after a full collection, every five minutes of simulated time. The recorder's records are let go.`,
  run: (tell) => {
    const bare = plain()
    const { lost, points, seconds, simulatedMs, turns } = soak(tell)
    if (lost > 0) throw new Error(`${lost} frames were refused`)
    const settled = points.filter(({ minute }) => minute >= settledMinutes)
    const at = (minute: number) => points.find((point) => point.minute === minute)?.bytes ?? Number.NaN
    const mb = (bytes: number) => bytes / 1024 / 1024
    const figures: ReadonlyArray<Figure> = [
      {
        name: `heap at minute ${minutes} ÷ heap at minute ${settledMinutes}`,
        value: at(minutes) / at(settledMinutes),
        unit: "×",
        bound: { atMost: 1.02 },
        note: points.map(({ bytes, minute }) => `${minute} min ${mb(bytes).toFixed(2)}`).join(", ") + " MB"
      },
      {
        name: `growth from minute ${settledMinutes} on, a session and hour`,
        value: (slope(settled) * 60) / sessions / 1024,
        unit: "KB",
        bare: bare.growth / sessions / 1024,
        note: `${turns} turns`
      },
      {
        name: "the soak, simulated ÷ real time, all sessions",
        value: (simulatedMs / 1000 / seconds) * sessions,
        unit: "×",
        bare: ((minutes * 60) / bare.seconds) * sessions
      }
    ]
    return Promise.resolve(figures)
  }
}
export default measure
