import { Effect, FileSystem, Path } from "effect"
import type { ReplayedFile } from "./ReplayCheck.ts"
import type { ReplaySummary } from "./ReplayTally.ts"
import { summaryLines } from "./ReplayTally.ts"
import { makeStyle } from "./Screen.ts"
import { replayLines, totalsText } from "./view/ReplayText.ts"
import { makeDirectories } from "./OutputFiles.ts"

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
  summary: ReplaySummary,
  files: ReadonlyArray<ReportedFile>
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  yield* makeDirectories(directory)
  const json = { summary, files: files.map(withoutText) }
  yield* fs.writeFileString(path.join(directory, "report.json"), `${JSON.stringify(json, null, 2)}\n`)
  yield* fs.writeFileString(path.join(directory, "report.md"), markdown(summary, files))
})

const withoutText = (file: ReportedFile) => {
  if (file.verdict === "bad") return file
  const { text: _, ...rest } = file
  return rest
}

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ")

const markdown = (summary: ReplaySummary, files: ReadonlyArray<ReportedFile>): string => {
  const rows = files.map((file) => {
    if (file.verdict === "bad") return `| ${cell(file.file)} | bad | | | ${cell(file.error)} |`
    const { divergence, records, turns, verdict, whatIf } = file
    const effect = whatIf === undefined ? "" : totalsText(whatIf.effects.totals)
    const first = divergence === undefined ? effect : `${divergence.divergence_class}: ${divergence.message}`
    return `| ${cell(file.file)} | ${verdict} | ${turns} | ${records} | ${
      cell(whatIf === undefined ? first : effect)
    } |`
  })
  const details = files.flatMap((file) => {
    if (file.verdict === "bad" || file.text.length === 0) return []
    const { divergence } = file
    const side = (name: string, record: unknown) =>
      record === undefined ? [] : ["", `${name}:`, "", "```json", JSON.stringify(record, null, 2), "```"]
    return [
      "",
      `## ${file.file}`,
      "",
      "```",
      ...file.text.filter((line) => !line.startsWith("  recorded  ") && !line.startsWith("  replayed  ")),
      "```",
      ...side("Recorded", divergence?.recorded),
      ...side("Replayed", divergence?.replayed)
    ]
  })
  return [
    "# Replay",
    "",
    ...summaryLines(summary, makeStyle(false)),
    "",
    "| file | verdict | turns | identical records | first divergence, or what would change |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    ...details,
    ""
  ].join("\n")
}
