import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

interface Heard {
  started: boolean
  ended: boolean
}

const reports = new Set(["output_accepted", "playback_started", "playback_completed", "playback_cancelled"])

export const playbackOnce: Checker = {
  id: "C21",
  holds: ["I-PLAY-ONCE", "I-BARGE-ORDER"],
  sentence:
    "What egress reports of a sentence is told in the report's own step; each sentence begins and ends to play once, and output is paused and resumed in turn, with a barge_in for each.",
  check: (_header, records) => {
    const findings = new Findings("C21", records)
    const segments = new Map<string, Heard>()
    const paused = new Set<string>()
    const fenced = new Set<string>()
    /** The report that is being applied. */
    let report: string | undefined
    let bargeIns = 0
    let pauses = 0
    let begun = 0
    const settle = () => {
      if (bargeIns !== pauses) findings.broken(`${pauses} pauses and resumes with ${bargeIns} barge_in`, begun)
      bargeIns = 0
      pauses = 0
    }
    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        settle()
        begun = index
        report = undefined
      }
      if (record.record === "input") {
        const { input } = record
        if (!reports.has(input.type) || !("segment_id" in input) || !("turn_id" in input)) continue
        const { segment_id, turn_id } = input
        report = `${input.type} ${turn_id}`
        if (segment_id === undefined || input.type === "output_accepted") continue
        const heard = segments.get(segment_id) ?? { started: false, ended: false }
        segments.set(segment_id, heard)
        if (heard.ended) findings.broken(`${input.type} of ${segment_id} after its end`, index, turn_id)
        if (input.type === "playback_started") {
          if (heard.started) findings.broken(`${segment_id} begins to play twice`, index, turn_id)
          heard.started = true
          continue
        }
        if (input.type === "playback_completed" && !heard.started) {
          findings.broken(`${segment_id} ends and did not begin to play`, index, turn_id)
        }
        heard.ended = true
      } else if (record.record === "signal") {
        const { signal, turn_id } = record.signal
        if (signal === "barge_in") bargeIns++
        if (!reports.has(signal)) continue
        if (report !== `${signal} ${turn_id}`) {
          findings.broken(`${signal} of ${turn_id} was not reported now`, index, turn_id)
        }
        report = undefined
      } else if (record.record === "command") {
        const { command } = record
        if (command.type === "pause_output") {
          pauses++
          if (paused.has(command.turn_id)) findings.broken(`${command.turn_id} is paused twice`, index, command.turn_id)
          paused.add(command.turn_id)
        } else if (command.type === "resume_output") {
          pauses++
          if (!paused.delete(command.turn_id)) {
            findings.broken(`${command.turn_id} was not paused`, index, command.turn_id)
          }
        } else if (command.type === "fence_output") fenced.add(command.turn_id)
      }
    }
    settle()
    return findings.violations
  }
}
