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
  { table: "rspp_provider_circuits", key: ["tenant_id", "provider_id"] },
  { table: "rspp_sessions", key: ["session_id"] },
  { table: "rspp_placements", key: ["tenant_id", "placement_id"] },
  { table: "rspp_idempotency", key: ["key_id", "idempotency_key"] },
  { table: "rspp_leases", key: ["session_id"], counters: ["authority_epoch", "revision"] },
  // their next versions begin above the floor: what is there keeps its own, so that nobody takes it for news
  { table: "rspp_snapshots", key: ["scope", "snapshot_kind", "version"] },
  { table: "rspp_restores", key: ["position"] }
]

/**
 * Tables of this program that may be in the same database and that no backup takes, each with the reason; the end `*` stands
 * for any. A test compares both lists with what the program makes.
 */
export const notBackedUp: Readonly<Record<string, string>> = {
  rspp_control_migrations: "the head of a backup names the migrations; a restore makes the tables by them",
  rspp_state_migrations: "belongs to rspp_session_states",
  // who goes on with a session after a restore has an epoch above the floor, and so above every fence that was lost
  rspp_session_states: "the words of live calls in clear text: they do not outlive the call, least of all in a file",
  "rspp_cluster_*":
    "who runs what at this instant: after a restore nobody runs anything, and what waited is placed again",
  "rspp_timeline_*": "recordings have their own stores, copies and rules of deletion"
}
