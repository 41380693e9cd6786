/** One planted defect: a place in the source, and what stands there instead. */
export interface Mutant {
  /** Stable; printed, and taken by `--only`. */
  readonly id: string
  /** Path from the root of the repository. */
  readonly file: string
  /** What breaks, for a person. */
  readonly what: string
  /** Stands exactly once in the file; anything else is an error, so that the list stays true as the sources change. */
  readonly find: string
  readonly replace: string
}

/** A mutant's `find` stands nowhere in its file, or more than once: the list has to be brought up to date. */
export class StaleMutant extends Error {
  override readonly name = "StaleMutant"

  constructor(mutant: Mutant, times: number) {
    const where = times === 0 ? "no longer stands in" : `stands ${times} times in`
    super(`${mutant.id}: what it replaces ${where} ${mutant.file}; bring test/mutants up to date`)
  }
}

/** The text of the mutant's file with the defect in it. Fails with {@link StaleMutant}. */
export const plant = (mutant: Mutant, text: string): string => {
  const times = text.split(mutant.find).length - 1
  if (times !== 1) throw new StaleMutant(mutant, times)
  return text.replace(mutant.find, () => mutant.replace)
}
