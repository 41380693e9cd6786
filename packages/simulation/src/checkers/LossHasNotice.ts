import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"
import { GraphFlow } from "./GraphFlow.ts"

/** One provider call, as far as losses go. */
interface Call {
  /** Undefined as long as it works ahead of its turn. */
  turn: string | undefined
  cancelled: boolean
  /** The utterance of a recogniser's call is over: no further text of it is wanted. */
  marked: boolean
  /** What it yielded that was told as late or stale. */
  told: number
}

/** The input that is being applied, and what was said of it. */
interface Step {
  readonly input: SessionInput
  readonly index: number
  readonly late: boolean
  toldLate: boolean
  toldStale: boolean
  accepted: boolean
  notice: boolean
  discontinuity: boolean
}

const yields = new Set<SessionInput["type"]>(["text_delta", "segment", "voice_chunk", "node_item"])

/** The recording's behaviour flag since which an interim transcript after a cancel counts as late. */
const lateInterims = 10

export const lossHasNotice: Checker = {
  id: "C07",
  holds: ["I-EDGE-BOUND"],
  sentence:
    "Every loss has a notice: lost frames, dropped sentences and chunks, results that came too late or of another epoch; and the counts agree.",
  check: (header, records) => {
    const findings = new Findings("C07", records)
    const countsInterims = header.behaviour_flags.includes(lateInterims)
    const calls = new Map<string, Call>()
    /** Turns that take nothing any more: fenced or at their end. */
    const ended = new Set<string>()
    const flow = new GraphFlow(header)
    let step: Step | undefined
    /** Telemetry is being lost for pressure: what comes too late is counted and not told by itself. */
    let pressure = false
    /** The same, when the step began or since. */
    let pressureBefore = false

    const settle = () => {
      if (step === undefined) return
      const { accepted, discontinuity, index, input, late, notice, toldLate, toldStale } = step
      step = undefined
      if (input.type === "media_loss") {
        if (!notice) findings.broken(`${input.count} lost frames have no notice`, index)
        const sync = header.pipeline.edge_buffer_policies[input.edge_id]?.sync_drop_policy
        if (sync?.policy === "drop_with_discontinuity" && !discontinuity) {
          findings.broken("lost frames of a sync domain have no discontinuity", index)
        }
      } else if (input.type === "output_rejected") {
        if (input.reason === "stale_epoch" && !toldStale) findings.broken("output that was refused is not told", index)
      } else if ("provider_invocation_id" in input && input.provider_invocation_id !== undefined) {
        const what = `${input.type} of ${input.provider_invocation_id}`
        if (late && !toldLate && !toldStale && !(pressure || pressureBefore)) {
          findings.broken(`${what} came too late and is not told`, index)
        }
        if (late && accepted) findings.broken(`${what} came too late and was accepted`, index)
        if (!late && toldLate && input.type !== "transcript") {
          findings.broken(`${what} is told as late and was not`, index)
        }
        const call = calls.get(input.provider_invocation_id)
        const counted = toldLate || toldStale || (late && (pressure || pressureBefore))
        if (call !== undefined && counted && input.type !== "cancel_requested") call.told++
      }
    }
    const isLate = (input: SessionInput): boolean => {
      if (!("provider_invocation_id" in input) || input.provider_invocation_id === undefined) return false
      const call = calls.get(input.provider_invocation_id)
      const lost = call === undefined || call.cancelled || (call.turn !== undefined && ended.has(call.turn))
      if (yields.has(input.type)) return lost
      if (input.type !== "transcript") return false
      if (input.finality !== "final") return countsInterims && call?.cancelled === true
      return call === undefined || call.cancelled || call.marked
    }

    let index = -1
    for (const record of records) {
      index++
      flow.read(record)
      switch (record.record) {
        case "audio":
          settle()
          break
        case "input": {
          settle()
          const { input } = record
          pressureBefore = pressure
          step = {
            input,
            index,
            late: isLate(input),
            toldLate: false,
            toldStale: false,
            accepted: false,
            notice: false,
            discontinuity: false
          }
          break
        }
        case "signal": {
          const { edge_id, reason = "", seq_range, signal, target_lane, turn_id } = record.signal
          if (signal === "watermark" && target_lane === "TelemetryLane") {
            pressure = reason === "lane_high"
            pressureBefore ||= pressure
          }
          if (signal === "drop_notice") {
            const input = step?.input
            if (step !== undefined && input?.type === "media_loss") {
              step.notice ||= edge_id === input.edge_id && seq_range?.start === input.first &&
                seq_range.end === input.last
            }
            const handle = reason.slice(reason.indexOf(":") + 1)
            if (step !== undefined && input !== undefined && "handle" in input && input.handle.id === handle) {
              step.accepted = true
            }
          } else if (signal === "discontinuity") {
            if (step !== undefined) step.discontinuity = true
          } else if (signal === "stale_epoch_reject") {
            if (step !== undefined) step.toldStale = true
          } else if ((signal === "commit" || signal === "abort") && turn_id !== undefined) {
            settle()
            const turn = flow.turns.get(turn_id)
            if (signal === "commit" && turn !== undefined) {
              for (const [{ handle }, { edge_id: edge }] of flow.missing(turn)) {
                findings.broken(`${handle.id} of ${turn_id} is gone from ${edge} without a notice`, index, turn_id)
              }
            }
            flow.turns.delete(turn_id)
            ended.add(turn_id)
          }
          break
        }
        case "event": {
          const { lane, provider_invocation_id, reason, turn_id } = record.event
          if (reason === "speculation_promoted") {
            const call = calls.get(provider_invocation_id ?? "")
            if (call !== undefined) call.turn = turn_id
          }
          if (step !== undefined && lane === "TelemetryLane" && reason?.startsWith("late_") === true) {
            step.toldLate = true
          }
          break
        }
        case "command": {
          const { command } = record
          if (command.type === "start_invocation") {
            calls.set(command.provider_invocation_id, {
              turn: command.turn_id,
              cancelled: false,
              marked: false,
              told: 0
            })
            if (command.text !== undefined) took(command.text.id)
          } else if (command.type === "enqueue_output") took(command.handle_id)
          else if (command.type === "cancel_invocation") {
            const call = calls.get(command.provider_invocation_id)
            if (call !== undefined) call.cancelled = true
          } else if (command.type === "mark_utterance" && command.mark === "end") {
            const call = calls.get(command.provider_invocation_id)
            if (call !== undefined) call.marked = true
          } else if (command.type === "fence_output") ended.add(command.turn_id)
          break
        }
        case "invocation": {
          const { late_outputs_dropped, provider_invocation_id } = record.invocation
          const call = calls.get(provider_invocation_id)
          calls.delete(provider_invocation_id)
          const own = step?.input.type === "invocation_ended" ? step.input.late_outputs : 0
          if (call !== undefined && call.told + own !== late_outputs_dropped) {
            findings.broken(
              `${provider_invocation_id} has ${late_outputs_dropped} late outputs on record, ${
                call.told + own
              } were told`,
              index
            )
          }
          break
        }
        default:
          break
      }
    }
    settle()
    return findings.violations

    function took(handle: string): void {
      const input = step?.input
      if (step !== undefined && input !== undefined && "handle" in input && input.handle.id === handle) {
        step.accepted = true
      }
    }
  }
}
