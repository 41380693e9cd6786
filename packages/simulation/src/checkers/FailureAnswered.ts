import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"
import { GraphFlow } from "./GraphFlow.ts"
import { triedAgain } from "./RetriesWait.ts"

/** A provider call that works for a turn. */
interface Call {
  readonly turn_id: string
  readonly node: string
  readonly modality: string
  readonly work: string
  readonly segment_id: string | undefined
}

export const failureAnswered: Checker = {
  id: "C26",
  holds: ["I-PLAN-FROZEN", "I-RETRY-SILENT"],
  sentence:
    "A call that fails is answered in its step: another attempt or a wait before it, a spare, a node behind a fallback edge, a reply without it, or the end of its turn; what has given something already is not begun again.",
  check: (header, records) => {
    const findings = new Findings("C26", records)
    const flow = new GraphFlow(header)
    const calls = new Map<string, Call>()
    const cancelled = new Set<string>()
    const open = new Set<string>()
    const fenced = new Set<string>()
    const muted = new Set<string>()
    /** Work that has given something: text of a model, speech of a sentence. */
    const given = new Set<string>()
    /** The call that fails in this step, and what would answer it. */
    let failed: Call | undefined
    let answers: Array<string> = []
    let begun = 0
    const settle = () => {
      if (failed !== undefined) {
        const { modality, node, turn_id } = failed
        const turn = flow.turns.get(turn_id)
        const answered = fenced.has(turn_id) || !open.has(turn_id) || (modality === "tts" && muted.has(turn_id)) ||
          answers.includes(`${node} ${turn_id}`) || answers.includes(`instead ${turn_id}`) ||
          (turn !== undefined && flow.canDoWithout(turn, node))
        if (!answered) {
          findings.broken(`a ${modality} call of ${turn_id} failed, and nothing came of it`, begun, turn_id)
        }
      }
      failed = undefined
      if (answers.length > 0) answers = []
    }

    let index = -1
    for (const record of records) {
      index++
      flow.read(record)
      if (beginsStep(record)) {
        settle()
        begun = index
      }
      if (record.record === "input") {
        const { input } = record
        if (input.type === "invocation_ended") {
          const call = calls.get(input.provider_invocation_id)
          if (input.outcome_class !== "success" && !cancelled.has(input.provider_invocation_id)) failed = call
        } else if (input.type === "text_delta" || input.type === "segment") {
          const call = calls.get(input.provider_invocation_id)
          if (call !== undefined && !cancelled.has(input.provider_invocation_id)) given.add(call.work)
        }
      } else if (record.record === "signal") {
        const { signal, turn_id } = record.signal
        if (turn_id === undefined) continue
        if (signal === "turn_open") open.add(turn_id)
        else if (signal === "close") open.delete(turn_id)
        else if (signal === "degrade" && record.signal.emitted_by === "RK-17") {
          if (record.signal.node_id !== undefined) answers.push(`${record.signal.node_id} ${turn_id}`)
          else if (record.signal.reason === "speech_unavailable") muted.add(turn_id)
          // A reply that ends with what was said.
          else answers.push(`instead ${turn_id}`)
        } else if (signal === "fallback" && record.signal.edge_id !== undefined) {
          answers.push(`${record.signal.node_id} ${turn_id}`)
        }
      } else if (record.record === "command") {
        const { command } = record
        if (command.type === "start_invocation" && command.turn_id !== undefined) {
          const { idempotency_key: work, modality, node_id: node, provider_invocation_id, segment_id, turn_id } =
            command
          if (given.has(work) || (segment_id !== undefined && given.has(segment_id))) {
            findings.broken(`${provider_invocation_id} begins again what has given something`, index, turn_id)
          }
          calls.set(provider_invocation_id, { turn_id, node, modality, work, segment_id })
          answers.push(`${node} ${turn_id}`)
        } else if (command.type === "enqueue_output") given.add(command.segment_id)
        else if (command.type === "fence_output") fenced.add(command.turn_id)
        else if (command.type === "arm_timer") {
          const again = calls.get(triedAgain(command.timer) ?? "")
          if (again !== undefined) answers.push(`${again.node} ${again.turn_id}`)
        } else if (command.type === "cancel_invocation") {
          cancelled.add(command.provider_invocation_id)
          if (command.reason === "timeout") failed = calls.get(command.provider_invocation_id)
        }
      } else if (record.record === "invocation") calls.delete(record.invocation.provider_invocation_id)
    }
    settle()
    return findings.violations
  }
}
