import { pathStages } from "@rspp/timeline/latency/TurnPath"
import type { SloReport } from "@rspp/timeline/slo/SloReport"
import {
  boundText,
  findingText,
  headText,
  listedGates,
  noticeTexts,
  shownTurns,
  stageCells,
  valueText,
  verdictText
} from "./SloText.ts"

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ")

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> =>
  rows.flatMap((row, i) => [
    `| ${row.map(cell).join(" | ")} |`,
    ...(i === 0 ? [`| ${row.map(() => "---").join(" | ")} |`] : [])
  ])

/** The report as a page: the same numbers as the table on the terminal. */
export const sloMarkdown = (report: SloReport): string => {
  const stages = pathStages.flatMap((name) => {
    const stage = report.critical_path[name]
    return stage === undefined ? [] : [[`\`${name}\``, ...stageCells(stage)]]
  })
  const { kernel_overhead: kernel } = report
  const notices = noticeTexts(report)
  return `${
    [
      "# SLO report",
      "",
      `${headText(report)}. Percentiles are by nearest rank.`,
      "",
      ...table([
        ["gate", "verdict", "samples", "bound", "measured", "what it is"],
        ...report.gates.map((gate) => [
          `\`${gate.gate}\``,
          verdictText[gate.verdict],
          `${gate.samples}`,
          boundText(gate),
          valueText(gate),
          gate.meaning
        ])
      ]),
      "",
      "## Critical path",
      "",
      ...(stages.length === 0
        ? ["No turn reached a stage."]
        : table([["stage", "p50 ms", "p95 ms", "max ms", "share", "turns", "spent by"], ...stages])),
      "",
      kernel === undefined
        ? "The kernel's own time in a turn was not measured: no turn ran in real time."
        : `The kernel's own time in a turn: p50 ${kernel.p50_ms} ms, p95 ${kernel.p95_ms} ms, max ${kernel.max_ms} ms (${kernel.samples} turns).`,
      ...listedGates(report).flatMap(({ findings, gate, verdict }) => [
        "",
        `## ${gate}: ${verdict === "fail" ? "worst or wrong" : "slowest"}`,
        "",
        ...findings.slice(0, shownTurns).map((finding) => `- ${findingText(finding)}`)
      ]),
      ...(notices.length === 0 ? [] : ["", "## Files", "", ...notices.map((notice) => `- ${notice}`)])
    ].join("\n")
  }\n`
}
