import { parseKinds, parsePlaces } from "@rspp/simulation/Pins"
import type { Pins } from "@rspp/simulation/Pins"
import { Effect } from "effect"
import { availableParallelism } from "node:os"
import { CliFailure } from "./CliFailure.ts"

/** Flags that fix a part of each run. */
export interface PinFlags {
  readonly kinds: string | undefined
  readonly turns: number | undefined
  readonly keepActions: string | undefined
  readonly keepEpisodes: string | undefined
}

/** The largest seed: seeds have 32 bits. */
const maxSeed = 2 ** 32 - 1

/** Processes that a command may start. */
const maxJobs = 256

export const usage = (message: string, hint = "Run rspp sim --help to see what there is."): CliFailure =>
  new CliFailure({ exit: "usage", message, hint })

const integer = (flag: string, value: number, least: number, most: number) =>
  Number.isInteger(value) && value >= least && value <= most
    ? Effect.succeed(value)
    : usage(`--${flag} must be a whole number from ${least} to ${most}, not ${value}`)

export const seedOf = (flag: string, value: number) => integer(flag, value, 0, maxSeed)

/** How many seeds, beginning with `first`. */
export const countOf = (value: number, first: number) => integer("seeds", value, 1, maxSeed + 1 - first)

/** Processes; by default one for each core. */
export const jobsOf = (value: number | undefined) => integer("jobs", value ?? availableParallelism(), 1, maxJobs)

/** A time in seconds, as ms. */
export const secondsOf = (flag: string, value: number) =>
  value > 0 && value <= 1e6
    ? Effect.succeed(value * 1000)
    : usage(`--${flag} must be a number of seconds above 0, not ${value}`)

/** What is fixed of each run. */
export const pinsOf = Effect.fnUntraced(function*({ keepActions, keepEpisodes, kinds, turns }: PinFlags) {
  const pins: { -readonly [K in keyof Pins]: Pins[K] } = {}
  if (kinds !== undefined) {
    const parsed = parseKinds(kinds)
    if ("unknown" in parsed) {
      const { allFaultKinds } = yield* Effect.promise(() => import("@rspp/simulation/Faults"))
      return yield* usage(
        `--kinds: there is no kind of fault ${JSON.stringify(parsed.unknown)}`,
        `There is none, ${allFaultKinds.join(", ")}; media.* stands for all that begin so.`
      )
    }
    pins.kinds = parsed.kinds
  }
  if (turns !== undefined) pins.turns = yield* integer("turns", turns, 1, 1000)
  if (keepActions !== undefined) pins.keepActions = yield* places("keep-actions", keepActions)
  if (keepEpisodes !== undefined) pins.keepEpisodes = yield* places("keep-episodes", keepEpisodes)
  const fixed: Pins = pins
  return fixed
})

const places = (flag: string, text: string) => {
  const parsed = parsePlaces(text)
  return parsed === undefined
    ? usage(`--${flag} takes places such as 0,3 (or none), not ${JSON.stringify(text)}`)
    : Effect.succeed(parsed)
}
