import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

export const leaseRises: Checker = {
  id: "C30",
  holds: ["I-EPOCH-MONOTONE"],
  sentence: "A lease that rotates has a higher epoch than every lease before it; one that is renewed was held before.",
  check: (_header, records) => {
    const findings = new Findings("C30", records)
    let highest = 0
    records.forEach((record, index) => {
      if (record.record !== "input" || record.input.type !== "lease") return
      const { authority_epoch: epoch, status } = record.input
      if (status === "rotated" && epoch <= highest) {
        findings.broken(`a lease rotates to epoch ${epoch}; ${highest} was held before`, index)
      } else if (status === "renewed" && epoch > highest) {
        findings.broken(`epoch ${epoch} is renewed and was never held`, index)
      }
      highest = Math.max(highest, epoch)
    })
    return findings.violations
  }
}
