import { crc32 } from "node:zlib"

/** Length and checksum before each payload. */
export const frameHeaderBytes = 8

/** The largest payload of one frame, and the largest body of one block: bounds what a reader holds in memory. */
export const maxFrameBytes = 16 * 1024 * 1024

/** The smallest payload of any version: `{}`. */
const minFrameBytes = 2

/** A payload behind its length and its checksum. */
export const frameOf = (payload: Uint8Array): Uint8Array => {
  if (payload.length > maxFrameBytes) throw new RangeError(`a frame holds at most ${maxFrameBytes} bytes`)
  const frame = new Uint8Array(frameHeaderBytes + payload.length)
  const view = new DataView(frame.buffer)
  view.setUint32(0, payload.length)
  view.setUint32(4, crc32(payload))
  frame.set(payload, frameHeaderBytes)
  return frame
}

/** Why a timeline cannot be read on. */
export type TearReason = "truncated" | "checksum" | "garbage"

/** One step of reading. `short` asks for `bytes` from the offset on. */
export type Frame =
  | { readonly is: "frame"; readonly payload: Uint8Array; readonly next: number }
  | { readonly is: "short"; readonly bytes: number }
  | { readonly is: "torn"; readonly reason: TearReason }

const torn = (reason: TearReason): Frame => ({ is: "torn", reason })

/** Reads the frame at `offset`. It says `short` when `bytes` does not hold all of it. */
export const readFrame = (bytes: Uint8Array, offset: number): Frame => {
  if (bytes.length - offset < frameHeaderBytes) return { is: "short", bytes: frameHeaderBytes }
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const length = view.getUint32(offset)
  // The writer's reserved room: the recording stopped here.
  if (length === 0 && view.getUint32(offset + 4) === 0) return torn("truncated")
  if (length < minFrameBytes || length > maxFrameBytes) return torn("garbage")
  const start = offset + frameHeaderBytes
  if (bytes.length - start < length) return { is: "short", bytes: frameHeaderBytes + length }
  const payload = bytes.subarray(start, start + length)
  if (crc32(payload) !== view.getUint32(offset + 4)) return torn("checksum")
  return { is: "frame", payload, next: start + length }
}

/** `{` and `[`, with which a payload of version 1 begins; one of version 2 begins with its flags. */
const firstBytes = [0x7b, 0x5b]
const maxFirstFlags = 7

/**
 * True when a whole frame lies somewhere behind `offset`: then the frame there is damaged, not cut short, even though
 * its length points past the end of the file.
 */
export const frameFollows = (bytes: Uint8Array, offset: number): boolean => {
  for (let at = offset + 1; at + frameHeaderBytes + minFrameBytes <= bytes.length; at++) {
    const first = bytes[at + frameHeaderBytes] ?? 0
    if ((first <= maxFirstFlags || firstBytes.includes(first)) && readFrame(bytes, at).is === "frame") return true
  }
  return false
}
