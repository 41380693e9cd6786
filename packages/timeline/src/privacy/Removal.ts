import type { PayloadClass } from "@rspp/contracts/Event"
import type { RemovedRecord, TimelineRecord } from "@rspp/contracts/Timeline"
import { Effect, FileSystem } from "effect"
import type { PlatformError } from "effect/PlatformError"
import { TimelineDecoder } from "../format/TimelineDecoder.ts"
import { TimelineEncoder } from "../format/TimelineEncoder.ts"
import { preambleOf } from "../format/TimelineFormat.ts"
import { replaceFile } from "./SafeFile.ts"

/** The class of what a record keeps of a payload; undefined for every other record, and for what is removed already. */
export const keptClass = (record: TimelineRecord): PayloadClass | undefined => {
  switch (record.record) {
    case "payload":
    case "sealed":
      return record.payload_class
    case "caller_audio":
      return "audio_raw"
    default:
      return undefined
  }
}

const tombstone = (record: TimelineRecord, why: RemovedRecord["why"]): TimelineRecord => {
  switch (record.record) {
    case "payload":
      return { record: "removed", of: "payload", payload_class: record.payload_class, handle_id: record.handle_id, why }
    case "caller_audio": {
      const { first_sample_index } = record
      return { record: "removed", of: "caller_audio", payload_class: "audio_raw", first_sample_index, why }
    }
    case "sealed": {
      const { data_base64: _, key_id: __, nonce: ___, record: ____, ...held } = record
      return { record: "removed", ...held, why }
    }
    default:
      return record
  }
}

/** The bytes of a whole timeline with a `removed` record in the place of each payload that `isMeant` names. */
export const withoutPayloads = (
  bytes: Uint8Array,
  isMeant: (record: TimelineRecord) => boolean,
  why: RemovedRecord["why"]
): Iterable<Uint8Array> => {
  const groups = new Map<number, Array<TimelineRecord>>()
  const decoder = new TimelineDecoder((record, offset) => {
    const kept = record as TimelineRecord
    const changed = keptClass(kept) !== undefined && isMeant(kept) ? tombstone(kept, why) : kept
    const group = groups.get(offset)
    if (group === undefined) groups.set(offset, [changed])
    else group.push(changed)
    return undefined
  })
  decoder.push(bytes)
  const read = decoder.finish()
  // Whoever calls has read the file: what is no timeline has no records to remove.
  return read.is === "timeline" ? frames(read.timeline.header.format_version, groups.values()) : [bytes]
}

/**
 * Writes the timeline file again with a `removed` record in the place of each payload that `isMeant` names, and everything
 * else as it was, frame by frame; so it verifies and replays as before. I-REWRITE whoever dies at any moment leaves the
 * old file or the new one, whole. The file must be whole itself.
 */
export const removePayloads = Effect.fn("Removal.payloads")(function*(
  path: string,
  isMeant: (record: TimelineRecord) => boolean,
  why: RemovedRecord["why"]
): Effect.fn.Return<void, PlatformError, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  yield* replaceFile(path, withoutPayloads(yield* fs.readFile(path), isMeant, why))
})

function* frames(version: number, groups: Iterable<ReadonlyArray<TimelineRecord>>): Generator<Uint8Array> {
  const encoder = new TimelineEncoder(version)
  yield preambleOf(version)
  for (const group of groups) yield encoder.encode([group])
}
