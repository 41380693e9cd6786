import { readdirSync, readFileSync } from "node:fs"
import { TimelineDecoder } from "@rspp/timeline/format/TimelineDecoder"
import type { Timeline } from "@rspp/timeline/format/TimelineDecoder"

/** A file of the corpus. */
export interface CorpusFile {
  /** Its path in `test/corpus`. */
  readonly name: string
  readonly bytes: Buffer
}

/** Every recording of the corpus, by name. */
export const corpus = (): ReadonlyArray<CorpusFile> =>
  readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".timeline"))
    .toSorted()
    .map((name) => ({ name, bytes: readFileSync(`${import.meta.dirname}/${name}`) }))

/** What the packages read of these bytes. Throws when they are no timeline. */
export const decode = (bytes: Uint8Array): Timeline => {
  const decoder = new TimelineDecoder()
  decoder.push(bytes)
  const read = decoder.finish()
  if (read.is !== "timeline") throw new Error(`not a timeline: ${read.is}`)
  return read.timeline
}
