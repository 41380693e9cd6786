import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import type { Violation } from "./checkers/Checker.ts"
import type { Lived } from "./Liveness.ts"

/** Frames that a session has room for before they are applied (CONTRACT section 5, caller audio). */
const waiting = 50

/**
 * L07: every frame that the session took is applied. The world knows which it took; the timeline must have each, up to
 * the last that it has, and all but as many as can wait: what waits when the session ends is nobody's.
 */
export const framesKept = ({ call, exit, timeline }: Lived): ReadonlyArray<Violation> => {
  if (exit === undefined) return []
  const applied = new Set<number>()
  let last = -1
  for (const record of timeline.records) {
    if (record.record !== "audio") continue
    for (let frame = 0; frame < record.count; frame++) {
      const sampleIndex = record.first_sample_index + frame * frameSamples
      applied.add(sampleIndex)
      last = Math.max(last, sampleIndex)
    }
  }
  const { taken } = call.truth
  const settled = taken.length - waiting
  const lost = taken.filter((sampleIndex, place) =>
    (sampleIndex < last || place < settled) && !applied.has(sampleIndex)
  )
  if (lost.length === 0) return []
  const message = `${lost.length} frames were taken and not applied, the first at sample ${lost[0]}`
  return [{ rule: "L07", message }]
}
