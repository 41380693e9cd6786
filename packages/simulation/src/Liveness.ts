import { TransportFailure } from "@rspp/runtime/ports/Transport"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { callsCutOff } from "./CallsCutOff.ts"
import type { Violation } from "./checkers/Checker.ts"
import { framesKept } from "./FramesKept.ts"
import { startParts } from "./Scenario.ts"
import type { StartPart } from "./Scenario.ts"
import type { SimCall } from "./parts/SimCall.ts"
import type { SimTimeline } from "./parts/SimRecorder.ts"

/**
 * How long a session may take to end once its caller is gone: the cancellation grace (75 ms), what it waits for provider
 * calls that do not end (250 ms) and for a control plane that does not answer (500 ms), and a process that stands still.
 */
const endWithinMs = 1500

export interface Lived {
  readonly call: SimCall
  readonly timeline: SimTimeline
  readonly exit: Exit.Exit<unknown, unknown> | undefined
  readonly atMs: number
}

/**
 * The second phase: faults are off, so everything that is open must come to its end, and the caller's last words must be
 * answered or turned away, never lost. Reads the timeline and what the world itself knows.
 *
 * L01 nothing is left (checked by the world) · L02 the session ended as it should · L03 in time · L04 every invocation
 * has ended · L05 every frame that the session refused is told as a loss · L06 the last words got an answer
 * · L07 every frame that the session took is applied · L08 a call that is cancelled is over within its grace.
 */
export const checkLiveness = (lived: Lived): ReadonlyArray<Violation> =>
  lived.call.scenario.refused === undefined ? checkLived(lived) : failedToStart(lived, lived.call.scenario.refused)

const checkLived = (lived: Lived): ReadonlyArray<Violation> => [
  ...endedWell(lived),
  ...endedInTime(lived),
  ...invocationsEnded(lived),
  ...lossesTold(lived),
  ...lastWordsAnswered(lived),
  ...framesKept(lived),
  ...callsCutOff(lived)
]

/** The error that ended a session, by its tag; undefined where it ended in another way. */
export const errorTag = (exit: Exit.Exit<unknown, unknown> | undefined): string | undefined => {
  if (exit === undefined || Exit.isSuccess(exit)) return undefined
  const failure = Cause.findErrorOption(exit.cause)
  if (failure._tag === "None") return undefined
  const { value } = failure
  const tag = typeof value === "object" && value !== null && "_tag" in value ? value._tag : undefined
  return typeof tag === "string" ? tag : undefined
}

/** A session that cannot start says why, at once, and has done nothing. */
const failedToStart = ({ atMs, exit, timeline }: Lived, part: StartPart): ReadonlyArray<Violation> => {
  const tag = errorTag(exit)
  const done = timeline.records.find(({ record }) => record === "command")
  return [
    ...(tag === startParts[part] ? [] : [{
      rule: "L02",
      message: `the session cannot open its ${part} and must fail with ${startParts[part]}; it ${
        tag === undefined ? "did not fail" : `failed with ${tag}`
      }`
    }]),
    ...(atMs <= endWithinMs
      ? []
      : [{ rule: "L03", message: `the session took ${atMs.toFixed(0)} ms to fail to start` }]),
    ...(done === undefined ? [] : [{ rule: "L02", message: "the session gave a command although it could not start" }])
  ]
}

const endedWell = ({ call, exit }: Lived): ReadonlyArray<Violation> => {
  if (exit === undefined) return [{ rule: "L02", message: "the session did not end" }]
  if (Exit.isSuccess(exit)) return []
  const failure = Cause.findErrorOption(exit.cause)
  const broke = failure._tag === "Some" && failure.value instanceof TransportFailure
  if (broke && call.faults.struck.has("transport.break")) return []
  if (call.scenario.ending === "shutdown" && Cause.hasInterruptsOnly(exit.cause)) return []
  return [{ rule: "L02", message: `the session failed: ${Cause.pretty(exit.cause).slice(0, 1500)}` }]
}

const endedInTime = ({ atMs, call, exit }: Lived): ReadonlyArray<Violation> => {
  const { leftMs } = call
  if (exit === undefined || leftMs === undefined) return []
  const stopped = call.faults.episodesOf("runtime.stopped")
    .filter((stop) => stop.atMs <= atMs && stop.atMs + stop.forMs >= leftMs)
    .reduce((sum, { forMs }) => sum + forMs, 0)
  if (atMs - leftMs <= endWithinMs + stopped) return []
  return [{ rule: "L03", message: `the session ended ${(atMs - leftMs).toFixed(0)} ms after its caller had gone` }]
}

const invocationsEnded = ({ exit, timeline }: Lived): ReadonlyArray<Violation> => {
  if (exit === undefined) return []
  const open = new Map<string, number>()
  timeline.records.forEach((record, index) => {
    if (record.record === "command" && record.command.type === "start_invocation") {
      open.set(record.command.provider_invocation_id, index)
    } else if (record.record === "invocation") open.delete(record.invocation.provider_invocation_id)
  })
  return [...open].map(([id, record]) => ({ rule: "L04", message: `${id} was started and has no end`, record }))
}

const lossesTold = ({ call, exit, timeline }: Lived): ReadonlyArray<Violation> => {
  if (exit === undefined) return []
  let told = 0
  for (const record of timeline.records) {
    if (record.record === "input" && record.input.type === "media_loss") told += record.input.count
  }
  const { refused } = call.truth
  return refused <= told ? [] : [{ rule: "L05", message: `${refused} frames were refused, ${told} were told as lost` }]
}

/** Signals that say what became of what the caller said. */
const answers = new Set([
  "commit",
  "abort",
  "reject",
  "defer",
  "stale_epoch_reject",
  "deauthorized_drain",
  // The recogniser gave the utterance up, and that is said.
  "provider_error"
])

const lastWordsAnswered = ({ call, exit, timeline }: Lived): ReadonlyArray<Violation> => {
  const { saidLastMs } = call
  if (exit === undefined || saidLastMs === undefined) return []
  // The session's stamps are whole milliseconds.
  const sinceMs = Math.floor(saidLastMs - call.zeroMs)
  const answered = timeline.records.some((record) => {
    switch (record.record) {
      case "signal":
        return record.signal.runtime_timestamp_ms >= sinceMs &&
          // Telemetry that would have told of them may be lost, and that is told.
          (answers.has(record.signal.signal) || record.signal.target_lane === "TelemetryLane")
      case "event":
        // Said over the agent, and too little to take the turn: that is told.
        return record.event.runtime_timestamp_ms >= sinceMs && record.event.reason?.startsWith("passed_over") === true
      case "command":
        // The call was over for a caller who had been silent for too long, before the words were noticed.
        return record.command.type === "end_session" && record.command.reason === "idle"
      default:
        return false
    }
  })
  return answered ? [] : [{ rule: "L06", message: `what the caller said at ${saidLastMs} ms was never answered` }]
}
