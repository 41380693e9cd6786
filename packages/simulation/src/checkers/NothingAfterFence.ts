import type { Checker, Violation } from "./Checker.ts"

/** Commands that put something of a turn on its way, or let it go on. */
const outputs = new Set(["enqueue_output", "end_segment", "end_output", "resume_output", "pause_output"])

export const nothingAfterFence: Checker = {
  id: "C03",
  holds: ["I-OUT-FENCE", "I-OUT-AFTER-END", "I-CANCEL-ONCE"],
  sentence: "After the fence of a turn nothing of it is sent, started, resumed or accepted.",
  check: (_header, records) => {
    const fenced = new Set<string>()
    const violations: Array<Violation> = []
    records.forEach((record, index) => {
      const broken = (what: string, turn_id: string, runtime_sequence: number) =>
        violations.push({
          rule: "C03",
          message: `${what} of ${turn_id} after its fence`,
          record: index,
          runtime_sequence,
          turn_id
        })
      if (record.record === "command") {
        const { command, runtime_sequence } = record
        if (command.type === "fence_output") {
          if (fenced.has(command.turn_id)) broken("a second fence", command.turn_id, runtime_sequence)
          fenced.add(command.turn_id)
        } else if (command.type === "start_invocation") {
          const { turn_id } = command
          if (turn_id !== undefined && fenced.has(turn_id)) broken("start_invocation", turn_id, runtime_sequence)
        } else if (outputs.has(command.type) && "turn_id" in command && command.turn_id !== undefined) {
          if (fenced.has(command.turn_id)) broken(command.type, command.turn_id, runtime_sequence)
        }
      } else if (record.record === "signal") {
        const { runtime_sequence, signal, turn_id } = record.signal
        if (turn_id === undefined || !fenced.has(turn_id)) return
        if (signal === "output_accepted" || signal === "commit") broken(signal, turn_id, runtime_sequence)
      } else if (record.record === "event") {
        const { lane, runtime_sequence, turn_id } = record.event
        if (lane === "DataLane" && turn_id !== undefined && fenced.has(turn_id)) {
          broken("a data event", turn_id, runtime_sequence)
        }
      }
    })
    return violations
  }
}
