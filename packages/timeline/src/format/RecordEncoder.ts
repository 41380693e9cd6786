import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { ByteWriter } from "./ByteWriter.ts"
import { integerBound, writeIntegers } from "./IntegerList.ts"
import type { NumberSlot } from "./NumberSlot.ts"
import { guesses } from "./NumberSlot.ts"
import type { Fields, Form, Place, Shape } from "./RecordModel.ts"
import {
  formWith,
  hole,
  isNumber,
  kinds,
  maxBlockValues,
  maxDepth,
  maxPatternChars,
  maxTexts,
  RecordModel
} from "./RecordModel.ts"
import { isSameJson } from "./SameJson.ts"
import { fits, none, patternOf } from "./TextPattern.ts"
import { sortedKeys } from "./SortedKeys.ts"

/** Keys of an object that is written key by key; one with more is written as JSON. */
export const maxKeys = 256

const hashShape = /^[0-9a-f]{64}$/u

// Encoding never waits, so that all encoders of a process share their memory.
const control = new ByteWriter(16 * 1024)
const data = new ByteWriter(16 * 1024)
const keptBytes = 64 * 1024

/** The two parts of a block's body, until the next block is encoded. */
export interface EncodedRecords {
  /** What was not as expected. */
  readonly control: Uint8Array
  /** Texts, hashes and lists of numbers. */
  readonly data: Uint8Array
  /** Bytes of texts in `data`: the part that compresses. */
  readonly textBytes: number
}

/**
 * The writer's side of format 2's records (docs/timeline-format.md): it expects each record from those before it, and
 * writes down how often it was right and what came instead when it was not.
 *
 * It throws a `TypeError` on what JSON cannot hold and a `RangeError` past {@link maxBlockValues}; it is then of no more
 * use. I-FRAME-SAME: what a `RecordDecoder` reads has the same canonical JSON.
 */
export class RecordEncoder {
  readonly #model = new RecordModel()
  readonly #texts = new Map<string, number>()
  /** Forms of the fields of the objects that are being written. */
  readonly #forms: Array<Form> = []
  /** Numbers of a string. */
  readonly #numbers: Array<number> = []
  #hits = 0
  #values = 0
  #textBytes = 0

  /** It has learnt as much as it may: the next block must begin afresh. */
  get isFull(): boolean {
    return this.#model.texts.length >= maxTexts
  }

  /** Begins a block. Until {@link finish} no other encoder of the process may begin one. */
  begin(): void {
    control.shrink(keptBytes)
    data.shrink(keptBytes)
    this.#hits = 0
    this.#values = 0
    this.#textBytes = 0
  }

  /** Bytes of the block so far. */
  get size(): number {
    return control.length + data.length
  }

  /** What was added since {@link begin}. It is valid until any encoder begins again. */
  finish(): EncodedRecords {
    if (this.#hits > 0) control.varint(this.#hits)
    this.#hits = 0
    return { control: control.view(), data: data.view(), textBytes: this.#textBytes }
  }

  add(record: TimelineRecord): void {
    const { root } = this.#model
    this.#forms.length = 0
    const form = this.#form(root, 0, record)
    const index = root.last
    this.#contents(root, form, undefined, record, 0)
    // What the record is about is the form of the first object in it.
    const field = form.shape?.fields.find(({ forms, last }) => forms[last]?.kind === kinds.object)
    this.#model.kind = index * 1024 + (field === undefined ? 0 : field.last + 1)
    this.#model.learn(record)
  }

  #miss(code: number): void {
    control.varint(this.#hits)
    control.varint(code)
    this.#hits = 0
  }

  #number(slot: NumberSlot, value: number): void {
    const { moment } = this.#model
    const expected = slot.guess(slot.leader, moment)
    if (expected === value) this.#hits++
    else {
      const right = slot.right(value, moment)
      if (right < guesses) {
        this.#miss(right)
        slot.leader = right
      } else {
        const off = value - expected
        this.#miss(guesses + (off < 0 ? -2 * off - 1 : 2 * off))
        slot.follow(value, moment)
      }
    }
    slot.learn(value, moment)
  }

  #text(text: string): void {
    const known = this.#texts.get(text)
    const { texts } = this.#model
    control.varint(known === undefined ? 0 : known + 1)
    if (known !== undefined) return
    this.#texts.set(text, texts.length)
    texts.push(text)
    this.#data(text)
  }

  #data(text: string): void {
    const before = data.length
    data.text(text)
    this.#textBytes += data.length - before
  }

  /** Writes how the value is built. */
  #form(place: Place, depth: number, value: unknown): Form {
    if (++this.#values > maxBlockValues) throw new RangeError(`a block holds at most ${maxBlockValues} values`)
    const expected = this.#model.expected(place, depth)
    const likely = place.forms[expected]
    // Most of what comes is a string of the expected pattern, or a number.
    if (
      likely !== undefined &&
      (likely.kind === kinds.pattern
        ? typeof value === "string" && fits(likely, value, none)
        : likely.kind === kinds.integer && isNumber(value))
    ) {
      this.#hits++
      place.last = expected
      return likely
    }
    const { kind, keys, text } = depth >= 2 && typeof value === "object" && value !== null
      ? this.#structureOf(place, depth, value)
      : formOf(value)
    let index = expected
    if (likely === undefined || !isForm(likely, kind, text, keys)) {
      index = place.forms.findIndex((form) => isForm(form, kind, text, keys))
    }
    if (index === expected) this.#hits++
    else if (index >= 0) this.#miss(index)
    else {
      index = place.forms.length
      this.#miss(index)
      control.varint(kind)
      if (kind === kinds.constant || kind === kinds.pattern) this.#text(text)
      else if (kind === kinds.object) {
        control.varint(keys.length)
        for (const key of keys) this.#text(key)
      }
      const shape = kind === kinds.object ? this.#model.shapeOf(keys) : undefined
      place.forms = [...place.forms, formWith(kind, text, shape)]
    }
    if (index !== expected || likely === undefined) this.#model.surprised(place, depth, index)
    place.last = index
    const form = place.forms[index]
    if (form === undefined) throw new Error("unreachable: the form was added")
    return form
  }

  /** An object or a list at a place where there may have been the same one, or the beginning of it. */
  #structureOf(place: Place, depth: number, value: object): Found {
    const before = place.value
    const found = formOf(value)
    if (depth === maxDepth) {
      found.kind = kinds.json
      found.keys = noKeys
    }
    if (before === undefined) return found
    if (isSameJson(before, value)) found.kind = kinds.again
    else if (Array.isArray(before) && Array.isArray(value) && keptOf(before, value).kept >= minKept) {
      found.kind = kinds.continued
    } else return found
    found.keys = noKeys
    return found
  }

  #contents(place: Place, form: Form, slot: NumberSlot | undefined, value: unknown, depth: number): void {
    switch (form.kind) {
      case kinds.integer:
        this.#number(slot ?? this.#model.slotIn(form, 0), value as number)
        break
      case kinds.pattern: {
        if (form.parts.length === 0) break
        const base = this.#numbers.length
        fits(form, value as string, this.#numbers)
        for (let i = 0; i < form.parts.length - 1; i++) {
          this.#number(form.slots[i] ?? this.#model.slotIn(form, i), this.#numbers[base + i] ?? 0)
        }
        this.#numbers.length = base
        break
      }
      case kinds.hash:
        this.#hash(form, value as string)
        break
      case kinds.string:
        this.#data(value as string)
        break
      case kinds.json:
        this.#data(canonicalJson(value))
        break
      case kinds.integers: {
        const integers = value as ReadonlyArray<number>
        this.#number(this.#model.slotIn(form, 0), integers.length)
        writeIntegers(integers, data)
        break
      }
      case kinds.list: {
        const items = value as ReadonlyArray<unknown>
        this.#number(this.#model.slotIn(form, 0), items.length)
        for (const item of items) this.#item(place.items, item, depth + 1)
        break
      }
      case kinds.continued: {
        const items = value as ReadonlyArray<unknown>
        const { kept, skipped } = keptOf(place.value as ReadonlyArray<unknown>, items)
        this.#number(this.#model.slotIn(form, 0), skipped)
        this.#number(this.#model.slotIn(form, 1), kept)
        this.#number(this.#model.slotIn(form, 2), items.length - kept)
        for (const item of items.slice(kept)) this.#item(place.items, item, depth + 1)
        break
      }
      case kinds.object:
        if (form.shape !== undefined) this.#object(form.shape, value as Fields, depth)
    }
    if (depth >= 2 && typeof value === "object" && value !== null) place.value = value
  }

  #item(place: Place, item: unknown, depth: number): void {
    this.#contents(place, this.#form(place, depth, item), undefined, item, depth)
  }

  #object(shape: Shape, value: Fields, depth: number): void {
    const forms = this.#forms
    const base = forms.length
    let combination = shape.first
    for (let i = 0; i < shape.keys.length; i++) {
      const place = shape.fields[i] as Place
      forms.push(this.#form(place, depth + 1, value[place.name]))
      combination = shape.combination(combination, i, place.last)
    }
    let numbers = 0
    for (let i = 0; i < shape.keys.length; i++) {
      const place = shape.fields[i] as Place
      const form = forms[base + i] as Form
      const slot = form.kind === kinds.integer
        ? this.#model.slotOf(shape, combination, i, forms, base, numbers++)
        : undefined
      this.#contents(place, form, slot, value[place.name], depth + 1)
    }
    forms.length = base
  }

  #hash(form: Form, value: string): void {
    const { hashes } = this.#model
    const known = hashes.numberOf(value)
    this.#number(this.#model.slotIn(form, 0), known ?? hashes.count)
    if (known !== undefined) return
    data.bytes(Buffer.from(value, "hex"))
    hashes.add(value)
  }
}

/** Items of a list that must be those of the one before, for it to be told as its continuation. */
const minKept = 2

/** Items at the front of a list that another one may have lost. */
const maxSkipped = 64

/** How many items of `before` a list begins with, after how many that it has no more. */
const keptOf = (before: ReadonlyArray<unknown>, items: ReadonlyArray<unknown>) => {
  const [first] = items
  let skipped = 0
  while (skipped < before.length && skipped < maxSkipped && !isSameJson(before[skipped], first)) skipped++
  let kept = 0
  while (skipped + kept < before.length && kept < items.length && isSameJson(before[skipped + kept], items[kept])) {
    kept++
  }
  return { kept, skipped }
}

const noKeys: ReadonlyArray<string> = []

interface Found {
  kind: number
  text: string
  keys: ReadonlyArray<string>
}

const found: Found = { kind: 0, text: "", keys: noKeys }

/** How a value is built. The answer is good until the next one. */
const formOf = (value: unknown): Found => {
  found.text = ""
  found.keys = noKeys
  switch (typeof value) {
    case "number":
      if (isNumber(value)) found.kind = kinds.integer
      else {
        found.kind = kinds.constant
        found.text = canonicalJson(value)
      }
      break
    case "string":
      if (!value.isWellFormed()) {
        found.kind = kinds.json
      } else if (value.length <= maxPatternChars && !value.includes(hole)) {
        if (value.length === 64 && hashShape.test(value)) found.kind = kinds.hash
        else {
          found.kind = kinds.pattern
          found.text = patternOf(value)
        }
      } else found.kind = kinds.string
      break
    case "object":
      if (value === null) {
        found.kind = kinds.constant
        found.text = "null"
      } else if (Array.isArray(value)) found.kind = isIntegers(value) ? kinds.integers : kinds.list
      else {
        found.keys = sortedKeys(value as Fields)
        found.kind = found.keys.length <= maxKeys && found.keys.every(isKey) ? kinds.object : kinds.json
      }
      break
    case "boolean":
      found.kind = kinds.constant
      found.text = value ? "true" : "false"
      break
    default:
      // Nothing that JSON has: it throws.
      found.kind = kinds.constant
      found.text = canonicalJson(value)
  }
  return found
}

const isKey = (key: string): boolean => key.length <= maxPatternChars && key.isWellFormed()

const isIntegers = (value: ReadonlyArray<unknown>): boolean =>
  value.length > 0 && value.every((item) => isNumber(item) && Math.abs(item) < integerBound)

const isForm = (form: Form, kind: number, text: string, keys: ReadonlyArray<string>): boolean =>
  form.kind === kind && form.text === text && (form.shape === undefined || isSame(form.shape.keys, keys))

const isSame = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean =>
  a === b || (a.length === b.length && a.every((key, i) => key === b[i]))
