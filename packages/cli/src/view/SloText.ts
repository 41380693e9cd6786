import type { GateResult, SloFinding, SloReport, SloVerdict, StageResult } from "@rspp/timeline/slo/SloReport"
import { pathStages } from "@rspp/timeline/latency/TurnPath"
import type { Style } from "../Screen.ts"

/** How each verdict is said to people. */
export const verdictText: Readonly<Record<SloVerdict, string>> = { pass: "pass", fail: "FAIL", not_run: "not run" }

/** `p95 ≤ 1500 ms`, `0`, `100 %`. */
export const boundText = ({ bound }: GateResult): string => {
  if ("accepted" in bound) return `${bound.accepted}`
  if ("percent" in bound) return `${bound.percent} %`
  return [
    ...(bound.p50_ms === undefined ? [] : [`p50 ≤ ${bound.p50_ms} ms`]),
    ...(bound.p95_ms === undefined ? [] : [`p95 ≤ ${bound.p95_ms} ms`])
  ].join(", ")
}

/** What was found, in the words of the bound. */
export const valueText = ({ samples, value }: GateResult): string => {
  if (value === undefined) return samples === 0 ? "–" : "never fenced"
  if ("accepted" in value) return `${value.accepted}`
  if ("percent" in value) return value.not === 0 ? `${value.percent} %` : `${value.percent} %, ${value.not} not`
  const never = (value.unfenced ?? 0) === 0 ? "" : `, ${value.unfenced} never fenced`
  return `p50 ${value.p50_ms}, p95 ${value.p95_ms}, max ${value.max_ms} ms${never}`
}

/** How many lines of what is wrong, or slowest, a gate has for people; `--json` has more. */
export const shownTurns = 5

export const findingText = ({ file, message, ms, turn_id }: SloFinding): string =>
  [ms === undefined ? "" : `${ms} ms`, turn_id, file, message ?? ""].filter((part) => part !== "").join("  ")

/** The time of a stage by who spent it, percent. */
const partsText = (stage: StageResult): string => {
  const part = (ms: number, name: string) =>
    ms === 0 || stage.total_ms === 0 ? [] : [`${Math.round((ms / stage.total_ms) * 100)} % ${name}`]
  return [
    ...part(stage.provider_ms, "provider"),
    ...part(stage.waiting_ms, "by design"),
    ...part(stage.kernel_ms, "kernel"),
    ...part(stage.transport_ms, "transport")
  ].join(", ")
}

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

/** What the report is about, in a line. */
export const headText = ({ clocks, refused, timelines, turns }: SloReport): string =>
  [
    plural(timelines, "timeline"),
    `${plural(turns, "accepted turn")}${refused === 0 ? "" : ` and ${refused} refused`}`,
    `clock: ${clocks.realtime} real, ${clocks.virtual} virtual`
  ].join("; ")

/** What is to be known of the files: nothing is left out silently. */
export const noticeTexts = ({ cut_off, unreadable, without_turns }: SloReport): ReadonlyArray<string> => [
  ...unreadable.map(({ error }) => `not read: ${error}`),
  ...cut_off.map(({ file, open }) =>
    `${file} is cut off or was never closed; ${
      open.length === 0 ? "no turn was open there" : `${open.join(", ")} was open there and is not judged`
    }`
  ),
  ...without_turns.map((file) => `${file} has no accepted turn: it adds nothing`)
]

/** A stage's figures, as both forms of the report have them: p50, p95, longest, share, turns, and who spent the time. */
export const stageCells = (stage: StageResult): ReadonlyArray<string> => [
  `${stage.p50_ms}`,
  `${stage.p95_ms}`,
  `${stage.max_ms}`,
  `${stage.share_percent.toFixed(1)} %`,
  `${stage.samples}`,
  partsText(stage)
]

/** The gates whose turns are listed: those that fail, and how long an answer took. */
export const listedGates = ({ gates }: SloReport): ReadonlyArray<GateResult> =>
  gates.filter(({ findings, gate, verdict }) => findings.length > 0 && (verdict === "fail" || gate === "response_ms"))

const aligned = (rows: ReadonlyArray<ReadonlyArray<string>>, right: ReadonlyArray<number>): ReadonlyArray<string> => {
  const widths = rows.reduce<ReadonlyArray<number>>(
    (wide, row) => row.map((cell, i) => Math.max(wide[i] ?? 0, cell.length)),
    []
  )
  return rows.map((row) =>
    row.map((cell, i) => right.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)).join("  ")
      .trimEnd()
  )
}

/** The report for people: gates, the critical path by stage, the worst turns. */
export const sloLines = (report: SloReport, style: Style): ReadonlyArray<string> => {
  const [head = "", ...gates] = aligned([
    ["gate", "verdict", "samples", "bound", "measured"],
    ...report.gates.map((gate) => [
      gate.gate,
      verdictText[gate.verdict],
      `${gate.samples}`,
      boundText(gate),
      valueText(gate)
    ])
  ], [2])
  const tinted = gates.map((line, i) => {
    const verdict = report.gates[i]?.verdict
    const tint = verdict === "pass" ? style.green : verdict === "fail" ? style.red : style.yellow
    const word = verdict === undefined ? "" : verdictText[verdict]
    return line.replace(` ${word} `, ` ${tint(word)} `)
  })
  const stages = pathStages.flatMap((name) => {
    const stage = report.critical_path[name]
    return stage === undefined ? [] : [[name, ...stageCells(stage)]]
  })
  const [stageHead = "", ...stageLines] = aligned(
    [["critical path", "p50", "p95", "max ms", "share", "turns", "spent by"], ...stages],
    [1, 2, 3, 4, 5]
  )
  const { kernel_overhead: kernel } = report
  return [
    headText(report),
    "",
    style.bold(head),
    ...tinted,
    "",
    ...(stages.length === 0 ? [] : [style.bold(stageHead), ...stageLines]),
    kernel === undefined
      ? "kernel's own time in a turn: not measured (no turn in real time)"
      : `kernel's own time in a turn: p50 ${kernel.p50_ms}, p95 ${kernel.p95_ms}, max ${kernel.max_ms} ms (${kernel.samples})`,
    ...listedGates(report).flatMap(({ findings, gate, verdict }) => [
      "",
      style.bold(verdict === "fail" ? `${gate}, worst or wrong` : `${gate}, slowest`),
      ...findings.slice(0, shownTurns).map((finding) => `  ${findingText(finding)}`),
      ...(findings.length > shownTurns ? [`  … more in --json`] : [])
    ])
  ]
}
