import type { CallerProcess } from "./CallerProcess.ts"
import type { Heard } from "./Ear.ts"
import type { Recording } from "./Recording.ts"

/** The clocks of two processes of one machine differ by no more than this, ms: each is rounded to 1 ms. */
const clocksMs = 2

/** By the clock of the machine. */
interface LastHeard {
  readonly endedMs: number
  /** As the caller's process received it: never earlier. */
  readonly receivedEndedMs: number
}

/** The last sound of the runs that began before `untilMs`. `offsetMs` makes a run's times those of the machine. */
export const lastHeard = (
  runs: ReadonlyArray<Heard & { readonly offsetMs: number }>,
  untilMs: number
): LastHeard => {
  const last = runs.findLast(({ beganMs, offsetMs }) => beganMs + offsetMs < untilMs)
  if (last === undefined) throw new Error("nothing was heard before the cut")
  return { endedMs: last.endedMs + last.offsetMs, receivedEndedMs: last.receivedEndedMs + last.offsetMs }
}

/**
 * The last sound of the reply that was cut, at the caller's ear: of the runs that began before the next reply's playback.
 * Whatever is heard of it later, a pause after the cut, counts.
 */
export const lastHeardOf = (
  recording: Recording,
  caller: CallerProcess,
  cut: { readonly atMs: number; readonly turn_id?: string }
): LastHeard => {
  const next = recording.inputs("playback_started").find(({ atMs, turn_id }) =>
    atMs > cut.atMs && turn_id !== cut.turn_id
  )
  const runs = caller.all("heard").map((heard) => ({ ...heard, offsetMs: heard.wallMs - heard.monoMs }))
  return lastHeard(runs, next === undefined ? Infinity : next.atMs - clocksMs)
}

/** By the nearest rank. */
export const percentile = (sorted: ReadonlyArray<number>, percent: number): number =>
  sorted[Math.max(Math.ceil((sorted.length * percent) / 100) - 1, 0)] ?? NaN
