import { timeOf } from "@rspp/contracts/TimelineStamp"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { Checker, Violation } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

const off = {
  barge_in: { min_words: 0, backchannel: [] as ReadonlyArray<string> },
  idle: { timeout_ms: 0, hang_up_after: 0 }
}

/** Each setting of turn taking, read from the records alone. */
const check = (header: TimelineHeader, records: ReadonlyArray<TimelineRecord>): ReadonlyArray<Violation> => {
  const findings = new Findings("C31", records)
  const { barge_in, end_of_turn, endpointing, idle = off.idle, turn_detection } = header.session_config
  const { backchannel = off.barge_in.backchannel, min_words = off.barge_in.min_words } = barge_in
  const byKey = turn_detection === "push_to_talk"
  const wordsCount = min_words > 0 || backchannel.length > 0
  const tooLittle = ({ facts }: PayloadHandle): boolean =>
    (backchannel.length > 0 && facts?.backchannel === true) || (facts?.words ?? 0) < min_words
  /** The final texts of each recogniser call: one for each of its pauses. */
  const finals = new Map<string, Array<PayloadHandle>>()
  const calls = new Set<string>()
  let saidEnough = false
  /** The recogniser was lost since the caller began to speak over the agent. */
  let lost = false
  /** Time of what the caller did last, and of what else keeps it from being idle. */
  let busyMs = Number.NEGATIVE_INFINITY
  let idleCount = 0
  let pressure = false
  let connection = ""
  let step: TimelineRecord | undefined
  records.forEach((record, index) => {
    const now = timeOf(record) ?? 0
    if (beginsStep(record)) step = record
    const cause = step?.record === "input" ? step.input : undefined
    switch (record.record) {
      case "input": {
        const { input } = record
        if (input.type === "transcript") {
          if (input.finality === "final") {
            const id = input.provider_invocation_id
            finals.set(id, [...(finals.get(id) ?? []), input.handle])
          }
          if (!tooLittle(input.handle) && input.handle.length > 0) saidEnough = true
        } else if (input.type === "voice_activity" && !byKey) busyMs = now
        else if (input.type === "typed_text" || input.type === "push_to_talk") busyMs = now
        else if (input.type === "connection" && input.state !== connection) {
          busyMs = now
          connection = input.state
        }
        return
      }
      case "command": {
        const { command } = record
        if (command.type === "start_invocation" && command.modality === "stt") {
          calls.add(command.provider_invocation_id)
          const keyed = cause?.type === "push_to_talk" || cause?.type === "timer" || cause?.type === "transcript"
          if (byKey && !keyed) findings.broken("an utterance began without the key", index)
        }
        if (command.type === "start_invocation" || command.type === "predict_turn") {
          for (const { parts } of command.conversation ?? []) {
            for (const { chars, chars_max = chars, chars_min = chars } of parts) {
              if (chars_min > chars || chars > chars_max) {
                findings.broken("what was heard is not within its bounds", index)
              }
            }
          }
        }
        if (command.type === "predict_turn" && end_of_turn?.enabled !== true) {
          findings.broken("a prediction that nobody wants", index)
        }
        if (command.type === "end_session" && command.reason === "idle") {
          const { hang_up_after } = idle
          // Telemetry that is lost for pressure tells of no idle time any more.
          if (hang_up_after === 0 || (idleCount < hang_up_after && !pressure)) {
            findings.broken(`ended as idle after ${idleCount} of ${hang_up_after} times`, index)
          }
        }
        return
      }
      case "signal": {
        const { reason, signal, target_lane } = record.signal
        if (signal === "watermark" && target_lane === "TelemetryLane") pressure = true
        if (signal === "provider_error" && record.signal.turn_id === undefined) lost = true
        if (signal === "barge_in" && reason === "speech_started") {
          saidEnough = false
          lost = false
        }
        // The key cuts by itself, and so does the duration once the recogniser is lost.
        const alone = cause?.type === "push_to_talk" || lost || calls.size === 0
        if (signal === "cancel" && reason === "barge_in" && wordsCount && !saidEnough && !alone) {
          findings.broken("a cut before there were words enough for one", index)
        }
        if (signal === "cancel" && reason === "barge_in" && byKey && cause?.type !== "push_to_talk") {
          findings.broken("a cut without the key", index)
        }
        // A recogniser that is lost ends its utterance.
        if (signal === "provider_error" && record.signal.turn_id === undefined) {
          calls.delete(record.signal.provider_invocation_id ?? "")
        }
        if (signal.startsWith("playback") || signal === "commit" || signal === "abort") busyMs = now
        return
      }
      case "event": {
        const { amount, provider_invocation_id: id, reason = "" } = record.event
        if (reason.startsWith("passed_over")) {
          const said = finals.get(id ?? "") ?? []
          if (!said.some(tooLittle)) findings.broken(`${id} was passed over and says enough`, index)
        }
        const [, why] = /^endpoint_(\w+)$/u.exec(reason) ?? []
        if (why !== undefined && why !== "released") {
          const { max_ms, min_ms } = endpointing
          const ms = amount ?? 0
          if (ms > max_ms || ms < Math.min(min_ms, max_ms)) findings.broken(`${reason} after ${ms} ms`, index)
          if (why === "learned" && endpointing.mode !== "dynamic") findings.broken("fixed endpointing learned", index)
        }
        if (reason === "user_idle") {
          idleCount = amount ?? 0
          if (now - busyMs < idle.timeout_ms) findings.broken(`idle ${now - busyMs} ms after something happened`, index)
        }
        return
      }
      case "invocation":
        calls.delete(record.invocation.provider_invocation_id)
        return
      default:
        return
    }
  })
  return findings.violations
}

export const turnTaking: Checker = {
  id: "C31",
  holds: ["I-ENDPOINT-BOUND", "I-IDLE-QUIET"],
  sentence:
    "Cuts wait for the words that the session asks for, only what says too little is passed over, endpoints keep to their bounds, the key alone begins utterances where there is one, idle callers are idle, and what was heard lies within its bounds.",
  check
}
