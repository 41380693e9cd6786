import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { Timeline } from "../format/TimelineDecoder.ts"

/** A timeline as JSON lines: the header, then each record in order, as canonical JSON; every line ends with a newline. */
export function* jsonLines(timeline: Pick<Timeline, "header" | "records">): Generator<string> {
  yield `${canonicalJson(timeline.header)}\n`
  for (const record of timeline.records) yield `${canonicalJson(record)}\n`
}
