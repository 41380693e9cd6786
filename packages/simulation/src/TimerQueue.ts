/** A wake-up that waits for its time. `fire` is cleared when it has been called off or has fired. */
export interface WorldTimer {
  readonly atNs: number
  readonly id: number
  fire: (() => void) | undefined
  /** False once its time has come and its task was handed over. */
  waits: boolean
  /** What the run queue gets when it is due. */
  readonly task: () => void
}

/** Called-off timers are swept out when they are the majority of a heap of at least this size. */
const sweepAtSize = 256

const before = (a: WorldTimer, b: WorldTimer): boolean => a.atNs < b.atNs || (a.atNs === b.atNs && a.id < b.id)

/** Timers of the world, earliest first. Calling one off costs O(1); the entry goes when it comes up or in a sweep. */
export class TimerQueue {
  #heap: Array<WorldTimer> = []
  #ids = 0
  #off = 0

  /** Timers that will still fire. */
  get live(): number {
    return this.#heap.length - this.#off
  }

  add(atNs: number, fire: () => void): WorldTimer {
    const timer: WorldTimer = {
      atNs,
      id: this.#ids++,
      fire,
      waits: true,
      task: () => {
        const call = timer.fire
        timer.fire = undefined
        call?.()
      }
    }
    this.#push(timer)
    return timer
  }

  /** Harmless when it has fired. A timer that is due but has not run yet does not run. */
  callOff(timer: WorldTimer): void {
    if (timer.fire === undefined) return
    timer.fire = undefined
    if (!timer.waits) return
    this.#off++
    if (this.#heap.length >= sweepAtSize && this.#off * 2 > this.#heap.length) this.#sweep()
  }

  /** When the earliest live timer is due. */
  nextNs(): number | undefined {
    while (this.#heap.length > 0 && (this.#heap[0] as WorldTimer).fire === undefined) {
      this.#pop()
      this.#off--
    }
    return this.#heap[0]?.atNs
  }

  /** Moves the tasks of all timers that are due to `into`. */
  release(nowNs: number, into: Array<() => void>): void {
    for (let next = this.nextNs(); next !== undefined && next <= nowNs; next = this.nextNs()) {
      const due = this.#pop() as WorldTimer
      due.waits = false
      into.push(due.task)
    }
  }

  #sweep(): void {
    // A sorted array is a heap.
    this.#heap = this.#heap.filter((timer) => timer.fire !== undefined).sort((a, b) => a.atNs - b.atNs || a.id - b.id)
    this.#off = 0
  }

  #push(timer: WorldTimer): void {
    const heap = this.#heap
    let i = heap.length
    heap.push(timer)
    while (i > 0) {
      const parent = (i - 1) >> 1
      const above = heap[parent] as WorldTimer
      if (!before(timer, above)) break
      heap[i] = above
      i = parent
    }
    heap[i] = timer
  }

  #pop(): WorldTimer | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    const size = heap.length
    if (last === undefined || size === 0) return top
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= size) break
      if (child + 1 < size && before(heap[child + 1] as WorldTimer, heap[child] as WorldTimer)) child++
      const below = heap[child] as WorldTimer
      if (!before(below, last)) break
      heap[i] = below
      i = child
    }
    heap[i] = last
    return top
  }
}
