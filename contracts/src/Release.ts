import * as Schema from "effect/Schema"
import { CommitId, Id, SchemaVersion, SemanticVersion, Sha256Hex, uniqueList } from "./Identity.ts"
import { Natural } from "./Quantity.ts"
import { PositiveMilliseconds } from "./Time.ts"

/** A list of at least one. */
const someOf = <S extends Schema.Constraint>(item: S) =>
  Schema.Array(item).check(
    Schema.makeFilter<ReadonlyArray<unknown>>((list) => list.length >= 1, {
      expected: "a list of at least 1",
      rule: "minItems",
      toJsonSchema: () => ({ minItems: 1 })
    })
  )

/** One thing that is done to go back: in words, and where it is a command, the command. */
export const RollbackStep = Schema.Struct({ do: Id, command: Schema.optionalKey(Id) })

/**
 * The way back from a release, decided before it goes out: to which version, upon what, by whom, and how.
 *
 * A release is refused without one. It is part of the release's manifest, so that whoever is on call finds it there.
 */
export const RollbackPlan = Schema.Struct({
  schema_version: SchemaVersion,
  /** The release that this is the way back from. */
  rollback_of: SemanticVersion,
  /** The release that runs again afterwards; where there is none before it, why, and what is done instead. */
  return_to: Schema.Union([
    Schema.Struct({ version: SemanticVersion }),
    Schema.Struct({ nothing_before: Id })
  ]),
  /** Who decides: a role or a person who can be reached. */
  decided_by: Id,
  /** How long the decision may take once one of `when` is seen, in ms. */
  decided_within_ms: PositiveMilliseconds,
  /** What is looked at: alerts, gates, reports of users. */
  when: uniqueList(Id, { min: 1 }),
  steps: someOf(RollbackStep),
  /** Recordings and databases that the release has written by then. */
  data: Schema.Struct({
    /** Whether the release that one returns to reads them. */
    readable_after: Schema.Boolean,
    /** What is done about them. */
    note: Id
  })
}).annotate({ identifier: "RollbackPlan" })
export type RollbackPlan = typeof RollbackPlan.Type

/** A file by its path and its content. */
export const ReleasedFile = Schema.Struct({ file: Id, sha256: Sha256Hex })

/** A package of a release: the tarball that is published. */
export const ReleasedPackage = Schema.Struct({
  name: Id,
  version: SemanticVersion,
  file: Id,
  sha256: Sha256Hex
})

/**
 * What a release consists of and what vouches for it. It has no time but the commit's own, so that the same commit with the
 * same verification gives the same bytes.
 *
 * Its text is canonical JSON and a newline; `manifest_sha256` is the hash of the canonical JSON without that field.
 */
export const ReleaseManifest = Schema.Struct({
  schema_version: SchemaVersion,
  release: SemanticVersion,
  commit: CommitId,
  /** When the commit was made, in ms since 1970, by whoever made it. */
  commit_time_ms: Natural,
  /** The files of the full verification, by name; `summary.json` is one of them. */
  verification: someOf(ReleasedFile),
  /** In the order in which they are published: each after those that it needs. */
  packages: someOf(ReleasedPackage),
  /** Hash of the changelog's entry of this version. */
  changelog_sha256: Sha256Hex,
  rollback: RollbackPlan,
  manifest_sha256: Sha256Hex
}).annotate({ identifier: "ReleaseManifest" })
export type ReleaseManifest = typeof ReleaseManifest.Type
