import type { TimelineRecord } from "@rspp/contracts/Timeline"

/** A timer as it is armed. */
export interface ArmedTimer {
  readonly timer: string
  readonly generation: number
  readonly dueMs: number
}

/** The timers of a session as its commands leave them: by name, at most one each. */
export class TimerTable {
  readonly #armed = new Map<string, ArmedTimer>()

  /** Takes what a command says of timers; other records change nothing. */
  apply(record: TimelineRecord): void {
    if (record.record !== "command") return
    const { command } = record
    if (command.type === "arm_timer") {
      const { due_ms, generation, timer } = command
      this.#armed.delete(timer)
      this.#armed.set(timer, { timer, generation, dueMs: due_ms })
    } else if (command.type === "disarm_timer") {
      this.#armed.delete(command.timer)
    }
  }

  /** The timer has fired. */
  fired(timer: string): void {
    this.#armed.delete(timer)
  }

  get(timer: string): ArmedTimer | undefined {
    return this.#armed.get(timer)
  }

  /** The timer that is due first, at the latest at `byMs`, of those that `counts` accepts; the one armed first of several. */
  next(byMs: number, counts: (timer: ArmedTimer) => boolean): ArmedTimer | undefined {
    let first: ArmedTimer | undefined
    for (const timer of this.#armed.values()) {
      if (timer.dueMs <= byMs && (first === undefined || timer.dueMs < first.dueMs) && counts(timer)) first = timer
    }
    return first
  }
}
