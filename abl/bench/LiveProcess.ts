import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Effect, Fiber, FiberSet } from "effect"
import { Callers, cycleFrames } from "./Callers.ts"
import type { Fed } from "./Callers.ts"
import { heapAfterCollection } from "./Figure.ts"
import { benchSessions, Exchange } from "./InstantPorts.ts"
import type { PortOptions } from "./InstantPorts.ts"
import { PlainPipeline, PlainQueue } from "./PlainPipeline.ts"

/** What one process with so many live sessions came to. */
export interface LiveResult {
  readonly sessions: number
  readonly seconds: number
  /** Event-loop delay beyond the sampling interval, in ms. */
  readonly delayP50: number
  readonly delayP99: number
  readonly delayMax: number
  /** CPU of the one JavaScript thread ÷ time that passed. */
  readonly cpu: number
  /** CPU of the whole process, writing and compressing on other threads included ÷ time that passed. */
  readonly processCpu: number
  /** Bytes that all recordings grew by, with the `filed` kind. */
  readonly recordedBytes: number
  /** Resident memory that the sessions added, in KB a session. */
  readonly residentKb: number
  /** Live heap and buffers after a collection, in KB a session. */
  readonly heapKb: number
  readonly framesIn: number
  readonly framesLost: number
  readonly framesOut: number
  readonly turns: number
}

/** Sampling interval of the event-loop delay: what it shows of an idle loop is taken off. */
const resolutionMs = 5
const warmUpMs = 8000

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

interface Load {
  readonly fed: ReadonlyArray<Fed>
  readonly counts: () => { lost: number; out: number; turns: number }
  readonly end: () => Promise<void>
}

const real = async (sessions: number, options: Pick<PortOptions, "recording" | "silero">): Promise<Load> => {
  const exchange = new Exchange()
  const lines = Array.from({ length: sessions }, (_, i) => exchange.line(`ses_${i}`))
  let broken: string | undefined
  const program = Effect.gen(function*() {
    const { layer, run } = yield* benchSessions(exchange, {
      nowMs: () => performance.now(),
      output: "paced",
      voiceMs: 1200,
      ...options
    })
    return yield* Effect.gen(function*() {
      const fibers = yield* FiberSet.make<unknown, unknown>()
      for (const line of lines) {
        yield* FiberSet.run(fibers)(
          Effect.tapCause(run(line.sessionId), (cause) => Effect.sync(() => void (broken ??= String(cause))))
        )
        // A runtime takes calls one after the other.
        yield* Effect.sleep(1)
      }
      return yield* Effect.never
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
  const fiber = Effect.runFork(program)
  while (lines.some((line) => line.ingress === undefined)) {
    await pause(20)
    if (broken !== undefined) throw new Error(broken)
  }
  return {
    fed: lines,
    counts: () => {
      if (broken !== undefined) throw new Error(broken)
      return {
        lost: lines.reduce((sum, line) => sum + line.refused, 0),
        out: lines.reduce((sum, line) => sum + line.captured, 0),
        turns: lines.reduce((sum, line) => sum + line.commits, 0)
      }
    },
    end: () => Effect.runPromise(Effect.asVoid(Fiber.interrupt(fiber)))
  }
}

/** The same callers on plain queues: each answers its caller's cycle with the same reply, paced by one timer a frame. */
const plain = async (sessions: number): Promise<Load> => {
  let turns = 0
  let out = 0
  const fed = Array.from({ length: sessions }, (): Fed => {
    const ear = new PlainQueue<Int16Array>()
    const frames = new PlainQueue<Int16Array>()
    const pipeline = new PlainPipeline((samples) => frames.push(samples), 1200)
    let silence = 0
    let playing = false
    const play = () => {
      playing = frames.shift() !== undefined
      if (!playing) return
      out++
      setTimeout(play, 20)
    }
    return {
      feed: (samples) => {
        ear.push(samples)
        const frame = ear.shift()
        if (frame === undefined) return
        if (frame[0] !== 0) silence = 0
        else if (++silence === 27) {
          turns++
          pipeline.transcripts.push("what time is it")
        }
        if (!playing && frames.size > 0) play()
      }
    }
  })
  return { fed, counts: () => ({ lost: 0, out, turns }), end: () => Promise.resolve() }
}

/**
 * `real`: sessions whose records are made and let go. `unrecorded`: none is made. `filed`: the file recorder keeps them.
 * `heard-unrecorded` and `heard-filed`: the same, and the embedded detector hears every session's audio. `plain`:
 * callers on plain queues.
 */
export const kinds = ["real", "unrecorded", "filed", "heard-unrecorded", "heard-filed", "plain"] as const
export type Kind = typeof kinds[number]

export const liveRun = async (kind: Kind, sessions: number, seconds: number): Promise<LiveResult> => {
  // What an idle loop shows is the sampling itself.
  const idle = monitorEventLoopDelay({ resolution: resolutionMs })
  idle.enable()
  await pause(1000)
  idle.disable()
  const base = idle.percentile(50) / 1e6
  const heapBefore = heapAfterCollection()
  const residentBefore = process.memoryUsage().rss
  const directory = kind.endsWith("filed") ? mkdtempSync(join(tmpdir(), "rspp-bench-")) : undefined
  const load = await (kind === "plain" ? plain(sessions) : real(sessions, {
    ...(kind.endsWith("unrecorded")
      ? { recording: "nothing" }
      : directory === undefined
      ? {}
      : { recording: { directory } }),
    silero: kind.startsWith("heard")
  }))
  const callers = new Callers(load.fed)
  callers.start()
  await pause(warmUpMs)
  const before = load.counts()
  const delay = monitorEventLoopDelay({ resolution: resolutionMs })
  const cpuBefore = process.threadCpuUsage()
  const processBefore = process.cpuUsage()
  const bytesBefore = recordedIn(directory)
  const began = performance.now()
  delay.enable()
  await pause(seconds * 1000)
  delay.disable()
  const lasted = performance.now() - began
  const { system, user } = process.threadCpuUsage(cpuBefore)
  const processAfter = process.cpuUsage(processBefore)
  const recordedBytes = recordedIn(directory) - bytesBefore
  const resident = process.memoryUsage().rss
  const after = load.counts()
  callers.stop()
  const heap = heapAfterCollection()
  const turns = after.turns - before.turns
  // One turn a cycle and session: fewer means that the sessions did not live.
  const expected = (sessions * lasted) / (cycleFrames * 20)
  if (Math.abs(turns - expected) > expected * 0.1 + 2) {
    throw new Error(`${turns} turns in ${lasted} ms, ${Math.round(expected)} were due: the sessions did not keep up`)
  }
  await load.end()
  if (directory !== undefined) rmSync(directory, { recursive: true })
  const beyond = (ns: number) => Math.max(0, ns / 1e6 - base)
  return {
    sessions,
    seconds,
    delayP50: beyond(delay.percentile(50)),
    delayP99: beyond(delay.percentile(99)),
    delayMax: beyond(delay.max),
    cpu: (system + user) / 1000 / lasted,
    processCpu: (processAfter.system + processAfter.user) / 1000 / lasted,
    recordedBytes,
    residentKb: (resident - residentBefore) / 1024 / sessions,
    heapKb: (heap - heapBefore) / 1024 / sessions,
    framesIn: Math.round(sessions * lasted / 20),
    framesLost: after.lost - before.lost,
    framesOut: after.out - before.out,
    turns
  }
}

/** Bytes of the recordings there, without the room that is taken ahead: up to the last byte that is not zero. */
const recordedIn = (directory: string | undefined): number => {
  if (directory === undefined) return 0
  return readdirSync(directory).reduce((sum, name) => {
    const bytes = readFileSync(join(directory, name))
    return sum + bytes.findLastIndex((byte) => byte !== 0) + 1
  }, 0)
}

if (import.meta.main) {
  const [, , kind, sessions, seconds] = process.argv
  const result = await liveRun(kinds.find((one) => one === kind) ?? "real", Number(sessions), Number(seconds))
  console.log(JSON.stringify(result))
  process.exit(0)
}
