import type { Snapshot, SnapshotKind } from "@rspp/contracts/Snapshot"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import type { Verdict } from "../turn/TurnArbiter.ts"

/** The contract version that this runtime speaks; a snapshot that does not list it is incompatible. */
export const contractVersion = "v1.0"

/**
 * The last good snapshot of each of the six kinds, with the session time at which it came in (kernel state).
 *
 * Guarantees: I-SNAP-MONOTONE an older version never replaces a newer one.
 */
export class SnapshotStore {
  readonly #latest = new Map<SnapshotKind, { readonly snapshot: Snapshot; readonly receivedMs: number }>()
  readonly #header: TimelineHeader

  #revision = 0

  constructor(header: TimelineHeader) {
    this.#header = header
  }

  /** Another number whenever a snapshot was taken in: what was derived from them holds as long as it stays. */
  get revision(): number {
    return this.#revision
  }

  accept(snapshot: Snapshot, now: number): void {
    const known = this.#latest.get(snapshot.snapshot_kind)
    if (known !== undefined && known.snapshot.version > snapshot.version) return
    this.#latest.set(snapshot.snapshot_kind, { snapshot, receivedMs: now })
    this.#revision += 1
  }

  get<K extends SnapshotKind>(kind: K): Extract<Snapshot, { readonly snapshot_kind: K }> | undefined {
    return this.#latest.get(kind)?.snapshot as Extract<Snapshot, { readonly snapshot_kind: K }> | undefined
  }

  /** T2: are all six there, fresh and compatible? The outcomes are those of the pipeline's profile. */
  verdict(now: number): Verdict {
    const outcomes = this.#header.pipeline.snapshot_outcomes
    for (const kind of snapshotKinds) {
      const known = this.#latest.get(kind)
      if (known === undefined) return { ok: false, outcome: outcomes.missing, reason: `snapshot_missing:${kind}` }
      if (now - known.receivedMs > known.snapshot.ttl_ms) {
        return { ok: false, outcome: outcomes.stale, reason: `snapshot_stale:${kind}` }
      }
    }
    const abi = this.get("abi_compatibility_snapshot")
    const version = this.get("version_resolution_snapshot")
    const compatible = abi !== undefined && version !== undefined &&
      abi.body.contract_versions.includes(contractVersion) &&
      version.body.pipeline_version === this.#header.pipeline.pipeline_version &&
      version.body.graph_definition_ref === this.#header.pipeline.graph.graph_definition_ref
    return compatible
      ? { ok: true }
      : { ok: false, outcome: outcomes.incompatible, reason: "snapshot_incompatible" }
  }
}
