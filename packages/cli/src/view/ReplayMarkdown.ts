import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { ReportedFile } from "../ReplayReportFiles.ts"
import type { ReplaySummary } from "../ReplayTally.ts"
import { summaryLines } from "../ReplayTally.ts"
import { makeStyle } from "../Screen.ts"
import { totalsText } from "./ReplayText.ts"

/** What the replay was run with, in words: a mode, settings. */
export type ReportTitle = ReadonlyArray<string>

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ")

/** The anchor that a heading has on GitHub and in most viewers. */
const anchor = (heading: string) => heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")

const pretty = (value: unknown): ReadonlyArray<string> =>
  value === undefined ? [] : JSON.stringify(JSON.parse(canonicalJson(value)), null, 2).split("\n")

/** The lines of both, those of one side marked; both are records, so a few dozen lines. */
const sideBySide = (recorded: ReadonlyArray<string>, replayed: ReadonlyArray<string>): ReadonlyArray<string> => {
  const width = replayed.length + 1
  // Longest common subsequence, from the end.
  const common = new Uint32Array((recorded.length + 1) * width)
  for (let i = recorded.length - 1; i >= 0; i--) {
    for (let j = replayed.length - 1; j >= 0; j--) {
      common[i * width + j] = recorded[i] === replayed[j]
        ? (common[(i + 1) * width + j + 1] ?? 0) + 1
        : Math.max(common[(i + 1) * width + j] ?? 0, common[i * width + j + 1] ?? 0)
    }
  }
  const lines: Array<string> = []
  let [i, j] = [0, 0]
  while (i < recorded.length || j < replayed.length) {
    if (i < recorded.length && j < replayed.length && recorded[i] === replayed[j]) {
      lines.push(`  ${recorded[i]}`)
      i++
      j++
    } else if (
      j >= replayed.length ||
      (i < recorded.length && (common[(i + 1) * width + j] ?? 0) >= (common[i * width + j + 1] ?? 0))
    ) lines.push(`- ${recorded[i++]}`)
    else lines.push(`+ ${replayed[j++]}`)
  }
  return lines
}

/** Lines of a record that are shown; the report for machines has all. */
const maxLines = 120

const sides = (recorded: unknown, replayed: unknown): ReadonlyArray<string> => {
  if (recorded === undefined && replayed === undefined) return []
  const lines = sideBySide(pretty(recorded), pretty(replayed))
  const more = lines.length > maxLines ? [`  … and ${lines.length - maxLines} lines more, in report.json`] : []
  return ["", "`-` is in the recording, `+` in the replay:", "", "```diff", ...lines.slice(0, maxLines), ...more, "```"]
}

const verdictOf = (file: ReportedFile): string =>
  file.verdict === "diverged" && file.whatIf !== undefined ? "differs" : file.verdict.replace("_", " ")

/** In a word or two what is the matter with a file. */
const gist = (file: ReportedFile): string => {
  if (file.verdict === "bad") {
    return file.error.startsWith(`${file.file}: `)
      ? file.error.slice(file.file.length + 2)
      : file.error
  }
  const { divergence, tear, whatIf } = file
  if (whatIf !== undefined && file.verdict !== "damaged") {
    const effect = totalsText(whatIf.effects.totals) || "no turn goes another way"
    return whatIf.unknown_beyond === undefined
      ? effect
      : `${effect}; unknown beyond ${(whatIf.unknown_beyond.runtime_timestamp_ms / 1000).toFixed(3)} s`
  }
  if (divergence !== undefined) return `${divergence.divergence_class}: ${divergence.message}`
  return tear === undefined ? "" : `cut off at byte ${tear.offset}, after ${tear.recordsBefore} records`
}

/** True for a file that the reader of the report wants to look at. */
const isNotable = (file: ReportedFile): boolean => {
  if (file.verdict === "bad" || file.verdict === "damaged" || file.whatIf === undefined) {
    return file.verdict !== "identical"
  }
  const { changes, effects, unknown_beyond } = file.whatIf
  return changes.length > 0 || effects.turns.length > 0 || unknown_beyond !== undefined
}

const details = (file: ReportedFile): ReadonlyArray<string> => {
  if (file.verdict === "bad" || file.text.length === 0) return []
  const { divergence, text } = file
  const [, ...lines] = text.filter((line) => !line.startsWith("  recorded  ") && !line.startsWith("  replayed  "))
  return [
    "",
    `## ${file.file}`,
    "",
    `${verdictOf(file)}, after ${file.records} identical records`,
    ...(lines.length === 0 ? [] : ["", "```text", ...lines.map((line) => line.replace(/^ {2}/u, "")), "```"]),
    ...sides(divergence?.recorded, divergence?.replayed)
  ]
}

/**
 * The report for people: what was asked, the count, every file with something to look at (first those that are worst), each
 * of them in detail with both sides of its first difference, and last the names of the others, folded.
 */
export const reportMarkdown = (
  title: ReportTitle,
  summary: ReplaySummary,
  files: ReadonlyArray<ReportedFile>
): string => {
  const order = ["diverged", "damaged", "bad", "incomplete", "as_expected", "identical"]
  const notable = files.filter(isNotable).toSorted((a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict))
  const others = files.filter((file) => !isNotable(file))
  const rows = notable.map((file) => {
    const name = file.verdict === "bad" ? cell(file.file) : `[${cell(file.file)}](#${anchor(file.file)})`
    const turns = file.verdict === "bad" ? "" : file.turns
    return `| ${name} | ${verdictOf(file)} | ${turns} | ${cell(gist(file))} |`
  })
  const what = summary.what_if === undefined ? "first divergence, or what is wrong" : "what would differ"
  return [
    "# Replay",
    "",
    ...title.map((line) => `- ${line}`),
    ...summaryLines(summary, makeStyle(false)).map((line) => `- ${line}`),
    ...(notable.length === 0
      ? []
      : ["", `| file | verdict | turns | ${what} |`, "| --- | --- | --- | --- |", ...rows]),
    ...notable.flatMap(details),
    ...(others.length === 0 ? [] : [
      "",
      "<details>",
      `<summary>${others.length} without a difference</summary>`,
      "",
      ...others.map((file) =>
        `- ${file.file}${file.verdict === "bad" ? "" : `: ${file.turns} turns, ${file.records} records`}`
      ),
      "",
      "</details>"
    ]),
    ""
  ].join("\n")
}
