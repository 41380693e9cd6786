import { jsonLines } from "@rspp/timeline/export/JsonLines"
import { perfettoTrace } from "@rspp/timeline/export/Perfetto"
import { Effect, FileSystem, Stream } from "effect"
import { checkTextOutput, notWritable } from "../OutputFiles.ts"
import { Screen } from "../Screen.ts"
import type { AccessFlags } from "../TimelineAccess.ts"
import { openTimeline } from "../TimelineAccess.ts"
import { tellTear } from "../TimelineFile.ts"

export interface ExportFlags extends AccessFlags {
  readonly file: string
  readonly format: "jsonl" | "otlp" | "perfetto"
  readonly output: string | undefined
}

const whatNext = {
  jsonl: "",
  otlp:
    "; send it to a collector: curl -H content-type:application/json --data-binary @FILE http://localhost:4318/v1/traces",
  perfetto: "; open it at https://ui.perfetto.dev"
} as const

/** Pieces of text that are written at once. */
const piecesPerWrite = 512

/** `rspp timeline export`: the timeline in a format that other tools read; to a file, which is replaced, or to stdout. */
export const exportTimeline = Effect.fn("rspp.timeline.export")(function*(flags: ExportFlags) {
  const { file, format, output } = flags
  const screen = yield* Screen
  const timeline = yield* openTimeline(file, "export", flags)
  const pieces = format === "jsonl"
    ? jsonLines(timeline)
    : format === "perfetto"
    ? perfettoTrace(timeline)
    // A tenth of a second of modules, for those who want spans only.
    : (yield* Effect.promise(() => import("@rspp/timeline/export/OtlpTrace"))).otlpTrace(timeline)
  if (output === undefined) {
    for (const piece of pieces) screen.raw(piece)
    return yield* tellTear(file, timeline)
  }
  yield* checkTextOutput(output, [file])
  const fs = yield* FileSystem.FileSystem
  yield* Stream.fromIterable(pieces, { chunkSize: piecesPerWrite }).pipe(
    Stream.encodeText,
    Stream.run(fs.sink(output)),
    Effect.mapError(() => notWritable(output))
  )
  screen.note(`${output}: written${whatNext[format]}`)
  return yield* tellTear(file, timeline)
})
