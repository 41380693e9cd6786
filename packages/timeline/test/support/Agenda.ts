import type { SeededStream } from "./SeededStream.ts"

interface Entry {
  readonly at: number
  readonly order: number
  readonly source: string
  readonly act: () => void
  live: boolean
}

/**
 * What is to happen when, on virtual time.
 *
 * Entries of one source that are due together keep their order. Those of different sources come in the order in which
 * they were made, or, with `ties`, in a seeded order: races that a first-come order never shows are found this way.
 */
export class Agenda {
  readonly #heap: Array<Entry> = []
  readonly #ties: SeededStream | undefined
  #due: Array<Entry> = []
  #order = 0
  /** Virtual time, ms. */
  now = 0

  constructor(ties?: SeededStream) {
    this.#ties = ties
  }

  /** Does `act` at `at` (at the earliest now). The answer takes it back. */
  at(at: number, source: string, act: () => void): () => void {
    const entry: Entry = { at: Math.max(at, this.now), order: this.#order++, source, act, live: true }
    if (entry.at === this.now && this.#due.length > 0) this.#due.push(entry)
    else this.#push(entry)
    return () => {
      entry.live = false
    }
  }

  /** Does the next thing. False when there is none. */
  step(): boolean {
    const entry = this.#next()
    if (entry === undefined) return false
    entry.live = false
    entry.act()
    return true
  }

  #next(): Entry | undefined {
    for (;;) {
      if (this.#due.length === 0) {
        const first = this.#pop()
        if (first === undefined) return undefined
        this.now = first.at
        this.#due.push(first)
        while (this.#heap[0]?.at === this.now) this.#due.push(this.#pop() as Entry)
      }
      const at = this.#choose()
      const [entry] = this.#due.splice(at, 1)
      if (entry?.live === true) return entry
    }
  }

  #choose(): number {
    if (this.#ties === undefined || this.#due.length === 1) return 0
    const sources = [...new Set(this.#due.map((entry) => entry.source))]
    const source = sources[this.#ties.between(0, sources.length - 1)]
    return this.#due.findIndex((entry) => entry.source === source)
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#heap[a] as Entry, this.#heap[b] as Entry]
    return x.at < y.at || (x.at === y.at && x.order < y.order)
  }

  #swap(a: number, b: number): void {
    const entry = this.#heap[a] as Entry
    this.#heap[a] = this.#heap[b] as Entry
    this.#heap[b] = entry
  }

  #push(entry: Entry): void {
    this.#heap.push(entry)
    for (let at = this.#heap.length - 1; at > 0;) {
      const parent = (at - 1) >> 1
      if (!this.#before(at, parent)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #pop(): Entry | undefined {
    const [first] = this.#heap
    const last = this.#heap.pop()
    if (first === undefined || last === undefined || this.#heap.length === 0) return first
    this.#heap[0] = last
    for (let at = 0;;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && this.#before(child, least)) least = child
      }
      if (least === at) return first
      this.#swap(at, least)
      at = least
    }
  }
}
