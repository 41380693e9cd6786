import { Context, Schema } from "effect"
import type { Effect } from "effect"
import type { RecordingKey, SegmentInfo, TimelineSegment } from "./TimelineSegment.ts"

const fields = { store: Schema.String, message: Schema.String, cause: Schema.optionalKey(Schema.Defect()) }

/** The store cannot be reached, is busy, too slow, or has no room: the same call may succeed later. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", fields) {
  readonly retryable = true
}

/** The store will not do it, now or later: no permission, a wrong password, something else is at its place. */
export class StoreRefused extends Schema.TaggedError<StoreRefused>()("StoreRefused", fields) {
  readonly retryable = false
}

/** Other bytes are stored under the same session and index. What is stored stays. */
export class SegmentConflict extends Schema.TaggedError<SegmentConflict>()("SegmentConflict", fields) {
  readonly retryable = false
}

/** The bytes are not those of the segment's hash: given so to `put`, or changed in the store. */
export class SegmentDamaged extends Schema.TaggedError<SegmentDamaged>()("SegmentDamaged", fields) {
  readonly retryable = false
}

/** There is no such segment. */
export class SegmentMissing extends Schema.TaggedError<SegmentMissing>()("SegmentMissing", fields) {
  readonly retryable = false
}

export type StoreError = StoreUnavailable | StoreRefused | SegmentConflict | SegmentDamaged | SegmentMissing

/** `stored`: it is there now. `present`: it was there already, the same bytes. */
export type Put = "stored" | "present"

/**
 * Where recordings are kept for good, piece by piece (stage B).
 *
 * When `put` answers, the segment survives a crash of this process and, as far as the store promises it, of its machine.
 * Each error says in `retryable` whether trying again can help. Calls may be interrupted at any time.
 *
 * - I-PUT-ONCE a segment is stored once, however often it is put, and other bytes at its index are refused.
 * - I-PUT-HASH bytes that do not fit their hash are neither stored nor given out.
 * - I-PUT-WHOLE a segment is there whole or not at all, whenever a put breaks off.
 * - I-REPLACE a recording that is replaced is the old one or the new one; where the store cannot do that in one step, a
 *   replacement that broke off is finished by the next `settle`, and until then nothing of the old one can come back.
 *
 * A store keeps what it is given: what may leave the machine was decided when it was recorded.
 */
export class TimelineStore extends Context.Service<TimelineStore, {
  /** What and where it is, for messages; without passwords. */
  readonly name: string
  readonly put: (segment: TimelineSegment) => Effect.Effect<
    Put,
    StoreUnavailable | StoreRefused | SegmentConflict | SegmentDamaged
  >
  /** What is stored, by tenant, session and index: of all recordings, or of those that match. */
  readonly list: (
    of?: Partial<RecordingKey>
  ) => Effect.Effect<ReadonlyArray<SegmentInfo>, StoreUnavailable | StoreRefused | SegmentDamaged>
  readonly get: (key: RecordingKey, index: number) => Effect.Effect<
    TimelineSegment,
    StoreUnavailable | StoreRefused | SegmentDamaged | SegmentMissing
  >
  /**
   * Puts these segments, none or more, in the place of all that is stored of a recording: for deletions. `expected` is what
   * the caller has seen of it; {@link SegmentConflict} when something else is there by now, and then nothing is changed.
   */
  readonly replace: (
    key: RecordingKey,
    expected: ReadonlyArray<SegmentInfo>,
    segments: ReadonlyArray<TimelineSegment>
  ) => Effect.Effect<void, StoreUnavailable | StoreRefused | SegmentConflict | SegmentDamaged>
  /** Finishes a replacement of this recording, or of any, that broke off. */
  readonly settle: (key?: RecordingKey) => Effect.Effect<void, StoreUnavailable | StoreRefused | SegmentDamaged>
}>()("rspp/TimelineStore") {}
