/** Records wait at most this long, in real time, before the writer takes them, in ms. */
export const flushEveryMs = 1000

/** What would be due so soon after is due with the others: waking once for several sessions costs less than once for each. */
export const togetherMs = 200

interface Waiting {
  readonly dueMs: number
  /** Undefined when it is no longer asked for. */
  due: (() => void) | undefined
}

/**
 * Says when what waits is to be written, for all sessions of a process with one timer: {@link flushEveryMs} after it was
 * asked, or up to {@link togetherMs} sooner. In real time, whatever time the sessions live by.
 */
export class FlushTimer {
  /** In the order in which they are due: all wait equally long. */
  #waiting: Array<Waiting> = []
  #armed = false

  /** Calls back once. What is returned takes that back. */
  ask(due: () => void): () => void {
    const asked: Waiting = { dueMs: performance.now() + flushEveryMs, due }
    this.#waiting.push(asked)
    if (!this.#armed) this.#arm(flushEveryMs)
    return () => {
      asked.due = undefined
    }
  }

  #arm(ms: number): void {
    this.#armed = true
    setTimeout(this.#tick, ms)
  }

  readonly #tick = () => {
    const nowMs = performance.now()
    const first = this.#waiting.findIndex(({ dueMs }) => dueMs > nowMs + togetherMs)
    const due = this.#waiting.splice(0, first < 0 ? this.#waiting.length : first)
    const next = this.#waiting.find((waiting) => waiting.due !== undefined)
    this.#armed = next !== undefined
    if (next === undefined) this.#waiting = []
    else this.#arm(next.dueMs - nowMs)
    for (const waiting of due) waiting.due?.()
  }
}
