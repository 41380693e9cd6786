import type { Group } from "../../../src/format/TimelineEncoder.ts"
import { TimelineEncoder } from "../../../src/format/TimelineEncoder.ts"
import { preambleOf } from "../../../src/format/TimelineFormat.ts"

/** The parts of a file in which each group has a frame of its own: the first line, then the frames. */
export const partsOf = (groups: ReadonlyArray<Group>, version = 2): ReadonlyArray<Uint8Array> => {
  const encoder = new TimelineEncoder(version)
  return [preambleOf(version), ...groups.map((group) => encoder.encode([group]))]
}

/** Such a file. */
export const fileOf = (groups: ReadonlyArray<Group>, version = 2): Uint8Array =>
  new Uint8Array(Buffer.concat([...partsOf(groups, version)]))
