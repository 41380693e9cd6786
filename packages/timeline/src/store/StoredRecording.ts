import { Effect, Stream } from "effect"
import type { RecordingKey, SegmentInfo } from "./TimelineSegment.ts"
import { nameOf } from "./TimelineSegment.ts"
import type { StoreError, TimelineStore } from "./TimelineStore.ts"
import { SegmentMissing } from "./TimelineStore.ts"

/** A recording as a store has it. */
export interface StoredRecording extends RecordingKey {
  readonly segments: number
  /** Of all segments that are there. */
  readonly bytes: number
  /** The end record is there: nothing more will come. */
  readonly closed: boolean
  /** The first segment that is not there although later ones are. */
  readonly missing?: number
  readonly last_sequence?: number
}

/** The recordings that these segments, in the order of a store's list, belong to. */
export const recordingsOf = (infos: ReadonlyArray<SegmentInfo>): ReadonlyArray<StoredRecording> => {
  const byKey = Map.groupBy(infos, ({ session_id, tenant_id }) => JSON.stringify([tenant_id, session_id]))
  return [...byKey.values()].flatMap((segments) => {
    const [first] = segments
    if (first === undefined) return []
    const { session_id, tenant_id } = first
    const missing = segments.findIndex(({ index, offset }, i) => index !== i || offset !== endOf(segments[i - 1]))
    const last_sequence = segments.findLast((info) => info.last_sequence !== undefined)?.last_sequence
    return [{
      tenant_id,
      session_id,
      segments: segments.length,
      bytes: segments.reduce((sum, { length }) => sum + length, 0),
      closed: segments.at(-1)?.closed === true,
      ...(missing < 0 ? {} : { missing }),
      ...(last_sequence === undefined ? {} : { last_sequence })
    }]
  })
}

const endOf = (info: SegmentInfo | undefined): number => info === undefined ? 0 : info.offset + info.length

/** The bytes of a stored recording, segment by segment; it fails at the first that is missing or was changed. */
export const bytesOf = (
  store: TimelineStore["Service"],
  { missing, segments, ...key }: StoredRecording
): Stream.Stream<Uint8Array, StoreError> =>
  Stream.range(0, segments - 1).pipe(
    Stream.mapEffect((index) =>
      index === missing
        ? Effect.fail(
          new SegmentMissing({ store: store.name, message: `${store.name}: ${nameOf({ ...key, index })} is missing` })
        )
        : Effect.map(store.get(key, index), ({ bytes }) => bytes)
    )
  )
