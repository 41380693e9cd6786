import { evidenceCompleteness, formatIncomplete } from "@rspp/timeline/recorder/EvidenceCompleteness"
import { read } from "@rspp/timeline/format/TimelineReader"
import type { ShippingReport } from "@rspp/timeline/store/ShippedRecording"
import type { CallScript } from "@rspp/transports/loopback/CallScript"
import { Effect } from "effect"
import type { PlayedCall } from "./Call.ts"
import { CliFailure } from "./CliFailure.ts"
import type { Screen } from "./Screen.ts"
import { formatTurnTable, turnRows } from "./view/TurnTable.ts"
import type { TurnRow } from "./view/TurnTable.ts"

/** Files that a call has written. */
export interface CallFiles {
  readonly reply?: string
  readonly stereo?: string
  readonly timeline?: string
  readonly trace?: string
}

/** The recording in a store. */
export interface StoredCall {
  readonly complete: boolean
  readonly segments: number
  readonly bytes: number
  readonly longest_lag_ms: number
  readonly problem?: string
}

/** One thing that was said, in the order in which it was heard. */
export interface SaidLine {
  readonly at_ms: number
  readonly who: "you" | "agent"
  readonly text: string
}

/** What came of a call, computed from its timeline. */
export interface CallSummary {
  readonly session_id: string
  readonly duration_ms: number
  readonly took_ms: number
  /** What was said. From the live session: a timeline at L0 has no words. */
  readonly conversation: ReadonlyArray<SaidLine>
  readonly turns: ReadonlyArray<TurnRow>
  readonly utterances: number
  readonly records: number
  /** Accepted turns whose evidence, terminal or close is not as it should be. */
  readonly incomplete: ReadonlyArray<string>
  readonly accepted_turns: number
  readonly files: CallFiles
  /** What a store has of the recording. */
  readonly stored?: StoredCall
  readonly notices: ReadonlyArray<string>
}

/** Reads back what was recorded: every record is held to the contract on the way. */
export const describeCall = Effect.fnUntraced(function*(played: PlayedCall, files: CallFiles) {
  const { records } = yield* read(played.timelinePath, { validate: true })
  const completeness = evidenceCompleteness(records)
  const utterances = records.filter((record) =>
    record.record === "input" && record.input.type === "voice_activity" && record.input.edge === "speech_started"
  )
  const summary: CallSummary = {
    session_id: played.session_id,
    duration_ms: played.durationMs,
    took_ms: Math.round(played.tookMs),
    conversation: played.conversation,
    turns: turnRows(records),
    utterances: utterances.length,
    records: records.length + 1,
    accepted_turns: completeness.length,
    incomplete: formatIncomplete(completeness),
    files,
    ...(played.shipped === undefined ? {} : { stored: storedCall(played.shipped) }),
    notices: [
      ...(played.report?.notices ?? []),
      ...(played.lostFrames === 0
        ? []
        : [`${played.lostFrames} frames of caller audio were lost: the machine did not keep up`])
    ]
  }
  return summary
})

const storedCall = ({ longest_lag_ms, problem, segments, state, stored_bytes }: ShippingReport): StoredCall => ({
  complete: state === "stored",
  segments,
  bytes: stored_bytes,
  longest_lag_ms,
  ...(problem === undefined ? {} : { problem })
})

/** The summary for people. */
export const showCall = (screen: Screen["Service"], summary: CallSummary): void => {
  const { style } = screen
  const seconds = (ms: number) => (ms / 1000).toFixed(1)
  screen.line("")
  for (const notice of summary.notices) screen.note(`${style.yellow("notice:")} ${notice}`)
  if (summary.turns.length > 0) {
    screen.line("Latency of each stage, in ms after the caller's last sample of speech:")
    screen.line("")
    for (const line of formatTurnTable(summary.turns, style)) screen.line(`  ${line}`)
    screen.line("")
  }
  screen.line(`${seconds(summary.duration_ms)} s of call in ${seconds(summary.took_ms)} s, ${summary.records} records`)
  const { reply, stereo, timeline, trace } = summary.files
  if (reply !== undefined) screen.line(`  reply     ${reply}`)
  if (stereo !== undefined) screen.line(`  stereo    ${stereo}`)
  if (timeline !== undefined) screen.line(`  timeline  ${timeline}`)
  if (trace !== undefined) screen.line(`  trace     ${trace}`)
  if (summary.stored?.complete === true) {
    screen.line(`  store     ${summary.stored.bytes} bytes in ${summary.stored.segments} segments`)
  }
}

/** Fails when the evidence of a turn is not complete. */
export const judgeEvidence = ({ incomplete }: CallSummary): Effect.Effect<void, CliFailure> =>
  incomplete.length === 0
    ? Effect.void
    : Effect.fail(
      new CliFailure({ exit: "violation", message: ["incomplete evidence", ...incomplete].join("\n") })
    )

/**
 * Whether the call gave what a call should: fails when nobody was heard in recordings that were to be heard, when a
 * provider failed in every turn, or when the evidence of a turn is not complete.
 */
export const judgeCall = (summary: CallSummary, script: CallScript): Effect.Effect<void, CliFailure> => {
  if (summary.incomplete.length > 0) return judgeEvidence(summary)
  const failures = summary.turns.flatMap(({ invocations, outcome }) =>
    outcome === "aborted" ? invocations.filter(({ outcome_class }) => outcome_class !== "success") : []
  )
  const failed = failures.find(({ reason }) => reason !== undefined)
  if (failed !== undefined && summary.turns.every(({ reason }) => reason === "provider_failure")) {
    return Effect.fail(
      new CliFailure({
        exit: "unavailable",
        message: `no turn was answered: ${failed.provider_id} failed: ${failed.reason}`,
        hint: "Run rspp doctor to see which providers are set, and with what."
      })
    )
  }
  if (summary.turns.length > 0 || script.steps.some((step) => "text" in step)) return Effect.void
  return Effect.fail(
    new CliFailure({
      exit: "bad_input",
      message: summary.utterances === 0
        ? "no speech was heard: the recording is silent, too quiet, or something else than speech"
        : "speech was heard, but no words",
      hint: `Check the recording, or record it again closer to the microphone.${
        Object.keys(summary.files).length === 0 ? "" : " The files are written all the same."
      }`
    })
  )
}
