// A second reader of timeline files, written from docs/timeline-format.md and from nothing else: it shares no code with the
// packages, so that an error in theirs shows. Of theirs it has the dictionary alone, which is data.
import { readFileSync } from "node:fs"
import { crc32, inflateRawSync } from "node:zlib"

type Fields = Readonly<Record<string, unknown>>

/** What it found: every record up to the first thing that it could not read, and where that is. */
export interface IndependentReading {
  readonly records: ReadonlyArray<Fields>
  /** Byte offset of what could not be read; absent when the file ends with its end record. */
  readonly tornAt?: number
}

const largestPayload = 16 * 1024 * 1024
const dictionary = readFileSync(
  new URL("../../packages/timeline/src/format/dictionary-2.bin", import.meta.url)
)

const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) && "record" in value

/** The payload of the frame at `offset` and where the next one begins, or nothing when no whole frame is there. */
const frameAt = (file: Buffer, offset: number) => {
  if (file.length < offset + 8) return undefined
  const length = file.readUInt32BE(offset)
  if (length === 0 || length > largestPayload || file.length < offset + 8 + length) return undefined
  const payload = file.subarray(offset + 8, offset + 8 + length)
  return crc32(payload) === file.readUInt32BE(offset + 4) ? { payload, next: offset + 8 + length } : undefined
}

const version1 = (payload: Buffer): ReadonlyArray<unknown> => {
  const value: unknown = JSON.parse(payload.toString("utf8"))
  return Array.isArray(value) ? value : [value]
}

/** Bytes, from the front to the back. */
class Tape {
  at = 0
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  varint(): number {
    let [sum, unit] = [0, 1]
    for (;;) {
      const byte = this.bytes.readUInt8(this.at++)
      sum += (byte % 128) * unit
      if (byte < 128) return sum
      unit *= 128
    }
  }

  take(length: number): Buffer {
    if (this.at + length > this.bytes.length) throw new RangeError("too short")
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  text(): string {
    return this.take(this.varint()).toString("utf8")
  }

  /** Numbers as a Rice code. */
  integers(count: number): Array<number> {
    const low = this.take(1).readUInt8()
    let bits = ""
    const bit = (): string => {
      if (bits === "") bits = this.take(1).readUInt8().toString(2).padStart(8, "0")
      const first = bits.slice(0, 1)
      bits = bits.slice(1)
      return first
    }
    return Array.from({ length: count }, () => {
      let number = 0
      while (bit() === "1") number++
      for (let i = 0; i < low; i++) number = 2 * number + Number(bit())
      return unfold(number)
    })
  }
}

const unfold = (number: number): number => number % 2 === 1 ? -(number + 1) / 2 : number / 2

interface Register {
  last: number
  highest: number
}

/** A place of whole numbers: what it remembers, by the numbers of the guesses in the table of the page. */
interface Slot {
  readonly own: Register
  readonly akin: Register
  leader: number
  last: number
  before: number
  /** How much more the last number was than what guesses 3 to 8 are reckoned from. */
  more: ReadonlyArray<number>
}

interface Form {
  readonly kind: number
  readonly text: string
  readonly shape: Shape | undefined
  readonly slots: Map<number, Slot>
}

interface Place {
  readonly forms: Array<Form>
  readonly followers: Map<number, number>
  current: number
  /** The last object or list. */
  held: unknown
  items: Place | undefined
}

interface Shape {
  readonly keys: ReadonlyArray<string>
  readonly places: ReadonlyArray<Place>
  /** By the forms of the fields; the numbers of the fields in each. */
  readonly combinations: Map<string, Map<number, Slot>>
}

const newPlace = (): Place => ({ forms: [], followers: new Map(), current: 0, held: undefined, items: undefined })

const whole = (value: unknown, below = 2 ** 47): value is number =>
  Number.isInteger(value) && Math.abs(Number(value)) < below

/** What version 2 knows of the blocks before. */
class Version2 {
  readonly #root = newPlace()
  readonly #shapes = new Map<string, Shape>()
  readonly #registers = new Map<string, Register>()
  readonly #texts: Array<string> = []
  readonly #hashes: Array<string> = []
  #now = 0
  #next = 0
  #step = 0
  #kind = 0
  #control = new Tape(Buffer.alloc(0))
  #data = this.#control
  #expected: number | undefined

  block(count: number, body: Buffer): ReadonlyArray<unknown> {
    const tape = new Tape(body)
    this.#control = new Tape(tape.take(tape.varint()))
    this.#data = new Tape(body.subarray(tape.at))
    this.#expected = undefined
    return Array.from({ length: count }, () => this.#record())
  }

  #record(): unknown {
    const form = this.#form(this.#root, 0)
    const index = this.#root.current
    const record = this.#content(this.#root, form, 0)
    const inner = form.shape?.places.find(({ current, forms }) => forms[current]?.kind === 6)
    this.#kind = index * 1024 + (inner === undefined ? 0 : inner.current + 1)
    if (isRecord(record)) this.#learn(record)
    return record
  }

  #learn(record: Fields): void {
    const number = (name: string): number => {
      const value = record[name]
      return whole(value, 2 ** 40) ? value : 0
    }
    if (record["record"] === "audio") {
      const count = number("count")
      if (whole(record["first_sequence"])) this.#next = Math.max(this.#next, record["first_sequence"] + count)
      const { jitter } = record
      const late = Array.isArray(jitter)
        ? jitter.reduce((sum: number, one) => sum + (whole(one, 2 ** 40) ? one : 0), 0)
        : 0
      this.#now = number("first_timestamp_ms") + (count - 1) * 20 + late
      this.#register(".first_sample_index").last = number("first_sample_index") + count * 320
      this.#register(".first_timestamp_ms").last = this.#now + 20
      return
    }
    const inner = record[String(record["record"])]
    const stamp = (name: string): number | undefined => {
      if (whole(record[name])) return record[name]
      const value = typeof inner === "object" && inner !== null ? (inner as Fields)[name] : undefined
      return whole(value) ? value : undefined
    }
    const sequence = stamp("runtime_sequence")
    if (sequence !== undefined) {
      this.#next = Math.max(this.#next, sequence + 1)
      if (record["record"] === "input") this.#step = sequence
    }
    this.#now = stamp("runtime_timestamp_ms") ?? this.#now
  }

  #register(name: string): Register {
    const register = this.#registers.get(name) ?? { last: 0, highest: 0 }
    this.#registers.set(name, register)
    return register
  }

  /** The number of the surprise, or nothing when it is as expected. */
  #surprise(): number | undefined {
    this.#expected ??= this.#control.varint()
    if (this.#expected > 0) {
      this.#expected--
      return undefined
    }
    this.#expected = undefined
    return this.#control.varint()
  }

  #number(slot: Slot): number {
    const bases = [this.#now, this.#next, this.#step, slot.own.last, slot.own.highest, slot.akin.last]
    const guesses = [
      slot.last,
      slot.last + (slot.last - slot.before),
      this.#now,
      ...bases.map((base, i) => base + (slot.more[i] ?? 0))
    ]
    const guess = (which: number): number => guesses[which] ?? Number.NaN
    let value = guess(slot.leader)
    const surprise = this.#surprise()
    if (surprise !== undefined && surprise < 9) {
      value = guess(surprise)
      slot.leader = surprise
    } else if (surprise !== undefined) {
      value += unfold(surprise - 9)
      for (const which of guesses.keys()) {
        if (Math.abs(value - guess(which)) < Math.abs(value - guess(slot.leader))) slot.leader = which
      }
    }
    slot.before = slot.last
    slot.last = value
    slot.more = bases.map((base) => value - base)
    for (const register of new Set([slot.own, slot.akin])) {
      register.last = value
      register.highest = Math.max(register.highest, value)
    }
    return value
  }

  #slot(slots: Map<number, Slot>, index: number, own: string, akin: string): Slot {
    const slot = slots.get(index) ?? {
      own: this.#register(own),
      akin: this.#register(akin),
      leader: 0,
      last: 0,
      before: 0,
      more: []
    }
    slots.set(index, slot)
    return slot
  }

  #text(): string {
    const number = this.#control.varint()
    if (number === 0) this.#texts.push(this.#data.text())
    const text = this.#texts.at(number - 1)
    if (text === undefined) throw new RangeError("no such text")
    return text
  }

  #form(place: Place, depth: number): Form {
    const context = depth < 2 ? this.#kind : place.current
    const surprise = this.#surprise()
    const index = surprise ?? place.followers.get(context) ?? place.current
    if (index === place.forms.length) place.forms.push(this.#newForm())
    const form = place.forms[index]
    if (form === undefined) throw new RangeError("no such form")
    if (surprise !== undefined && place.forms.length > 1) place.followers.set(context, index)
    place.current = index
    return form
  }

  #newForm(): Form {
    const kind = this.#control.varint()
    const text = kind === 0 || kind === 2 ? this.#text() : ""
    if (kind !== 6) return { kind, text, shape: undefined, slots: new Map() }
    const keys = Array.from({ length: this.#control.varint() }, () => this.#text())
    const name = JSON.stringify(keys)
    const shape = this.#shapes.get(name) ??
      { keys, places: keys.map(newPlace), combinations: new Map([["", new Map<number, Slot>()]]) }
    this.#shapes.set(name, shape)
    return { kind, text, shape, slots: new Map() }
  }

  #content(place: Place, form: Form, depth: number, own?: Slot): unknown {
    const value = this.#built(place, form, depth, own)
    if (depth >= 2 && typeof value === "object" && value !== null) place.held = value
    return value
  }

  #built(place: Place, form: Form, depth: number, own?: Slot): unknown {
    const count = (index: number): number => this.#number(this.#slot(form.slots, index, "[]", "[]"))
    switch (form.kind) {
      case 0:
        return JSON.parse(form.text)
      case 1:
        return own === undefined ? count(0) : this.#number(own)
      case 2: {
        const parts = form.text.split("\u0000")
        return parts.reduce((before, part, i) => {
          const akin = /[A-Za-z]*[^A-Za-z0-9]?$/u.exec(parts[i - 1] ?? "")?.[0] ?? ""
          return `${before}${this.#number(this.#slot(form.slots, i - 1, `${form.text}\n${i - 1}`, akin))}${part}`
        })
      }
      case 3: {
        const number = this.#number(this.#slot(form.slots, 0, "#", "#"))
        if (number === this.#hashes.length) this.#hashes.push(this.#data.take(32).toString("hex"))
        const hash = this.#hashes[number]
        if (hash === undefined || number < this.#hashes.length - 256) throw new RangeError("no such hash")
        return hash
      }
      case 4:
        return this.#data.text()
      case 5:
        return this.#items(place, count(0), depth)
      case 6:
        return this.#object(form.shape, depth)
      case 7:
        return JSON.parse(this.#data.text())
      case 8:
        return this.#data.integers(count(0))
      case 9:
        return place.held
      case 10: {
        const [skipped, kept, more] = [count(0), count(1), count(2)]
        if (!Array.isArray(place.held)) throw new RangeError("no list to continue")
        return [...place.held.slice(skipped, skipped + kept), ...this.#items(place, more, depth)]
      }
      default:
        throw new RangeError("no such kind")
    }
  }

  #items(place: Place, count: number, depth: number): ReadonlyArray<unknown> {
    const items = place.items ??= newPlace()
    return Array.from({ length: count }, () => this.#content(items, this.#form(items, depth + 1), depth + 1))
  }

  #object(shape: Shape | undefined, depth: number): unknown {
    if (shape === undefined) throw new RangeError("no such object")
    let combination = ""
    const forms = shape.places.map((place, i) => {
      const form = this.#form(place, depth + 1)
      if (place.current > 0) {
        const longer = `${combination} ${i}:${place.current}`
        if (shape.combinations.has(longer)) combination = longer
        else if (shape.combinations.size >= 64) combination = ""
        else {
          shape.combinations.set(longer, new Map())
          combination = longer
        }
      }
      return form
    })
    const slots = shape.combinations.get(combination) ?? new Map<number, Slot>()
    const pattern = forms.find(({ kind }) => kind === 2)?.text ?? ""
    return Object.fromEntries(shape.places.map((place, i) => {
      const key = shape.keys[i] ?? ""
      const form = forms[i]
      if (form === undefined) throw new RangeError("no such form")
      const own = form.kind === 1 ? this.#slot(slots, i, `.${key}`, `.${key}\n${pattern}`) : undefined
      return [key, this.#content(place, form, depth + 1, own)]
    }))
  }
}

/** Reads the payloads of version 2, one after the other. */
const version2 = () => {
  let state: Version2 | undefined
  return (payload: Buffer): ReadonlyArray<unknown> => {
    const tape = new Tape(payload)
    const flags = tape.take(1).readUInt8()
    const count = tape.varint()
    if (tape.varint() > 0) tape.varint()
    const rest = payload.subarray(tape.at)
    if ((flags & 2) > 0) state = new Version2()
    if (state === undefined) throw new RangeError("the first block builds on one that is not there")
    return state.block(count, (flags & 1) > 0 ? inflateRawSync(rest, { dictionary }) : rest)
  }
}

/** Reads a file of version 1 or 2. Throws when it is none. */
export const readIndependently = (file: Buffer): IndependentReading => {
  const version = /^rspp-timeline ([12])\n/u.exec(file.subarray(0, 16).toString("latin1"))?.[1]
  if (version === undefined) throw new Error("not a timeline of version 1 or 2")
  const decode = version === "1" ? version1 : version2()
  const records: Array<Fields> = []
  let offset = 16
  for (;;) {
    const frame = frameAt(file, offset)
    if (frame === undefined) return { records, tornAt: offset }
    records.push(...decode(frame.payload).filter(isRecord))
    offset = frame.next
    // Behind the end record there is at most room that the writer had taken.
    if (records.at(-1)?.["record"] === "end") {
      return file.subarray(offset).every((byte) => byte === 0) ? { records } : { records, tornAt: offset }
    }
  }
}
