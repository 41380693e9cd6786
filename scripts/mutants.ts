// Plants defects in a copy of the kernel, one at a time, and says which rule of the simulated world catches each.
//
//   node scripts/mutants.ts                    all of them (`make mutants`)
//   node scripts/mutants.ts --only id[,id]     these
//   --seeds N          seeds that a mutant is given at most (3000)
//   --cpu-minutes N    processor time that a mutant is given at most (10)
//   --jobs N           mutants at a time (one for each core)
//   --json             the verdicts as one JSON value
//   --list             the mutants, without running them
//
// Exit codes: 0; 1 when fewer than 95 % are caught, a mutant has no verdict or no longer fits the sources, or the
// unmutated copy breaks a rule itself, so that the run is worthless; 64 for a wrong option; 130 when interrupted.
// test/mutants has the list; docs/mutants.md says how to read what comes out.
import { availableParallelism } from "node:os"
import { dirname } from "node:path"
import { parseArgs } from "node:util"
import type { Verdict } from "../test/mutants/Campaign.ts"
import { runCampaign } from "../test/mutants/Campaign.ts"
import { catalogue } from "../test/mutants/Catalogue.ts"
import { StaleMutant } from "../test/mutants/Mutant.ts"

/** The part of the mutants that must be caught. */
const wanted = 0.95

/** Seeds that the unmutated copy must pass first. Past them, each seed that catches a mutant is run without it too. */
const unmutatedSeeds = 300

const usage = (message: string): never => {
  console.error(message)
  process.exit(64)
}

const number = (name: string, text: string | undefined, otherwise: number): number => {
  if (text === undefined) return otherwise
  const value = Number(text)
  return value >= 1 && Number.isFinite(value) ? value : usage(`--${name} wants a number of at least 1, not ${text}`)
}

const options = () => {
  try {
    return parseArgs({
      options: {
        only: { type: "string" },
        seeds: { type: "string" },
        "cpu-minutes": { type: "string" },
        jobs: { type: "string" },
        json: { type: "boolean", default: false },
        list: { type: "boolean", default: false }
      }
    }).values
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error))
  }
}

const given = options()
const ids = given.only?.split(",")
const unknown = ids?.find((id) => !catalogue.some((mutant) => mutant.id === id))
if (unknown !== undefined) usage(`there is no mutant ${unknown}; --list shows them`)
const seeds = number("seeds", given.seeds, 3000)
const mutants = catalogue.filter(({ id }) => ids === undefined || ids.includes(id))
const idWidth = Math.max(...catalogue.map(({ id }) => id.length))

if (given.list) {
  for (const { file, id, what } of mutants) {
    console.log(`${id.padEnd(idWidth)}  ${file}\n${" ".repeat(idWidth)}  ${what}`)
  }
  process.exit(0)
}

const stop = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort())

// One line that is written over, where a person looks on.
const live = process.stderr.isTTY
const running = new Map<string, number>()
let judged = 0
const progress = () => {
  if (!live) return
  const now = [...running].map(([id, seed]) => `${id}: seed ${seed}`).join("   ")
  process.stderr.write(`\r\u001b[K${judged}/${mutants.length}   ${now}`)
}
const say = (line: string) => {
  if (live) process.stderr.write("\r\u001b[K")
  if (given.json) console.error(line)
  else console.log(line)
}

const line = (verdict: Verdict): string => {
  const { mutant, seconds } = verdict
  const id = mutant.id.padEnd(idWidth)
  const indent = " ".repeat(10)
  const where = `${indent}${mutant.file}: ${mutant.what}`
  const took = `${seconds.toFixed(1)} s`
  switch (verdict.is) {
    case "caught": {
      const what = verdict.message.split("\n")[0]?.slice(0, 160)
      const seeds = verdict.seeds === 1 ? "1 seed" : `${verdict.seeds} seeds`
      const by = `seed ${verdict.seed}, rule ${verdict.rule}`
      return `CAUGHT    ${id}  by ${by}, after ${seeds} and ${took}\n${where}\n${indent}${what}`
    }
    case "survived": {
      const { changed, compared } = verdict
      const how = changed === 0
        ? `it changes nothing in ${compared} seeds`
        : `it changes the records of ${changed} of ${compared} seeds, and no rule sees it`
      return `SURVIVED  ${id}  ${verdict.seeds} seeds, ${took}; ${how}\n${where}`
    }
    case "invalid":
      return `INVALID   ${id}  ${verdict.message.slice(0, 1000)}\n${where}`
  }
}

try {
  say(`${mutants.length} mutants; the unmutated copy first: ${Math.min(unmutatedSeeds, seeds)} seeds and the scenarios`)
  const result = await runCampaign({
    repository: dirname(import.meta.dirname),
    mutants,
    seeds,
    scenarios: true,
    cpuSeconds: number("cpu-minutes", given["cpu-minutes"], 10) * 60,
    unmutatedSeeds: Math.min(unmutatedSeeds, seeds),
    jobs: number("jobs", given.jobs, availableParallelism()),
    signal: stop.signal,
    onVerdict: (verdict) => {
      judged++
      running.delete(verdict.mutant.id)
      say(line(verdict))
      progress()
    },
    onSeed: (seed, id = "unmutated") => {
      if (id !== "unmutated") running.delete("unmutated")
      running.set(id, seed)
      progress()
    }
  })
  if (result.is === "stopped") {
    say("interrupted; the copies are removed")
    process.exitCode = 130
  } else if (result.is === "worthless") {
    say(`the unmutated copy fails, so that nothing can be said of any mutant: ${JSON.stringify(result.outcome)}`)
    process.exitCode = 1
  } else {
    const { verdicts } = result
    const caught = verdicts.filter(({ is }) => is === "caught").length
    const share = caught / verdicts.length
    const enough = share >= wanted && verdicts.every(({ is }) => is !== "invalid")
    const missed = verdicts.filter(({ is }) => is !== "caught").map(({ mutant }) => mutant.id)
    if (given.json) {
      const plain = verdicts.map(({ mutant: { file, id, what }, ...verdict }) => ({ id, file, what, ...verdict }))
      console.log(JSON.stringify({ total: verdicts.length, caught, share, enough, verdicts: plain }, null, 2))
    }
    say(
      `${caught} of ${verdicts.length} caught (${(share * 100).toFixed(1)} %; ${wanted * 100} % are wanted)${
        missed.length === 0 ? "" : `; not caught: ${missed.join(", ")}`
      }`
    )
    if (!enough) process.exitCode = 1
  }
} catch (error) {
  if (!(error instanceof StaleMutant)) throw error
  say(error.message)
  process.exitCode = 1
}
