/** Marks that are kept of one recording; more are merged, and the lag is then over-estimated, never under-estimated. */
export const maxFlushMarks = 128

/** When which bytes of a recording were flushed, for those that are not stored yet. Bounded. */
export class FlushMarks {
  readonly #marks: Array<{ bytes: number; readonly ms: number }> = []

  /** The recording has `bytes` on disk at `ms`. */
  flushed(bytes: number, ms: number): void {
    const last = this.#marks.at(-1)
    if (last !== undefined && (bytes <= last.bytes || this.#marks.length >= maxFlushMarks)) {
      last.bytes = Math.max(last.bytes, bytes)
      return
    }
    this.#marks.push({ bytes, ms })
  }

  /** The first `bytes` are stored. */
  stored(bytes: number): void {
    let done = 0
    while ((this.#marks[done]?.bytes ?? Infinity) <= bytes) done++
    this.#marks.splice(0, done)
  }

  /** When the oldest byte that is not stored was flushed. */
  get oldestMs(): number | undefined {
    return this.#marks[0]?.ms
  }
}
