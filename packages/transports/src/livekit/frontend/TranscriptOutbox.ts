import type { Said } from "./CallerWords.ts"
import type { Spoken } from "./SpokenWords.ts"

/** What waits to be shown. */
export type Line =
  | { readonly who: "caller"; readonly said: Said }
  /** More of a reply; with `end` there is nothing after it. */
  | { readonly who: "agent"; readonly replyId: string; readonly text: string; readonly end: boolean }

/** Lines that wait at most. */
export const waitingLines = 256

/** Characters that they have together at most: an hour of speech. */
export const waitingChars = 65_536

/**
 * Transcripts on their way to a room that may be slower than the call: bounded, in order, the rest counted.
 *
 * Nothing waits that something newer makes needless: the newest text of an utterance takes the place of one that was not
 * sent yet, and more of a reply joins what waits of it. When it is full all the same, updates that are not final go first,
 * oldest first. Final texts and replies go only when nothing else is left, which takes a room that takes nothing for
 * hundreds of turns.
 *
 * Guarantees: I-FRONT-ORDER lines leave in the order in which they came; I-FRONT-SHED a final text is never dropped
 * while an update that is not final waits.
 */
export class TranscriptOutbox {
  #lines: Array<Line> = []
  #chars = 0
  #shed = 0
  #lost = 0

  /** Updates that newer ones took the place of, or that had to go: nobody misses them. */
  get shed(): number {
    return this.#shed
  }

  /** Lines that nobody will see. */
  get lost(): number {
    return this.#lost
  }

  get size(): number {
    return this.#lines.length
  }

  said(said: Said): void {
    const waiting = this.#lines.findIndex((line) =>
      line.who === "caller" && !line.said.final && line.said.utteranceId === said.utteranceId
    )
    if (waiting >= 0) {
      this.#remove(waiting)
      this.#shed += 1
    }
    this.#push({ who: "caller", said })
  }

  spoken(spoken: Spoken): void {
    const last = this.#lines.at(-1)
    const more = spoken.kind === "text" ? spoken.text : ""
    const end = spoken.kind === "end"
    if (last?.who === "agent" && last.replyId === spoken.replyId && !last.end) {
      this.#lines[this.#lines.length - 1] = { ...last, text: last.text + more, end }
      this.#chars += more.length
      this.#bound()
    } else this.#push({ who: "agent", replyId: spoken.replyId, text: more, end })
  }

  take(): Line | undefined {
    const line = this.#lines.shift()
    if (line !== undefined) this.#chars -= lengthOf(line)
    return line
  }

  #push(line: Line): void {
    this.#lines.push(line)
    this.#chars += lengthOf(line)
    this.#bound()
  }

  #bound(): void {
    while (this.#lines.length > waitingLines || (this.#chars > waitingChars && this.#lines.length > 1)) {
      const passing = this.#lines.findIndex((line) => line.who === "caller" && !line.said.final)
      if (passing >= 0) this.#shed += 1
      else this.#lost += 1
      this.#remove(Math.max(0, passing))
    }
  }

  #remove(index: number): void {
    for (const line of this.#lines.splice(index, 1)) this.#chars -= lengthOf(line)
  }
}

const lengthOf = (line: Line): number => line.who === "caller" ? line.said.text.length : line.text.length
