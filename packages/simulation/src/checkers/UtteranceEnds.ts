import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

/** One utterance, as its marks and texts show it. */
interface Utterance {
  pauseId: number | undefined
  /** Length of the final text for the pause that it is in. */
  final: number | undefined
  speaking: boolean
  /** How it ended. */
  ended: string | undefined
}

export const utteranceEnds: Checker = {
  id: "C22",
  holds: ["I-LISTEN-ONE"],
  sentence:
    "Each utterance ends once: its words propose a turn or are passed over, or it held none, or its loss is told; nothing that the caller said is answered twice.",
  check: (_header, records) => {
    const findings = new Findings("C22", records)
    const open = new Map<string, Utterance>()
    const proposed = new Set<string>()
    /** Utterances whose words have to propose a turn in this step. */
    let due = new Set<string>()
    /** The utterance that a final text came in for in this step, and the text that it had before. */
    let fresh: { readonly utterance: Utterance; readonly before: number | undefined } | undefined
    /** Telemetry is lost for pressure: words that take no turn may be passed over untold. */
    let pressure = false
    let begun = 0
    const settle = () => {
      if (!pressure) { for (const id of due) findings.broken(`the words of ${id} proposed no turn`, begun) }
      if (due.size > 0) due = new Set()
      fresh = undefined
    }
    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        settle()
        begun = index
      }
      if (record.record === "input" && record.input.type === "transcript") {
        const { finality, handle, pause_id = 0, provider_invocation_id } = record.input
        const utterance = open.get(provider_invocation_id)
        if (finality !== "final" || utterance === undefined || utterance.ended !== undefined) continue
        if (utterance.speaking || pause_id !== utterance.pauseId) continue
        fresh = { utterance, before: utterance.final }
        utterance.final = handle.length
      } else if (record.record === "event") {
        // Words over the agent's speech that take no turn: C31 says whether that was right.
        const { provider_invocation_id: id, reason = "" } = record.event
        if (id !== undefined && reason.startsWith("passed_over")) due.delete(id)
      } else if (record.record === "signal") {
        const { provider_invocation_id: id, reason, signal, target_lane, turn_id } = record.signal
        if (signal === "watermark" && target_lane === "TelemetryLane") pressure = reason === "lane_high"
        if (signal === "stale_epoch_reject" && fresh !== undefined) {
          fresh.utterance.final = fresh.before
          fresh = undefined
        }
        if (id === undefined) continue
        if (signal === "turn_open_proposed") {
          due.delete(id)
          if (proposed.has(id)) findings.broken(`${id} proposes two turns`, index)
          proposed.add(id)
          const utterance = open.get(id)
          if (utterance?.ended !== "end" || (utterance.final ?? 0) === 0) {
            findings.broken(`${id} has no words to propose`, index)
          }
        } else if ((signal === "provider_error" && turn_id === undefined) || signal === "reject") {
          const utterance = open.get(id)
          if (utterance !== undefined) utterance.ended ??= signal
        }
      } else if (record.record === "command") {
        const { command } = record
        if (command.type === "start_invocation") {
          if (command.modality !== "stt") continue
          open.set(command.provider_invocation_id, {
            pauseId: undefined,
            final: undefined,
            speaking: true,
            ended: undefined
          })
        } else if (command.type === "mark_utterance") {
          const { mark, pause_id, provider_invocation_id: id } = command
          const utterance = open.get(id)
          if (utterance === undefined || utterance.ended !== undefined) {
            findings.broken(`${mark} of ${id}, which is over`, index)
            continue
          }
          if (mark === "end") {
            utterance.ended = "end"
            if ((utterance.final ?? 0) > 0) due.add(id)
          } else {
            utterance.final = undefined
            utterance.speaking = mark === "resume"
            if (mark === "pause") {
              if (pause_id === undefined || pause_id <= (utterance.pauseId ?? 0)) {
                findings.broken(`pause ${pause_id} of ${id}`, index)
              }
              utterance.pauseId = pause_id
            }
          }
        } else if (command.type === "end_session") {
          for (const [id, utterance] of open) {
            if (utterance.ended === undefined) findings.broken(`what became of ${id} is not told`, index)
          }
        }
      }
    }
    settle()
    return findings.violations
  }
}
