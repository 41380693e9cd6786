import type { WhatIfTotals } from "@rspp/timeline/replay/WhatIfEffects"
import { hasEffect, noEffect, sumOf } from "@rspp/timeline/replay/WhatIfEffects"
import type { ReplayedFile, ReplayVerdict } from "./ReplayCheck.ts"
import type { Style } from "./Screen.ts"
import { totalsText } from "./view/ReplayText.ts"

/** How many files came out how, without the files themselves. */
export interface ReplaySummary {
  readonly files: number
  readonly identical: number
  readonly as_expected: number
  readonly diverged: number
  readonly damaged: number
  readonly incomplete: number
  /** Files that could not be read, or may not be replayed in this way. */
  readonly bad: number
  readonly turns: number
  readonly session_ms: number
  readonly took_ms: number
  readonly what_if?: WhatIfTotals & {
    /** Sessions in which a turn is affected. */
    readonly sessions_changed: number
    /** Sessions of which the end is not known under the setting. */
    readonly sessions_unknown_beyond: number
  }
}

/** Counts files as they are done. */
export class ReplayTally {
  readonly #counts: Record<ReplayVerdict | "bad", number> = {
    identical: 0,
    as_expected: 0,
    diverged: 0,
    damaged: 0,
    incomplete: 0,
    bad: 0
  }
  #turns = 0
  #sessionMs = 0
  #whatIf: WhatIfTotals | undefined
  #changed = 0
  #unknown = 0

  add({ sessionMs, turns, verdict, whatIf }: ReplayedFile): void {
    this.#counts[verdict]++
    this.#turns += turns
    this.#sessionMs += sessionMs
    if (whatIf === undefined) return
    this.#whatIf = sumOf([this.#whatIf ?? noEffect, whatIf.effects.totals])
    if (hasEffect(whatIf.effects.totals)) this.#changed++
    if (whatIf.unknown_beyond !== undefined) this.#unknown++
  }

  bad(): void {
    this.#counts.bad++
  }

  summary(tookMs: number): ReplaySummary {
    return {
      files: Object.values(this.#counts).reduce((sum, count) => sum + count, 0),
      ...this.#counts,
      turns: this.#turns,
      session_ms: this.#sessionMs,
      took_ms: Math.round(tookMs),
      ...(this.#whatIf === undefined ? {} : {
        what_if: { ...this.#whatIf, sessions_changed: this.#changed, sessions_unknown_beyond: this.#unknown }
      })
    }
  }
}

const length = (ms: number): string =>
  ms < 60_000 ?
    `${(ms / 1000).toFixed(1)} s` :
    ms < 3_600_000 ?
    `${(ms / 60_000).toFixed(1)} min` :
    `${(ms / 3_600_000).toFixed(1)} h`

/** The summary for people. */
export const summaryLines = (summary: ReplaySummary, style: Style): ReadonlyArray<string> => {
  const { as_expected, bad, damaged, diverged, files, identical, incomplete, session_ms, took_ms, turns, what_if } =
    summary
  const part = (count: number, text: string, colour: (text: string) => string) =>
    count === 0 ? [] : [colour(`${count} ${text}`)]
  const verdicts = [
    ...part(identical, "identical", style.green),
    ...part(as_expected, "different as expected", style.green),
    ...part(diverged, what_if === undefined ? "diverged" : "with differences", style.red),
    ...part(damaged, "damaged", style.red),
    ...part(incomplete, "cut off or never closed", style.yellow),
    ...part(bad, "bad", style.red)
  ]
  const changes = what_if === undefined ? [] : [
    what_if.sessions_changed === 0
      ? "what if: no turn would have gone another way, as far as is known"
      : `what if: ${totalsText(what_if)}, in ${what_if.sessions_changed} of ${files} sessions`,
    ...(what_if.sessions_unknown_beyond === 0
      ? []
      : [
        `what if: of ${what_if.sessions_unknown_beyond} ${
          what_if.sessions_unknown_beyond === 1 ? "session" : "sessions"
        } the end is unknown with this setting`
      ])
  ]
  return [
    `${files} files: ${verdicts.join(", ")}; ${turns} turns, ${length(session_ms)} of session in ${length(took_ms)}`,
    ...changes
  ]
}
