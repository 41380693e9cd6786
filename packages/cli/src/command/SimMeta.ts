import { checkSeeds } from "@rspp/simulation/SeedCheck"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { CliFailure, told } from "../CliFailure.ts"
import { Screen } from "../Screen.ts"
import { countOf, pinsOf, secondsOf, seedOf } from "../SimFlags.ts"
import type { PinFlags } from "../SimFlags.ts"
import { sourceVersion } from "../SourceVersion.ts"
import { differenceLines } from "../view/SimReport.ts"

export interface MetaFlags extends PinFlags {
  readonly seeds: number
  readonly first: number | undefined
  readonly node: string | undefined
  readonly seedLimit: number
  readonly json: boolean
}

/** `rspp sim meta`: each seed twice in one process and once in a second one, compared byte for byte. */
export const compareSeeds = Effect.fn("rspp.sim.meta")(function*(flags: MetaFlags) {
  const screen = yield* Screen
  const { style } = screen
  const first = yield* seedOf("first", flags.first ?? 1)
  const count = yield* countOf(flags.seeds, first)
  const pins = yield* pinsOf(flags)
  const limitMs = yield* secondsOf("seed-limit", flags.seedLimit)
  const { compared, differences, hashes, nodes } = yield* checkSeeds({
    seeds: Array.from({ length: count }, (_, i) => first + i),
    pins,
    one: { limitMs },
    other: { limitMs, ...(flags.node === undefined ? {} : { node: flags.node }) },
    progress: (done) => screen.update(`${done} of ${count} seeds compared`)
  }).pipe(
    Effect.catchTag("SeedLost", ({ message }) => Effect.fail(new CliFailure({ exit: "violation", message })))
  )
  const sha256 = createHash("sha256").update(hashes.join("\n")).digest("hex")
  const commit = sourceVersion()
  const same = compared - new Set(differences.map(({ seed }) => seed)).size
  if (flags.json) {
    screen.line(JSON.stringify({ commit, options: pins, first, compared, same, nodes, sha256, differences }))
  } else {
    for (const difference of differences) {
      for (const line of differenceLines(difference, { commit, pins }, style)) screen.line(line)
    }
    const verdict = `${same} of ${compared} seeds from ${first} on are the same`
    screen.line(
      `${differences.length === 0 ? style.green(verdict) : style.red(verdict)}, byte for byte: twice on Node ${
        nodes[0]
      }, and in a second process on Node ${nodes[1]}`
    )
    screen.line(`sha256 of their bytes ${sha256}`)
  }
  if (differences.length > 0) return yield* told("violation")
  return undefined
})
