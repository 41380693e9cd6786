import { Effect, FileSystem, Path } from "effect"
import type { ReplayedFile } from "./ReplayCheck.ts"
import type { ReplaySummary } from "./ReplayTally.ts"
import { makeStyle } from "./Screen.ts"
import { reportMarkdown } from "./view/ReplayMarkdown.ts"
import type { ReportTitle } from "./view/ReplayMarkdown.ts"
import { replayLines } from "./view/ReplayText.ts"
import { makeDirectories, notWritable } from "./OutputFiles.ts"

/** Divergences of a file that the report lists without their records; the first has both sides in full. */
const listedDivergences = 16

/** What a report keeps of a file: little where it is identical. */
export type ReportedFile =
  | (Omit<ReplayedFile, "divergences"> & {
    readonly divergences?: ReadonlyArray<
      { readonly divergence_class: string; readonly scope: string; readonly message: string }
    >
    readonly text: ReadonlyArray<string>
  })
  | { readonly file: string; readonly verdict: "bad"; readonly error: string }

export const reported = (replayed: ReplayedFile): ReportedFile => {
  const { divergences, ...rest } = replayed
  return {
    ...rest,
    ...(divergences === undefined ? {} : {
      divergences: divergences.slice(0, listedDivergences).map(({ divergence_class, message, scope }) => ({
        divergence_class,
        scope,
        message
      }))
    }),
    text: replayed.verdict === "identical" && replayed.whatIf === undefined
      ? []
      : replayLines(replayed, makeStyle(false))
  }
}

/** `report.json` and `report.md` in a directory, which is made when it is not there. Files of these names are replaced. */
export const writeReport = Effect.fn("writeReport")(function*(
  directory: string,
  title: ReportTitle,
  summary: ReplaySummary,
  files: ReadonlyArray<ReportedFile>
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  yield* makeDirectories(directory)
  const json = { summary, files: files.map(withoutText) }
  const write = (name: string, text: string) =>
    Effect.mapError(
      fs.writeFileString(path.join(directory, name), text),
      () => notWritable(path.join(directory, name))
    )
  yield* write("report.json", `${JSON.stringify(json, null, 2)}\n`)
  yield* write("report.md", reportMarkdown(title, summary, files))
})

const withoutText = (file: ReportedFile) => {
  if (file.verdict === "bad") return file
  const { text: _, ...rest } = file
  return rest
}
