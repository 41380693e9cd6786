import { deflateRawSync, inflateRawSync } from "node:zlib"
import { ByteReader } from "./ByteReader.ts"
import { ByteWriter } from "./ByteWriter.ts"
import { blockDictionary } from "./BlockDictionary.ts"
import { maxFrameBytes } from "./TimelineFrame.ts"

/** What a block says of itself in clear: enough to cut a recording between two blocks without decoding it. */
export interface BlockHead {
  /** The body is deflated. */
  readonly deflated: boolean
  /** Nothing that came before is needed to read it. */
  readonly afresh: boolean
  /** The end record is in it. */
  readonly ends: boolean
  readonly records: number
  /** Lowest and highest sequence number in it; absent when no record of it has one. */
  readonly sequences?: { readonly first: number; readonly last: number }
}

/** Bits of the first byte. */
const flags = { deflated: 1, afresh: 2, ends: 4 } as const

/** The highest first byte of a block: no JSON begins with it. */
export const maxFlags = 7

/** Fewer bytes of text are not worth the time to compress. */
export const leastTextBytes = 32

const levelOfCompression = 6

const writer = new ByteWriter(16 * 1024)
const head = new ByteWriter(32)

/** The parts of a block's body. */
export interface BlockBody {
  readonly control: Uint8Array
  readonly data: Uint8Array
}

/**
 * The payload of a block: a byte of flags, the number of records, how many sequence numbers lie from the first to the last
 * in it and the first, as varints; then the body: the length of its control part as a varint, the control part, the data.
 * It is deflated where it has texts and that makes it shorter.
 */
export const encodeBlock = (
  { afresh, ends, records, sequences }: Omit<BlockHead, "deflated">,
  { control, data }: BlockBody,
  textBytes: number
): Uint8Array => {
  writer.shrink(64 * 1024)
  writer.varint(control.length)
  writer.bytes(control)
  writer.bytes(data)
  let body = writer.view()
  if (body.length > maxFrameBytes) throw new RangeError(`a block holds at most ${maxFrameBytes} bytes`)
  let deflated = false
  if (textBytes >= leastTextBytes) {
    const shorter = deflateRawSync(body, {
      chunkSize: 2048,
      dictionary: blockDictionary,
      level: levelOfCompression
    })
    deflated = shorter.length < body.length
    if (deflated) body = shorter
  }
  head.clear()
  head.byte((deflated ? flags.deflated : 0) + (afresh ? flags.afresh : 0) + (ends ? flags.ends : 0))
  head.varint(records)
  head.varint(sequences === undefined ? 0 : sequences.last - sequences.first + 1)
  if (sequences !== undefined) head.varint(sequences.first)
  const payload = new Uint8Array(head.length + body.length)
  payload.set(head.view())
  payload.set(body, head.length)
  return payload
}

const readHead = (from: ByteReader): BlockHead => {
  const first = from.byte()
  if (first > maxFlags) throw new RangeError("no block has such flags")
  const records = from.varint()
  const span = from.varint()
  const read = {
    deflated: (first & flags.deflated) > 0,
    afresh: (first & flags.afresh) > 0,
    ends: (first & flags.ends) > 0,
    records
  }
  if (span === 0) return read
  const start = from.varint()
  return { ...read, sequences: { first: start, last: start + span - 1 } }
}

/** The head alone. Throws a `RangeError` where there is none. */
export const headOf = (payload: Uint8Array): BlockHead => readHead(new ByteReader(payload))

/** Head and body. Throws where the payload is no block, or its body has more than {@link maxFrameBytes}. */
export const decodeBlock = (payload: Uint8Array): { readonly head: BlockHead; readonly body: BlockBody } => {
  const from = new ByteReader(payload)
  const head = readHead(from)
  const rest = from.rest()
  const plain = head.deflated
    ? inflateRawSync(rest, { dictionary: blockDictionary, maxOutputLength: maxFrameBytes })
    : rest
  const inside = new ByteReader(plain)
  const control = inside.bytes(inside.varint())
  return { head, body: { control, data: inside.rest() } }
}
