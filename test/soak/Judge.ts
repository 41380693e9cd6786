import { leftOpen } from "./Samples.ts"
import type { Sample } from "./Samples.ts"

/** What a soak left. */
export interface SoakRecord {
  readonly samples: ReadonlyArray<Sample>
  /** After the last session; absent: the process never came so far. */
  readonly idle: Sample | undefined
  /** The agents' process ended by itself, with this code. */
  readonly exitCode: number | null
  /** Sessions that came to their end, and rooms whose caller said all that it had to say. */
  readonly ended: ReadonlyArray<string>
  readonly called: ReadonlyArray<string>
  readonly failures: ReadonlyArray<string>
  /** What is wrong with recordings: not whole, or not the same when they are executed again. */
  readonly recordings: ReadonlyArray<string>
}

/** Growth from the middle third of the samples to the last that is no leak: noise of a collector, and its own room. */
const allowed = { heap: { part: 1.1, mb: 3 }, rss: { part: 1.1, mb: 15 }, external: { part: 1.1, mb: 5 } } as const

const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** Everything that is wrong, in words; nothing when the soak is as it should be. */
export const judge = ({ called, ended, exitCode, failures, idle, recordings, samples }: SoakRecord) => {
  const wrong: Array<string> = [...failures, ...recordings]
  if (exitCode !== 0) wrong.push(`the agents' process did not end by itself with 0, but with ${exitCode}`)
  for (const room of called) if (!ended.includes(room)) wrong.push(`${room}: the caller left, its session never ended`)
  if (called.length === 0) wrong.push("no call was held")
  const third = Math.floor(samples.length / 3)
  if (third === 0) wrong.push(`${samples.length} samples are too few to tell growth by`)
  else {
    const [middle, last] = [samples.slice(third, 2 * third), samples.slice(-third)]
    for (
      const [name, { mb, part }] of Object.entries(allowed) as Array<
        [keyof typeof allowed, { mb: number; part: number }]
      >
    ) {
      const [from, to] = [middle, last].map((part) => median(part.map((sample) => sample[`${name}_mb`])))
      if (from !== undefined && to !== undefined && to > from * part && to > from + mb) {
        wrong.push(`${name} grew from ${from} to ${to} MB between the second and the last third`)
      }
    }
    // A call that begins or ends has more of them for a moment, or less: how many do so at once is chance, and so are the most
    // and the least of a third. What leaks is there all the time.
    for (const name of ["open_files", "threads", "listeners"] as const) {
      const [from, to] = [middle, last].map((part) => median(part.map((sample) => sample[name])))
      if (from !== undefined && to !== undefined && to > from * 1.1 + 2) {
        wrong.push(`${name} grew from ${from} to ${to} between the second and the last third`)
      }
    }
  }
  if (idle === undefined) wrong.push("the agents never came to rest")
  else for (const what of leftOpen(idle)) wrong.push(`${what} left open at rest`)
  return wrong
}
