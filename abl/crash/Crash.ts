import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { checkReplay } from "@rspp/simulation/Recordings"
import { read } from "@rspp/timeline/format/TimelineReader"
import { evidenceCompleteness } from "@rspp/timeline/recorder/EvidenceCompleteness"
import { Effect, Exit } from "effect"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"

const child = join(import.meta.dirname, "recording.child.ts")

/** The latest time of a kill, in ms after the call began: four turns or so. */
export const latestMs = 2000

/** What of a file the disk had taken for good when its writer died. */
export interface Safe {
  readonly bytes: number
  readonly evidence: number
}

/** One writer that was killed. */
export interface Killed {
  readonly path: string
  /** Time from when the call began, in ms. */
  readonly afterMs: number
  readonly safe: Safe
}

/** What is left of a recording whose writer was killed, and what is wrong with that. */
export interface Left {
  /** The kill came before there was a header, between two frames, or in the middle of one. */
  readonly tear: "before" | "between" | "inside"
  readonly records: number
  readonly evidence: number
  readonly problems: ReadonlyArray<string>
}

/** Lets a call be recorded to `path`, and kills its process with SIGKILL `afterMs` after the call began. */
export const killRecording = (path: string, afterMs: number): Promise<Killed> =>
  new Promise((resolve, reject) => {
    const recording = spawn(process.execPath, [child, path], { stdio: ["ignore", "pipe", "pipe"] })
    let told = ""
    let failure = ""
    let begun = false
    recording.stdout.setEncoding("utf8").on("data", (text: string) => {
      told += text
      if (begun || !told.startsWith("starts\n")) return
      begun = true
      setTimeout(() => recording.kill("SIGKILL"), afterMs)
    })
    recording.stderr.setEncoding("utf8").on("data", (text: string) => {
      failure += text
    })
    recording.on("error", reject)
    recording.on("close", (_code, signal) => {
      if (signal !== "SIGKILL") {
        reject(new Error(`the recording ended by itself: ${failure.slice(0, 2000)}`))
        return
      }
      // What was said in full before the kill; the pipe may end in the middle of a line.
      const lines = told.slice(0, told.lastIndexOf("\n") + 1).trim().split("\n")
      const last = lines.findLast((line) => line.startsWith("synced "))?.split(" ") ?? []
      resolve({ path, afterMs, safe: { bytes: Number(last[1] ?? 0), evidence: Number(last[2] ?? 0) } })
    })
  })

const replayProblems = (header: TimelineHeader, records: ReadonlyArray<TimelineRecord>) =>
  checkReplay(header, records).map(({ message }) => message)

/**
 * Reads what is left, as `rspp timeline verify` and `rspp replay` do, and says what of the promise is broken: everything
 * that the disk had taken is read back, the tear is named and lies behind it, every closed turn has its evidence, and what
 * is there replays identical.
 */
export const examine = async ({ path, safe }: Pick<Killed, "path" | "safe">): Promise<Left> => {
  const exit = await Effect.runPromiseExit(
    Effect.provide(Effect.exit(read(path, { validate: true })), NodeFileSystem.layer)
  )
  if (Exit.isFailure(exit)) throw new Error("the reader broke")
  const result = exit.value
  if (Exit.isFailure(result)) {
    const problems = safe.bytes === 0 ? [] : [`${safe.bytes} bytes were safe, and nothing can be read`]
    return { tear: "before", records: 0, evidence: 0, problems }
  }
  const { header, records, tear } = result.value
  const problems: Array<string> = []
  if (tear === undefined) problems.push("it does not say that it was cut off")
  else if (tear.offset < safe.bytes) {
    problems.push(`${safe.bytes} bytes were safe, and it is read up to byte ${tear.offset} (${tear.reason})`)
  }
  const evidence = records.filter(({ record }) => record === "evidence").length
  if (evidence < safe.evidence) {
    problems.push(`evidence of ${safe.evidence} turns was safe, that of ${evidence} is there`)
  }
  const closed = new Set(
    records.flatMap((record) =>
      record.record === "signal" && record.signal.signal === "close" ? [record.signal.turn_id] : []
    )
  )
  for (const { complete, contradicted, missing, turn_id } of evidenceCompleteness(records)) {
    // What comes after the close, until the grace is over, is not there when the process dies in between.
    const lacks = missing.filter((field) => !/^(?:supplement|invocations|cancel)/u.test(field))
    if (!complete && closed.has(turn_id) && (lacks.length > 0 || contradicted.length > 0)) {
      problems.push(`the evidence of ${turn_id} is not complete: ${[...lacks, ...contradicted].join(", ")}`)
    }
  }
  problems.push(...replayProblems(header, records))
  // Behind the last frame there is nothing, or the zeros of the room that was taken in advance.
  const behind = readFileSync(path).subarray(tear?.offset ?? Number.POSITIVE_INFINITY)
  return {
    tear: behind.some((byte) => byte !== 0) ? "inside" : "between",
    records: records.length,
    evidence,
    problems
  }
}
