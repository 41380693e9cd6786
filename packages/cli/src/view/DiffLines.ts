import type {
  FieldDifference,
  SignalDifference,
  TimelineDifference,
  TurnFacts
} from "@rspp/timeline/export/TimelineDiff"
import type { Style } from "../Screen.ts"

/** Lines of one list that are shown; `--json` has all. */
const maxLines = 24

const limited = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length <= maxLines
    ? lines
    : [...lines.slice(0, maxLines), `  … and ${lines.length - maxLines} more (--json has all)`]

const brief = (value: unknown): string => {
  if (value === undefined) return "absent"
  const text = typeof value === "string" ? value : JSON.stringify(value)
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`
}

const fieldText = ({ a, b, path }: FieldDifference): string => `${path}: ${brief(a)} → ${brief(b)}`

const turnText = ({ ending, open_ms }: TurnFacts, clock: (ms: number) => string): string =>
  `${open_ms === undefined ? "never opened" : `opened ${clock(open_ms)}`}, ${ending ?? "without an ending"}`

const signalText = (
  { a_ms, b_ms, edge_id, reason, signal, turn_id }: SignalDifference,
  clock: (ms: number) => string
): string => {
  const what = [turn_id, signal, reason, edge_id].filter((part) => part !== undefined).join(" ")
  if (b_ms === undefined) return `  - ${clock(a_ms ?? 0)}  ${what}`
  if (a_ms === undefined) return `  + ${clock(b_ms)}  ${what}`
  const later = b_ms - a_ms
  return `  ~ ${clock(a_ms)}  ${what}: ${later > 0 ? "+" : ""}${later} ms`
}

/** How two recordings differ, for people: `-` is only in the first, `+` only in the second, `~` in both at other times. */
export const diffLines = (
  a: string,
  b: string,
  { first, header, identical, signals, turns }: TimelineDifference,
  style: Style,
  clock: (ms: number) => string
): ReadonlyArray<string> => {
  if (identical) return [`${a} and ${b}: ${style.green("identical")}`]
  const lines = [`${a} and ${b}: ${style.red("differ")}`]
  if (header.length > 0) lines.push("header", ...limited(header.map((field) => `  ${fieldText(field)}`)))
  if (first === undefined) lines.push("the records are the same")
  else {
    const where = [
      `record ${first.ordinal}`,
      first.at_ms === undefined ? undefined : `at ${clock(first.at_ms)}`,
      first.turn_id === undefined ? undefined : `in ${first.turn_id}`
    ].filter((part) => part !== undefined).join(" ")
    const what = first.a === first.b
      ? first.a ?? ""
      : `${first.a ?? "nothing any more"} in the first, ${first.b ?? "nothing any more"} in the second`
    lines.push(`first difference: ${where}: ${what}`, ...limited(first.fields.map((field) => `  ${fieldText(field)}`)))
  }
  if (turns.length > 0) {
    lines.push(
      "turns",
      ...limited(turns.map(({ a, b, fields, turn_id }) => {
        if (b === undefined && a !== undefined) return `  - ${turn_id}: ${turnText(a, clock)}`
        if (a === undefined && b !== undefined) return `  + ${turn_id}: ${turnText(b, clock)}`
        return `  ~ ${turn_id}: ${fields.map(fieldText).join("; ")}`
      }))
    )
  }
  if (signals.length > 0) lines.push("signals", ...limited(signals.map((signal) => signalText(signal, clock))))
  return lines
}
