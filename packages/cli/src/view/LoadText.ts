import type { LoadReport } from "../load/LoadReport.ts"
import type { Style } from "../Screen.ts"
import { sloLines } from "./SloText.ts"
import type { Counts } from "./TimelineSummary.ts"

/** `1:05`. */
export const clockText = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1000))
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`
}

const megabytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MB`

const total = (counts: Counts): number => Object.values(counts).reduce((sum, count) => sum + count, 0)

/** `3: cancelled 2, provider_failure 1`; `0` alone when there is nothing. */
const counted = (counts: Counts): string => {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`)
  return parts.length === 0 ? "0" : `${total(counts)} (${parts.join(", ")})`
}

/** A load for people. */
export const loadLines = (report: LoadReport, style: Style): ReadonlyArray<string> => {
  const { disturbances, drops, faults, interrupted, lost_frames, process, sessions, sheds, took_ms, turns } = report
  const { cpu_cores, cpu_cores_per_session, loop_delay_ms, resident_bytes, resident_bytes_per_session, steady } =
    process
  return [
    `${
      interrupted ? `${style.yellow("interrupted")}, so far ` : ""
    }${sessions.held} of ${sessions.wanted} sessions held for ${clockText(took_ms)}; ${sessions.started} calls`,
    `  turns       ${turns.opened} opened, ${turns.committed} committed, aborted ${counted(turns.aborted)}, refused ${
      counted(turns.refused)
    }`,
    `  loop delay  p50 ${loop_delay_ms.p50.toFixed(1)} ms, p99 ${loop_delay_ms.p99.toFixed(1)} ms, max ${
      loop_delay_ms.max.toFixed(1)
    } ms${steady ? "" : style.yellow(" (while sessions began)")}`,
    `  CPU         ${(cpu_cores * 100).toFixed(0)} % of a core, ${
      (cpu_cores_per_session * 100).toFixed(2)
    } % a session`,
    `  memory      ${megabytes(resident_bytes)} resident, ${megabytes(resident_bytes_per_session)} a session`,
    `  drops       ${counted(drops)}, ${sheds} sheds, ${lost_frames} frames of callers lost`,
    ...(total(disturbances) === 0 ? [] : [`  disturbed   ${counted(disturbances)}`]),
    ...faults.map((fault) => `  ${style.red("fault")}       ${fault}`),
    "",
    ...sloLines(report.slo, style)
  ]
}
