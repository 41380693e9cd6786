import type { InvocationFacts, TimelineRecord } from "@rspp/contracts/Timeline"
import type { Style } from "../Screen.ts"
import { callerClock } from "./CallerClock.ts"

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
  /** From the acceptance of the cancel to the fence, ms. */
  readonly cutMs?: number
  readonly invocations: ReadonlyArray<InvocationFacts>
}

interface Draft {
  readonly turn_id: string
  readonly originMs: number
  readonly speechEndMs: number | undefined
  readonly at: { [S in Stage]?: number }
  outcome: string
  reason: string | undefined
  cancelMs: number | undefined
  fencedMs: number | undefined
  readonly invocations: Array<InvocationFacts>
}

const beforeOpening = ["reject", "defer", "stale_epoch_reject", "deauthorized_drain"]

/**
 * Every turn that was proposed, in order, with the latency of each stage. A pure function of the records.
 *
 * Latencies count from the caller's last speech sample, not from when voice activity noticed the silence.
 */
export const turnRows = (records: ReadonlyArray<TimelineRecord>): ReadonlyArray<TurnRow> => {
  const clock = callerClock(records)
  const turns = new Map<string, Draft>()
  const owners = new Map<string, string>()
  let lastSpeechMs: number | undefined
  let endpointMs: number | undefined
  let finalMs: number | undefined
  let proposed: { readonly atMs: number; readonly spoken: boolean } | undefined
  const reach = (turnId: string | undefined, stage: Stage, atMs: number) => {
    const turn = turns.get(turnId ?? "")
    if (turn !== undefined) turn.at[stage] ??= atMs
  }

  for (const record of records) {
    switch (record.record) {
      case "input": {
        const { input, runtime_timestamp_ms: now } = record
        switch (input.type) {
          case "voice_activity":
            if (input.edge === "speech_ended") lastSpeechMs = clock(input.sample_index)
            endpointMs = undefined
            break
          case "timer":
            if (input.timer === "endpoint") endpointMs = now
            break
          case "transcript":
            if (input.finality === "final") finalMs = now
            break
          case "text_delta":
            reach(owners.get(input.provider_invocation_id), "model", now)
            break
          case "voice_chunk":
            reach(owners.get(input.provider_invocation_id), "voice", now)
            break
          case "playback_started":
            reach(input.turn_id, "playback", now)
            break
          case "egress_fenced": {
            const turn = turns.get(input.turn_id)
            if (turn !== undefined) turn.fencedMs ??= now
            break
          }
          default:
        }
        break
      }
      case "command": {
        const { command } = record
        if (command.type === "start_invocation" && command.turn_id !== undefined) {
          owners.set(command.provider_invocation_id, command.turn_id)
        }
        break
      }
      case "transition": {
        const { transition, turn_id } = record
        if (transition.trigger === "turn_open_proposed") {
          const spoken = proposed?.spoken === true
          turns.set(turn_id, {
            turn_id,
            originMs: (spoken ? lastSpeechMs : undefined) ?? proposed?.atMs ?? record.runtime_timestamp_ms,
            speechEndMs: spoken ? lastSpeechMs : undefined,
            at: {
              ...(spoken && endpointMs !== undefined ? { endpoint: endpointMs } : {}),
              ...(spoken && finalMs !== undefined ? { final: finalMs } : {})
            },
            outcome: "open",
            reason: undefined,
            cancelMs: undefined,
            fencedMs: undefined,
            invocations: []
          })
        }
        break
      }
      case "signal": {
        const { reason, runtime_timestamp_ms: now, signal, turn_id } = record.signal
        if (signal === "turn_open_proposed") {
          proposed = { atMs: now, spoken: record.signal.provider_invocation_id !== undefined }
        }
        const turn = turns.get(turn_id ?? "")
        if (turn === undefined) break
        if (signal === "turn_open") turn.at.open ??= now
        else if (signal === "cancel") turn.cancelMs ??= now
        else if (signal === "commit" || signal === "abort") {
          turn.outcome = signal === "commit" ? "committed" : "aborted"
          turn.reason = reason
        } else if (beforeOpening.includes(signal) && turn.at.open === undefined) {
          turn.outcome = signal
          turn.reason = reason
        }
        break
      }
      case "invocation":
        turns.get(record.invocation.turn_id ?? "")?.invocations.push(record.invocation)
        break
      default:
    }
  }
  return [...turns.values()].map(finish)
}

const finish = (
  { at, cancelMs, fencedMs, invocations, originMs, outcome, reason, speechEndMs, turn_id }: Draft
): TurnRow => {
  const latencies: { [S in Stage]?: number } = {}
  for (const stage of Object.keys(stages) as ReadonlyArray<Stage>) {
    const reached = at[stage]
    if (reached !== undefined) latencies[stage] = Math.round(reached - originMs)
  }
  return {
    turn_id,
    ...(speechEndMs === undefined ? {} : { speechEndMs: Math.round(speechEndMs) }),
    latencies,
    outcome,
    ...(reason === undefined ? {} : { reason }),
    ...(cancelMs === undefined || fencedMs === undefined ? {} : { cutMs: fencedMs - cancelMs }),
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
