import { schemaVersion } from "@rspp/contracts/Identity"
import type { ReleaseManifest } from "@rspp/contracts/Release"
import { Clock, Effect, FileSystem, Option, Path } from "effect"
import { changelogEntry } from "./Changelog.ts"
import { sha256 } from "./Hash.ts"
import { signed } from "./Manifest.ts"
import type { Checked, Refusal } from "./Refusal.ts"
import { changedFiles, releasedCommit, tagConflict } from "./Repository.ts"
import { rollbackPlan } from "./RollbackFile.ts"
import { releasedTarballs } from "./Tarballs.ts"
import { verificationFiles } from "./VerificationFiles.ts"
import { sourceVersions } from "./Versions.ts"

/** Where the parts of a release lie. */
export interface ReleasePlaces {
  /** The repository. */
  readonly root: string
  /** The artifacts of a full verification. */
  readonly artifacts: string
  /** The tarballs and their index. */
  readonly tarballs: string
  /** The way back. */
  readonly rollback: string
  /** How old the verification may be, ms. */
  readonly maxAgeMs: number
}

export type CheckedRelease = {
  /** Of the repository; absent where it has none. */
  readonly version: string | undefined
  readonly commit: string | undefined
  readonly refusals: ReadonlyArray<Refusal>
  /** What would be published; only without refusals. */
  readonly manifest: ReleaseManifest | undefined
}

const valueOf = <A>(checked: Checked<A>): A | undefined => "is" in checked ? checked.is : undefined
const reasonsOf = <A>(checked: Checked<A>): ReadonlyArray<Refusal> => "refused" in checked ? checked.refused : []

/**
 * Whether what lies there may be released: every reason against it at once, in a fixed order, or the manifest of the release.
 * It writes nothing, and asks nobody but git and the files.
 */
export const checkRelease = Effect.fn("release.check")(function*(places: ReleasePlaces) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { root } = places
  const nowMs = yield* Clock.currentTimeMillis
  const source = releasedCommit(root)
  const commit = valueOf(source)?.commit
  const { packages, refusals, version } = yield* sourceVersions(root)
  const verification = yield* verificationFiles(places.artifacts, { commit, nowMs, maxAgeMs: places.maxAgeMs })
  const changelog = yield* Effect.option(fs.readFileString(path.join(root, "CHANGELOG.md")))
  const entry = version === undefined ? undefined : changelogEntry(Option.getOrUndefined(changelog), version)
  const tarballs = yield* releasedTarballs(places.tarballs, { commit, packages })
  const rollback = yield* rollbackPlan(root, places.rollback, version)
  const all: ReadonlyArray<Refusal> = [
    ...reasonsOf(source),
    ...(commit === undefined ? [] : changedFiles(root)),
    ...(commit === undefined || version === undefined ? [] : tagConflict(root, version, commit)),
    ...refusals,
    ...reasonsOf(verification),
    ...(entry === undefined ? [] : reasonsOf(entry)),
    ...reasonsOf(tarballs),
    ...reasonsOf(rollback)
  ]
  const parts = {
    source: valueOf(source),
    verification: valueOf(verification),
    entry: entry === undefined ? undefined : valueOf(entry),
    tarballs: valueOf(tarballs),
    rollback: valueOf(rollback)
  }
  const { source: is } = parts
  const manifest = all.length > 0 || version === undefined || is === undefined || parts.verification === undefined ||
      parts.entry === undefined || parts.tarballs === undefined || parts.rollback === undefined
    ? undefined
    : signed({
      schema_version: schemaVersion,
      release: version,
      commit: is.commit,
      commit_time_ms: is.commitTimeMs,
      verification: parts.verification,
      packages: parts.tarballs,
      changelog_sha256: sha256(parts.entry),
      rollback: parts.rollback
    })
  const checked: CheckedRelease = { version, commit, refusals: all, manifest }
  return checked
})
