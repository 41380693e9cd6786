/** A place in the source, and what stands there instead. */
export interface Edit {
  /** Path from the root of the repository. */
  readonly file: string
  /** Stands exactly once in the file; anything else is an error, so that the list stays true as the sources change. */
  readonly find: string
  readonly replace: string
}

/** One planted defect. */
export interface Mutant extends Edit {
  /** Stable; printed, and taken by `--only`. */
  readonly id: string
  /** What breaks, for a person. */
  readonly what: string
  /** Further places, where the rule is kept more than once and breaking one alone changes nothing. */
  readonly also?: ReadonlyArray<Edit>
}

/** What a mutant replaces stands nowhere in its file, or more than once: the list has to be brought up to date. */
export class StaleMutant extends Error {
  override readonly name = "StaleMutant"

  constructor(id: string, file: string, times: number) {
    const where = times === 0 ? "no longer stands in" : `stands ${times} times in`
    super(`${id}: what it replaces ${where} ${file}; bring test/mutants up to date`)
  }
}

export const editsOf = (mutant: Mutant): ReadonlyArray<Edit> => [mutant, ...mutant.also ?? []]

/** The text of the edit's file with the defect in it. Fails with {@link StaleMutant}. */
export const planted = (id: string, { file, find, replace }: Edit, text: string): string => {
  const times = text.split(find).length - 1
  if (times !== 1) throw new StaleMutant(id, file, times)
  return text.replace(find, () => replace)
}
