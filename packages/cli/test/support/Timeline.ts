import { TimelineDecoder } from "@rspp/timeline/format/TimelineDecoder"
import type { Timeline } from "@rspp/timeline/format/TimelineReader"
import { existsSync, readFileSync } from "node:fs"

/** What is in a recording, up to where it can be read; undefined for what is none (yet). */
export const decoded = (path: string): Timeline | undefined => {
  if (!existsSync(path)) return undefined
  const decoder = new TimelineDecoder()
  decoder.push(readFileSync(path))
  const read = decoder.finish()
  return read.is === "timeline" ? read.timeline : undefined
}
