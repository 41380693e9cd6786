import type { AccessFidelity } from "@rspp/contracts/Privacy"
import type { PayloadRecord, TimelineRecord } from "@rspp/contracts/Timeline"
import type { Timeline } from "../format/TimelineDecoder.ts"
import { maskText } from "../recorder/Redaction.ts"
import { withoutHandleHash } from "./HandleHash.ts"
import type { RecordingKey } from "./KeyStore.ts"
import { unsealed } from "./Sealing.ts"

/** The timeline with what was sealed in the clear, as far as the key opens it. */
export const opened = (timeline: Timeline, key: RecordingKey | undefined): Timeline =>
  key === undefined ? timeline : {
    ...timeline,
    records: timeline.records.map((record) => record.record === "sealed" ? unsealed(record, key) ?? record : record)
  }

/**
 * What a response may show of a record at a fidelity: the replay column of the matrix of CONTRACT section 11. Text is
 * masked whatever the recording holds; PII and PHI are masked or tokens; sound is there at `raw_audio` only, and of the
 * class `audio_raw` only. What cannot be shown at all, sealed payloads among it, is undefined.
 */
export const redactedForReading = (record: TimelineRecord, fidelity: AccessFidelity): TimelineRecord | undefined => {
  switch (record.record) {
    case "payload":
      return fidelity === "metadata" ? undefined : payload(record, fidelity)
    case "caller_audio":
      return fidelity === "raw_audio" ? record : undefined
    case "sealed":
      return undefined
    default:
      return fidelity === "metadata" ? withoutHandleHash(record) : record
  }
}

const payload = (record: PayloadRecord, fidelity: AccessFidelity): PayloadRecord => {
  const { action, handle_id, payload_class, pcm_base64, text } = record
  const about = { record: "payload" as const, handle_id, payload_class }
  const isAllowed = payload_class === "derived_summary" || payload_class === "metadata"
  if (isAllowed) return record
  if (pcm_base64 !== undefined) {
    return fidelity === "raw_audio" && payload_class === "audio_raw" ? record : { ...about, action: "drop" }
  }
  if (text === undefined) return { ...about, action }
  if (action === "tokenize") return fidelity === "tokenized" ? record : { ...about, action: "drop" }
  return { ...about, action: "mask", text: maskText(text) }
}
