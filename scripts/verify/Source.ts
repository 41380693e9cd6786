import { git } from "@rspp/cli/release/Git"

/** Which sources a verification is about. */
export interface SourceState {
  /** The commit, 40 hex characters; absent outside of a repository. */
  readonly commit?: string
  /** Whether anything differs from the commit, new files included. Outside of a repository nobody can tell: true. */
  readonly dirty: boolean
}

/** What git says of the repository at `root`; a copy of the sources inside another repository is not that repository's commit. */
export const sourceState = (root: string): SourceState => {
  if (git(root, "rev-parse", "--show-prefix") !== "") return { dirty: true }
  const commit = git(root, "rev-parse", "HEAD")
  return {
    ...(commit === undefined ? {} : { commit }),
    dirty: commit === undefined || git(root, "status", "--porcelain") !== ""
  }
}
