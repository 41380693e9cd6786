/**
 * One side of a call: samples at positions of session time, held until they are taken.
 *
 * Positions below {@link taken} are gone and immutable. What nobody wrote is silence.
 */
export class Track {
  /** Position after the last sample that was written. */
  end = 0
  /** Samples before this position have been taken. */
  taken = 0
  private buffer = new Int16Array(1 << 15)

  /** Writes samples at a position that has not been taken yet. */
  write(position: number, samples: Int16Array): void {
    const end = position + samples.length
    const needed = end - this.taken
    if (needed > this.buffer.length) {
      const larger = new Int16Array(Math.max(needed, this.buffer.length * 2))
      larger.set(this.buffer)
      this.buffer = larger
    }
    this.buffer.set(samples, position - this.taken)
    if (end > this.end) this.end = end
  }

  /** Forgets everything from `position` on. */
  truncate(position: number): void {
    if (position >= this.end) return
    this.buffer.fill(0, Math.max(0, position - this.taken), Math.max(0, this.end - this.taken))
    this.end = position
  }

  /** Takes everything before `position`, as a copy. */
  take(position: number): Int16Array {
    const length = Math.max(0, position - this.taken)
    const samples = new Int16Array(length)
    samples.set(this.buffer.subarray(0, Math.min(length, this.buffer.length)))
    if (length < this.buffer.length) {
      const left = Math.max(0, this.end - position)
      this.buffer.copyWithin(0, length, length + left)
      this.buffer.fill(0, left)
    } else {
      this.buffer.fill(0)
    }
    this.taken += length
    if (this.end < this.taken) this.end = this.taken
    return samples
  }
}
