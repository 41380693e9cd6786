import { git } from "./Git.ts"
import type { Checked, Refusal } from "./Refusal.ts"
import { refusal, refused } from "./Refusal.ts"

/** The commit that is released. */
export interface Commit {
  readonly commit: string
  /** When it was made, in ms since 1970. */
  readonly commitTimeMs: number
}

/** The commit that a tag names, if there is such a tag. */
export const taggedCommit = (root: string, tag: string): string | undefined =>
  git(root, "rev-parse", "--verify", "--quiet", `refs/tags/${tag}^{commit}`)

/** Files that a message names. */
const namedFiles = 5

/** The commit at `root`, which must be the top of a repository. */
export const releasedCommit = (root: string): Checked<Commit> => {
  const [commit, seconds] = git(root, "log", "-1", "--format=%H %ct")?.split(" ") ?? []
  return commit === undefined || seconds === undefined || git(root, "rev-parse", "--show-prefix") !== ""
    ? refused(refusal(
      "not_a_repository",
      `${root} is not the top of a git repository with a commit`,
      "Run this in the repository, or give its directory with --repository."
    ))
    : { is: { commit, commitTimeMs: Number(seconds) * 1000 } }
}

/** What lies at `root` is its commit and nothing else; files that git ignores do not count. */
export const changedFiles = (root: string): ReadonlyArray<Refusal> => {
  const changed = (git(root, "status", "--porcelain") ?? "?? git status").split("\n").filter((line) => line !== "")
  if (changed.length === 0) return []
  const names = changed.slice(0, namedFiles).map((line) => line.trim().replace(/^\S+\s+/u, "")).join(", ")
  const more = changed.length > namedFiles ? ` and ${changed.length - namedFiles} more` : ""
  return [refusal(
    "tree_dirty",
    `the tree is not the commit: ${names}${more}`,
    "Commit what belongs to the release, and put the rest away (git stash -u)."
  )]
}

/** A tag of this version that is at another commit: the version was released already. */
export const tagConflict = (root: string, version: string, commit: string): ReadonlyArray<Refusal> => {
  const tagged = taggedCommit(root, `v${version}`)
  return tagged === undefined || tagged === commit
    ? []
    : [refusal(
      "tag_elsewhere",
      `v${version} is a tag at ${tagged.slice(0, 12)} already, and this is ${commit.slice(0, 12)}`,
      "Give the packages a new version: a version is released once."
    )]
}
