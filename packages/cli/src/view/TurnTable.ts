import type { InvocationFacts, TimelineRecord } from "@rspp/contracts/Timeline"
import { criticalPaths } from "@rspp/timeline/latency/CriticalPath"
import { turnLatencies } from "@rspp/timeline/latency/TurnPath"
import type { TurnPath, TurnTimes } from "@rspp/timeline/latency/TurnPath"
import type { Style } from "../Screen.ts"

/** The stages of an answer, in the order in which they usually happen, with their column headings. */
export const stages = {
  endpoint: "endpoint",
  final: "final text",
  open: "turn open",
  model: "model text",
  voice: "voice",
  playback: "playback"
} as const
export type Stage = keyof typeof stages

/** One turn of a session as a timeline tells it. Times are ms of session time; what did not happen is absent. */
export interface TurnRow {
  readonly turn_id: string
  /** When the caller's last sample of speech was spoken; absent for a typed turn. */
  readonly speechEndMs?: number
  /** Each stage, in ms after `speechEndMs` (after the proposal where there was no speech). */
  readonly latencies: { readonly [S in Stage]?: number }
  /** `committed`, `aborted`, or the outcome before the turn opened: `reject`, `defer` … */
  readonly outcome: string
  readonly reason?: string
  /** From `turn_open` to the first output on the data lane, ms. */
  readonly firstOutputMs?: number
  /** From the acceptance of the cancel to the fence, ms. */
  readonly cutMs?: number
  readonly invocations: ReadonlyArray<InvocationFacts>
}

const reached: { readonly [S in Stage]: keyof TurnTimes } = {
  endpoint: "endpoint_ms",
  final: "final_ms",
  open: "open_ms",
  model: "first_token_ms",
  voice: "first_chunk_ms",
  playback: "playback_ms"
}

/**
 * Every turn that was proposed, in order, with the latency of each stage. A pure function of the records.
 *
 * Latencies count from the caller's last speech sample, not from when voice activity noticed the silence.
 */
export const turnRows = (records: ReadonlyArray<TimelineRecord>): ReadonlyArray<TurnRow> => {
  const invocations = new Map<string, Array<InvocationFacts>>()
  for (const record of records) {
    if (record.record !== "invocation") continue
    const { turn_id = "" } = record.invocation
    const known = invocations.get(turn_id)
    if (known === undefined) invocations.set(turn_id, [record.invocation])
    else known.push(record.invocation)
  }
  return criticalPaths(records).map((path) => rowOf(path, invocations.get(path.turn_id) ?? []))
}

const rowOf = (path: TurnPath, invocations: ReadonlyArray<InvocationFacts>): TurnRow => {
  const { at, outcome, reason, turn_id } = path
  const { proposed_ms = 0, speech_end_ms } = at
  const { cancel_fence_ms, first_output_ms } = turnLatencies(path)
  const latencies: { [S in Stage]?: number } = {}
  for (const stage of Object.keys(stages) as ReadonlyArray<Stage>) {
    const ms = at[reached[stage]]
    if (ms !== undefined) latencies[stage] = Math.round(ms - (speech_end_ms ?? proposed_ms))
  }
  return {
    turn_id,
    ...(speech_end_ms === undefined ? {} : { speechEndMs: Math.round(speech_end_ms) }),
    latencies,
    outcome,
    ...(reason === undefined ? {} : { reason }),
    ...(first_output_ms === undefined ? {} : { firstOutputMs: first_output_ms }),
    ...(cancel_fence_ms === undefined ? {} : { cutMs: cancel_fence_ms }),
    invocations
  }
}

const outcomeText = ({ cutMs, outcome, reason }: TurnRow): string => {
  const why = reason === undefined ? "" : ` (${reason})`
  const cut = cutMs === undefined ? "" : `, silent ${cutMs} ms after the cut`
  return outcome === "reject" || outcome === "defer" ?
    `${outcome}ed before it opened${why}`.replace("defered", "deferred")
    : `${outcome}${why}${cut}`
}

/** The table for people: one line per turn, latencies in ms from the caller's last speech sample. */
export const formatTurnTable = (rows: ReadonlyArray<TurnRow>, style: Style): ReadonlyArray<string> => {
  const columns = Object.keys(stages) as ReadonlyArray<Stage>
  const cells = rows.map((row) => columns.map((stage) => row.latencies[stage]?.toString() ?? "-"))
  const widths = columns.map((stage, i) => Math.max(stages[stage].length, ...cells.map((line) => line[i]?.length ?? 0)))
  const first = Math.max("turn".length, ...rows.map(({ turn_id }) => turn_id.length))
  const heading = columns.map((stage, i) => stages[stage].padStart(widths[i] ?? 0)).join("  ")
  return [
    style.bold(`${"turn".padEnd(first)}  ${heading}  outcome`),
    ...rows.map((row, r) => {
      const line = cells[r]?.map((cell, i) => cell.padStart(widths[i] ?? 0)).join("  ") ?? ""
      const outcome = outcomeText(row)
      const tinted = row.outcome === "committed" ? style.green(outcome) : style.yellow(outcome)
      return `${row.turn_id.padEnd(first)}  ${line}  ${tinted}`
    })
  ]
}
