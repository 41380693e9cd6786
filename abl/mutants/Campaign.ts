import type { Mutant } from "./Mutant.ts"
import type { Digests, Outcome } from "./Trial.ts"
import { runTrial } from "./Trial.ts"
import { Workshop } from "./Workshop.ts"

/** What became of one mutant. */
export type Verdict =
  & { readonly mutant: Mutant; readonly seconds: number; readonly cpuSeconds: number }
  & (
    | {
      readonly is: "caught"
      readonly seed: number
      readonly rule: string
      readonly message: string
      readonly seeds: number
    }
    | {
      readonly is: "survived"
      readonly seeds: number
      /** Of the first seeds, how many left other records than the unmutated kernel does. 0: it was never reached. */
      readonly changed: number
      readonly compared: number
    }
    /** No verdict: it does not load, or the seed that it fails on fails without it too. */
    | { readonly is: "invalid"; readonly message: string }
  )

export interface CampaignOptions {
  readonly repository: string
  readonly mutants: ReadonlyArray<Mutant>
  /** Seeds that a mutant is given at most, from 1 on. */
  readonly seeds: number
  /** Processor time that a mutant is given at most, in seconds. */
  readonly cpuSeconds: number
  /** Whether a mutant is also given the named scenarios. */
  readonly scenarios: boolean
  /** Seeds that the unmutated copy must pass before anything else is run. */
  readonly unmutatedSeeds: number
  readonly jobs: number
  readonly signal: AbortSignal
  readonly onVerdict?: (verdict: Verdict) => void
  /** `id` is absent for the unmutated copy. */
  readonly onSeed?: (seed: number, id?: string) => void
}

export type CampaignResult =
  | { readonly is: "done"; readonly verdicts: ReadonlyArray<Verdict> }
  /** The unmutated copy breaks a rule: what a mutant breaks would say nothing. */
  | { readonly is: "worthless"; readonly outcome: Exclude<Outcome, { readonly is: "survived" }> }
  | { readonly is: "stopped" }

/** Seeds of a survivor that are compared with the unmutated kernel. */
const comparedSeeds = 100

/**
 * Plants each mutant in a copy of the repository, one at a time, and runs seeds and scenarios until a rule breaks.
 *
 * Guarantees: the unmutated copy passes first, scenarios included, and passes each seed that a mutant is caught by; the repository itself is
 * never written to; the copies are removed in any case. Fails with `StaleMutant` before anything is run.
 */
export const runCampaign = async (options: CampaignOptions): Promise<CampaignResult> => {
  const { cpuSeconds, jobs, mutants, onSeed, repository, scenarios, seeds, signal, unmutatedSeeds } = options
  const workshops: Array<Workshop> = []
  const open = () => {
    const workshop = new Workshop(repository)
    workshops.push(workshop)
    return workshop
  }
  const work = { first: 1, last: seeds, cpuSeconds, scenarios, meta: true, digests: false }
  const verdicts = new Map<Mutant, Verdict>()
  try {
    // Copied together, so that all have the same sources even if somebody is at work on them.
    const unmutated = open()
    const benches = Array.from({ length: Math.max(1, Math.min(jobs, mutants.length)) }, open)
    for (const mutant of mutants) unmutated.plant(mutant)()
    const first = await runTrial(
      unmutated.directory,
      { ...work, last: unmutatedSeeds, digests: true },
      { signal, ...(onSeed === undefined ? {} : { onSeed: (seed) => onSeed(seed) }) }
    )
    if (first.is !== "survived") return first.is === "stopped" ? first : { is: "worthless", outcome: first }

    const judge = async (mutant: Mutant, bench: Workshop): Promise<Verdict | undefined> => {
      const began = performance.now()
      const trial = (on: Workshop, parts: Partial<typeof work>) =>
        runTrial(on.directory, { ...work, ...parts }, {
          signal,
          ...(onSeed === undefined ? {} : { onSeed: (seed) => onSeed(seed, mutant.id) })
        })
      const about = (cpu: number) => ({ mutant, seconds: (performance.now() - began) / 1000, cpuSeconds: cpu })
      const outcome = await trial(bench, {})
      switch (outcome.is) {
        case "stopped":
          return undefined
        case "broken":
          return { is: "invalid", message: `it does not load: ${outcome.message}`, ...about(0) }
        case "caught": {
          // The scenarios have seeds of their own, all of which the unmutated copy has passed.
          if (outcome.seed > unmutatedSeeds) {
            const without = await trial(unmutated, {
              first: outcome.seed,
              last: outcome.seed,
              scenarios: false,
              meta: false
            })
            if (without.is === "stopped") return undefined
            if (without.is !== "survived") {
              const message = `seed ${outcome.seed} fails without it too: ${JSON.stringify(without)}`
              return { is: "invalid", message, ...about(outcome.cpuSeconds) }
            }
          }
          return { ...outcome, ...about(outcome.cpuSeconds) }
        }
        case "survived": {
          const compared = Math.min(comparedSeeds, unmutatedSeeds, seeds)
          const again = await trial(bench, { last: compared, scenarios: false, meta: false, digests: true })
          const changed = again.is === "survived" ? differences(again.digests, first.digests) : compared
          return { is: "survived", seeds: outcome.seeds, changed, compared, ...about(outcome.cpuSeconds) }
        }
      }
    }

    const waiting = [...mutants]
    await Promise.all(benches.map(async (bench) => {
      for (let mutant = waiting.shift(); mutant !== undefined && !signal.aborted; mutant = waiting.shift()) {
        const restore = bench.plant(mutant)
        const verdict = await judge(mutant, bench)
        restore()
        if (verdict === undefined) return
        verdicts.set(mutant, verdict)
        options.onVerdict?.(verdict)
      }
    }))
    if (signal.aborted) return { is: "stopped" }
    return { is: "done", verdicts: mutants.flatMap((mutant) => verdicts.get(mutant) ?? []) }
  } finally {
    for (const workshop of workshops) workshop.remove()
  }
}

const differences = (ours: Digests, theirs: Digests): number => {
  let count = 0
  for (const [seed, digest] of ours) if (theirs.get(seed) !== digest) count++
  return count
}
