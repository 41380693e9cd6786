import { frameMs, frameSamples } from "@rspp/runtime/ports/AudioFrame"
import { numberBound, NumberSlots } from "./NumberSlots.ts"

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

/** A change of form after this many others is found by key; fewer are looked through. */
const maxPairs = 16

// There are hundreds of each in a model, and a model in each session: what is empty is shared, and lists are as long as
// they must be.
const noParts: ReadonlyArray<string> = []
const noSlots: ReadonlyArray<number> = []
const noForms: ReadonlyArray<Form> = []

/** One way in which the value at a place is built. */
export class Form {
  readonly kind: number
  /** Of a constant or a pattern; empty for the others. */
  readonly text: string
  /** What of a pattern's text is before, between and behind its holes; none where there are no holes. */
  readonly parts: ReadonlyArray<string>
  /** Of an object. */
  readonly shape: Shape | undefined
  /**
   * The first slot of the numbers of a pattern, the length of a list, the number of a hash, or less than 0: they are made
   * when first needed, and lie one behind the other.
   */
  firstSlot = -1

  constructor(kind: number, text: string, shape?: Shape) {
    this.kind = kind
    this.text = text
    this.parts = kind === kinds.pattern && text.includes(hole) ? text.split(hole) : noParts
    this.shape = shape
  }
}

/** Places at which nothing has come but whole numbers: most of them. Their slots are not of the form. */
const wholeNumber: ReadonlyArray<Form> = [new Form(kinds.integer, "")]

/** The object or list that was last at a place, the items of the lists there, and the slot of a whole number in a list. */
interface Inside {
  value: unknown
  items: Place | undefined
  slot: number
}

const newInside = (): Inside => ({ value: undefined, items: undefined, slot: -1 })

/** Where a value stands: a field of an object, the items of a list, or a whole record. */
export class Place {
  forms = noForms
  /** The form that was last here. */
  last = 0
  /** By what came before: the form that came then, where it was not the expected one. */
  #after: Array<number> | Map<number, number> | undefined
  #inside: Inside | undefined

  /** One more form: a list with nothing else in it, which may be that of other places too. */
  add(form: ReadonlyArray<Form>): void {
    this.forms = this.forms.length === 0 ? form : this.forms.concat(form)
  }

  /** The form that came the last time after `before`, where it was not the expected one then. */
  after(before: number): number | undefined {
    const after = this.#after
    if (after === undefined) return undefined
    if (after instanceof Map) return after.get(before)
    for (let at = 0; at < after.length; at += 2) if (after[at] === before) return after[at + 1]
    return undefined
  }

  /** After `before` this form came. */
  cameAfter(before: number, form: number): void {
    const after = this.#after
    if (after === undefined) {
      this.#after = [before, form]
      return
    }
    if (after instanceof Map) {
      after.set(before, form)
      return
    }
    for (let at = 0; at < after.length; at += 2) {
      if (after[at] !== before) continue
      after[at + 1] = form
      return
    }
    if (after.length < 2 * maxPairs) this.#after = after.concat(before, form)
    else {
      const found = new Map([[before, form]])
      for (let at = 0; at < after.length; at += 2) found.set(after[at] ?? 0, after[at + 1] ?? 0)
      this.#after = found
    }
  }

  /** The object or list that was last here; kept below the second level only. */
  get value(): unknown {
    return this.#inside?.value
  }

  set value(value: unknown) {
    this.#inside ??= newInside()
    this.#inside.value = value
  }

  /** Of a whole number in a list; less than 0 when it has none. */
  get slot(): number {
    return this.#inside?.slot ?? -1
  }

  set slot(slot: number) {
    this.#inside ??= newInside()
    this.#inside.slot = slot
  }

  /** Of the items, when there are lists here. */
  get items(): Place {
    this.#inside ??= newInside()
    return this.#inside.items ??= new Place()
  }
}

/** A combination of forms of an object's fields, and the places of whole numbers in objects that have it. */
export class Combination {
  /** The field and the form by which it differs from the one before it. */
  readonly step: number
  next: ReadonlyArray<Combination> = noCombinations
  slots = noSlots

  constructor(step: number) {
    this.step = step
  }
}

const noCombinations: ReadonlyArray<Combination> = []

/** The objects that have certain keys, wherever they are. */
export class Shape {
  readonly keys: ReadonlyArray<string>
  readonly fields: ReadonlyArray<Place>
  readonly first = new Combination(0)
  /** The keys in the order in which an object had them that was not as expected. */
  order: ReadonlyArray<string>
  #combinations = 1

  constructor(keys: ReadonlyArray<string>) {
    this.keys = keys
    this.order = keys
    this.fields = keys.map(() => new Place())
  }

  /** The combination behind `from` when the field `index` has the form `form`. */
  combination(from: Combination, index: number, form: number): Combination {
    if (form === 0) return from
    const step = form * this.keys.length + index
    for (const known of from.next) if (known.step === step) return known
    if (this.#combinations >= maxCombinations) return this.first
    this.#combinations++
    const made = new Combination(step)
    from.next = from.next.concat(made)
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
  readonly root = new Place()
  readonly slots = new NumberSlots()
  readonly hashes = new Hashes()
  readonly texts: Array<string> = []
  readonly #shapes = new Map<string, Shape>()
  /** Patterns without numbers, of which there are no more than texts. */
  readonly #plain = new Map<string, ReadonlyArray<Form>>()
  readonly #registers = new Map<string, number>()
  /** Where the next audio run is expected to begin. */
  readonly #nextSample = this.register(".first_sample_index")
  readonly #nextMs = this.register(".first_timestamp_ms")
  /** What kind of record came last. */
  kind = 0

  /** A form that is new at a place, alone in a list. What holds nothing but its text is one for all places. */
  newForm(kind: number, text: string, shape: Shape | undefined): ReadonlyArray<Form> {
    if (kind === kinds.integer) return wholeNumber
    if (kind !== kinds.pattern) return [new Form(kind, text, shape)]
    const known = this.#plain.get(text)
    if (known !== undefined) return known
    const made = [new Form(kind, text, shape)]
    if (made[0]?.parts === noParts) this.#plain.set(text, made)
    return made
  }

  shapeOf(keys: ReadonlyArray<string>): Shape {
    const id = JSON.stringify(keys)
    const known = this.#shapes.get(id)
    if (known !== undefined) return known
    const shape = new Shape(keys)
    this.#shapes.set(id, shape)
    return shape
  }

  register(name: string): number {
    const known = this.#registers.get(name)
    if (known !== undefined) return known
    const register = this.slots.register()
    this.#registers.set(name, register)
    return register
  }

  /** The form that is expected at a place. */
  expected(place: Place, depth: number): number {
    return place.after(depth < 2 ? this.kind : place.last) ?? place.last
  }

  /** The form that came instead of the expected one. */
  surprised(place: Place, depth: number, form: number): void {
    // Where there is one form only there is nothing to be told apart.
    if (place.forms.length >= 2) place.cameAfter(depth < 2 ? this.kind : place.last, form)
  }

  /** The slot of the number `index` of a pattern, a list's length, or a hash. */
  slotIn(form: Form, index: number): number {
    if (form.firstSlot < 0) form.firstSlot = this.#slotsFor(form)
    return form.firstSlot + index
  }

  /** The slot of a whole number that is an item of a list. */
  slotAt(place: Place): number {
    if (place.slot < 0) place.slot = this.#slotNear("[]")
    return place.slot
  }

  #slotsFor({ kind, parts, text }: Form): number {
    if (kind !== kinds.pattern) {
      const first = this.#slotNear(kind === kinds.hash ? "#" : "[]")
      if (kind === kinds.continued) { for (let more = 2; more > 0; more--) this.#slotNear("[]") }
      return first
    }
    let first = -1
    for (let i = 0; i < parts.length - 1; i++) {
      const named = this.register(`${text}\n${i}`)
      const slot = this.slots.slot(named, this.register(stem.exec(parts[i] ?? "")?.[0] ?? ""), 0)
      if (i === 0) first = slot
    }
    return first
  }

  #slotNear(name: string): number {
    const shared = this.register(name)
    return this.slots.slot(shared, shared, 0)
  }

  /** The slot of a whole number at the field `index` of an object, the forms of whose fields begin at `base`; about the `ordinal`-th in it. */
  slotOf(
    shape: Shape,
    combination: Combination,
    index: number,
    forms: ReadonlyArray<Form>,
    base: number,
    ordinal: number
  ): number {
    const { slots } = this
    const likely = combination.slots[ordinal]
    if (likely !== undefined && slots.fieldOf(likely) === index) return likely
    for (const slot of combination.slots) if (slots.fieldOf(slot) === index) return slot
    const name = shape.keys[index] ?? ""
    let first: Form | undefined
    for (let i = 0; i < shape.keys.length && first === undefined; i++) {
      const form = forms[base + i]
      if (form?.kind === kinds.pattern) first = form
    }
    const akin = this.register(`.${name}\n${first?.text ?? ""}`)
    const made = slots.slot(this.register(`.${name}`), akin, index)
    combination.slots = combination.slots.concat(made)
    return made
  }

  /** A whole record came: what numbers of the next one are near to. */
  learn(record: Fields): void {
    const { slots } = this
    const { record: kind } = record
    if (kind === "audio") {
      const { count, first_sample_index, first_sequence, first_timestamp_ms, jitter } = record
      if (isNumber(first_sequence)) slots.next = Math.max(slots.next, first_sequence + numberOf(count))
      let now = numberOf(first_timestamp_ms) + (numberOf(count) - 1) * frameMs
      if (Array.isArray(jitter)) { for (const late of jitter) now += numberOf(late) }
      slots.now = now
      slots.set(this.#nextSample, numberOf(first_sample_index) + numberOf(count) * frameSamples)
      slots.set(this.#nextMs, now + frameMs)
      return
    }
    const held = record[String(kind)]
    const sequence = stampOf("runtime_sequence", record, held)
    if (sequence !== undefined) {
      if (sequence >= slots.next) slots.next = sequence + 1
      if (kind === "input") slots.step = sequence
    }
    const stamped = stampOf("runtime_timestamp_ms", record, held)
    if (stamped !== undefined) slots.now = stamped
  }
}

/** An object, of which nothing is known. */
export type Fields = Readonly<Record<string, unknown>>

/** Whole, and small enough to be coded as a number. */
export const isNumber = (value: unknown): value is number =>
  Number.isInteger(value) && Math.abs(value as number) < numberBound

const numberOf = (value: unknown): number => isNumber(value) && Math.abs(value) < 2 ** 40 ? value : 0

/** The record's own stamp, or that of the signal, event or decision that it holds. */
const stampOf = (
  name: "runtime_sequence" | "runtime_timestamp_ms",
  record: Fields,
  held: unknown
): number | undefined => {
  const own = record[name]
  if (isNumber(own)) return own
  const inner = typeof held === "object" && held !== null ? (held as Fields)[name] : undefined
  return isNumber(inner) ? inner : undefined
}
