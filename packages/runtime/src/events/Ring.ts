/** A bounded queue of one reader and one thread: a ring of slots that are made once. */
export class Ring<A> {
  readonly #slots: Array<A | undefined>
  readonly #capacity: number
  #first = 0
  #size = 0

  constructor(capacity: number) {
    this.#capacity = capacity
    // Slots come as they are needed, so that a lane of thousands costs nothing while it is calm.
    this.#slots = []
  }

  get size(): number {
    return this.#size
  }

  /** False: it is full. */
  offer(item: A): boolean {
    if (this.#size === this.#capacity) return false
    this.#slots[(this.#first + this.#size) % this.#capacity] = item
    this.#size++
    return true
  }

  take(): A | undefined {
    if (this.#size === 0) return undefined
    const item = this.#slots[this.#first]
    this.#slots[this.#first] = undefined
    this.#size--
    // Back to the front when it is empty: a calm lane stays in its first slots.
    this.#first = this.#size === 0 ? 0 : (this.#first + 1) % this.#capacity
    return item
  }
}
