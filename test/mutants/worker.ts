// Runs seeds in the tree that it lies in until a rule breaks, and says on each line of its output what came of it, as JSON
// (see Trial.ts). `node worker.ts '{ "first": 1, "last": 300, … }'`
import { createHash } from "node:crypto"
import { writeSync } from "node:fs"
import { checkDeterminism } from "@rspp/simulation/Meta"
import { bytesOf, runSeed } from "@rspp/simulation/Run"
import type { Line, Work } from "./Trial.ts"

/** Seeds that are run again, here and in a second process, once no rule has broken. */
const metaSeeds = 5

const work = JSON.parse(process.argv[2] ?? "{}") as Work
const say = (line: Line): void => void writeSync(1, `${JSON.stringify(line)}\n`)
const cpuSeconds = (): number => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1e6
}

const search = (): void => {
  let seed = work.first
  for (; seed <= work.last && cpuSeconds() < work.cpuSeconds; seed++) {
    say({ is: "at", seed })
    const result = runSeed(seed)
    const [violation] = result.violations
    if (violation !== undefined) {
      return say({ is: "caught", seed, rule: violation.rule, message: violation.message, cpuSeconds: cpuSeconds() })
    }
    if (work.digests) say({ is: "digest", seed, digest: createHash("sha256").update(bytesOf(result)).digest("hex") })
  }
  const seeds = Array.from({ length: Math.min(metaSeeds, work.last - work.first + 1) }, (_, i) => work.first + i)
  const [difference] = work.meta ? checkDeterminism(seeds) : []
  if (difference !== undefined) {
    const { first, line, second, where } = difference
    const message = `not the same in ${where}, line ${line}: ${first.slice(0, 200)} / ${second.slice(0, 200)}`
    return say({ is: "caught", seed: difference.seed, rule: "META", message, cpuSeconds: cpuSeconds() })
  }
  say({ is: "through", seeds: seed - work.first, cpuSeconds: cpuSeconds() })
}

say({ is: "loaded" })
search()
