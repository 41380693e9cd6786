import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * The lease of one session as it is kept. `revision` counts every change and is what compare-and-set compares;
 * `authority_epoch` changes only with the holder. A row whose lease has ended still keeps its epoch, so that the next one
 * is higher.
 */
export interface LeaseRow {
  readonly revision: number
  readonly session_id: string
  readonly placement_id: string
  readonly authority_epoch: number
  readonly lease_token: string
  readonly state: "held" | "revoked" | "expired"
  /** Unix time in ms of the store's clock. */
  readonly expires_at_ms: number
}

/**
 * Where leases are kept (port of CP-07).
 *
 * `compareAndSet` writes `row` only if the stored revision is still `expected` (0: no row yet) and says whether it did;
 * it is the only way to change a row, and it is atomic. Rows are never removed: a forgotten epoch could be issued twice.
 */
export class LeaseStore extends Context.Service<LeaseStore, {
  readonly read: (session_id: string) => Effect.Effect<LeaseRow | undefined>
  readonly compareAndSet: (expected: number, row: LeaseRow) => Effect.Effect<boolean>
}>()("rspp/LeaseStore") {
  /** In this process only, for as long as the layer. About 300 bytes a session. */
  static readonly layerMemory: Layer.Layer<LeaseStore> = Layer.sync(LeaseStore, () => {
    const rows = new Map<string, LeaseRow>()
    return LeaseStore.of({
      read: (session_id) => Effect.sync(() => rows.get(session_id)),
      compareAndSet: (expected, row) =>
        Effect.sync(() => {
          if ((rows.get(row.session_id)?.revision ?? 0) !== expected) return false
          rows.set(row.session_id, row)
          return true
        })
    })
  })
}
