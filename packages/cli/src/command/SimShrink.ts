import { pinned } from "@rspp/simulation/Pins"
import { seedProcess } from "@rspp/simulation/SeedProcess"
import { lostViolation } from "@rspp/simulation/SeedReport"
import { drawCall, shrinkSteps } from "@rspp/simulation/Shrink"
import type { Attempt } from "@rspp/simulation/Shrink"
import { Effect } from "effect"
import { told } from "../CliFailure.ts"
import { Screen } from "../Screen.ts"
import { pinsOf, secondsOf, seedOf } from "../SimFlags.ts"
import type { PinFlags } from "../SimFlags.ts"
import { sourceVersion } from "../SourceVersion.ts"
import { repeatCommand, shrunkLines } from "../view/SimReport.ts"

export interface ShrinkFlags extends PinFlags {
  readonly seed: number
  readonly seedLimit: number
  readonly json: boolean
}

/** `rspp sim shrink`: takes away what a failing seed can do without, and says how to run what is left. */
export const shrinkSeed = Effect.fn("rspp.sim.shrink")(function*(flags: ShrinkFlags) {
  const screen = yield* Screen
  const seed = yield* seedOf("seed", flags.seed)
  const start = yield* pinsOf(flags)
  const limitMs = yield* secondsOf("seed-limit", flags.seedLimit)
  const steps = shrinkSteps(seed, start, (pins) => drawCall(seed, pinned(pins)))
  const shrunk = yield* Effect.scoped(Effect.gen(function*() {
    const process = yield* seedProcess({ limitMs })
    let runs = 0
    for (let step = steps.next();;) {
      if (step.done === true) return step.value
      screen.update(`run ${++runs}: ${repeatCommand(seed, step.value)}`)
      const attempt: Attempt = yield* process.ask({ job: "run", seed, pins: step.value }).pipe(
        Effect.catchTag("SeedLost", ({ message }) => Effect.succeed({ violations: [lostViolation(message)] }))
      )
      step = steps.next(attempt)
    }
  }))
  if (shrunk === undefined) {
    if (flags.json) screen.line(JSON.stringify({ seed, options: start, shrunk: null }))
    else screen.line(`seed ${seed} breaks no rule: there is nothing to shrink`)
    return undefined
  }
  const context = { commit: sourceVersion(), pins: start }
  if (flags.json) {
    screen.line(JSON.stringify({ ...context, shrunk, repeat: repeatCommand(seed, shrunk.pins) }))
  } else for (const line of shrunkLines(shrunk, context, screen.style)) screen.line(line)
  return yield* told("violation")
})
