/** How many ways there are to foresee a number. */
export const guesses = 9

/** Whole numbers are coded as numbers when their size is less than this; the arithmetic of guesses stays exact. */
export const numberBound = 2 ** 47

/** Where the things that numbers are near to begin: the three of the moment, and behind them the registers. */
const now = 0
const next = 1
const step = 2
const firstRegister = 3

/** Of a register: its last value, and behind it the highest. */
const numbersOfRegister = 2

/** Of a slot: the last number, what it was more than the one before, and what more than each other thing. */
const numbersOfSlot = 8

/** Of a slot: its two registers, its field and its leader. */
const links = 4

/** Slots and registers for which room is made at once. */
const growth = 32

/**
 * The places of a model at which whole numbers come, one after the other, and nine guesses at the next one of each:
 *
 * 0 the last one; 1 the last one and as much more as it was more than the one before; 2 `now`; and each of the following
 * plus what the last number was more than it: 3 `now`, 4 `next`, 5 `step`, 6 the last and 7 the highest value of its
 * register, 8 the last value of its second register.
 *
 * One of them leads: the one that was right last, or, after none was, the one that came nearest.
 *
 * A session has hundreds of slots and each process hundreds of sessions, so a slot is a number, and what is known of it
 * lies in rows of three lists.
 */
export class NumberSlots {
  #near = new Float64Array(firstRegister + growth * numbersOfRegister)
  #values = new Float64Array(growth * numbersOfSlot)
  #links = new Int32Array(growth * links)
  #registers = 0
  #slots = 0

  /** A register of its own; all that it has seen is 0. */
  register(): number {
    const at = firstRegister + this.#registers++ * numbersOfRegister
    if (at + numbersOfRegister > this.#near.length) {
      const grown = new Float64Array(this.#near.length + growth * numbersOfRegister)
      grown.set(this.#near)
      this.#near = grown
    }
    return at
  }

  /** A slot of its own, at a field of an object; of other slots the field is 0. */
  slot(register: number, akin: number, field: number): number {
    const slot = this.#slots++
    if (slot * links >= this.#links.length) {
      const room = slot + growth
      const values = new Float64Array(room * numbersOfSlot)
      const linked = new Int32Array(room * links)
      values.set(this.#values)
      linked.set(this.#links)
      this.#values = values
      this.#links = linked
    }
    const at = slot * links
    this.#links[at] = register
    this.#links[at + 1] = akin
    this.#links[at + 2] = field
    return slot
  }

  /** The field of the object that the slot belongs to. */
  fieldOf(slot: number): number {
    return this.#links[slot * links + 2] ?? 0
  }

  /** What is expected next. */
  expected(slot: number): number {
    return this.guess(slot, this.#links[slot * links + 3] ?? 0)
  }

  guess(slot: number, which: number): number {
    const values = this.#values
    const near = this.#near
    const at = slot * numbersOfSlot
    switch (which) {
      case 0:
        return of(values, at)
      case 1:
        return of(values, at) + of(values, at + 1)
      case 2:
        return of(near, now)
      case 3:
        return of(near, now) + of(values, at + 2)
      case 4:
        return of(near, next) + of(values, at + 3)
      case 5:
        return of(near, step) + of(values, at + 4)
      case 6:
        return of(near, this.#links[slot * links] ?? 0) + of(values, at + 5)
      case 7:
        return of(near, (this.#links[slot * links] ?? 0) + 1) + of(values, at + 6)
      default:
        return of(near, this.#links[slot * links + 1] ?? 0) + of(values, at + 7)
    }
  }

  /** The first guess that is right; {@link guesses} when none is. */
  right(slot: number, value: number): number {
    let which = 0
    while (which < guesses && this.guess(slot, which) !== value) which++
    return which
  }

  /** This guess leads from now on. */
  lead(slot: number, which: number): void {
    this.#links[slot * links + 3] = which
  }

  /** After no guess was right: the nearest leads, the leader before others as near, and the lower before the higher. */
  follow(slot: number, value: number): void {
    let least = Math.abs(value - this.expected(slot))
    for (let which = 0; which < guesses; which++) {
      const error = Math.abs(value - this.guess(slot, which))
      if (error < least) {
        least = error
        this.lead(slot, which)
      }
    }
  }

  /** The number that came. */
  learn(slot: number, value: number): void {
    const values = this.#values
    const near = this.#near
    const register = this.#links[slot * links] ?? 0
    const akin = this.#links[slot * links + 1] ?? 0
    const at = slot * numbersOfSlot
    values[at + 1] = value - of(values, at)
    values[at] = value
    values[at + 2] = value - of(near, now)
    values[at + 3] = value - of(near, next)
    values[at + 4] = value - of(near, step)
    values[at + 5] = value - of(near, register)
    values[at + 6] = value - of(near, register + 1)
    values[at + 7] = value - of(near, akin)
    near[register] = value
    if (value > of(near, register + 1)) near[register + 1] = value
    near[akin] = value
    if (value > of(near, akin + 1)) near[akin + 1] = value
  }

  /** The register's last value is this; its highest stays. */
  set(register: number, last: number): void {
    this.#near[register] = last
  }

  /** The time of the last record that has one, ms; of audio that of its last frame. */
  get now(): number {
    return of(this.#near, now)
  }
  set now(value: number) {
    this.#near[now] = value
  }

  /** The sequence number behind the highest so far. */
  get next(): number {
    return of(this.#near, next)
  }
  set next(value: number) {
    this.#near[next] = value
  }

  /** The sequence number of the last `input` record. */
  set step(value: number) {
    this.#near[step] = value
  }
}

const of = (values: Float64Array, at: number): number => values[at] ?? 0
