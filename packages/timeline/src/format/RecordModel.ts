import { frameMs, frameSamples } from "@rspp/runtime/ports/AudioFrame"
import type { Moment } from "./NumberSlot.ts"
import { numberBound, NumberSlot, Register, SlotMemory } from "./NumberSlot.ts"

/** The kinds of forms, as the format numbers them. */
export const kinds = {
  /** A scalar that is always the same: `text` is its JSON. */
  constant: 0,
  /** A whole number. */
  integer: 1,
  /** A string of at most {@link maxPatternChars}: `text` with a number in the place of each {@link hole}. */
  pattern: 2,
  /** A string of 64 hexadecimal digits in lower case. */
  hash: 3,
  /** A longer string. */
  string: 4,
  list: 5,
  object: 6,
  /** Anything else, as JSON. */
  json: 7,
  /** A list of whole numbers. */
  integers: 8,
  /** The object or list that was last at this place. */
  again: 9,
  /** A list that has items of the list before it at this place, one behind the other, and more behind them. */
  continued: 10
} as const

/** Stands for a number in the text of a pattern. */
export const hole = "\u0000"

/** Longest string that is a pattern. */
export const maxPatternChars = 80

/** Numbers in one pattern at most; a string with more of them is a pattern without any. */
export const maxHoles = 40

/** Digits of a number in a pattern at most. */
export const maxDigits = 14

/** Hashes that can be named again: the last so many. */
export const maxHashes = 256

/** Texts that a model holds; the writer begins afresh when there are more. */
export const maxTexts = 4096

/** Values of one block at most: it bounds what a reader builds from a few bytes. */
export const maxBlockValues = 1024 * 1024

/** Values in one another at most; what is deeper is written as JSON. */
export const maxDepth = 64

/** Combinations of forms of an object's fields that have numbers of their own; all others share those of the first. */
export const maxCombinations = 64

/** One way in which the value at a place is built. */
export interface Form {
  readonly kind: number
  /** Of a constant or a pattern; empty for the others. */
  readonly text: string
  /** What of a pattern's text is before, between and behind its holes; none where there are no holes. */
  readonly parts: ReadonlyArray<string>
  /** Of an object. */
  readonly shape: Shape | undefined
  /** The numbers of a pattern, the length of a list, the number of a hash: made when first needed. */
  slots: ReadonlyArray<NumberSlot>
}

// There are hundreds of each in a model, and a model in each session: lists are as long as they must be, and shared where
// they are empty.
const noParts: ReadonlyArray<string> = []
const noSlots: ReadonlyArray<NumberSlot> = []
const noForms: ReadonlyArray<Form> = []

export const formWith = (kind: number, text: string, shape?: Shape): Form => ({
  kind,
  text,
  parts: kind === kinds.pattern && text.includes(hole) ? text.split(hole) : noParts,
  shape,
  slots: noSlots
})

/** Where a value stands: a field of an object, the items of a list, or a whole record. */
export class Place {
  /** Name of the field; of a list's items that of the list. */
  readonly name: string
  forms: ReadonlyArray<Form> = noForms
  /** The form that was last here. */
  last = 0
  /** By what came before: the form that came then, where it was not the expected one. */
  after: Map<number, number> | undefined
  /** The object or list that was last here; kept below the second level only. */
  value: unknown
  /** Of the items, when there are lists here. */
  #items: Place | undefined

  constructor(name: string) {
    this.name = name
  }

  get items(): Place {
    this.#items ??= new Place(this.name)
    return this.#items
  }
}

/** A combination of forms of an object's fields, and the places of whole numbers in objects that have it. */
export interface Combination {
  next: Map<number, Combination> | undefined
  slots: ReadonlyArray<NumberSlot>
}

const newCombination = (): Combination => ({ next: undefined, slots: noSlots })

/** The objects that have certain keys, wherever they are. */
export class Shape {
  readonly keys: ReadonlyArray<string>
  readonly fields: ReadonlyArray<Place>
  readonly first: Combination = newCombination()
  #combinations = 1

  constructor(keys: ReadonlyArray<string>) {
    this.keys = keys
    this.fields = keys.map((key) => new Place(key))
  }

  /** The combination behind `from` when the field `index` has the form `form`. */
  combination(from: Combination, index: number, form: number): Combination {
    if (form === 0) return from
    const step = form * this.keys.length + index
    const known = from.next?.get(step)
    if (known !== undefined) return known
    if (this.#combinations >= maxCombinations) return this.first
    this.#combinations++
    const made = newCombination()
    from.next ??= new Map()
    from.next.set(step, made)
    return made
  }
}

/** The last {@link maxHashes} hashes, by number in the order in which they came. */
export class Hashes {
  readonly #recent: Array<string> = []
  readonly #numbers = new Map<string, number>()
  count = 0

  numberOf(hash: string): number | undefined {
    return this.#numbers.get(hash)
  }

  at(number: number): string | undefined {
    return number >= 0 && number < this.count && number >= this.count - maxHashes
      ? this.#recent[number % maxHashes]
      : undefined
  }

  add(hash: string): void {
    const place = this.count % maxHashes
    const forgotten = this.#recent[place]
    if (forgotten !== undefined) this.#numbers.delete(forgotten)
    this.#recent[place] = hash
    this.#numbers.set(hash, this.count)
    this.count++
  }
}

/** The letters right before a number, with one sign behind them: `turn_` of `ses/turn_3`. */
const stem = /[A-Za-z]*[^A-Za-z0-9]?$/u

/**
 * What the reader and the writer of a timeline know of the records that came before; each keeps one, and both learn the
 * same from the same records. Bounded by {@link maxTexts}, {@link maxHashes} and the shapes that these allow.
 */
export class RecordModel {
  readonly root = new Place("")
  readonly moment: Moment = { now: 0, next: 0, step: 0 }
  readonly hashes = new Hashes()
  readonly #memory = new SlotMemory()
  readonly texts: Array<string> = []
  readonly #shapes = new Map<string, Shape>()
  readonly #registers = new Map<string, Register>()
  /** What kind of record came last. */
  kind = 0

  shapeOf(keys: ReadonlyArray<string>): Shape {
    const id = JSON.stringify(keys)
    const known = this.#shapes.get(id)
    if (known !== undefined) return known
    const shape = new Shape(keys)
    this.#shapes.set(id, shape)
    return shape
  }

  register(name: string): Register {
    const known = this.#registers.get(name)
    if (known !== undefined) return known
    const register = new Register()
    this.#registers.set(name, register)
    return register
  }

  /** The form that is expected at a place. */
  expected(place: Place, depth: number): number {
    return place.after?.get(depth < 2 ? this.kind : place.last) ?? place.last
  }

  /** The form that came instead of the expected one. */
  surprised(place: Place, depth: number, form: number): void {
    // Where there is one form only there is nothing to be told apart.
    if (place.forms.length < 2) return
    place.after ??= new Map()
    place.after.set(depth < 2 ? this.kind : place.last, form)
  }

  /** The slot of the number `index` of a pattern, a list's length, or a hash. */
  slotIn(form: Form, index: number): NumberSlot {
    const known = form.slots[index]
    if (known !== undefined) return known
    const made = new NumberSlot(...this.#registersOf(form, index), this.#memory, 0)
    // They are asked for in their order.
    form.slots = [...form.slots, made]
    return made
  }

  #registersOf({ kind, parts, text }: Form, index: number): [Register, Register] {
    if (kind === kinds.pattern) {
      return [this.register(`${text}\n${index}`), this.register(stem.exec(parts[index] ?? "")?.[0] ?? "")]
    }
    const shared = this.register(kind === kinds.hash ? "#" : "[]")
    return [shared, shared]
  }

  /** The slot of a whole number at the field `index` of an object, the forms of whose fields begin at `base`; about the `ordinal`-th in it. */
  slotOf(
    shape: Shape,
    combination: Combination,
    index: number,
    forms: ReadonlyArray<Form>,
    base: number,
    ordinal: number
  ): NumberSlot {
    const likely = combination.slots[ordinal]
    if (likely?.field === index) return likely
    for (const slot of combination.slots) if (slot.field === index) return slot
    const name = shape.keys[index] ?? ""
    let first: Form | undefined
    for (let i = 0; i < shape.keys.length && first === undefined; i++) {
      const form = forms[base + i]
      if (form?.kind === kinds.pattern) first = form
    }
    const akin = this.register(`.${name}\n${first?.text ?? ""}`)
    const made = new NumberSlot(this.register(`.${name}`), akin, this.#memory, index)
    combination.slots = [...combination.slots, made]
    return made
  }

  /** A whole record came: what numbers of the next one are near to. */
  learn(record: Fields): void {
    const { moment } = this
    const { count, first_sample_index, first_sequence, first_timestamp_ms, jitter, record: kind } = record
    if (kind === "audio") {
      if (isNumber(first_sequence)) moment.next = Math.max(moment.next, first_sequence + numberOf(count))
      moment.now = numberOf(first_timestamp_ms) + (numberOf(count) - 1) * frameMs
      if (Array.isArray(jitter)) { for (const late of jitter) moment.now += numberOf(late) }
      this.register(".first_sample_index").last = numberOf(first_sample_index) + numberOf(count) * frameSamples
      this.register(".first_timestamp_ms").last = moment.now + frameMs
      return
    }
    const held = record[String(kind)]
    const sequence = stampOf("runtime_sequence", record, held)
    if (sequence !== undefined && sequence >= moment.next) moment.next = sequence + 1
    if (sequence !== undefined && kind === "input") moment.step = sequence
    moment.now = stampOf("runtime_timestamp_ms", record, held) ?? moment.now
  }
}

/** An object, of which nothing is known. */
export type Fields = Readonly<Record<string, unknown>>

/** Whole, and small enough to be coded as a number. */
export const isNumber = (value: unknown): value is number =>
  Number.isInteger(value) && Math.abs(value as number) < numberBound

const numberOf = (value: unknown): number => isNumber(value) && Math.abs(value) < 2 ** 40 ? value : 0

/** The record's own stamp, or that of the signal, event or decision that it holds. */
const stampOf = (name: string, record: Fields, held: unknown): number | undefined => {
  const own = record[name]
  if (isNumber(own)) return own
  const inner = typeof held === "object" && held !== null ? (held as Fields)[name] : undefined
  return isNumber(inner) ? inner : undefined
}
