import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

export const timerGeneration: Checker = {
  id: "C15",
  holds: ["I-TIMER-GEN"],
  sentence:
    "A timer has an effect only as it is armed now: a firing of an older generation brings nothing about, none fires before its time, when one fires so does every other that is due by then, and at the end of the session none is armed.",
  check: (_header, records) => {
    const findings = new Findings("C15", records)
    const armed = new Map<string, { readonly generation: number; readonly dueMs: number; readonly sinceMs: number }>()
    /** When one fired last; undefined once it is settled whether the others did. */
    let firedMs: number | undefined
    let newest = 0
    /** The firing that is to be ignored. */
    let stale: string | undefined
    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) stale = undefined
      if (record.record === "input") {
        const { input, runtime_timestamp_ms: now } = record
        // Timers that are due together fire in one instant, which may be on both sides of a millisecond.
        if (firedMs !== undefined && now > firedMs + 1) {
          for (const [timer, { dueMs, sinceMs }] of armed) {
            if (sinceMs >= firedMs || dueMs > firedMs) continue
            findings.broken(`${timer} is due at ${dueMs} ms and did not fire when another did, at ${firedMs} ms`, index)
          }
          firedMs = undefined
        }
        if (input.type !== "timer") continue
        firedMs = now
        const known = armed.get(input.timer)
        if (known?.generation !== input.generation) {
          stale = `${input.timer} of generation ${input.generation}`
          continue
        }
        armed.delete(input.timer)
        if (now < known.dueMs) findings.broken(`${input.timer} fires at ${now} ms, before ${known.dueMs} ms`, index)
      } else if (record.record === "command") {
        const { command } = record
        if (command.type === "arm_timer") {
          if (armed.has(command.timer)) findings.broken(`${command.timer} is armed twice`, index)
          if (command.generation <= newest) findings.broken(`${command.timer} is armed with an old generation`, index)
          newest = Math.max(newest, command.generation)
          armed.set(command.timer, {
            generation: command.generation,
            dueMs: command.due_ms,
            sinceMs: record.runtime_timestamp_ms
          })
        } else if (command.type === "disarm_timer") {
          if (armed.get(command.timer)?.generation !== command.generation) {
            findings.broken(`${command.timer} is disarmed and was not armed`, index)
          }
          armed.delete(command.timer)
        } else if (command.type === "end_session" && armed.size > 0) {
          findings.broken(`the session ends and ${[...armed.keys()].join(", ")} may still fire`, index)
        }
      }
      if (stale !== undefined && record.record !== "input" && isOutput(record.record)) {
        findings.broken(`${stale} is not armed, and a ${record.record} comes of it`, index)
      }
    }
    return findings.violations
  }
}

/** What a step puts out; the other records are the recorder's own. */
const isOutput = (kind: string): boolean =>
  kind === "signal" || kind === "event" || kind === "decision" || kind === "plan" || kind === "invocation" ||
  kind === "command" || kind === "transition"
