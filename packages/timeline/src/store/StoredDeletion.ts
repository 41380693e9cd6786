import { Effect } from "effect"
import type { FileSystem } from "effect"
import { TimelineDecoder } from "../format/TimelineDecoder.ts"
import type { AuditLog } from "../privacy/AuditLog.ts"
import type { AuditUnavailable } from "../privacy/AuditLog.ts"
import type { DeletionOptions, DeletionReport } from "../privacy/Deletion.ts"
import { deleteFrom, DeletionRefused } from "../privacy/Deletion.ts"
import type { KeyStoreFailure } from "../privacy/KeyStore.ts"
import { withoutPayloads } from "../privacy/Removal.ts"
import type { SweepOptions, SweptFile } from "../privacy/Retention.ts"
import { sweepOne } from "../privacy/Retention.ts"
import { cutSegment } from "./SegmentCutter.ts"
import { shipperLimits } from "./ShipperLimits.ts"
import { recordingsOf } from "./StoredRecording.ts"
import type { RecordingKey, TimelineSegment } from "./TimelineSegment.ts"
import { makeSegment } from "./TimelineSegment.ts"
import type { StoreError } from "./TimelineStore.ts"
import { TimelineStore } from "./TimelineStore.ts"

// Deletion and retention of recordings in a store; what they do to a recording is what they do to a file.

/** A recording that changes while it is deleted from is read again so often. */
const tries = 3

/** The segments of a whole recording, cut as the shipper cuts them. */
const segmentsOf = (key: RecordingKey, bytes: Uint8Array): ReadonlyArray<TimelineSegment> => {
  const segments: Array<TimelineSegment> = []
  for (let offset = 0; offset < bytes.length;) {
    const rest = bytes.subarray(offset)
    const whole = cutSegment(rest, offset === 0, shipperLimits.segmentBytes)
    const cut = whole.is === "short" ? cutSegment(rest, offset === 0, whole.bytes) : whole
    // These frames were made a moment ago, by us.
    if (cut.is !== "cut") throw new Error(`the recording cannot be cut at byte ${offset}: ${cut.is}`)
    const { is: _, length, ...about } = cut
    segments.push(
      makeSegment({ ...key, index: segments.length, offset, ...about }, rest.subarray(0, length))
    )
    offset += length
  }
  return segments
}

/** A stored recording with what can be done to it. Fails where a segment is missing or damaged. */
const opened = Effect.fnUntraced(function*(
  key: RecordingKey,
  why: "hard_delete" | "retention"
) {
  const store = yield* TimelineStore
  const name = `${store.name}: session ${key.session_id}`
  const refuse = (message: string, hint: string) =>
    new DeletionRefused({ file: name, message: `${name}: ${message}`, hint })
  yield* store.settle(key)
  const infos = yield* store.list(key)
  const [recording] = recordingsOf(infos)
  if (recording === undefined) {
    return yield* refuse("there is no such recording", "rspp timeline stored lists what there is.")
  }
  if (recording.missing !== undefined) {
    return yield* refuse(`segment ${recording.missing} is missing`, "Ship the file again, then delete from it.")
  }
  const segments = yield* Effect.forEach(infos, ({ index }) => store.get(key, index))
  const bytes = Buffer.concat(segments.map((segment) => segment.bytes))
  const decoder = new TimelineDecoder()
  decoder.push(bytes)
  const result = decoder.finish()
  if (result.is !== "timeline") {
    return yield* refuse("it is no timeline that this program reads", "Look at it with: rspp timeline fetch")
  }
  const { timeline } = result
  return {
    name,
    timeline,
    isClosed: recording.closed && timeline.tear === undefined,
    rewrite: (isMeant: (record: (typeof timeline)["records"][number]) => boolean) =>
      Effect.suspend(() =>
        store.replace(key, infos, segmentsOf(key, Buffer.concat([...withoutPayloads(bytes, isMeant, why)])))
      ),
    remove: Effect.suspend(() => store.replace(key, infos, [])),
    unclosed: refuse(
      "it is being recorded still, or was never closed",
      "Wait for its end; what was cut off is deleted as a file, and shipped to another store."
    )
  }
})

type StoredError = DeletionRefused | AuditUnavailable | KeyStoreFailure | StoreError

/**
 * Deletes what a store keeps of a recording, or of one turn of it, as `deletePayloads` does of a file: the same rules, the
 * same audit. `crypto_inaccessible` leaves the store as it is. A recording that is not whole yet is refused. A deletion that
 * is killed has happened, has not, or (in stores of objects) is finished by the next one.
 */
export const deleteStored = Effect.fn("StoredDeletion.delete")(function*(
  key: RecordingKey,
  options: DeletionOptions
): Effect.fn.Return<DeletionReport, StoredError, AuditLog | FileSystem.FileSystem | TimelineStore> {
  return yield* Effect.gen(function*() {
    const recorded = yield* opened(key, "hard_delete")
    if (options.mode === "hard_delete" && !recorded.isClosed) return yield* recorded.unclosed
    return yield* deleteFrom(recorded, options)
  }).pipe(
    // Somebody else deleted from it, or shipped more of it.
    Effect.retry({ times: tries - 1, while: ({ _tag }) => _tag === "SegmentConflict" })
  )
})

/** Applies a retention policy to every recording of a store, as `sweep` does to files. */
export const sweepStored = Effect.fn("StoredDeletion.sweep")(function*(
  options: SweepOptions
): Effect.fn.Return<
  ReadonlyArray<SweptFile>,
  Exclude<StoredError, DeletionRefused>,
  AuditLog | FileSystem.FileSystem | TimelineStore
> {
  const store = yield* TimelineStore
  yield* store.settle()
  const recordings = recordingsOf(yield* store.list())
  return yield* Effect.forEach(recordings, ({ session_id, tenant_id }) => {
    const skip = (problem: string): SweptFile => ({
      file: `${store.name}: session ${session_id}`,
      session_id,
      tenant_id,
      action: "skip",
      classes: [],
      records: 0,
      problem
    })
    return Effect.flatMap(opened({ session_id, tenant_id }, "retention"), (recorded) => sweepOne(recorded, options))
      .pipe(
        Effect.catchTags({
          DeletionRefused: ({ message }) => Effect.succeed(skip(message)),
          SegmentConflict: ({ message }) => Effect.succeed(skip(message)),
          SegmentDamaged: ({ message }) => Effect.succeed(skip(message)),
          SegmentMissing: ({ message }) => Effect.succeed(skip(message))
        })
      )
  })
})
