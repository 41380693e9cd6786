import { read } from "@rspp/timeline/format/TimelineReader"
import { openAtTear, repaired } from "@rspp/timeline/format/TimelineRepair"
import { mustBeFree } from "@rspp/timeline/recorder/WriterLock"
import { Effect, FileSystem } from "effect"
import { CliFailure } from "../CliFailure.ts"
import { notWritable, parentMustExist } from "../OutputFiles.ts"
import { Screen } from "../Screen.ts"

export interface RepairFlags {
  readonly file: string
  readonly to: string | undefined
  readonly json: boolean
}

/** `rspp timeline repair`: what can be read of a torn file, as a whole file of its own. The torn one stays as it is. */
export const repairTimeline = Effect.fn("rspp.timeline.repair")(function*({ file, json, to }: RepairFlags) {
  const fs = yield* FileSystem.FileSystem
  const screen = yield* Screen
  yield* mustBeFree(file)
  const timeline = yield* read(file)
  const { records, tear } = timeline
  if (tear === undefined) {
    if (json) screen.line(JSON.stringify({ file, repaired: false }))
    else screen.line(`${file}: whole, there is nothing to repair`)
    return undefined
  }
  const path = to ?? `${file.replace(/\.timeline$/u, "")}.repaired.timeline`
  yield* parentMustExist(path)
  const bytes = yield* fs.readFile(file)
  yield* fs.writeFile(path, repaired(bytes, timeline), { flag: "wx", mode: 0o600 }).pipe(
    Effect.mapError((error) =>
      error.reason._tag === "AlreadyExists"
        ? new CliFailure({ exit: "usage", message: `${path} exists already`, hint: "Give another name with --to." })
        : notWritable(path)
    )
  )
  const open = [...openAtTear(timeline)]
  // Zeros are room that the writer had taken in advance.
  const behind = bytes.subarray(tear.offset)
  const left_out = behind.some((byte) => byte !== 0) ? behind.length : 0
  const had = records.at(-1)?.record === "end"
  if (json) {
    const { offset, reason } = tear
    // The header, and the end where it was missing, count too.
    const count = records.length + (had ? 1 : 2)
    screen.line(JSON.stringify({ file, repaired: true, to: path, records: count, offset, reason, left_out, open }))
    return undefined
  }
  screen.line(
    `${path}: ${records.length + 1} records of ${file}, unchanged${
      had ? "; its end was there" : ", and an end record that says \"repaired\""
    }`
  )
  if (left_out > 0) {
    screen.line(`  ${left_out} bytes from byte ${tear.offset} on are left out: they cannot be read (${tear.reason})`)
  }
  for (const turn of open) screen.line(`  ${turn} was open when the recording stopped: nothing more is known of it`)
  return undefined
})
