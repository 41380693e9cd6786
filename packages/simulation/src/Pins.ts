import { allFaultKinds } from "./Faults.ts"
import type { FaultKind } from "./Faults.ts"
import type { SeedOptions } from "./Run.ts"
import type { Scenario } from "./Scenario.ts"

/**
 * What is fixed of a run instead of being drawn, as plain data: it goes to other processes, and into the command that
 * repeats a run.
 */
export interface Pins {
  /** The kinds of fault; none: `[]`. */
  readonly kinds?: ReadonlyArray<FaultKind>
  /** Turns that the caller takes. */
  readonly turns?: number
  /** What the caller does, by its place among what was drawn; the rest is left out. */
  readonly keepActions?: ReadonlyArray<number>
  /** Episodes of faults, by their place among those drawn for `kinds`; the rest is left out. */
  readonly keepEpisodes?: ReadonlyArray<number>
}

const kept = <A>(list: ReadonlyArray<A>, indices: ReadonlyArray<number> | undefined): ReadonlyArray<A> =>
  indices === undefined ? list : list.filter((_, index) => indices.includes(index))

/** The options of a run with these pins; `adapt` works on what was drawn before they do. */
export const pinned = (pins: Pins, adapt?: SeedOptions["adapt"]): SeedOptions => ({
  ...(pins.kinds === undefined ? {} : { kinds: pins.kinds }),
  ...(pins.turns === undefined ? {} : { turns: pins.turns }),
  adapt: (drawn: Scenario) => {
    const own = adapt === undefined ? drawn : adapt(drawn, 0)
    return {
      ...own,
      actions: kept(own.actions, pins.keepActions),
      faults: { ...own.faults, episodes: kept(own.faults.episodes, pins.keepEpisodes) }
    }
  }
})

/** Stands for an empty list on a command line. */
const none = "none"

const listText = (list: ReadonlyArray<string | number>): string => list.length === 0 ? none : list.join(",")

/** The pins as words of a command line, in the order in which `rspp sim --help` shows them. */
export const flagsOf = (pins: Pins): ReadonlyArray<string> => [
  ...(pins.kinds === undefined ? [] : ["--kinds", listText(pins.kinds)]),
  ...(pins.turns === undefined ? [] : ["--turns", String(pins.turns)]),
  ...(pins.keepActions === undefined ? [] : ["--keep-actions", listText(pins.keepActions)]),
  ...(pins.keepEpisodes === undefined ? [] : ["--keep-episodes", listText(pins.keepEpisodes)])
]

/** The words of a list on a command line: `a,b`, or `none`. */
const wordsOf = (text: string): ReadonlyArray<string> =>
  text.trim() === none ? [] : text.split(",").map((w) => w.trim())

/**
 * Kinds of fault by name, separated by commas; `none` is the empty list, `media.*` every kind that begins with `media.`.
 * What is no kind comes back as `unknown`.
 */
export const parseKinds = (
  text: string
): { readonly kinds: ReadonlyArray<FaultKind> } | { readonly unknown: string } => {
  const kinds = new Set<FaultKind>()
  for (const word of wordsOf(text)) {
    const meant = word.endsWith(".*")
      ? allFaultKinds.filter((kind) => kind.startsWith(word.slice(0, -1)))
      : allFaultKinds.filter((kind) => kind === word)
    if (meant.length === 0) return { unknown: word }
    for (const kind of meant) kinds.add(kind)
  }
  // In the order of the table: it is the order in which faults are drawn.
  return { kinds: allFaultKinds.filter((kind) => kinds.has(kind)) }
}

/** Places in a list, such as `0,3`; undefined when the text is something else. */
export const parsePlaces = (text: string): ReadonlyArray<number> | undefined => {
  const words = wordsOf(text)
  return words.every((word) => /^[0-9]{1,6}$/u.test(word)) ? words.map(Number) : undefined
}
