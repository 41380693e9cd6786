import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

export const oneVoice: Checker = {
  id: "C05",
  holds: ["I-OUT-FENCE"],
  sentence: "Once a turn has speech, no earlier turn is sent, resumed or begins to play.",
  check: (_header, records) => {
    const findings = new Findings("C05", records)
    const places = new Map<string, number>()
    /** Place of the latest turn that has speech, and of the latest that was heard. */
    let sent = 0
    let heard = 0
    let index = -1
    for (const record of records) {
      index++
      if (record.record === "signal") {
        if (record.signal.signal === "turn_open" && record.signal.turn_id !== undefined) {
          places.set(record.signal.turn_id, places.size + 1)
        }
      } else if (record.record === "command") {
        const { command } = record
        if (command.type !== "enqueue_output" && command.type !== "resume_output") continue
        const place = places.get(command.turn_id) ?? 0
        if (place < Math.max(sent, heard)) {
          findings.broken(`${command.type} of ${command.turn_id} after a later turn has speech`, index, command.turn_id)
        }
        if (command.type === "enqueue_output") sent = Math.max(sent, place)
      } else if (record.record === "input" && record.input.type === "playback_started") {
        const { turn_id } = record.input
        const place = places.get(turn_id) ?? 0
        if (place < Math.max(sent, heard)) {
          findings.broken(`${turn_id} is heard after a later turn has speech`, index, turn_id)
        }
        heard = Math.max(heard, place)
      }
    }
    return findings.violations
  }
}
