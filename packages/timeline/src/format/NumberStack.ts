/** Numbers that are put down and taken up again, in memory that is kept. */
export class NumberStack {
  #numbers = new Float64Array(256)
  /** How many there are. */
  end = 0

  push(value: number): void {
    if (this.end === this.#numbers.length) {
      const grown = new Float64Array(this.end * 2)
      grown.set(this.#numbers)
      this.#numbers = grown
    }
    this.#numbers[this.end++] = value
  }

  at(index: number): number {
    return this.#numbers[index] ?? 0
  }
}
