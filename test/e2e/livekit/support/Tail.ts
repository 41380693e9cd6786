import type { CallerProcess } from "./CallerProcess.ts"
import type { Recording } from "./Recording.ts"

/** The clocks of two processes of one machine differ by no more than this, ms: each is rounded to 1 ms. */
const clocksMs = 2

/**
 * When the last sound of the reply that was cut was heard, by the clock of the machine: of all that the caller heard, the
 * run before the next reply's playback began, which is looked for after the cut. Nothing else of it may come later.
 */
export const lastHeardOf = (
  recording: Recording,
  caller: CallerProcess,
  cut: { readonly atMs: number; readonly turn_id?: string }
): { readonly endedMs: number; readonly receivedEndedMs: number } => {
  const next = recording.inputs("playback_started").find(({ atMs, turn_id }) =>
    atMs > cut.atMs && turn_id !== cut.turn_id
  )
  const until = next === undefined ? Infinity : next.atMs - clocksMs
  // News of the end of a run is told later than its times: both clocks of the caller differ by the same.
  const runs = caller.all("heard").map((heard) => {
    const offset = heard.wallMs - heard.monoMs
    return {
      beganMs: heard.beganMs + offset,
      endedMs: heard.endedMs + offset,
      receivedEndedMs: heard.receivedEndedMs + offset
    }
  })
  const last = runs.findLast(({ beganMs }) => beganMs < until)
  if (last === undefined) throw new Error(`nothing was heard of ${cut.turn_id} before it was cut`)
  return last
}

/** By the nearest rank. */
export const percentile = (sorted: ReadonlyArray<number>, percent: number): number =>
  sorted[Math.max(Math.ceil((sorted.length * percent) / 100) - 1, 0)] ?? NaN
