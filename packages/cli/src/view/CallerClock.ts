import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { frameMs, frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"

/**
 * Session time of a position in the caller's stream, from the run records of a timeline: when the sample was spoken.
 *
 * A frame arrives when its last sample has been spoken. A position that no record covers is told by the nearest run
 * before it; undefined when there is none.
 */
export const callerClock = (records: ReadonlyArray<TimelineRecord>): (sampleIndex: number) => number | undefined => {
  const runs = records.filter((record) => record.record === "audio")
  return (sampleIndex) => {
    const run = runs.findLast((candidate) => candidate.first_sample_index <= sampleIndex)
    if (run === undefined) return undefined
    const frame = Math.floor((sampleIndex - run.first_sample_index) / frameSamples)
    let arrivedMs = run.first_timestamp_ms + frame * frameMs
    for (const late of run.jitter?.slice(0, frame) ?? []) arrivedMs += late
    const endOfFrame = run.first_sample_index + (frame + 1) * frameSamples
    return arrivedMs - (endOfFrame - sampleIndex) / samplesPerMs
  }
}
