import { validate } from "@rspp/contracts/Artifact"
import { schemaVersion } from "@rspp/contracts/Identity"
import type { Snapshot, SnapshotKind } from "@rspp/contracts/Snapshot"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type { Effect, Stream } from "effect"
import { contentHash } from "./internal/ContentHash.ts"

/**
 * The log of snapshots did not answer (`unavailable`), holds something that is no snapshot (`damaged`), had too many
 * publishers at once (`conflict`), or does not do this for who asks (`refused`). Raised by every call of
 * {@link SnapshotLog}; a reader goes on with what it has.
 */
export class SnapshotLogFailure extends Schema.TaggedError<SnapshotLogFailure>()("SnapshotLogFailure", {
  log: Schema.String,
  reason: Schema.Literals(["unavailable", "damaged", "conflict", "refused"]),
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/** A snapshot, and how long ago it was published, in ms of the log's own clock. */
export interface LoggedSnapshot {
  readonly snapshot: Snapshot
  readonly age_ms: number
}

/** Versions of one kind in one scope that a log keeps; older ones are taken away when a new one is published. */
export const keptVersions = 16

/**
 * Where snapshots are published for runtimes to read: the way from the control plane to runtimes that are somewhere else.
 *
 * A scope is what shares snapshots: a session, or a pipeline of a tenant. Guarantees, for each scope and kind:
 * - **SL1** versions are given out by the log, dense and from 1, whoever publishes and however often it began anew;
 *   after a backup was restored they go on, dense, from above its floor (`ControlBackup`).
 * - **SL2** what is read is what was published: its `content_hash` fits its body and it is valid by its schema.
 * - **SL3** the age of a snapshot is by the log's own clock, so that publisher and reader need not agree on the time.
 */
export class SnapshotLog extends Context.Service<SnapshotLog, {
  /** For messages; without a password. */
  readonly name: string
  /** Publishes what a snapshot says as the next version of its kind in `scope`; the snapshot as it was published. */
  readonly publish: (scope: string, snapshot: Snapshot) => Effect.Effect<Snapshot, SnapshotLogFailure>
  /** The latest of each kind, in the contract's order of kinds. */
  readonly latest: (scope: string) => Effect.Effect<ReadonlyArray<LoggedSnapshot>, SnapshotLogFailure>
  /**
   * Scopes in which something was published, as it happens: `""` when it has just begun to listen, and anything may have
   * been missed. Fails when the connection is lost. A log that cannot push is silent.
   */
  readonly changes: Stream.Stream<string, SnapshotLogFailure>
}>()("rspp/SnapshotLog") {}

/** A snapshot as a log keeps it: without what follows from the rest. */
export interface SnapshotRow {
  readonly kind: string
  readonly version: number
  readonly issued_at_ms: number
  readonly ttl_ms: number
  readonly content_hash: string
  readonly body: unknown
}

/** The id of a version of a kind. */
export const snapshotIdOf = (kind: string, version: number): string => `snap_${kind}_${version}`

/** The same snapshot as another version. */
export const reversioned = (snapshot: Snapshot, version: number): Snapshot => ({
  ...snapshot,
  version,
  snapshot_id: snapshotIdOf(snapshot.snapshot_kind, version)
})

/** The snapshot of a row, or what is wrong with it (SL2). */
export const snapshotOf = (row: SnapshotRow): Snapshot | string => {
  const { body, content_hash, issued_at_ms, kind, ttl_ms, version } = row
  const known = snapshotKinds.find((candidate): candidate is SnapshotKind => candidate === kind)
  if (known === undefined) return `there is no kind of snapshot ${kind}`
  const snapshot = {
    schema_version: schemaVersion,
    snapshot_kind: known,
    snapshot_id: snapshotIdOf(kind, version),
    version,
    issued_at_ms,
    ttl_ms,
    content_hash,
    body
  }
  const form = validate(known, snapshot)
  if (!form.ok) return `version ${version} of ${kind} is not valid: ${form.issues[0]?.message}`
  if (contentHash(body) !== content_hash) return `version ${version} of ${kind} was changed: its hash does not fit`
  return snapshot as Snapshot
}

/** Snapshots in the contract's order of kinds. */
export const inKindOrder = (logged: ReadonlyArray<LoggedSnapshot>): ReadonlyArray<LoggedSnapshot> =>
  snapshotKinds.flatMap((kind) => logged.filter(({ snapshot }) => snapshot.snapshot_kind === kind))
