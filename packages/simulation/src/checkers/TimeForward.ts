import { timeOf } from "@rspp/contracts/TimelineStamp"
import type { BaselineEvidence } from "@rspp/contracts/Evidence"
import { endedMsOf } from "@rspp/contracts/Invocation"
import type { InvocationFacts } from "@rspp/contracts/Invocation"
import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

/** Length of a caller frame: a run of frames tells only what its arrivals differ from it. */
const frameMs = 20

/** The first pair of times that is the wrong way round; a time that is absent is passed over. */
const backward = (times: ReadonlyArray<readonly [string, number | undefined]>): string | undefined => {
  let before: readonly [string, number] | undefined
  for (const [name, ms] of times) {
    if (ms === undefined) continue
    if (before !== undefined && ms < before[1]) return `${name} (${ms} ms) is before ${before[0]} (${before[1]} ms)`
    before = [name, ms]
  }
  return undefined
}

const evidenceTimes = ({ cancel, times }: BaselineEvidence): ReadonlyArray<string | undefined> => [
  backward([["proposed", times.proposed_ms], ["open", times.open_ms], ["first output", times.first_output_ms], [
    "terminal",
    times.terminal_ms
  ], ["close", times.close_ms]]),
  cancel === undefined ? undefined : backward([["accepted", cancel.accepted_ms], ["fenced", cancel.fenced_ms]]),
  cancel === undefined
    ? undefined
    : backward([["accepted", cancel.accepted_ms], ["sent", cancel.sent_ms], ["acknowledged", cancel.acknowledged_ms]])
]

const callTimes = (facts: InvocationFacts): ReadonlyArray<string | undefined> => [
  backward([["started", facts.started_ms], ["first result", facts.first_result_ms], [
    "end",
    endedMsOf(facts)
  ]]),
  backward([["first attempt", facts.first_started_ms], ["started", facts.started_ms]]),
  backward([["started", facts.started_ms], ["cancel sent", facts.cancel_sent_ms], ["cancel ack", facts.cancel_ack_ms]]),
  backward([["final latency", facts.final_latency_ms], ["total latency", facts.total_latency_ms]])
]

export const timeForward: Checker = {
  id: "C09",
  holds: ["I-TIME-STAMP"],
  sentence:
    "Times never run backwards: not from record to record, not within evidence; and what an input brings about has the input's own time.",
  check: (header, records) => {
    const findings = new Findings("C09", records)
    let now = 0
    /** Calls that began ahead of their turn, and when they ended: that is recorded when it is known whose they are. */
    const ahead = new Map<string, number | undefined>()
    /** Time of the input whose outputs follow. */
    let step: number | undefined
    const say = (index: number, found: ReadonlyArray<string | undefined>) => {
      for (const message of found) if (message !== undefined) findings.broken(message, index)
    }
    let index = -1
    for (const record of records) {
      index++
      const ms = timeOf(record)
      if (ms !== undefined) {
        if (ms < now) findings.broken(`${record.record} at ${ms} ms comes after ${now} ms`, index)
        now = Math.max(now, ms)
      }
      switch (record.record) {
        case "audio": {
          let at = record.first_timestamp_ms
          for (const late of record.jitter ?? []) {
            if (frameMs + late < 0) findings.broken("a frame comes before the frame before it", index)
            at += frameMs + late
          }
          if (record.jitter === undefined) at += frameMs * (record.count - 1)
          now = Math.max(now, at)
          step = undefined
          break
        }
        case "input":
          step = ms
          if (record.input.type === "invocation_ended" && ahead.has(record.input.provider_invocation_id)) {
            ahead.set(record.input.provider_invocation_id, ms)
          }
          break
        case "signal":
        case "event":
        case "decision":
        case "transition":
        case "plan":
        case "command":
        case "invocation": {
          if (ms !== step) findings.broken(`${record.record} at ${ms} ms comes of an input at ${step} ms`, index)
          const wall = record.record === "signal"
            ? record.signal.wall_clock_timestamp_ms
            : record.record === "event"
            ? record.event.wall_clock_timestamp_ms
            : record.record === "decision"
            ? record.decision.wall_clock_timestamp_ms
            : undefined
          if (wall !== undefined && ms !== undefined && wall !== header.wall_clock_start_ms + ms) {
            findings.broken(`the wall clock of ${record.record} is not the session's`, index)
          }
          if (record.record === "command" && record.command.type === "start_invocation") {
            const { modality, provider_invocation_id, turn_id } = record.command
            if (modality === "llm" && turn_id === undefined) ahead.set(provider_invocation_id, undefined)
          }
          if (record.record === "invocation") {
            say(index, callTimes(record.invocation))
            const ended = ahead.get(record.invocation.provider_invocation_id) ?? ms
            if (ended !== undefined && endedMsOf(record.invocation) !== ended) {
              findings.broken("a call ends at another time", index)
            }
          }
          break
        }
        case "evidence":
          say(index, evidenceTimes(record.evidence))
          break
        case "supplement":
          for (const facts of record.supplement.invocations) say(index, callTimes(facts))
          break
        default:
          break
      }
    }
    return findings.violations
  }
}
