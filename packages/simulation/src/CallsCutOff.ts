import type { Violation } from "./checkers/Checker.ts"
import type { Lived } from "./Liveness.ts"

/** Timers are up to 15 ms late where the seed says so, and stamps are whole milliseconds. */
const lateMs = 20

/**
 * L08: a provider call that is told to stop is over: at once when it dies when it is interrupted, and within the
 * cancellation grace when it does not. The world knows which providers take their time.
 */
export const callsCutOff = ({ call, exit, timeline }: Lived): ReadonlyArray<Violation> => {
  const { header, records } = timeline
  // A process that stood still is late with everything.
  if (exit === undefined || header === undefined || call.faults.has("runtime.stopped")) return []
  const slow = call.faults.has("provider.slow_cancel") || call.faults.has("node.ignores_cancel")
  const boundMs = (slow ? header.pipeline.cancellation_grace_ms : 0) + lateMs
  const violations: Array<Violation> = []
  records.forEach((record, index) => {
    if (record.record !== "invocation") return
    const { cancel_ack_ms: ack, cancel_sent_ms: sent, provider_invocation_id: id } = record.invocation
    if (sent === undefined || ack === undefined || ack - sent <= boundMs) return
    violations.push({ rule: "L08", message: `${id} ended ${ack - sent} ms after its cancel`, record: index })
  })
  return violations
}
