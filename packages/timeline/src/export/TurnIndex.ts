import type { TimelineRecord } from "@rspp/contracts/Timeline"

/**
 * Which turn a record belongs to: by its own turn id, or by that of the invocation that it is about. The recognition that
 * a turn adopted belongs to it from its start, so the index is made from the whole timeline first.
 */
export class TurnIndex {
  readonly #owners = new Map<string, string>()
  readonly #turns = new Set<string>()

  constructor(records: ReadonlyArray<TimelineRecord>) {
    for (const record of records) {
      if (record.record === "transition") this.#turns.add(record.turn_id)
      const [invocation, turn] = record.record === "invocation"
        ? [record.invocation.provider_invocation_id, record.invocation.turn_id]
        : record.record === "command" && record.command.type === "start_invocation"
        ? [record.command.provider_invocation_id, record.command.turn_id]
        : []
      if (invocation !== undefined && turn !== undefined) this.#owners.set(invocation, turn)
    }
  }

  turnOf(record: TimelineRecord): string | undefined {
    switch (record.record) {
      case "signal":
        return this.#of(record.signal)
      case "event":
        return this.#of(record.event)
      case "transition":
        return record.turn_id
      case "plan":
        return record.plan.turn_id
      case "decision":
        return record.decision.turn_id
      case "invocation":
        return record.invocation.turn_id
      case "evidence":
        return record.evidence.turn_id
      case "supplement":
        return record.supplement.turn_id
      case "command":
        return this.#of(record.command)
      case "input":
        return this.#of(record.input)
      case "header":
      case "audio":
      case "payload":
      case "caller_audio":
      case "sealed":
      case "removed":
      case "end":
        return undefined
    }
  }

  #of(
    about:
      | { readonly turn_id?: string; readonly provider_invocation_id?: string }
      | { readonly timer?: string }
      | object
  ): string | undefined {
    if ("turn_id" in about && about.turn_id !== undefined) return about.turn_id
    if ("provider_invocation_id" in about && about.provider_invocation_id !== undefined) {
      return this.#owners.get(about.provider_invocation_id)
    }
    if (!("timer" in about) || about.timer === undefined) return undefined
    // Timers are named after what they are for: `grace:turn_1`, `budget.call:inv_1`.
    const subject = about.timer.slice(about.timer.indexOf(":") + 1)
    return this.#turns.has(subject) ? subject : this.#owners.get(subject)
  }
}
