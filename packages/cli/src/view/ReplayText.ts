import type { TimelineRecord } from "@rspp/contracts/Timeline"
import type { ReplayDivergence } from "@rspp/timeline/replay/DivergenceClassifier"
import type { ReplayReport } from "@rspp/timeline/replay/Replayer"
import type { WhatIfTotals } from "@rspp/timeline/replay/WhatIfEffects"
import { hasEffect } from "@rspp/timeline/replay/WhatIfEffects"
import type { ReplayedFile } from "../ReplayCheck.ts"
import type { Style } from "../Screen.ts"

const seconds = (ms: number) => `${(ms / 1000).toFixed(3)} s`

/** One record on one line, short enough to be read. */
const brief = (record: TimelineRecord | undefined): string => {
  if (record === undefined) return "nothing"
  const text = JSON.stringify(record)
  return text.length <= 400 ? text : `${text.slice(0, 399)}…`
}

export const differenceLines = (
  { at, differences, divergence_class, message, recorded, replayed, scope }: ReplayDivergence
): ReadonlyArray<string> => {
  const shown = differences.slice(0, 8).map(({ path, recorded, replayed }) =>
    `  ${path}: ${JSON.stringify(recorded) ?? "absent"} in the recording, ${
      JSON.stringify(replayed) ?? "absent"
    } in the replay`
  )
  const number = recorded === undefined && replayed === undefined ? "" : `, record number ${at.runtime_sequence}`
  return [
    `  ${divergence_class} (${scope}) at ${seconds(at.runtime_timestamp_ms)}${number}`,
    `  ${message}`,
    ...shown,
    ...(recorded === undefined && replayed === undefined
      ? []
      : [`  recorded  ${brief(recorded)}`, `  replayed  ${brief(replayed)}`])
  ]
}

const plural = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`

/** What another setting does, in words; nothing where it does nothing. */
export const totalsText = (totals: WhatIfTotals): string => {
  const parts = [
    [
      totals.turns_cut_in_on,
      plural(totals.turns_cut_in_on, "turn would cut in on the caller", "turns would cut in on the caller")
    ],
    [totals.turns_added, `${plural(totals.turns_added, "turn")} more`],
    [totals.turns_removed, `${plural(totals.turns_removed, "turn")} fewer`],
    [totals.dead_air_added_ms, `${totals.dead_air_added_ms} ms of dead air more`],
    [totals.dead_air_removed_ms, `${totals.dead_air_removed_ms} ms of dead air less`],
    [totals.cancels_added, `${plural(totals.cancels_added, "cancel")} more`],
    [totals.cancels_removed, `${plural(totals.cancels_removed, "cancel")} fewer`],
    [totals.cancels_moved, `${plural(totals.cancels_moved, "cancel")} at another time`],
    [totals.drops_added, `${plural(totals.drops_added, "drop")} more`],
    [totals.drops_removed, `${plural(totals.drops_removed, "drop")} fewer`],
    [totals.terminal_changes, `${plural(totals.terminal_changes, "turn")} would end otherwise`]
  ] as const
  return parts.flatMap(([count, text]) => count === 0 ? [] : [text]).join(", ")
}

const whatIfLines = (whatIf: ReplayReport["whatIf"]): ReadonlyArray<string> => {
  if (whatIf === undefined) return []
  const ms = (value: number | undefined, absent: string) => value === undefined ? absent : `at ${seconds(value)}`
  // What the recording has no answer to may still come later.
  const never = whatIf.unknown_beyond === undefined ? "never" : "not by then"
  return [
    ...whatIf.notRecomputed.map((path) =>
      `  ${path} acts on sound, which is not recorded: what it would have changed cannot be shown`
    ),
    ...(whatIf.changes.length === 0 && whatIf.notRecomputed.length === 0
      ? [
        whatIf.unknown_beyond === undefined
          ? "  up to the end of the recording no turn would have opened, ended or been cut at another time"
          : "  as far as is known, no turn would have opened, ended or been cut at another time"
      ]
      : []),
    ...whatIf.changes.slice(0, 12).map(({ recorded_ms, replayed_ms, turn_id, what }) =>
      `  ${what}${turn_id === undefined ? "" : ` of ${turn_id}`}: ${ms(recorded_ms, "never")} in the recording, ${
        ms(replayed_ms, never)
      } with this setting`
    ),
    ...whatIf.effects.turns.slice(0, 12).map(({ turn, ...effect }) => `  ${turn}: ${totalsText(effect)}`),
    ...(hasEffect(whatIf.effects.totals) ? [`  in total: ${totalsText(whatIf.effects.totals)}`] : []),
    ...(whatIf.unknown_beyond === undefined
      ? []
      : [`  unknown beyond ${seconds(whatIf.unknown_beyond.runtime_timestamp_ms)}: ${whatIf.unknown_beyond.reason}`])
  ]
}

const gateLines = ({ divergences = [], gate }: ReplayedFile): ReadonlyArray<string> => {
  if (gate === undefined) return []
  const more = divergences.length > 1 ? [`  ${divergences.length} divergences in all`] : []
  const other = gate.failures.filter(({ rule }) =>
    rule === "expected_did_not_appear" || rule === "too_many" ||
    rule === "invocation_past_threshold" || rule === "turn_past_threshold" || rule === "ordering_not_approved"
  )
  return [...more, ...other.slice(0, 8).map(({ message, rule }) => `  gate: ${rule}: ${message}`)]
}

/** The verdict on a file for people: one line when it is identical, else the first divergence with both sides. */
export const replayLines = (replayed: ReplayedFile, style: Style): ReadonlyArray<string> => {
  const { divergence, file, missingTelemetry, mode, records, sessionMs, speed, tear, turns, verdict } = replayed
  const by = mode === "playback_recorded_provider_outputs" ? "" : `, ${mode}`
  const count = `${records} records, ${turns} turns, ${speed} × real time${by}`
  const dropped = missingTelemetry === 0
    ? ""
    : `, ${missingTelemetry} telemetry records were dropped when it was recorded`
  if (verdict === "diverged" || verdict === "damaged") {
    const head = verdict === "damaged"
      ? `${file}: ${style.red("damaged")} after ${records} identical records${by}`
      : divergence === undefined
      ? `${file}: ${style.red("fails its gate")}, ${count}`
      : `${file}: ${style.red("diverges")} after ${records} identical records${by}`
    return [
      head,
      ...(divergence === undefined ? [] : differenceLines(divergence)),
      ...gateLines(replayed),
      ...whatIfLines(replayed.whatIf)
    ]
  }
  const accepted = replayed.gate?.accepted ?? 0
  const differs = divergence === undefined
    ? style.green("identical")
    : style.green(`differs as expected (${plural(accepted, "divergence")})`)
  const end = verdict !== "incomplete" ? [] : [
    tear === undefined
      ? `  ${style.yellow("it was never closed")}: everything up to ${seconds(sessionMs)} was replayed`
      : `  ${
        style.yellow("it is cut off")
      } at byte ${tear.offset}: the ${tear.recordsBefore} records before it, up to ${seconds(sessionMs)}, were replayed`
  ]
  return [`${file}: ${differs}, ${count}${dropped}`, ...end, ...whatIfLines(replayed.whatIf)]
}
