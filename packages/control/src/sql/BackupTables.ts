/** A table that a backup holds. */
export interface BackupTable {
  readonly table: string
  /** Its primary key: rows are written in its order. */
  readonly key: ReadonlyArray<string>
  /** Columns that count what others may remember: a restore raises them to its floor (R2). */
  readonly counters?: ReadonlyArray<string>
}

/**
 * Every table of the control plane, as a backup takes it. A migration that makes another one adds it here and says which of
 * its columns are counters; a test compares this list with what the migrations make.
 */
export const backupTables: ReadonlyArray<BackupTable> = [
  { table: "rspp_audit", key: ["sequence"] },
  { table: "rspp_audit_head", key: ["head_id"] },
  { table: "rspp_pipelines", key: ["position"] },
  { table: "rspp_tenants", key: ["position"] },
  { table: "rspp_api_keys", key: ["position"] },
  // a revision is an ETag: a client that holds one of before must not find it again with other content
  { table: "rspp_policies", key: ["position"], counters: ["revision"] },
  { table: "rspp_admission", key: ["position"], counters: ["revision"] },
  { table: "rspp_rollouts", key: ["position"], counters: ["revision"] },
  { table: "rspp_provider_health", key: ["tenant_id", "provider_id", "bucket_ms"] },
  { table: "rspp_sessions", key: ["session_id"] },
  { table: "rspp_placements", key: ["tenant_id", "placement_id"] },
  { table: "rspp_idempotency", key: ["key_id", "idempotency_key"] },
  { table: "rspp_leases", key: ["session_id"], counters: ["authority_epoch", "revision"] },
  // their next versions begin above the floor: what is there keeps its own, so that nobody takes it for news
  { table: "rspp_snapshots", key: ["scope", "snapshot_kind", "version"] },
  { table: "rspp_restores", key: ["position"] }
]
