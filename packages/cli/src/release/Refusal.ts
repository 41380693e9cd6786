/** Why a release is refused, by a stable code; docs/release.md has a line about each. */
export const refusalCodes = [
  "not_a_repository",
  "tree_dirty",
  "tag_elsewhere",
  "verification_missing",
  "verification_unreadable",
  "verification_not_full",
  "verification_other_commit",
  "verification_dirty",
  "verification_stale",
  "gate_missing",
  "gate_not_green",
  "artifact_missing",
  "artifact_altered",
  "version_differs",
  "changelog_missing",
  "changelog_unreleased",
  "changelog_empty",
  "tarballs_missing",
  "tarball_missing",
  "tarball_altered",
  "tarball_other_commit",
  "tarball_other_version",
  "rollback_missing",
  "rollback_invalid",
  "rollback_other_release",
  "rollback_not_back"
] as const

export type RefusalCode = typeof refusalCodes[number]

/** One reason against a release: what is wrong, and what to do about it. */
export interface Refusal {
  readonly code: RefusalCode
  readonly message: string
  readonly fix: string
}

export const refusal = (code: RefusalCode, message: string, fix: string): Refusal => ({ code, message, fix })

/** What a part of a release is, or all reasons why it is not. */
export type Checked<A> = { readonly is: A } | { readonly refused: ReadonlyArray<Refusal> }

export const refused = (...refusals: ReadonlyArray<Refusal>): { readonly refused: ReadonlyArray<Refusal> } => ({
  refused: refusals
})
