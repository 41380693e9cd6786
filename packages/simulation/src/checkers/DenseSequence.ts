import type { Checker, Violation } from "./Checker.ts"
import { sequencesOf } from "@rspp/contracts/TimelineStamp"

export const denseSequence: Checker = {
  id: "C02",
  holds: ["I-SEQ-DENSE"],
  sentence: "Sequence numbers are dense: each record takes the next one, from 0 on, and none is missing or repeated.",
  check: (_header, records) => {
    const violations: Array<Violation> = []
    let next = 0
    records.forEach((record, index) => {
      const sequences = sequencesOf(record)
      if (sequences === undefined) return
      if (sequences.first !== next) {
        violations.push({
          rule: "C02",
          message: `${record.record} has sequence ${sequences.first}; the next is ${next}`,
          record: index,
          runtime_sequence: sequences.first
        })
      }
      next = sequences.first + sequences.count
    })
    const end = records.at(-1)
    if (end?.record === "end" && next > 0 && end.last_sequence !== next - 1) {
      violations.push({ rule: "C02", message: `the end says ${end.last_sequence}, the last sequence is ${next - 1}` })
    }
    return violations
  }
}
