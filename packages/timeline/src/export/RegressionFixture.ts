import type { PayloadClass } from "@rspp/contracts/Event"
import type { EndRecord, TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { Timeline } from "../format/TimelineDecoder.ts"
import { encodeTimeline } from "../format/TimelineEncoder.ts"
import { maskText } from "../recorder/Redaction.ts"

/** Classes whose content may stay: nothing of them was said by a person (CONTRACT section 11). */
const harmless: ReadonlySet<PayloadClass> = new Set<PayloadClass>(["derived_summary", "metadata"])

/** What a fixture never has, in the words of a header's `not_captured`. */
const leftOut = ["caller_audio", "payloads"] as const

/**
 * A recording without what was said: the caller's audio and every sound are gone, text is masked (letters and digits as
 * `*`), personal and health data are gone. Decisions are made from handles and not from content, so what is left executes
 * again as the session did.
 *
 * It does not touch what operators wrote: the pipeline, the session config (whose hash is in the header), ids and reasons.
 */
export const withoutContent = (
  { header, records }: Pick<Timeline, "header" | "records">
): Pick<Timeline, "header" | "records"> => {
  const kept: Array<TimelineRecord> = []
  for (const record of records) {
    const left = record.record === "end" ? endAfter(record, kept.length + 1) : redacted(record)
    if (left !== undefined) kept.push(left)
  }
  return { header: { ...header, not_captured: [...new Set([...header.not_captured, ...leftOut])] }, records: kept }
}

/** Records that a replay needs or that are evidence: they hold handles, facts and times, and no content. */
const withoutPayload: ReadonlySet<string> = new Set([
  "audio",
  "input",
  "signal",
  "event",
  "transition",
  "plan",
  "decision",
  "invocation",
  "command",
  "evidence",
  "supplement"
])

const redacted = (record: TimelineRecord): TimelineRecord | undefined => {
  if (withoutPayload.has(record.record)) return record
  // Whatever else there is may hold content, in the clear or sealed.
  if (record.record !== "payload") return undefined
  if (harmless.has(record.payload_class)) return record
  if (record.payload_class !== "text_raw" || record.text === undefined) return undefined
  const { handle_id, payload_class, text } = record
  return { record: "payload", handle_id, payload_class, action: "mask", text: maskText(text) }
}

/** The end counts what is left, and where it says what the recording has, it has no caller audio any more. */
const endAfter = ({ not_captured, ...end }: EndRecord, records: number): EndRecord => ({
  ...end,
  records,
  ...(not_captured === undefined ? {} : { not_captured: { ...not_captured, caller_audio: "none" } })
})

/** A timeline as the bytes of a file, each record in a frame of its own. */
export const timelineBytes = (
  { header, records }: { readonly header: TimelineHeader; readonly records: ReadonlyArray<TimelineRecord> }
): Uint8Array => encodeTimeline(header, records.map((record) => [record]))
