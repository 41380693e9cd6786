import { checkSeeds } from "@rspp/simulation/SeedCheck"
import { seedProcess } from "@rspp/simulation/SeedProcess"
import type { SeedProcessOptions } from "@rspp/simulation/SeedProcess"
import { lostViolation } from "@rspp/simulation/SeedReport"
import { Tally } from "@rspp/simulation/Tally"
import { Effect } from "effect"
import { told } from "../CliFailure.ts"
import { Screen } from "../Screen.ts"
import { countOf, jobsOf, pinsOf, secondsOf, seedOf, usage } from "../SimFlags.ts"
import type { PinFlags } from "../SimFlags.ts"
import { sourceVersion } from "../SourceVersion.ts"
import { differenceLines, summaryJson, summaryLines } from "../view/SimReport.ts"
import type { SimContext } from "../view/SimReport.ts"
import { showSeed } from "./SimSeed.ts"

export interface SimFlags extends PinFlags {
  readonly seeds: number | undefined
  readonly first: number | undefined
  readonly seed: number | undefined
  readonly seconds: number | undefined
  readonly jobs: number | undefined
  readonly seedLimit: number
  readonly meta: number
  readonly out: string | undefined
  readonly requireAll: boolean
  readonly failFast: boolean
  readonly json: boolean
}

/** Seeds of `rspp sim` when nothing says how many. */
const defaultSeeds = 100

/** Time between two changes of the progress line, in ms. */
const progressMs = 100

/** `rspp sim`: one seed with its live trace, or many with a summary. */
export const simulate = Effect.fn("rspp.sim")(function*(flags: SimFlags) {
  const { seed } = flags
  if (seed === undefined) {
    if (flags.out !== undefined) return yield* usage("--out writes the timeline of one seed: give --seed S")
    return yield* surveySeeds(flags)
  }
  for (const [flag, value] of [["seeds", flags.seeds], ["first", flags.first], ["seconds", flags.seconds]] as const) {
    if (value !== undefined) return yield* usage(`--seed runs one seed: --${flag} does not go with it`)
  }
  if (flags.requireAll) return yield* usage("--require-all is about many seeds, --seed runs one")
  return yield* showSeed({
    seed: yield* seedOf("seed", seed),
    pins: yield* pinsOf(flags),
    limitMs: yield* secondsOf("seed-limit", flags.seedLimit),
    out: flags.out,
    json: flags.json
  })
})

const surveySeeds = Effect.fnUntraced(function*(flags: SimFlags) {
  const screen = yield* Screen
  const startedMs = performance.now()
  const first = yield* seedOf("first", flags.first ?? 1)
  const pins = yield* pinsOf(flags)
  const jobs = yield* jobsOf(flags.jobs)
  const limitMs = yield* secondsOf("seed-limit", flags.seedLimit)
  const untilMs = flags.seconds === undefined ? undefined : startedMs + (yield* secondsOf("seconds", flags.seconds))
  const wanted = flags.seeds ?? (untilMs === undefined ? defaultSeeds : undefined)
  const count = wanted === undefined ? undefined : yield* countOf(wanted, first)
  if (!(flags.meta >= 0)) return yield* usage(`--meta must be 0 or more seeds, not ${flags.meta}`)

  const tally = new Tally()
  const context: { -readonly [K in keyof SimContext]: SimContext[K] } = {
    commit: sourceVersion(),
    first,
    pins,
    jobs,
    tookMs: 0,
    compared: 0,
    interrupted: false
  }
  const tell = (interrupted: boolean) => {
    context.tookMs = performance.now() - startedMs
    context.interrupted = interrupted
    if (flags.json) screen.line(JSON.stringify(summaryJson(tally, context)))
    else for (const line of summaryLines(tally, context, screen.style)) screen.line(line)
  }

  return yield* Effect.gen(function*() {
    const same = yield* compareFirst(flags, first, Math.min(flags.meta, count ?? flags.meta), context, limitMs)
    if (!same) return yield* told("violation")
    yield* runSeeds({ first, count, untilMs, jobs, limitMs, pins, tally, failFast: flags.failFast })
    tell(false)
    const missing = tally.coverage.missing()
    if (tally.failed > 0) return yield* told("violation")
    if (!flags.requireAll || missing.length === 0) return undefined
    screen.note(`--require-all: ${missing.length} of the sometimes list never happened; run more seeds`)
    return yield* told("violation")
  }).pipe(Effect.onInterrupt(() => Effect.sync(() => tell(true))))
})

/** Compares the first seeds byte for byte: when the same seed is not the same run, nothing else means anything. */
const compareFirst = Effect.fnUntraced(function*(
  { json }: SimFlags,
  first: number,
  count: number,
  context: { compared: number; readonly commit: string; readonly pins: SimContext["pins"] },
  limitMs: number
) {
  const { commit, pins } = context
  const screen = yield* Screen
  if (count === 0) return true
  const process: SeedProcessOptions = { limitMs }
  const { compared, differences } = yield* checkSeeds({
    seeds: Array.from({ length: count }, (_, i) => first + i),
    pins,
    one: process,
    other: process,
    progress: (done) => screen.update(`comparing seeds byte for byte: ${done} of ${count}`)
  }).pipe(Effect.catchTag("SeedLost", () => Effect.succeed({ compared: 0, differences: [] })))
  context.compared = compared
  if (differences.length === 0) return true
  if (json) screen.line(JSON.stringify({ commit, options: pins, differences }))
  else {
    for (const difference of differences) {
      for (const line of differenceLines(difference, context, screen.style)) screen.line(line)
    }
    screen.line("Nothing else was checked: when the same seed is not the same run, no other verdict means anything.")
  }
  return false
})

interface Survey {
  readonly first: number
  /** How many; undefined for as many as there is time. */
  readonly count: number | undefined
  /** Real time at which no further seed is begun, by `performance.now`. */
  readonly untilMs: number | undefined
  readonly jobs: number
  readonly limitMs: number
  readonly pins: SimContext["pins"]
  readonly tally: Tally
  readonly failFast: boolean
}

/** Runs seeds in `jobs` processes, each taking the next one when it is done with one. */
const runSeeds = Effect.fnUntraced(function*(survey: Survey) {
  const { count, failFast, first, jobs, limitMs, pins, tally, untilMs } = survey
  const screen = yield* Screen
  const startedMs = performance.now()
  let next = first
  let shownMs = 0
  const take = (): number | undefined => {
    if (failFast && tally.failed > 0) return undefined
    if (count !== undefined && next >= first + count) return undefined
    // One seed at least: nothing is proven by none.
    if (untilMs !== undefined && next > first && performance.now() >= untilMs) return undefined
    return next++
  }
  const progress = () => {
    const now = performance.now()
    if (now - shownMs < progressMs) return
    shownMs = now
    const speed = Math.round(tally.simulatedMs / (now - startedMs))
    const left = count === undefined
      ? untilMs === undefined ? "" : `, ${Math.max(0, Math.ceil((untilMs - now) / 1000))} s left`
      : ` of ${count}`
    const failed = tally.failed === 0 ? "" : screen.style.red(`, ${tally.failed} break a rule`)
    const missing = tally.coverage.missing().length
    screen.update(`${tally.seeds} seeds${left}, ${speed} × real time, ${missing} never happened yet${failed}`)
  }
  const worker = Effect.scoped(Effect.gen(function*() {
    const process = yield* seedProcess({ limitMs })
    for (let seed = take(); seed !== undefined; seed = take()) {
      const number = seed
      yield* process.ask({ job: "run", seed, pins }).pipe(
        Effect.match({
          onSuccess: (report) => ({ report }),
          onFailure: (error) => ({ error })
        }),
        Effect.flatMap((ended) => {
          if ("report" in ended) tally.add(ended.report)
          else if (ended.error._tag === "SeedLost") tally.lost(number, lostViolation(ended.error.message))
          else return Effect.fail(ended.error)
          progress()
          return Effect.void
        })
      )
    }
  }))
  yield* Effect.all(Array.from({ length: jobs }, () => worker), { concurrency: "unbounded", discard: true })
})
