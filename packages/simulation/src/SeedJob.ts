import { createHash } from "node:crypto"
import { writeFileSync, writeSync } from "node:fs"
import { encodeTimeline } from "@rspp/timeline/format/TimelineEncoder"
import { clock } from "@rspp/timeline/export/TimelineText"
import { difference, seedBytes } from "./Meta.ts"
import type { Difference } from "./Meta.ts"
import { pinned } from "./Pins.ts"
import type { Pins } from "./Pins.ts"
import { runSeed } from "./Run.ts"
import type { SeedResult } from "./Run.ts"
import { endOfPrint } from "./SeedProcess.ts"
import { reportOf } from "./SeedReport.ts"
import type { SeedReport } from "./SeedReport.ts"

/** What a worker process is asked for. */
export type SeedJob =
  /** Run the seed and check it; `trace` prints each line of the live trace, `out` is a timeline file to write. */
  | {
    readonly job: "run"
    readonly seed: number
    readonly pins: Pins
    readonly trace?: boolean
    readonly out?: string
  }
  /** Run the seed, twice for a comparison in this process, and give a hash of the bytes. */
  | { readonly job: "bytes"; readonly seed: number; readonly pins: Pins; readonly twice: boolean }
  /** The bytes of the last job in full. */
  | { readonly job: "text" }

/** What it answers. */
export interface SeedAnswers {
  readonly run: SeedReport
  readonly bytes: { readonly sha256: string; readonly differences: ReadonlyArray<Difference> }
  readonly text: string
}

let lastBytes = ""

/** Does one job. Runs in a worker process: a seed may hold it for long, and may never end. */
export const doJob = (asked: SeedJob): SeedAnswers[SeedJob["job"]] => {
  switch (asked.job) {
    case "run": {
      const { out, pins, seed, trace } = asked
      const result = runSeed(seed, {
        ...pinned(pins),
        ...(trace === true ? { trace: (atMs: number, line: string) => print(`${clock(atMs)}  ${line}\n`) } : {})
      })
      if (trace === true) print(endOfPrint)
      if (out !== undefined) writeTimeline(out, result)
      return reportOf(result)
    }
    case "bytes": {
      const { pins, seed, twice } = asked
      const first = seedBytes(seed, pinned(pins))
      lastBytes = first
      return {
        sha256: createHash("sha256").update(first).digest("hex"),
        differences: twice ? difference(seed, "the same process", first, seedBytes(seed, pinned(pins))) : []
      }
    }
    case "text":
      return lastBytes
  }
}

/** Written at once: a world that hangs afterwards has shown how far it came. */
const print = (text: string): void => {
  let bytes: Uint8Array = Buffer.from(text)
  while (bytes.length > 0) bytes = bytes.subarray(writeSync(1, bytes))
}

/** Everything that happened, as a timeline file, whatever the simulated disk kept of it. The file must not exist. */
const writeTimeline = (path: string, { sessions }: SeedResult): void => {
  const [session] = sessions
  if (session?.header === undefined) return
  writeFileSync(path, encodeTimeline(session.header, session.records.map((record) => [record])), { flag: "wx" })
}
