import { Id, Sha256Hex } from "@rspp/contracts/Identity"
import { Natural, Positive } from "@rspp/contracts/Quantity"
import { Schema } from "effect"
import { createHash } from "node:crypto"

/** Whose recording it is: one recording per tenant and session. */
export interface RecordingKey {
  readonly tenant_id: string
  readonly session_id: string
}

/**
 * What a store knows of a segment without its bytes.
 *
 * A segment is a run of whole frames of a recording, cut between two frames. The segments of a recording, in the order of
 * their index, are its file, byte for byte: index 0 begins at offset 0, and each begins where the one before it ends.
 */
export const SegmentInfo = Schema.Struct({
  tenant_id: Id,
  session_id: Id,
  /** 0, 1, 2 … without a gap. */
  index: Natural,
  /** Place of the first byte in the recording. */
  offset: Natural,
  /** Bytes. */
  length: Positive,
  /** Of the bytes, in lower case. */
  sha256: Sha256Hex,
  /** Lowest and highest `runtime_sequence` in it; absent when no record of it has one. */
  first_sequence: Schema.optionalKey(Natural),
  last_sequence: Schema.optionalKey(Natural),
  /** It holds the end record: the recording is complete with it. */
  closed: Schema.Boolean
})
export type SegmentInfo = typeof SegmentInfo.Type

export interface TimelineSegment extends SegmentInfo {
  readonly bytes: Uint8Array
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** The segment of these bytes, with their length and hash. */
export const makeSegment = (
  fields: Omit<SegmentInfo, "length" | "sha256">,
  bytes: Uint8Array
): TimelineSegment => ({ ...fields, length: bytes.length, sha256: sha256(bytes), bytes })

export const infoOf = (segment: TimelineSegment): SegmentInfo => {
  const { bytes: _, ...info } = segment
  return info
}

/** True when the bytes are those that the segment speaks of. */
export const isIntact = (info: SegmentInfo, bytes: Uint8Array): boolean =>
  bytes.length === info.length && sha256(bytes) === info.sha256

/** True when both stand for the same bytes at the same place. */
export const isSame = (a: SegmentInfo, b: SegmentInfo): boolean =>
  a.index === b.index && a.offset === b.offset && a.length === b.length && a.sha256 === b.sha256

/** True when both are the same segments, in the same order. */
export const isSameList = (a: ReadonlyArray<SegmentInfo>, b: ReadonlyArray<SegmentInfo>): boolean =>
  a.length === b.length && a.every((info, at) => b[at] !== undefined && isSame(info, b[at]))

/** `segment 3 of session ses_1`, for messages. */
export const nameOf = ({ index, session_id }: Pick<SegmentInfo, "session_id" | "index">): string =>
  `segment ${index} of session ${session_id}`

/** By tenant, session and index; code units, so that every store agrees. */
export const inOrder = (a: SegmentInfo, b: SegmentInfo): number =>
  compare(a.tenant_id, b.tenant_id) || compare(a.session_id, b.session_id) || a.index - b.index

const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0
