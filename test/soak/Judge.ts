import { leftOpen } from "./Samples.ts"
import type { Sample } from "./Samples.ts"

/** What a soak left. */
export interface SoakRecord {
  /** Before the first session; absent: the process never came so far. */
  readonly start: Sample | undefined
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

/** Files and threads that the native client opens once and keeps: what is there at rest beyond them, some session left. */
const kept = { open_files: 20, threads: 20 } as const

/**
 * How long a third must be, at least, for its files, threads and listeners to be compared, s. A room takes 35 to 60 sockets, as ICE
 * finds its ways, and rooms that began together end together: over a call or two their number is chance. What leaks in so
 * short a time is found at rest.
 */
const comparableThirdSeconds = 60

const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** Everything that is wrong, in words; nothing when the soak is as it should be. */
export const judge = ({ called, ended, exitCode, failures, idle, recordings, samples, start }: SoakRecord) => {
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
    const seconds = (last.at(-1)?.at_s ?? 0) - (last[0]?.at_s ?? 0)
    for (const name of seconds < comparableThirdSeconds ? [] : ["open_files", "threads", "listeners"] as const) {
      const [from, to] = [middle, last].map((part) => median(part.map((sample) => sample[name])))
      if (from !== undefined && to !== undefined && to > from * 1.1 + 2) {
        wrong.push(`${name} grew from ${from} to ${to} between the second and the last third`)
      }
    }
  }
  if (start === undefined) wrong.push("the agents never began")
  if (idle === undefined) wrong.push("the agents never came to rest")
  else {
    for (const what of leftOpen(idle)) wrong.push(`${what} left open at rest`)
    for (const name of ["open_files", "threads"] as const) {
      const before = start?.[name] ?? 0
      if (idle[name] > before + kept[name]) {
        wrong.push(`${name} at rest: ${idle[name]}, and ${before} before the first call`)
      }
    }
  }
  return wrong
}
