import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { triedAgain } from "./checkers/RetriesWait.ts"
import type { Mark } from "./Sometimes.ts"

/** Sees what became of calls that failed and might be tried again. */
export class RetryMarks {
  /** Turns whose plan allows another attempt. */
  readonly #allowed = new Set<string>()
  /** How often each piece of work is to be tried again. */
  readonly #tried = new Map<string, number>()
  /** Calls whose vendor asked to wait. */
  readonly #asked = new Set<string>()

  read(record: TimelineRecord): Mark | undefined {
    if (record.record === "plan") {
      if (record.plan.allowed_adaptive_actions.includes("retry")) this.#allowed.add(record.plan.turn_id)
    } else if (record.record === "input") {
      const { input } = record
      if (input.type === "invocation_ended" && (input.retry_after_ms ?? 0) > 0) {
        this.#asked.add(input.provider_invocation_id)
      } else if (input.type === "timer" && this.#asked.has(triedAgain(input.timer) ?? "")) return "recover.as_asked"
    } else if (record.record === "command") {
      const { command } = record
      if (command.type === "disarm_timer" && triedAgain(command.timer) !== undefined) return "recover.wait_given_up"
    } else if (record.record === "invocation") {
      const { idempotency_key: work, provider_invocation_id, retry_decision, turn_id = "" } = record.invocation
      const tried = this.#tried.get(work) ?? 0
      if (retry_decision === "retry") this.#tried.set(work, tried + 1)
      if (tried > 1) return "recover.third_attempt"
      if (retry_decision !== "retry" && this.#allowed.has(turn_id) && this.#asked.has(provider_invocation_id)) {
        return "recover.wait_too_long"
      }
    }
    return undefined
  }
}
