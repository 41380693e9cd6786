/** A pending wake-up. `fire` is cleared when the timer is cancelled or has fired. */
export interface Timer {
  readonly atNs: number
  readonly id: number
  fire: (() => void) | undefined
}

const before = (a: Timer, b: Timer): boolean => a.atNs < b.atNs || (a.atNs === b.atNs && a.id < b.id)

/** Cancelled timers are swept out when they are more than half of a heap of at least this size. */
const sweepAtSize = 1024

/**
 * Pending wake-ups, earliest first; timers that are due together come out in the order in which they were set.
 *
 * Cancelling costs O(1): the entry stays until it comes up or until the cancelled ones are the majority, so that a
 * timeout per operation cannot grow the heap without bound.
 */
export class TimerHeap {
  private heap: Array<Timer> = []
  private ids = 0
  private cancelled = 0

  add(atNs: number, fire: () => void): Timer {
    const timer: Timer = { atNs, id: this.ids++, fire }
    this.push(timer)
    return timer
  }

  cancel(timer: Timer): void {
    if (timer.fire === undefined) return
    timer.fire = undefined
    this.cancelled++
    if (this.heap.length >= sweepAtSize && this.cancelled * 2 > this.heap.length) this.sweep()
  }

  /** The earliest live timer. */
  peek(): Timer | undefined {
    while (this.heap.length > 0 && this.heap[0]!.fire === undefined) {
      this.popTop()
      this.cancelled--
    }
    return this.heap[0]
  }

  /** Removes and returns the earliest live timer that is due at `nowNs`. */
  take(nowNs: number): Timer | undefined {
    const top = this.peek()
    if (top === undefined || top.atNs > nowNs) return undefined
    this.popTop()
    return top
  }

  private sweep(): void {
    const live = this.heap.filter((timer) => timer.fire !== undefined)
    // A sorted array is a heap.
    this.heap = live.sort((a, b) => a.atNs - b.atNs || a.id - b.id)
    this.cancelled = 0
  }

  private push(timer: Timer): void {
    const heap = this.heap
    let i = heap.length
    heap.push(timer)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(timer, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = timer
  }

  private popTop(): void {
    const heap = this.heap
    const last = heap.pop()!
    const size = heap.length
    if (size === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= size) break
      if (child + 1 < size && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
  }
}
