import type { FaultKind } from "./Faults.ts"
import { runSeed } from "./Run.ts"
import type { SeedOptions, SeedResult } from "./Run.ts"
import type { CallerAction, Scenario } from "./Scenario.ts"

/** What is left of a failing run when nothing more can be taken away. */
export interface Shrunk {
  readonly seed: number
  /** The rule that it breaks, as the whole run did. */
  readonly rule: string
  readonly message: string
  readonly kinds: ReadonlyArray<FaultKind>
  readonly actions: ReadonlyArray<CallerAction>
  readonly episodes: Scenario["faults"]["episodes"]
  /** Runs that it took. */
  readonly runs: number
}

/** What is kept of the run that was drawn. */
interface Keep {
  readonly kinds: ReadonlyArray<FaultKind>
  readonly actions: ReadonlyArray<number>
  readonly episodes: ReadonlyArray<number>
}

/** Runs that a shrink may take. */
const maxRuns = 400

const pick = <A>(list: ReadonlyArray<A>, indices: ReadonlyArray<number>): ReadonlyArray<A> =>
  indices.flatMap((index) => {
    const item = list[index]
    return item === undefined ? [] : [item]
  })

/**
 * Makes a failing seed smaller: fewer kinds of fault, then fewer episodes, then fewer things that the caller does, as long
 * as it still breaks the same rule. Undefined when the seed breaks none.
 *
 * What is taken away does not shift what is left, since each kind of fault draws from a stream of its own.
 */
export const shrink = (seed: number, options: SeedOptions = {}): Shrunk | undefined => {
  let runs = 0
  const drawn: { scenario: Scenario | undefined } = { scenario: undefined }
  const attempt = (keep: Keep | undefined): SeedResult => {
    runs++
    return runSeed(seed, {
      ...options,
      ...(keep === undefined ? {} : { kinds: keep.kinds }),
      adapt: (scenario) => {
        const own = options.adapt?.(scenario) ?? scenario
        if (keep === undefined) {
          drawn.scenario ??= own
          return own
        }
        const whole = drawn.scenario ?? own
        const episodes = pick(whole.faults.episodes, keep.episodes).filter(({ kind }) => keep.kinds.includes(kind))
        return { ...own, actions: pick(whole.actions, keep.actions), faults: { ...own.faults, episodes } }
      }
    })
  }
  const [broken] = attempt(undefined).violations
  const { scenario } = drawn
  if (broken === undefined || scenario === undefined) return undefined
  const fails = (keep: Keep): boolean =>
    runs < maxRuns && attempt(keep).violations.some(({ rule }) => rule === broken.rule)

  let keep: Keep = {
    kinds: scenario.faults.kinds,
    actions: scenario.actions.map((_, index) => index),
    episodes: scenario.faults.episodes.map((_, index) => index)
  }
  const reduce = <K extends keyof Keep>(key: K): void => {
    // First halves, then one by one: what can go in one piece goes quickly.
    for (let size = Math.ceil(keep[key].length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < keep[key].length;) {
        const list: ReadonlyArray<unknown> = keep[key]
        const smaller = { ...keep, [key]: [...list.slice(0, at), ...list.slice(at + size)] }
        if (fails(smaller)) keep = smaller
        else at += size
      }
    }
  }
  reduce("kinds")
  reduce("episodes")
  reduce("actions")
  const message = attempt(keep).violations.find(({ rule }) => rule === broken.rule)?.message ?? broken.message
  return {
    seed,
    rule: broken.rule,
    message,
    kinds: keep.kinds,
    actions: pick(scenario.actions, keep.actions),
    episodes: pick(scenario.faults.episodes, keep.episodes).filter(({ kind }) => keep.kinds.includes(kind)),
    runs
  }
}
