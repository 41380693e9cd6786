import { Effect } from "effect"
import { told } from "./CliFailure.ts"
import { Screen } from "./Screen.ts"

/** What was found about one thing that something depends on. */
export interface Finding {
  readonly check: string
  readonly ok: boolean
  /** What was found, and what to do when it is not as it should be. */
  readonly message: string
}

/** Clocks that must agree may be apart by this much, ms: keys and tokens end by the clock of who checks them. */
export const maxSkewMs = 1000

/** How far ahead a clock is that said `now` between `before` and `after`, ms: whatever the answer took is no skew. */
export const skewOf = (before: number, now: number, after: number): number =>
  Math.round(now < before ? now - before : now > after ? now - after : 0)

/** The finding about a clock that is `skew` ms ahead. */
export const clockFinding = (skew: number): Finding => ({
  check: "clock_skew",
  ok: Math.abs(skew) <= maxSkewMs,
  message: skew === 0
    ? "its clock agrees with this machine's"
    : `its clock is ${Math.abs(skew)} ms ${
      skew > 0 ? "ahead of" : "behind"
    } this machine's; at most ${maxSkewMs} are allowed: look after both with NTP`
})

/** Shows findings, as lines or as JSON; fails with 69 when something is wrong. */
export const showFindings = Effect.fnUntraced(
  function*(about: Readonly<Record<string, string>>, findings: ReadonlyArray<Finding>, json: boolean) {
    const screen = yield* Screen
    const ok = findings.every((finding) => finding.ok)
    if (json) screen.line(JSON.stringify({ ...about, ok, findings }))
    else {
      for (const finding of findings) {
        const mark = finding.ok ? screen.style.green("ok     ") : screen.style.red("WRONG  ")
        screen.line(`${mark}  ${finding.check.replaceAll("_", " ").padEnd(12)}  ${finding.message}`)
      }
    }
    return ok ? undefined : yield* told("unavailable")
  }
)
