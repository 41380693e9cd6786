/** Frames of the caller that were lost, as the input `media_loss` says it: how many, the first and the last by sample. */
export interface LostFrames {
  readonly count: number
  readonly first: number
  readonly last: number
}

/**
 * Counts frames that had to be dropped, until there is an occasion to say so (I-LOSS-TOLD: every frame that is counted is
 * told, once).
 */
export class LossCount {
  #count = 0
  #first = 0
  #last = 0

  lost(sampleIndex: number): void {
    if (this.#count === 0) this.#first = sampleIndex
    this.#count++
    this.#last = sampleIndex
  }

  /** Tells what was lost since the last time, if anything was. */
  tell(report: (lost: LostFrames) => void): void {
    if (this.#count === 0) return
    const lost = { count: this.#count, first: this.#first, last: this.#last }
    this.#count = 0
    report(lost)
  }
}
