import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import { read } from "@rspp/timeline/format/TimelineReader"
import * as FileRecorder from "@rspp/timeline/recorder/FileRecorder"
import { Effect, FileSystem, Layer, Logger } from "effect"
import { benchSessions, Exchange } from "./InstantPorts.ts"
import { OneSession } from "./OneSession.ts"

/** Where a session of this benchmark records to. */
export interface Disk {
  /** The directory of its file. */
  readonly directory: string
  /** The file system below the recorder; the machine's own by default. */
  readonly files?: (real: FileSystem.FileSystem) => FileSystem.FileSystem
}

/** What one session came to. */
export interface DiskRun {
  /**
   * From a message at the door that cuts the agent to the transport's queue cleared, in ms. Cuts during which the system
   * took the processor away from the process (an involuntary context switch) say nothing of RSPP and are left out.
   */
  readonly samples: ReadonlyArray<number>
  /** Cuts that were left out. */
  readonly preempted: number
  /** Turns by how they ended: `commit`, or the reason of the abort; as the session told them. */
  readonly terminals: ReadonlyMap<string, number>
  /** Reasons of `recording_level_downgraded`. */
  readonly downgrades: ReadonlyArray<string>
  /** What can be read of the file: turns that have their terminal and close in it, and whether it is whole. */
  readonly file: { readonly closed: number; readonly torn: boolean; readonly lost: number }
}

/** Length of each reply: more than the transport's queue holds, so that no turn is over before it is cut. */
const voiceMs = 400

/** The real file recorder on this disk; what the session tells is shown to the line as well. */
const recorderOn = (disk: Disk) => (exchange: Exchange): Layer.Layer<Recorder> => {
  const files = disk.files === undefined
    ? NodeFileSystem.layer
    : Layer.effect(FileSystem.FileSystem, Effect.map(FileSystem.FileSystem, disk.files)).pipe(
      Layer.provide(NodeFileSystem.layer)
    )
  const shown = Layer.effect(
    Recorder,
    Effect.map(Recorder, (recorder) =>
      Recorder.of({
        open: (session) =>
          Effect.map(Effect.provide(recorder.open(session), Logger.layer([])), (own) => {
            const line = exchange.line(session.header.session_id)
            return {
              ...own,
              input: (record) => {
                own.input(record)
                line.onRecord(record)
              },
              outputs: (outputs) => {
                own.outputs(outputs)
                for (const output of outputs) line.onRecord(output)
              }
            }
          })
      }))
  )
  return shown.pipe(
    Layer.provide(FileRecorder.layer({ to: { directory: disk.directory } })),
    Layer.provide(files)
  )
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/**
 * One live session that records to the disk at L2: its agent is cut `cuts` times by a typed message, each after three
 * frames of speech, 5 ms apart; then one turn is left to end by itself.
 */
export const onDisk = async (disk: Disk, warmUp: number, cuts: number): Promise<DiskRun> => {
  const session = await OneSession.open({
    output: "paced",
    voiceMs,
    recording: recorderOn(disk),
    sessionConfig: {
      recording_policy: { recording_level: "L2" },
      session_config: { barge_in: { min_ms: 0 } }
    }
  })
  const { line } = session
  const terminals = new Map<string, number>()
  const downgrades: Array<string> = []
  const shown = line.onRecord
  line.onRecord = (record: TimelineRecord) => {
    shown(record)
    if (record.record !== "signal") return
    const { reason = "", signal } = record.signal
    if (signal === "recording_level_downgraded") downgrades.push(reason)
    if (signal !== "commit" && signal !== "abort") return
    const how = signal === "commit" ? "commit" : reason
    terminals.set(how, (terminals.get(how) ?? 0) + 1)
  }
  /** The agent speaks: three frames of it are out. */
  const speaks = (begin: () => void) =>
    new Promise<void>((resolve) => {
      let frames = 0
      line.onFrame = () => {
        if (++frames < 3) return
        line.onFrame = () => {}
        setImmediate(resolve)
      }
      begin()
    })
  await speaks(() => session.type())
  const samples: Array<number> = []
  let preempted = 0
  for (let i = -warmUp; i < cuts; i++) {
    await sleep(5)
    await speaks(() => {
      const switches = process.resourceUsage().involuntaryContextSwitches
      const accepted = performance.now()
      line.onClear = () => {
        const ms = performance.now() - accepted
        line.onClear = () => {}
        if (i < 0) return
        if (process.resourceUsage().involuntaryContextSwitches > switches) preempted++
        else samples.push(ms)
      }
      session.type()
    })
  }
  // The last one ends by itself: it commits, or there is no room for its evidence.
  await session.closes(() => {})
  await session.end()
  const file = await Effect.runPromise(
    read(`${disk.directory}/ses_bench.timeline`).pipe(Effect.provide(NodeFileSystem.layer))
  )
  const end = file.records.at(-1)
  return {
    samples,
    preempted,
    terminals,
    downgrades,
    file: {
      closed: file.records.filter((one) => one.record === "signal" && one.signal.signal === "close").length,
      torn: file.tear !== undefined || end?.record !== "end",
      lost: end?.record === "end" ? end.not_captured?.records_lost ?? 0 : 0
    }
  }
}

/**
 * Sessions that are to record there are started, two a second, until `over`; each must be refused because the file system
 * is read-only. How many there were.
 */
export const refusedOn = (disk: Disk, over: () => boolean): Promise<number> => {
  const exchange = new Exchange()
  const program = Effect.gen(function*() {
    const { layer, run } = yield* benchSessions(exchange, {
      nowMs: () => performance.now(),
      output: "instant",
      voiceMs,
      recording: recorderOn(disk)
    })
    return yield* Effect.gen(function*() {
      let times = 0
      while (!over()) {
        const failure = yield* Effect.flip(run("ses_refused"))
        if (failure._tag !== "RecorderFailure" || !failure.message.endsWith("the file system is read-only")) {
          return yield* Effect.die(new Error(`refused for another reason: ${failure.message}`))
        }
        times++
        yield* Effect.sleep(500)
      }
      return times
    }).pipe(Effect.provide(layer))
  })
  return Effect.runPromise(program)
}
