/** The last value that something had, and the highest. */
export class Register {
  last = 0
  highest = 0

  set(value: number): void {
    this.last = value
    if (value > this.highest) this.highest = value
  }
}

/** What numbers of a record are usually near to. */
export interface Moment {
  /** The time of the last record that has one, ms; of audio that of its last frame. */
  now: number
  /** The sequence number behind the highest so far. */
  next: number
  /** The sequence number of the last `input` record. */
  step: number
}

/** How many ways there are to foresee a number. */
export const guesses = 9

/** Whole numbers are coded as numbers when their size is less than this; the arithmetic of guesses stays exact. */
export const numberBound = 2 ** 47

/** Numbers that a slot keeps: the last one, what it was more than the one before, and what more than each other thing. */
const numbersOfSlot = 8

/** Where the slots of a model keep their numbers: a session has hundreds of them. */
export class SlotMemory {
  values = new Float64Array(64 * numbersOfSlot)
  #taken = 0

  /** Room for one slot, all zeros. */
  take(): number {
    const at = this.#taken
    this.#taken += numbersOfSlot
    if (this.#taken > this.values.length) {
      const grown = new Float64Array(this.values.length + 64 * numbersOfSlot)
      grown.set(this.values)
      this.values = grown
    }
    return at
  }
}

/**
 * A place at which whole numbers come, one after the other, and nine guesses at the next one:
 *
 * 0 the last one; 1 the last one and as much more as it was more than the one before; 2 `now`; and each of the following
 * plus what the last number was more than it: 3 `now`, 4 `next`, 5 `step`, 6 the last and 7 the highest value of `named`,
 * 8 the last value of `akin`.
 *
 * One of them leads: the one that was right last, or, after none was, the one that came nearest.
 */
export class NumberSlot {
  leader = 0
  /** The field of the object that it belongs to; of other slots 0. */
  readonly field: number
  readonly #named: Register
  readonly #akin: Register
  readonly #memory: SlotMemory
  readonly #at: number

  constructor(named: Register, akin: Register, memory: SlotMemory, field: number) {
    this.field = field
    this.#named = named
    this.#akin = akin
    this.#memory = memory
    this.#at = memory.take()
  }

  guess(which: number, moment: Moment): number {
    const { values } = this.#memory
    const at = this.#at
    switch (which) {
      case 0:
        return of(values, at)
      case 1:
        return of(values, at) + of(values, at + 1)
      case 2:
        return moment.now
      case 3:
        return moment.now + of(values, at + 2)
      case 4:
        return moment.next + of(values, at + 3)
      case 5:
        return moment.step + of(values, at + 4)
      case 6:
        return this.#named.last + of(values, at + 5)
      case 7:
        return this.#named.highest + of(values, at + 6)
      default:
        return this.#akin.last + of(values, at + 7)
    }
  }

  /** The first guess that is right; {@link guesses} when none is. */
  right(value: number, moment: Moment): number {
    let which = 0
    while (which < guesses && this.guess(which, moment) !== value) which++
    return which
  }

  /** After no guess was right: the nearest leads, the leader before others as near, and the lower before the higher. */
  follow(value: number, moment: Moment): void {
    let least = Math.abs(value - this.guess(this.leader, moment))
    for (let which = 0; which < guesses; which++) {
      const error = Math.abs(value - this.guess(which, moment))
      if (error < least) {
        least = error
        this.leader = which
      }
    }
  }

  /** The number that came. */
  learn(value: number, moment: Moment): void {
    const { values } = this.#memory
    const at = this.#at
    const named = this.#named
    const akin = this.#akin
    values[at + 1] = value - of(values, at)
    values[at] = value
    values[at + 2] = value - moment.now
    values[at + 3] = value - moment.next
    values[at + 4] = value - moment.step
    values[at + 5] = value - named.last
    values[at + 6] = value - named.highest
    values[at + 7] = value - akin.last
    named.set(value)
    if (akin !== named) akin.set(value)
  }
}

const of = (values: Float64Array, at: number): number => values[at] ?? 0
