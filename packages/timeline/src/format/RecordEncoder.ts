import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { ByteWriter } from "./ByteWriter.ts"
import { integerBound, writeIntegers } from "./IntegerList.ts"
import { guesses } from "./NumberSlots.ts"
import type { Fields, Form, Place, Shape } from "./RecordModel.ts"
import {
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
import type { Keys } from "./ObjectKeys.ts"
import { hasInOrder, keysOf } from "./ObjectKeys.ts"
import { NumberStack } from "./NumberStack.ts"
import { fits, patternOf } from "./TextPattern.ts"

/** Keys of an object that is written key by key; one with more is written as JSON. */
export const maxKeys = 256

const hashShape = /^[0-9a-f]{64}$/u

// Encoding never waits, so that all encoders of a process share their memory.
const control = new ByteWriter(16 * 1024)
const data = new ByteWriter(16 * 1024)
const keptBytes = 64 * 1024

/** Numbers of the strings whose forms were told and whose contents were not. */
const numbers = new NumberStack()

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
  /** The shapes of the objects that were met. */
  readonly #shapes = new Map<Keys, Shape>()
  /** Forms of the fields of the objects that are being written. */
  readonly #forms: Array<Form> = []
  /** The values of those fields. */
  readonly #held: Array<unknown> = []
  /** How many of them there are: what lies behind is left from before. */
  #end = 0
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
    this.#end = 0
    numbers.end = 0
    const form = this.#form(root, 0, record)
    const index = root.last
    this.#contents(root, form, undefined, record, 0, 0)
    this.#model.kind = index * 1024 + aboutOf(form)
    this.#model.learn(record)
  }

  #miss(code: number): void {
    control.varint(this.#hits)
    control.varint(code)
    this.#hits = 0
  }

  #number(slot: number, value: number): void {
    const { slots } = this.#model
    const expected = slots.expected(slot)
    if (expected === value) this.#hits++
    else {
      const right = slots.right(slot, value)
      if (right < guesses) {
        this.#miss(right)
        slots.lead(slot, right)
      } else {
        const off = value - expected
        this.#miss(guesses + (off < 0 ? -2 * off - 1 : 2 * off))
        slots.follow(slot, value)
      }
    }
    slots.learn(slot, value)
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

  /** Writes how the value is built. The numbers of a pattern are then the last of {@link numbers}. */
  #form(place: Place, depth: number, value: unknown): Form {
    if (++this.#values > maxBlockValues) throw new RangeError(`a block holds at most ${maxBlockValues} values`)
    const expected = this.#model.expected(place, depth)
    const likely = place.forms[expected]
    if (likely !== undefined && this.#isAsExpected(place, likely, depth, value)) {
      this.#hits++
      place.last = expected
      return likely
    }
    const { kind, shape, text } = typeof value === "object" && value !== null && !Array.isArray(value)
      ? this.#objectOf(place, depth, value as Fields)
      : depth >= 2 && Array.isArray(value)
      ? listOf(place, depth, value)
      : formOf(value)
    let index = 0
    let form = place.forms[index]
    while (form !== undefined && !(form.kind === kind && form.text === text && form.shape === shape)) {
      form = place.forms[++index]
    }
    if (form === undefined) {
      const alone = this.#model.newForm(kind, text, shape)
      form = alone[0] as Form
      this.#miss(index)
      this.#newForm(form)
      place.add(alone)
    } else if (index === expected) this.#hits++
    else this.#miss(index)
    if (index !== expected || likely === undefined) this.#model.surprised(place, depth, index)
    place.last = index
    if (kind === kinds.pattern) fits(form, value as string, numbers)
    return form
  }

  #newForm({ kind, shape, text }: Form): void {
    control.varint(kind)
    if (kind === kinds.constant || kind === kinds.pattern) this.#text(text)
    else if (shape !== undefined) {
      control.varint(shape.keys.length)
      for (const key of shape.keys) this.#text(key)
    }
  }

  /** It is what was expected, as far as that can be seen without finding out what it is. */
  #isAsExpected(place: Place, likely: Form, depth: number, value: unknown): boolean {
    switch (likely.kind) {
      case kinds.pattern:
        return typeof value === "string" && fits(likely, value, numbers)
      case kinds.integer:
        return isNumber(value)
      case kinds.constant:
        return typeof value === "boolean" && likely.text === (value ? "true" : "false")
      case kinds.hash:
        return typeof value === "string" && this.#model.hashes.numberOf(value) !== undefined
      case kinds.object:
        return typeof value === "object" && value !== null && likely.shape !== undefined &&
          hasInOrder(value as Fields, likely.shape.order) &&
          (depth < 2 || (depth < maxDepth && !isBefore(place, value)))
      case kinds.again:
        return depth >= 2 && typeof value === "object" && value !== null && isBefore(place, value)
      default:
        return false
    }
  }

  /** How an object is built. */
  #objectOf(place: Place, depth: number, value: Fields): Found {
    if (depth >= 2 && isBefore(place, value)) return alike(kinds.again)
    if (depth === maxDepth) return alike(kinds.json)
    const shape = this.#shapeOf(keysOf(value))
    if (shape === undefined) return alike(kinds.json)
    const found = alike(kinds.object)
    found.shape = shape
    return found
  }

  #shapeOf(keys: Keys): Shape | undefined {
    const { given, sorted } = keys
    let shape = this.#shapes.get(keys)
    if (shape === undefined) {
      if (sorted.length > maxKeys || !sorted.every(isKey)) return undefined
      shape = this.#model.shapeOf(sorted)
      if (this.#shapes.size < maxTexts) this.#shapes.set(keys, shape)
    }
    // Objects that are built at one place of a program have their keys in one order.
    shape.order = given
    return shape
  }

  /** Writes what the form does not say. The numbers of a pattern begin at `at` in {@link numbers}. */
  #contents(
    place: Place,
    form: Form,
    slot: number | undefined,
    value: unknown,
    depth: number,
    at: number
  ): void {
    switch (form.kind) {
      case kinds.constant:
        return
      case kinds.integer:
        return this.#number(slot ?? this.#model.slotAt(place), value as number)
      case kinds.pattern:
        for (let i = 0; i < form.parts.length - 1; i++) {
          this.#number(this.#model.slotIn(form, i), numbers.at(at + i))
        }
        return
      case kinds.hash:
        return this.#hash(form, value as string)
      case kinds.string:
        return this.#data(value as string)
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
        for (let i = kept; i < items.length; i++) this.#item(place.items, items[i], depth + 1)
        break
      }
      case kinds.object:
        if (form.shape !== undefined) this.#object(form.shape, value as Fields, depth)
    }
    if (depth >= 2 && typeof value === "object" && value !== null) place.value = value
  }

  #item(place: Place, item: unknown, depth: number): void {
    const at = numbers.end
    this.#contents(place, this.#form(place, depth, item), undefined, item, depth, at)
    numbers.end = at
  }

  #object(shape: Shape, value: Fields, depth: number): void {
    const { fields, keys } = shape
    const forms = this.#forms
    const held = this.#held
    const base = this.#end
    const numbersBase = numbers.end
    let combination = shape.first
    for (let i = 0; i < keys.length; i++) {
      const place = fields[i] as Place
      const field = value[keys[i] as string]
      const form = this.#form(place, depth + 1, field)
      forms[base + i] = form
      held[base + i] = field
      if (place.last !== 0) combination = shape.combination(combination, i, place.last)
    }
    this.#end = base + keys.length
    let integers = 0
    let at = numbersBase
    for (let i = 0; i < keys.length; i++) {
      const form = forms[base + i] as Form
      const slot = form.kind === kinds.integer
        ? this.#model.slotOf(shape, combination, i, forms, base, integers++)
        : undefined
      this.#contents(fields[i] as Place, form, slot, held[base + i], depth + 1, at)
      held[base + i] = undefined
      if (form.parts.length > 0) at += form.parts.length - 1
    }
    this.#end = base
    numbers.end = numbersBase
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

/** What a record is about: the form of the first object in it. */
const aboutOf = ({ shape }: Form): number => {
  if (shape === undefined) return 0
  for (const { forms, last } of shape.fields) if (forms[last]?.kind === kinds.object) return last + 1
  return 0
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

/** True when the object or list is the one that was last at the place. */
const isBefore = (place: Place, value: object): boolean => {
  const before = place.value
  return before !== undefined && isSameJson(before, value)
}

/** How a list is built where there may have been the same one, or the beginning of it. */
const listOf = (place: Place, depth: number, value: ReadonlyArray<unknown>): Found => {
  const before = place.value
  if (before !== undefined && isSameJson(before, value)) return alike(kinds.again)
  if (Array.isArray(before) && keptOf(before, value).kept >= minKept) return alike(kinds.continued)
  return depth === maxDepth ? alike(kinds.json) : formOf(value)
}

interface Found {
  kind: number
  text: string
  shape: Shape | undefined
}

const found: Found = { kind: 0, text: "", shape: undefined }

/** It is built as the kind says, and nothing more is to be said of it. The answer is good until the next one. */
const alike = (kind: number): Found => {
  found.kind = kind
  found.text = ""
  found.shape = undefined
  return found
}

/** How a value that is no object is built. The answer is good until the next one. */
const formOf = (value: unknown): Found => {
  switch (typeof value) {
    case "number":
      return isNumber(value) ? alike(kinds.integer) : constantOf(canonicalJson(value))
    case "string": {
      if (!value.isWellFormed()) return alike(kinds.json)
      if (value.length > maxPatternChars || value.includes(hole)) return alike(kinds.string)
      if (value.length === 64 && hashShape.test(value)) return alike(kinds.hash)
      const pattern = alike(kinds.pattern)
      pattern.text = patternOf(value)
      return pattern
    }
    case "object":
      return value === null ? constantOf("null") : alike(isIntegers(value) ? kinds.integers : kinds.list)
    case "boolean":
      return constantOf(value ? "true" : "false")
    default:
      // Nothing that JSON has: it throws.
      return constantOf(canonicalJson(value))
  }
}

const constantOf = (text: string): Found => {
  const constant = alike(kinds.constant)
  constant.text = text
  return constant
}

const isKey = (key: string): boolean => key.length <= maxPatternChars && key.isWellFormed()

const isIntegers = (value: object): boolean =>
  Array.isArray(value) && value.length > 0 && value.every((item) => isNumber(item) && Math.abs(item) < integerBound)
