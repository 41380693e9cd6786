import type { Pins } from "@rspp/simulation/Pins"
import { seedProcess } from "@rspp/simulation/SeedProcess"
import { lostViolation } from "@rspp/simulation/SeedReport"
import type { SeedReport } from "@rspp/simulation/SeedReport"
import type { FailedSeed } from "@rspp/simulation/Tally"
import { Effect } from "effect"
import { told } from "../CliFailure.ts"
import { timelineFile } from "../OutputFiles.ts"
import { Screen } from "../Screen.ts"
import { sourceVersion } from "../SourceVersion.ts"
import { failureLines, repeatCommand, seedLines } from "../view/SimReport.ts"

export interface OneSeed {
  readonly seed: number
  readonly pins: Pins
  readonly limitMs: number
  /** The timeline file to write, or a directory for it. */
  readonly out: string | undefined
  readonly json: boolean
}

/** `rspp sim --seed S`: what happens in simulated time, line by line, then the verdict. */
export const showSeed = Effect.fn("rspp.sim.seed")(function*({ json, limitMs, out, pins, seed }: OneSeed) {
  const screen = yield* Screen
  const file = out === undefined ? undefined : yield* timelineFile(out, `seed-${seed}`)
  const context = { commit: sourceVersion(), pins }
  return yield* Effect.scoped(Effect.gen(function*() {
    const process = yield* seedProcess({ limitMs })
    const ended = yield* process.ask(
      { job: "run", seed, pins, trace: !json, ...(file === undefined ? {} : { out: file }) },
      (text) => screen.raw(text)
    ).pipe(
      Effect.map((report): { readonly failed: FailedSeed; readonly report?: SeedReport } => ({
        failed: report,
        report
      })),
      Effect.catchTag(
        "SeedLost",
        ({ message }) =>
          Effect.succeed({ failed: { seed, violations: [lostViolation(message)], broken: 1, struck: {} } })
      )
    )
    const { failed } = ended
    const report = "report" in ended ? ended.report : undefined
    if (json) {
      screen.line(JSON.stringify({
        commit: context.commit,
        options: pins,
        ...failed,
        repeat: repeatCommand(seed, pins),
        ...(file === undefined || report === undefined ? {} : { timeline: file })
      }))
    } else {
      screen.line("")
      if (failed.broken > 0) { for (const line of failureLines(failed, context, screen.style)) screen.line(line) }
      if (report !== undefined) { for (const line of seedLines(report, file, screen.style)) screen.line(line) }
    }
    if (failed.broken > 0) return yield* told("violation")
    return undefined
  }))
})
