import { jsonLines } from "@rspp/timeline/export/JsonLines"
import { perfettoTrace } from "@rspp/timeline/export/Perfetto"
import { Effect, FileSystem, Stream } from "effect"
import { checkTextOutput } from "../OutputFiles.ts"
import { Screen } from "../Screen.ts"
import type { AccessFlags } from "../TimelineAccess.ts"
import { openTimeline } from "../TimelineAccess.ts"
import { tellTear } from "../TimelineFile.ts"

export interface ExportFlags extends AccessFlags {
  readonly file: string
  readonly format: "jsonl" | "perfetto"
  readonly output: string | undefined
}

/** Pieces of text that are written at once. */
const piecesPerWrite = 512

/** `rspp timeline export`: the timeline in a format that other tools read; to a file, which is replaced, or to stdout. */
export const exportTimeline = Effect.fn("rspp.timeline.export")(function*(flags: ExportFlags) {
  const { file, format, output } = flags
  const screen = yield* Screen
  const timeline = yield* openTimeline(file, "export", flags)
  const pieces = format === "jsonl" ? jsonLines(timeline) : perfettoTrace(timeline)
  if (output === undefined) {
    for (const piece of pieces) screen.raw(piece)
    return yield* tellTear(file, timeline)
  }
  yield* checkTextOutput(output, [file])
  const fs = yield* FileSystem.FileSystem
  yield* Stream.fromIterable(pieces, { chunkSize: piecesPerWrite }).pipe(
    Stream.encodeText,
    Stream.run(fs.sink(output))
  )
  screen.note(`${output}: written${format === "perfetto" ? "; open it at https://ui.perfetto.dev" : ""}`)
  return yield* tellTear(file, timeline)
})
