// Looks for a broken rule in the tree that it lies in, and says on each line of its output what came of it, as JSON (see
// Trial.ts): first in some seeds, then in the named scenarios, then by running seeds twice, then in more seeds.
import { createHash } from "node:crypto"
import { readdirSync, writeSync } from "node:fs"
import { join } from "node:path"
import { checkDeterminism } from "@rspp/simulation/Meta"
import { bytesOf, runSeed } from "@rspp/simulation/Run"
import type { NamedScenario } from "../simulation/Call.ts"
import { runCase } from "../simulation/Harness.ts"
import type { Caught, Line, Work } from "./Trial.ts"

/** Seeds that come before the scenarios: most defects break a rule in the first ten. */
const firstSeeds = 300

/** Seeds that are run again, here and in a second process, once no rule has broken. */
const metaSeeds = 5

const work = JSON.parse(process.argv[2] ?? "{}") as Work
const say = (line: Line): void => void writeSync(1, `${JSON.stringify(line)}\n`)
const cpuSeconds = (): number => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1e6
}

let seeds = 0
const caught = (seed: number, rule: string, message: string): Caught => ({
  is: "caught",
  seed,
  rule,
  message,
  seeds,
  cpuSeconds: cpuSeconds()
})

const search = (first: number, last: number): Caught | undefined => {
  for (let seed = first; seed <= last && cpuSeconds() < work.cpuSeconds; seed++) {
    say({ is: "at", seed })
    seeds++
    const result = runSeed(seed)
    const [violation] = result.violations
    if (violation !== undefined) return caught(seed, violation.rule, violation.message)
    if (work.digests) say({ is: "digest", seed, digest: createHash("sha256").update(bytesOf(result)).digest("hex") })
  }
  return undefined
}

const enact = async (): Promise<Caught | undefined> => {
  const directory = join(import.meta.dirname, "../simulation/scenarios")
  for (const file of readdirSync(directory).sort()) {
    const { scenario } = await import(join(directory, file)) as { readonly scenario: NamedScenario }
    for (const one of scenario.cases) {
      if (cpuSeconds() >= work.cpuSeconds) return undefined
      say({ is: "enacting", scenario: scenario.id })
      try {
        runCase(`${scenario.id} ${one.name}`, one)
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        return caught(Number(/seed (\d+)/u.exec(message)?.[1] ?? 1), scenario.id, message)
      }
    }
  }
  return undefined
}

const repeat = (): Caught | undefined => {
  const again = Array.from({ length: Math.min(metaSeeds, work.last - work.first + 1) }, (_, i) => work.first + i)
  const [difference] = checkDeterminism(again)
  if (difference === undefined) return undefined
  const { first, line, second, seed, where } = difference
  const message = `not the same in ${where}, line ${line}: ${first.slice(0, 200)} / ${second.slice(0, 200)}`
  return caught(seed, "META", message)
}

say({ is: "loaded" })
const pause = Math.min(work.last, work.first + firstSeeds - 1)
say(
  search(work.first, pause) ?? (work.scenarios ? await enact() : undefined) ?? (work.meta ? repeat() : undefined) ??
    search(pause + 1, work.last) ?? { is: "through", seeds, cpuSeconds: cpuSeconds() }
)
