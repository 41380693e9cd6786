import { ByteReader } from "./ByteReader.ts"
import { readIntegers } from "./IntegerList.ts"
import { guesses, numberBound } from "./NumberSlots.ts"
import type { Fields, Form, Place, Shape } from "./RecordModel.ts"
import { kinds, maxBlockValues, maxDepth, RecordModel } from "./RecordModel.ts"

/** What is here was not written by a `RecordEncoder`. */
export class NotRecords extends RangeError {}

/**
 * The reader's side of format 2's records: it expects what the writer expected, and learns what the writer learnt. Blocks
 * are read in the order in which they were written. Throws when they are none; it is then of no more use. I-FRAME-SAME.
 */
export class RecordDecoder {
  readonly #model = new RecordModel()
  readonly #forms: Array<Form> = []
  #control = new ByteReader(new Uint8Array(0))
  #data = this.#control
  /** Decisions that are as expected before the next that is not; undefined when that is still to be read. */
  #hits: number | undefined
  #values = 0

  /** So many records of one body. */
  decode(count: number, control: Uint8Array, data: Uint8Array): ReadonlyArray<unknown> {
    this.#control = new ByteReader(control)
    this.#data = new ByteReader(data)
    this.#hits = undefined
    this.#values = 0
    const records: Array<unknown> = []
    for (let i = 0; i < count; i++) records.push(this.#record())
    if ((this.#hits ?? 0) > 0 || this.#control.left > 0 || this.#data.left > 0) {
      throw new NotRecords("there is more in the block than its records")
    }
    return records
  }

  #record(): unknown {
    const { root } = this.#model
    this.#forms.length = 0
    const form = this.#form(root, 0)
    const index = root.last
    const record = this.#contents(root, form, undefined, 0)
    if (form.shape === undefined) throw new NotRecords("a record is an object")
    const field = form.shape.fields.find(({ forms, last }) => forms[last]?.kind === kinds.object)
    this.#model.kind = index * 1024 + (field === undefined ? 0 : field.last + 1)
    this.#model.learn(record as Fields)
    return record
  }

  /** What came instead of what was expected, or undefined when that came. */
  #surprise(): number | undefined {
    // Behind the last surprise a block may have nothing: then there is nothing to be expected either, and this fails.
    this.#hits ??= this.#control.varint()
    if (this.#hits > 0) {
      this.#hits--
      if (this.#hits === 0 && this.#control.left === 0) this.#hits = undefined
      return undefined
    }
    this.#hits = undefined
    return this.#control.varint()
  }

  #number(slot: number): number {
    const { slots } = this.#model
    const code = this.#surprise()
    let value: number
    if (code === undefined) value = slots.expected(slot)
    else if (code < guesses) {
      value = slots.guess(slot, code)
      slots.lead(slot, code)
    } else {
      const off = code - guesses
      value = slots.expected(slot) + (off % 2 === 0 ? off / 2 : -(off + 1) / 2)
      slots.follow(slot, value)
    }
    if (Math.abs(value) >= numberBound) throw new NotRecords("no number is so large")
    slots.learn(slot, value)
    return value
  }

  #count(slot: number): number {
    const count = this.#number(slot)
    this.#values += Math.max(0, count)
    if (count < 0 || this.#values > maxBlockValues) throw new NotRecords("no block has so many values")
    return count
  }

  #text(): string {
    const { texts } = this.#model
    const number = this.#control.varint()
    if (number > 0) {
      const known = texts[number - 1]
      if (known === undefined) throw new NotRecords("there is no such text")
      return known
    }
    const text = this.#data.text()
    texts.push(text)
    return text
  }

  #form(place: Place, depth: number): Form {
    if (++this.#values > maxBlockValues) throw new NotRecords("no block has so many values")
    if (depth > maxDepth) throw new NotRecords("no record is so deep")
    const surprise = this.#surprise()
    const index = surprise ?? this.#model.expected(place, depth)
    const form = place.forms[index] ?? (surprise === place.forms.length ? this.#newForm(place) : undefined)
    if (form === undefined) throw new NotRecords("there is no such form")
    if (surprise !== undefined) this.#model.surprised(place, depth, index)
    place.last = index
    return form
  }

  #newForm(place: Place): Form {
    const kind = this.#control.varint()
    if (kind > kinds.continued) throw new NotRecords("there is no such kind of form")
    const text = kind === kinds.constant || kind === kinds.pattern ? this.#text() : ""
    let shape: Shape | undefined
    if (kind === kinds.object) {
      const keys: Array<string> = []
      for (let left = this.#control.varint(); left > 0; left--) keys.push(this.#text())
      shape = this.#model.shapeOf(keys)
    }
    const alone = this.#model.newForm(kind, text, shape)
    place.add(alone)
    return alone[0] as Form
  }

  #contents(place: Place, form: Form, slot: number | undefined, depth: number): unknown {
    const value = this.#value(place, form, slot, depth)
    if (depth >= 2 && typeof value === "object" && value !== null) place.value = value
    return value
  }

  #value(place: Place, form: Form, slot: number | undefined, depth: number): unknown {
    switch (form.kind) {
      case kinds.constant:
        return JSON.parse(form.text)
      case kinds.integer:
        return this.#number(slot ?? this.#model.slotAt(place))
      case kinds.pattern:
        return this.#pattern(form)
      case kinds.hash:
        return this.#hash(form)
      case kinds.string:
        return this.#data.text()
      case kinds.json:
        return JSON.parse(this.#data.text())
      case kinds.integers:
        return readIntegers(this.#count(this.#model.slotIn(form, 0)), this.#data)
      case kinds.list: {
        const items: Array<unknown> = []
        for (let left = this.#count(this.#model.slotIn(form, 0)); left > 0; left--) {
          items.push(this.#item(place.items, depth + 1))
        }
        return items
      }
      case kinds.again:
        if (place.value === undefined) throw new NotRecords("there was nothing here before")
        return place.value
      case kinds.continued: {
        const skipped = this.#count(this.#model.slotIn(form, 0))
        const kept = this.#count(this.#model.slotIn(form, 1))
        const more = this.#count(this.#model.slotIn(form, 2))
        if (!Array.isArray(place.value) || skipped + kept > place.value.length) {
          throw new NotRecords("there was no such list here before")
        }
        const items: Array<unknown> = place.value.slice(skipped, skipped + kept)
        for (let left = more; left > 0; left--) items.push(this.#item(place.items, depth + 1))
        return items
      }
      default:
        if (form.shape === undefined) throw new NotRecords("there is no such kind of form")
        return this.#object(form.shape, depth)
    }
  }

  #item(place: Place, depth: number): unknown {
    return this.#contents(place, this.#form(place, depth), undefined, depth)
  }

  #pattern(form: Form): string {
    const { parts } = form
    let text = parts[0] ?? form.text
    for (let i = 1; i < parts.length; i++) text += `${this.#number(this.#model.slotIn(form, i - 1))}${parts[i]}`
    return text
  }

  #object(shape: Shape, depth: number): Fields {
    const forms = this.#forms
    const base = forms.length
    const { fields, keys } = shape
    let combination = shape.first
    for (const [i, place] of fields.entries()) {
      forms.push(this.#form(place, depth + 1))
      combination = shape.combination(combination, i, place.last)
    }
    const value: Record<string, unknown> = {}
    let numbers = 0
    for (const [i, place] of fields.entries()) {
      const form = forms[base + i]
      const key = keys[i]
      if (form === undefined || key === undefined) throw new NotRecords("unreachable: each field has a form")
      const slot = form.kind === kinds.integer
        ? this.#model.slotOf(shape, combination, i, forms, base, numbers++)
        : undefined
      const content = this.#contents(place, form, slot, depth + 1)
      if (key === "__proto__") Object.defineProperty(value, key, { value: content, ...plain })
      else value[key] = content
    }
    forms.length = base
    return value
  }

  #hash(form: Form): string {
    const { hashes } = this.#model
    const number = this.#number(this.#model.slotIn(form, 0))
    if (number !== hashes.count) {
      const known = hashes.at(number)
      if (known === undefined) throw new NotRecords("there is no such hash")
      return known
    }
    const hash = Buffer.from(this.#data.bytes(32)).toString("hex")
    hashes.add(hash)
    return hash
  }
}

const plain = { configurable: true, enumerable: true, writable: true }
