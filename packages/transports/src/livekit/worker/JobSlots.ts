/** Why an offered job is not taken. */
export type Refusal = "full" | "draining" | "known"

/**
 * Who has the places of a worker. Synchronous, so that between looking and taking nothing happens.
 *
 * 1. Reserved and running jobs together are never more than `most`.
 * 2. A job has one place, whatever is asked for it and how often.
 * 3. `load` is 0 with no job, 1 when every place is taken, and grows by `1 / most` with each.
 */
export class JobSlots {
  readonly #reserved = new Set<string>()
  readonly #running = new Set<string>()
  readonly most: number

  /** `most` is at least 1. */
  constructor(most: number) {
    if (!Number.isInteger(most) || most < 1) throw new RangeError(`a worker with ${most} places`)
    this.most = most
  }

  get reserved(): number {
    return this.#reserved.size
  }

  get running(): ReadonlySet<string> {
    return this.#running
  }

  get taken(): number {
    return this.#reserved.size + this.#running.size
  }

  get isFull(): boolean {
    return this.taken >= this.most
  }

  get load(): number {
    return this.taken / this.most
  }

  /** Takes a place for a job that is offered; a refusal takes none. */
  reserve(jobId: string): Refusal | undefined {
    if (this.#reserved.has(jobId) || this.#running.has(jobId)) return "known"
    if (this.isFull) return "full"
    this.#reserved.add(jobId)
    return undefined
  }

  /** The job begins, in the place that was reserved for it, or in a free one. A refusal begins nothing. */
  begin(jobId: string): Refusal | undefined {
    if (this.#running.has(jobId)) return "known"
    if (!this.#reserved.delete(jobId) && this.isFull) return "full"
    this.#running.add(jobId)
    return undefined
  }

  hasReserved(jobId: string): boolean {
    return this.#reserved.has(jobId)
  }

  /** Gives back a place that was reserved; false when there was none. */
  unreserve(jobId: string): boolean {
    return this.#reserved.delete(jobId)
  }

  /** Gives back the places of all jobs that have not begun. */
  unreserveAll(): void {
    this.#reserved.clear()
  }

  /** The job has ended. */
  end(jobId: string): void {
    this.#running.delete(jobId)
  }
}
