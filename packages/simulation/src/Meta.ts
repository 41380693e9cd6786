import { spawnSync } from "node:child_process"
import { bytesOf, runSeed } from "./Run.ts"
import type { SeedOptions } from "./Run.ts"

/** A seed whose runs were not the same: the first place where they differ. */
export interface Difference {
  readonly seed: number
  readonly where: "the same process" | "a second process"
  /** Line of the bytes (0 is the header of the first session), or -1 when one of them is longer. */
  readonly line: number
  readonly first: string
  readonly second: string
}

/** What is drawn from options that can be handed to another process. */
export type PlainOptions = Pick<SeedOptions, "kinds" | "turns" | "ending" | "sessions" | "order">

/** The bytes of one seed. */
export const seedBytes = (seed: number, options: SeedOptions = {}): string =>
  bytesOf(runSeed(seed, { ...options, check: () => [], replay: false }))

/** Bytes of a process's answer that are taken at most: 256 MB. */
const maxAnswerBytes = 256 * 1024 * 1024

const bytesElsewhere = (seeds: ReadonlyArray<number>, options: PlainOptions): ReadonlyArray<string> => {
  const program = `
    import { seedBytes } from ${JSON.stringify(import.meta.url)}
    process.stdout.write(JSON.stringify(${JSON.stringify(seeds)}.map((seed) => seedBytes(seed, ${
    JSON.stringify(options)
  }))))`
  const { error, status, stderr, stdout } = spawnSync(
    process.execPath,
    ["--input-type=module", "--eval", program],
    { encoding: "utf8", maxBuffer: maxAnswerBytes }
  )
  if (error !== undefined || status !== 0) {
    throw new Error(`the second process failed: ${error?.message ?? stderr.slice(0, 2000)}`)
  }
  return JSON.parse(stdout) as ReadonlyArray<string>
}

/** The first place where two runs of a seed differ; nothing when they are the same. */
export const difference = (
  seed: number,
  where: Difference["where"],
  first: string,
  second: string
): ReadonlyArray<Difference> => {
  if (first === second) return []
  const [a, b] = [first.split("\n"), second.split("\n")]
  const line = a.findIndex((text, index) => text !== b[index])
  return [{ seed, where, line, first: a[line] ?? "", second: b[line] ?? "" }]
}

/**
 * The check that comes before any other: each seed twice in this process and once in another, compared byte for byte.
 * Empty means that all are the same.
 */
export const checkDeterminism = (
  seeds: ReadonlyArray<number>,
  options: PlainOptions & { readonly secondProcess?: boolean } = {}
): ReadonlyArray<Difference> => {
  const { secondProcess = true, ...plain } = options
  const elsewhere = secondProcess ? bytesElsewhere(seeds, plain) : []
  return seeds.flatMap((seed, index) => {
    const first = seedBytes(seed, plain)
    const there = elsewhere[index]
    return [
      ...difference(seed, "the same process", first, seedBytes(seed, plain)),
      ...(there === undefined ? [] : difference(seed, "a second process", first, there))
    ]
  })
}
