import { createInterface } from "node:readline"
import type { Readable } from "node:stream"

/** How long a fact is waited for unless a test says otherwise, ms: the machine may be slow, and busy with other work. */
const patienceMs = 60_000

/** How many of the last facts are shown when one does not come. */
const shownFacts = 60

/** Facts that another process tells as JSON objects on lines, kept in order, which a test may wait for. */
export class Facts<A> {
  readonly all: Array<A> = []
  private readonly who: string
  private readonly waiting = new Set<() => void>()
  private over: string | undefined

  constructor(who: string) {
    this.who = who
  }

  /** Reads each line that is a JSON object; hands on the others. */
  readLines(from: Readable, other: (line: string) => void = () => {}): void {
    createInterface({ input: from }).on("line", (line) => {
      if (!line.startsWith("{")) return other(line)
      this.add(JSON.parse(line) as A)
    })
  }

  add(fact: A): void {
    this.all.push(fact)
    this.wake()
  }

  /** No more come. `why` is what those who still wait are told. */
  end(why: string): void {
    this.over = why
    this.wake()
  }

  /** How many there are. Waiting `from` here is for those that come after. */
  get now(): number {
    return this.all.length
  }

  /**
   * The first fact since `from` (of all, by default) that is the one, as soon as there is one. Rejects, with the last
   * facts, when it does not come within `withinMs`, or the process ends before.
   */
  async next(
    what: string,
    isIt: (fact: A) => boolean,
    { from = 0, withinMs = patienceMs }: { readonly from?: number; readonly withinMs?: number } = {}
  ): Promise<A> {
    const until = performance.now() + withinMs
    for (let at = from;;) {
      for (; at < this.all.length; at++) {
        const fact = this.all[at]
        if (fact !== undefined && isIt(fact)) return fact
      }
      const leftMs = until - performance.now()
      if (this.over !== undefined || leftMs <= 0) {
        const why = this.over ?? `waited ${withinMs} ms`
        const last = this.all.slice(-shownFacts).map((fact) => `  ${JSON.stringify(fact)}`).join("\n")
        throw new Error(`${this.who} did not tell: ${what} (${why}). The last that it told:\n${last}`)
      }
      await this.change(leftMs)
    }
  }

  private change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.waiting.add(done)
    })
  }

  private wake(): void {
    for (const done of this.waiting) done()
  }
}
