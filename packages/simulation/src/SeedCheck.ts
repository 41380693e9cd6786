import * as Effect from "effect/Effect"
import { difference } from "./Meta.ts"
import type { Difference } from "./Meta.ts"
import type { Pins } from "./Pins.ts"
import { SeedLost, seedProcess } from "./SeedProcess.ts"
import type { SeedProcessOptions } from "./SeedProcess.ts"

export interface SeedCheckOptions {
  readonly seeds: ReadonlyArray<number>
  readonly pins: Pins
  /** The process that runs each seed twice. */
  readonly one: SeedProcessOptions
  /** The process that runs each seed once more. */
  readonly other: SeedProcessOptions
  /** Called after each seed. */
  readonly progress?: (done: number) => void
}

/** What the check of determinism found. */
export interface SeedCheck {
  /** Seeds that were compared. */
  readonly compared: number
  readonly differences: ReadonlyArray<Difference>
  /** A hash of each seed's bytes, in the order of the seeds. */
  readonly hashes: ReadonlyArray<string>
  /** Versions of Node of the two processes. */
  readonly nodes: readonly [string, string]
}

/**
 * The check that comes before any other: each seed twice in one process and once in a second one, compared byte for
 * byte. Fails with `SeedLost` when a seed does not end or takes its process along.
 */
export const checkSeeds = Effect.fnUntraced(function*(options: SeedCheckOptions) {
  const { one, other, pins, progress, seeds } = options
  const first = yield* seedProcess(one)
  const second = yield* seedProcess(other)
  const differences: Array<Difference> = []
  const hashes: Array<string> = []
  for (const seed of seeds) {
    const [here, there] = yield* Effect.all([
      first.ask({ job: "bytes", seed, pins, twice: true }),
      second.ask({ job: "bytes", seed, pins, twice: false })
    ], { concurrency: "unbounded" }).pipe(
      Effect.mapError((error) =>
        error._tag === "SeedLost" ? new SeedLost({ message: `seed ${seed} ${error.message}` }) : error
      )
    )
    differences.push(...here.differences)
    hashes.push(here.sha256)
    if (here.sha256 !== there.sha256) {
      const [a, b] = yield* Effect.all([first.ask({ job: "text" }), second.ask({ job: "text" })])
      differences.push(...difference(seed, "a second process", a, b))
    }
    progress?.(hashes.length)
  }
  const check: SeedCheck = {
    compared: hashes.length,
    differences,
    hashes,
    nodes: [first.version() ?? "", second.version() ?? ""]
  }
  return check
}, Effect.scoped)
