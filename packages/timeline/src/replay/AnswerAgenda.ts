import type { InputRecord } from "@rspp/contracts/Timeline"

/** An answer that is to come. */
export interface DueAnswer {
  readonly atMs: number
  /** Its place in the recording, which decides between answers of one instant. */
  readonly index: number
  readonly dialogue: string
  readonly record: InputRecord
}

const before = (a: DueAnswer, atMs: number, index: number): boolean =>
  a.atMs < atMs || (a.atMs === atMs && a.index <= index)

/** Answers that are to come, by time, those of one instant in the order of the recording. */
export class AnswerAgenda {
  #due: Array<DueAnswer> = []

  get lastMs(): number | undefined {
    return this.#due.at(-1)?.atMs
  }

  add(answer: DueAnswer): void {
    let low = 0
    let high = this.#due.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#due[middle]
      if (other !== undefined && before(other, answer.atMs, answer.index)) low = middle + 1
      else high = middle
    }
    this.#due.splice(low, 0, answer)
  }

  /** The next answer, if it comes by then. */
  next(atMs: number, index: number): DueAnswer | undefined {
    const [first] = this.#due
    return first !== undefined && before(first, atMs, index) ? first : undefined
  }

  /** The next answer has come. */
  shift(): void {
    this.#due.shift()
  }

  /** Nothing more comes of this conversation. */
  drop(dialogue: string): void {
    this.#due = this.#due.filter((answer) => answer.dialogue !== dialogue)
  }
}
