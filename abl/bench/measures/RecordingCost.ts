import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { encodeTimeline } from "@rspp/timeline/format/TimelineEncoder"
import { TimelineDecoder } from "@rspp/timeline/format/TimelineDecoder"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { conversation } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { Effect, Layer } from "effect"
import type { Figure, Measure } from "../Figure.ts"
import { liveRunOf } from "../LiveRun.ts"
import { percentile } from "../Figure.ts"
import type { Kind } from "../LiveProcess.ts"

/** Sessions of the process: as many as it can hold on this machine, so that it is loaded. */
const loads = [200, 100, 50]
const seconds = 12
const pairs = 3

const middle = (values: ReadonlyArray<number>): number => percentile(values, 0.5)

/** An hour from its file to the end of its replay: bytes, records, and every record executed again. */
const hour = Effect.gen(function*() {
  const made = scriptedSession(yield* SessionKernel, conversation(400, 1, 9000))
  const bytes = encodeTimeline(made.header, made.records.map((record) => [record]))
  const replayer = yield* Replayer
  const times: Array<number> = []
  const cpu: Array<number> = []
  let sessionMs = 0
  for (let run = 0; run < 3; run++) {
    const began = performance.now()
    const cpuBefore = process.cpuUsage()
    const decoder = new TimelineDecoder()
    decoder.push(bytes)
    const read = decoder.finish()
    if (read.is !== "timeline") return yield* Effect.die("the hour cannot be read: no figure")
    const report = yield* replayer.replay(read.timeline)
    if (!report.identical || !report.complete) return yield* Effect.die("the hour does not replay: no figure")
    times.push((performance.now() - began) / 1000)
    const { system, user } = process.cpuUsage(cpuBefore)
    cpu.push((system + user) / 1_000_000)
    sessionMs = report.sessionMs
  }
  return {
    bytes: bytes.length,
    minutes: sessionMs / 60_000,
    seconds: middle(times),
    cpu: middle(cpu),
    records: made.records.length
  }
}).pipe(Effect.provide(Layer.mergeAll(SessionKernel.layer, Replayer.layer)))

/** What recording costs sessions of one load; undefined when not even the fewest of them kept up. */
const costOf = async (
  load: { readonly without: Kind; readonly recorded: Kind; readonly sessions: ReadonlyArray<number> },
  tell: (progress: string) => void
) => {
  for (const sessions of load.sessions) {
    const shares: Array<number> = []
    const perMinute: Array<number> = []
    const kilobytes: Array<number> = []
    const heaps: Array<number> = []
    const used: Array<number> = []
    while (shares.length < pairs) {
      tell(`${load.without}, ${sessions} sessions, pair ${shares.length + 1} of ${pairs}`)
      const without = await liveRunOf(load.without, sessions, seconds)
      const recorded = without === undefined ? undefined : await liveRunOf(load.recorded, sessions, seconds)
      if (without === undefined || recorded === undefined) break
      used.push(recorded.processCpu)
      shares.push((recorded.processCpu - without.processCpu) / recorded.processCpu)
      perMinute.push(((recorded.processCpu - without.processCpu) * 60_000) / sessions)
      kilobytes.push((recorded.recordedBytes * 60) / seconds / sessions / 1024)
      heaps.push(recorded.heapKb - without.heapKb)
    }
    if (shares.length < pairs) continue
    return {
      share: middle(shares) * 100,
      note: `each pair: ${shares.map((share) => `${(share * 100).toFixed(1)} %`).join(", ")}; the process used ${
        (middle(used) * 100).toFixed(0)
      } % of a core with ${sessions} sessions`,
      perMinute: middle(perMinute),
      kilobytes: middle(kilobytes),
      heap: middle(heaps)
    }
  }
  return undefined
}

const measure: Measure = {
  about:
    `Recording at L0. The load: live sessions in one process, as many as keep up, as under "live" (fifty frames a second each, a turn every four seconds, 1.2 s of reply; recognition, model, voice and transport cost nothing), once with the file recorder and once with a recorder that keeps nothing, ${pairs} times in turn, ${seconds} s each after 8 s of warm-up, medians. First with the embedded voice activity detector at work on every session's audio, as in every call; then without, so that all CPU is the kernel's and the recorder's. CPU is that of the whole process, threads that detect, write and compress included. The hour: 400 scripted turns, read from the bytes of its file and replayed.`,
  run: async (tell) => {
    const heard = await costOf(
      { without: "heard-unrecorded", recorded: "heard-filed", sessions: [60, 40, 20] },
      tell
    )
    const bare = await costOf({ without: "unrecorded", recorded: "filed", sessions: loads }, tell)
    if (heard === undefined || bare === undefined) throw new Error("not even the fewest sessions kept up")
    tell("an hour of session")
    const { bytes, cpu, minutes, records, seconds: replayed } = await Effect.runPromise(hour)
    return [
      {
        name: "recording at L0, live: bytes a minute and session",
        value: bare.kilobytes,
        unit: "KB",
        bound: { atMost: 15 },
        note: "15 turns a minute"
      },
      {
        name: "recording at L0, an hour of 400 turns: bytes a minute",
        value: bytes / minutes / 1024,
        unit: "KB",
        bound: { atMost: 15 },
        note:
          `${records} records; 40 % of it are hashes of the voice's chunks, which the script gives and a real voice does not`
      },
      {
        name: "recording at L0: share of the CPU of a process that hears its callers",
        value: heard.share,
        unit: "%",
        bound: { atMost: 5 },
        note: heard.note
      },
      {
        name: "recording at L0: share of the CPU of a process in which all else is free",
        value: bare.share,
        unit: "%",
        bound: { atMost: 5 },
        note: bare.note
      },
      { name: "recording at L0: CPU a minute and session", value: bare.perMinute, unit: "ms" },
      { name: "recording at L0: live heap and buffers a session", value: bare.heap, unit: "KB" },
      {
        name: "an hour of session: read and replayed",
        value: replayed,
        unit: "s",
        bound: { atMost: 5 },
        note: `${cpu.toFixed(2)} s of CPU`
      }
    ] satisfies ReadonlyArray<Figure>
  }
}
export default measure
