import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { withFiles } from "@rspp/timeline/test/recorder/support/Disk"
import { mountDisk } from "@rspp/timeline/test/recorder/support/MountedDisk"
import { Effect, FileSystem } from "effect"
import { systemError } from "effect/PlatformError"
import type { Figure, Measure } from "../Figure.ts"
import { percentile } from "../Figure.ts"
import type { Disk, DiskRun } from "../DiskSession.ts"
import { onDisk, refusedOn } from "../DiskSession.ts"

const pairs = 5
const warmUp = 60
const cuts = 300
/** A pair keeps the bound with this ratio of the two p99, or with this difference. */
const ratioBound = 1.2
const differenceBoundMs = 0.2

const temporary = (): string => mkdtempSync(`${tmpdir()}/rspp-disks-`)

/** Each write and each sync takes this long, in ms. */
const slowMs = 250

const slowDisk = (real: FileSystem.FileSystem) =>
  withFiles(real, (file) => ({
    writeAll: (buffer) => Effect.andThen(Effect.sleep(slowMs), file.writeAll(buffer)),
    sync: Effect.andThen(Effect.sleep(slowMs), Effect.suspend(() => file.sync))
  }))

/** As after an error of the device: the file was opened, and nothing more may be written. */
const turnedReadOnly = (real: FileSystem.FileSystem) =>
  withFiles(real, (file) => {
    let written = 0
    return {
      writeAll: (buffer) => {
        written += buffer.length
        return written < 300_000 ? file.writeAll(buffer) : Effect.fail(systemError({
          _tag: "Unknown",
          module: "FileSystem",
          method: "writeAll",
          cause: Object.assign(new Error("read-only file system"), { code: "EROFS" })
        }))
      }
    }
  })

/** One way in which a disk is bad. */
interface Bad {
  readonly name: string
  /** How it comes about, for who reads the figures. */
  readonly how: string
  /** One run on it. */
  readonly run: () => Promise<DiskRun>
  /** What is wrong with the outcome; undefined when it is the contract's. */
  readonly wrong: (run: DiskRun) => string | undefined
}

const inTemporary = async (disk: Omit<Disk, "directory">): Promise<DiskRun> => {
  const directory = temporary()
  try {
    return await onDisk({ directory, ...disk }, warmUp, cuts)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const refusedEvidence = "recording_evidence_unavailable"
const count = ({ terminals }: DiskRun, how: string): number => terminals.get(how) ?? 0
/** Every turn was cut but the last, which T9 ended. */
const endedByT9 = (run: DiskRun): string | undefined =>
  count(run, refusedEvidence) !== 1
    ? `${count(run, refusedEvidence)} turns ended with abort(${refusedEvidence}), and the last one was to`
    : count(run, "commit") > 1
    ? "a turn committed without evidence"
    : undefined

const bad: ReadonlyArray<Bad> = [
  {
    name: "full",
    how: "a tmpfs of 640 KB that the recording itself fills",
    run: async () => {
      using disk = mountDisk("640k")
      writeFileSync(`${disk.directory}/others`, new Uint8Array(544 * 1024))
      return await onDisk({ directory: disk.directory }, warmUp, cuts)
    },
    // The room that was kept takes every terminal until it is used up, and the end of the file.
    wrong: (run) => endedByT9(run) ?? (run.file.torn ? "the file is torn" : undefined)
  },
  {
    name: "read-only, refused",
    how:
      "a tmpfs that is mounted read-only: sessions that are to record there are refused, two a second, beside the session that is measured",
    run: async () => {
      using disk = mountDisk("640k")
      disk.readOnly()
      let over = false
      const refused = refusedOn({ directory: disk.directory }, () => over)
      const run = await inTemporary({}).finally(() => {
        over = true
      })
      if (await refused < 2) throw new Error("too few sessions were tried")
      return run
    },
    wrong: (run) => count(run, refusedEvidence) > 0 ? "a turn of the other session was ended" : undefined
  },
  {
    name: "read-only, in mid-call",
    how:
      "a stub at the lowest port (FileSystem): every write fails with EROFS from 300 KB on, room that is taken ahead included; a file system with an open file cannot be remounted",
    run: () => inTemporary({ files: turnedReadOnly }),
    // Nothing can be written any more: the file ends where it was, and can be read up to there.
    wrong: (run) => endedByT9(run) ?? (run.file.closed === 0 ? "nothing of the file can be read" : undefined)
  },
  {
    name: "slow",
    how: `a stub at the lowest port (FileSystem): every write and every sync takes ${slowMs} ms`,
    run: () => inTemporary({ files: slowDisk }),
    wrong: (run) =>
      run.downgrades[0] !== "append_queue_fill:L2_to_L1" || run.downgrades[1] !== "append_queue_fill:L1_to_L0"
        ? `the level did not go down: ${run.downgrades.join(", ") || "no downgrade"}`
        : run.file.torn
        ? "the file is torn"
        : undefined
  }
]

const outcome = ({ downgrades, file, preempted, terminals }: DiskRun): string =>
  [
    [...terminals].map(([how, times]) => `${times} × ${how === "commit" ? how : `abort(${how})`}`).join(", "),
    ...(downgrades.length === 0 ? [] : [downgrades.join(", ")]),
    ...(preempted === 0 ? [] : [`${preempted} cuts left out, the system had taken the processor away`]),
    `${file.closed} closes in the file${file.torn ? ", which has no end" : ""}${
      file.lost === 0 ? "" : `, which says that it lacks ${file.lost} records`
    }`
  ].join("; ")

const median = (values: ReadonlyArray<number>): number => percentile(values, 0.5)

const p99 = ({ samples }: DiskRun): number => percentile(samples, 0.99)

const figuresOf = async (
  { how, name, run, wrong }: Bad,
  tell: (progress: string) => void
): Promise<ReadonlyArray<Figure>> => {
  const quiet: Array<number> = []
  const on: Array<number> = []
  let last: DiskRun | undefined
  for (let pair = 1; pair <= pairs; pair++) {
    try {
      // Which of the two comes first changes from pair to pair.
      const inTurn = pair % 2 === 1
      if (inTurn) quiet.push(p99(await inTemporary({})))
      last = await run()
      on.push(p99(last))
      if (!inTurn) quiet.push(p99(await inTemporary({})))
    } catch (error) {
      if (pair === 1 && error instanceof Error && "stderr" in error) {
        return [{
          name: `${name} disk: not run`,
          value: 0,
          unit: "pairs",
          note: `${how}: ${String(error.stderr).trim()}`
        }]
      }
      throw error
    }
    const problem = wrong(last)
    if (problem !== undefined) throw new Error(`${name} disk: ${problem} (${outcome(last)})`)
    tell(`${name}, pair ${pair} of ${pairs}: p99 ${on.at(-1)?.toFixed(3)} ms, quiet ${quiet.at(-1)?.toFixed(3)} ms`)
  }
  const ratio = median(on.map((ms, pair) => ms / (quiet[pair] ?? 0)))
  const difference = median(on.map((ms, pair) => ms - (quiet[pair] ?? 0)))
  // One of the two is to hold; where none does, both say so.
  const byRatio = ratio <= ratioBound
  const byDifference = difference <= differenceBoundMs
  return [
    {
      name: `${name} disk: cancel → fence p99 ÷ that of the quiet run`,
      value: ratio,
      unit: "×",
      ...(byRatio || !byDifference ? { bound: { atMost: ratioBound } } : {}),
      note: `${how}. ${outcome(last as DiskRun)}`
    },
    {
      name: `${name} disk: cancel → fence p99 − that of the quiet run`,
      value: difference,
      unit: "ms",
      ...(!byRatio ? { bound: { atMost: differenceBoundMs } } : {}),
      note: `p99 of the pairs, ms, quiet and then on it: ${
        on.map((ms, pair) => `${(quiet[pair] ?? 0).toFixed(3)} ${ms.toFixed(3)}`).join(", ")
      }`
    }
  ]
}

const measure: Measure = {
  about:
    `A live session that records to a bad disk at L2, and the same to a good one, in ${pairs} pairs one after the other: from a message at the door that cuts the agent to its transport's queue cleared, ${cuts} cuts a run, without those during which the system took the processor away from the process. Medians of the pairs; a disk keeps the bound when the ratio is at most ${ratioBound} or the difference at most ${differenceBoundMs} ms. An outcome that is not the contract's breaks the benchmark.`,
  run: async (tell) => {
    const figures: Array<Figure> = []
    for (const one of bad) figures.push(...await figuresOf(one, tell))
    return figures
  }
}
export default measure
