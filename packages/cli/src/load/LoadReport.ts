import { read } from "@rspp/timeline/format/TimelineReader"
import { sloReport } from "@rspp/timeline/slo/SloReport"
import type { SloReport } from "@rspp/timeline/slo/SloReport"
import { sloTimeline } from "@rspp/timeline/slo/SloTimeline"
import type { SloTimeline } from "@rspp/timeline/slo/SloTimeline"
import { Effect, Exit } from "effect"
import { endingOf } from "../CliFailure.ts"
import { addedFacts, timelineFacts } from "../view/TimelineSummary.ts"
import type { Counts, TimelineFacts } from "../view/TimelineSummary.ts"
import type { LoadTally } from "./LoadTally.ts"
import type { ProcessUse } from "./ProcessMeter.ts"

/** What a load came to. Times in ms, memory in bytes. What is said of turns is computed from the recordings. */
export interface LoadReport {
  readonly schema_version: "v1.0"
  readonly verdict: "pass" | "fail"
  /** Why it fails, gates that do included. */
  readonly faults: ReadonlyArray<string>
  readonly interrupted: boolean
  readonly minutes: number
  readonly took_ms: number
  readonly sessions: {
    /** At one time: as many as were asked for, and the most that there were. */
    readonly wanted: number
    readonly held: number
    /** Calls: the one that follows in the place of another counts too. */
    readonly started: number
    readonly ended: number
    readonly failed: number
  }
  readonly turns: {
    readonly opened: number
    readonly committed: number
    readonly aborted: Counts
    readonly refused: Counts
  }
  /** Of the time after all sessions had begun; `steady` is false when it did not come to that. */
  readonly process: ProcessUse & {
    readonly steady: boolean
    readonly cpu_cores_per_session: number
    readonly resident_bytes: number
    readonly resident_bytes_per_session: number
  }
  readonly drops: Counts
  readonly sheds: number
  readonly disturbances: Counts
  /** Frames of callers that a session had no room for. */
  readonly lost_frames: number
  /** The gates over the recordings, as `rspp slo report` has them. */
  readonly slo: SloReport
}

/** A report for machines: without the list of turns, which is as long as the load. */
export const loadJson = (report: LoadReport): object => {
  const { turns_detail: _, ...slo } = report.slo
  return { ...report, slo }
}

export interface LoadFacts {
  readonly wanted: number
  readonly minutes: number
  readonly interrupted: boolean
  readonly tookMs: number
  readonly steady: boolean
  readonly use: ProcessUse
  readonly tally: LoadTally
  /** Resident memory before the first session, bytes. */
  readonly residentBefore: number
  readonly files: ReadonlyArray<string>
  /** What a recording is called in the report. */
  readonly nameOf: (file: string) => string
}

/** Reads the recordings of a load, one after the other, and says what it came to. */
export const loadReport = Effect.fn("loadReport")(function*(facts: LoadFacts) {
  const { tally, use } = facts
  const faults: Array<string> = []
  let all: TimelineFacts = addedFacts([])
  const timelines: Array<SloTimeline> = []
  const unreadable: Array<SloReport["unreadable"][number]> = []
  for (const file of facts.files) {
    const exit = yield* Effect.exit(read(file))
    if (Exit.isFailure(exit)) {
      unreadable.push({ file, error: endingOf(exit, false).lines[0] ?? `${file} cannot be read` })
      continue
    }
    all = addedFacts([all, timelineFacts(exit.value.records)])
    timelines.push(sloTimeline(facts.nameOf(file), exit.value))
  }
  const slo = sloReport(timelines, { unreadable })
  const [first] = unreadable
  if (first !== undefined) faults.push(`${unreadable.length} recordings cannot be read, the first: ${first.error}`)
  for (const { gate, verdict } of slo.gates) if (verdict === "fail") faults.push(`the gate ${gate} fails`)
  if (tally.failed > 0) faults.push(`${tally.failed} sessions failed, the first: ${tally.firstFailure ?? ""}`)
  if (all.committed === 0 && !facts.interrupted) faults.push("no turn was answered to its end: nothing was shown")
  const held = Math.max(1, tally.most)
  const resident = Math.max(tally.mostResidentBytes, process.memoryUsage().rss)
  const report: LoadReport = {
    schema_version: "v1.0",
    verdict: faults.length > 0 ? "fail" : "pass",
    faults,
    interrupted: facts.interrupted,
    minutes: facts.minutes,
    took_ms: Math.round(facts.tookMs),
    sessions: {
      wanted: facts.wanted,
      held: tally.most,
      started: tally.started,
      ended: tally.ended,
      failed: tally.failed
    },
    turns: { opened: all.opened, committed: all.committed, aborted: all.aborted, refused: all.refused },
    process: {
      ...use,
      steady: facts.steady,
      cpu_cores_per_session: use.cpu_cores / held,
      resident_bytes: resident,
      resident_bytes_per_session: Math.max(0, Math.round((resident - facts.residentBefore) / held))
    },
    drops: all.drops,
    sheds: tally.sheds,
    disturbances: all.disturbances,
    lost_frames: Object.values(all.media_lost).reduce((sum, count) => sum + count, 0),
    slo
  }
  return report
})
