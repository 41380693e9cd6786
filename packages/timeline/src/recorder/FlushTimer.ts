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
 * asked, or up to {@link togetherMs} sooner. In real time, whatever time the sessions live by: a recorder is not part of
 * what is replayed. Where nobody waits there is no timer, which would keep a process alive.
 */
export class FlushTimer {
  /** In the order in which they are due: all wait equally long. */
  #waiting: Array<Waiting> = []
  /** Of those, the ones that have not taken it back. */
  #asking = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  /** Calls back once. What is returned takes that back. */
  ask(due: () => void): () => void {
    const asked: Waiting = { dueMs: performance.now() + flushEveryMs, due }
    this.#waiting.push(asked)
    this.#asking++
    this.#timer ??= setTimeout(this.#tick, flushEveryMs)
    return () => {
      if (asked.due === undefined) return
      asked.due = undefined
      if (--this.#asking > 0) return
      clearTimeout(this.#timer)
      this.#timer = undefined
      this.#waiting = []
    }
  }

  readonly #tick = () => {
    const nowMs = performance.now()
    const first = this.#waiting.findIndex(({ dueMs }) => dueMs > nowMs + togetherMs)
    const due = this.#waiting.splice(0, first < 0 ? this.#waiting.length : first)
    const next = this.#waiting.find((waiting) => waiting.due !== undefined)
    this.#timer = next === undefined ? undefined : setTimeout(this.#tick, next.dueMs - nowMs)
    if (next === undefined) this.#waiting = []
    for (const waiting of due) {
      const call = waiting.due
      if (call === undefined) continue
      waiting.due = undefined
      this.#asking--
      call()
    }
  }
}
