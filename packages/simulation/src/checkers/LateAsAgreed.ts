import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

export const lateAsAgreed: Checker = {
  id: "C29",
  holds: ["I-INV-CANCEL"],
  sentence:
    "What comes too late becomes what late_event_policy says: dropped, a diagnostic, or, a text of the caller under remap only, an intent of its own.",
  check: (header, records) => {
    const findings = new Findings("C29", records)
    const policy = header.session_config.late_event_policy
    let final = false
    records.forEach((record, index) => {
      if (record.record === "audio") final = false
      else if (record.record === "input") {
        final = record.input.type === "transcript" && record.input.finality === "final" &&
          record.input.handle.length > 0
      } else if (record.record === "event") {
        const { lane, reason, turn_id } = record.event
        if (lane !== "TelemetryLane" || reason?.startsWith("late_") !== true) return
        const agreed = policy === "remap" && final
          ? "late_remapped"
          : policy === "diagnostics"
          ? "late_diagnostic"
          : "late_dropped"
        if (reason !== agreed) findings.broken(`${reason}, and ${agreed} was agreed`, index, turn_id)
      }
    })
    return findings.violations
  }
}
