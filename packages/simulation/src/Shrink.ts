import type { FaultKind } from "./Faults.ts"
import { pinned } from "./Pins.ts"
import type { Pins } from "./Pins.ts"
import { drawCalls, runSeed } from "./Run.ts"
import type { SeedOptions } from "./Run.ts"
import type { CallerAction, Scenario } from "./Scenario.ts"

/** What is left of a failing run when nothing more can be taken away. */
export interface Shrunk {
  readonly seed: number
  /** The rule that it breaks, as the whole run did. */
  readonly rule: string
  readonly message: string
  /** What repeats it. */
  readonly pins: Pins
  readonly kinds: ReadonlyArray<FaultKind>
  readonly actions: ReadonlyArray<CallerAction>
  readonly episodes: Scenario["faults"]["episodes"]
  /** How much there was of each. */
  readonly from: { readonly kinds: number; readonly actions: number; readonly episodes: number }
  /** Runs that it took. */
  readonly runs: number
}

/** What a run broke. */
export interface Attempt {
  readonly violations: ReadonlyArray<{ readonly rule: string; readonly message: string }>
}

/** Runs that a shrink may take. */
const maxRuns = 400

/** The list without a stretch of it, as places. */
const without = (places: ReadonlyArray<number>, at: number, size: number): ReadonlyArray<number> => [
  ...places.slice(0, at),
  ...places.slice(at + size)
]

/**
 * Makes a failing seed smaller: fewer kinds of fault, then fewer episodes, then fewer things that the caller does, as long
 * as it still breaks the same rule. Gives the runs that it wants to see, one after the other, and takes what they broke;
 * `draw` is the call of a seed with given pins. Ends with undefined when the seed breaks no rule.
 *
 * What is taken away does not shift what is left, since each kind of fault draws from a stream of its own.
 */
export function* shrinkSteps(
  seed: number,
  start: Pins,
  draw: (pins: Pins) => Scenario
): Generator<Pins, Shrunk | undefined, Attempt> {
  let runs = 1
  const [broken] = (yield start).violations
  if (broken === undefined) return undefined
  let pins = start
  let { message } = broken
  /** Takes away what can be taken away: halves first, then one by one. What can go in one piece goes quickly. */
  function* reduce<A>(list: ReadonlyArray<A>, pin: (left: ReadonlyArray<A>) => Pins): Generator<Pins, void, Attempt> {
    let places: ReadonlyArray<number> = list.map((_, index) => index)
    const left = (of: ReadonlyArray<number>) => list.filter((_, index) => of.includes(index))
    for (let size = Math.ceil(places.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < places.length;) {
        const fewer = without(places, at, size)
        const smaller = pin(left(fewer))
        if (runs >= maxRuns) return
        runs++
        const fails = (yield smaller).violations.find(({ rule }) => rule === broken?.rule)
        if (fails === undefined) at += size
        else {
          places = fewer
          pins = smaller
          message = fails.message
        }
      }
    }
  }
  const whole = draw(start)
  // Places in what the seed draws, before anything is taken away from it.
  const actions = start.keepActions ?? whole.actions.map((_, index) => index)
  yield* reduce(whole.faults.kinds, (kinds) => ({ ...withoutEpisodes(start), kinds }))
  const episodes = draw(withoutEpisodes(pins)).faults.episodes.map((_, index) => index)
  const fixed = pins
  yield* reduce(pins.keepEpisodes ?? episodes, (keepEpisodes) => ({ ...fixed, keepEpisodes }))
  const calm = pins
  yield* reduce(actions, (keepActions) => ({ ...calm, keepActions }))
  const small = draw(pins)
  return {
    seed,
    rule: broken.rule,
    message,
    pins,
    kinds: small.faults.kinds,
    actions: small.actions,
    episodes: small.faults.episodes,
    from: { kinds: whole.faults.kinds.length, actions: whole.actions.length, episodes: whole.faults.episodes.length },
    runs
  }
}

/** Episodes are numbered among those of the kinds: other kinds, other numbers. */
const withoutEpisodes = ({ keepActions, kinds, turns }: Pins): Pins => ({
  ...(kinds === undefined ? {} : { kinds }),
  ...(turns === undefined ? {} : { turns }),
  ...(keepActions === undefined ? {} : { keepActions })
})

/** The call of a seed, as it is drawn. */
export const drawCall = (seed: number, options: SeedOptions = {}): Scenario => {
  const [call] = drawCalls(seed, options)
  if (call === undefined) throw new Error("a run has a session")
  return call.scenario
}

/** {@link shrinkSteps} in this process. */
export const shrink = (seed: number, options: SeedOptions = {}): Shrunk | undefined => {
  const withPins = (pins: Pins): SeedOptions => ({ ...options, ...pinned(pins, options.adapt) })
  const steps = shrinkSteps(seed, {}, (pins) => drawCall(seed, withPins(pins)))
  for (let step = steps.next();;) {
    if (step.done === true) return step.value
    step = steps.next(runSeed(seed, withPins(step.value)))
  }
}
