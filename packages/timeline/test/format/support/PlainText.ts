import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { TimelineDecoder } from "../../../src/format/TimelineDecoder.ts"

/**
 * All that a timeline file says, to be searched for what must not be in it: its bytes, and every record as JSON, for in the
 * bytes texts are compressed. Throws when it is no timeline, or torn.
 */
export const plainText = (bytes: Uint8Array): string => {
  const decoder = new TimelineDecoder()
  decoder.push(bytes)
  const read = decoder.finish()
  if (read.is !== "timeline" || read.timeline.tear !== undefined) {
    throw new Error("there is no whole timeline to search")
  }
  const { header, records } = read.timeline
  return [Buffer.from(bytes).toString("latin1"), ...[header, ...records].map(canonicalJson)].join("\n")
}
