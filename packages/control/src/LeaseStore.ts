import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"

/**
 * The store of leases did not answer, or what it answered makes no sense. Whether a write has happened is then unknown:
 * what holds is what the next read says. Raised by every call of {@link LeaseStore}.
 */
export class LeaseStoreFailure extends Schema.TaggedError<LeaseStoreFailure>()("LeaseStoreFailure", {
  store: Schema.String,
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

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

/** A row, and the store's clock (Unix time, ms) at which it stood so. Absent: the session never had a lease. */
export interface LeaseReading {
  readonly row: LeaseRow | undefined
  readonly now_ms: number
}

/**
 * Where leases are kept (port of CP-07).
 *
 * `compareAndSet` writes `row` only if the stored revision is still `expected` (0: no row yet) and says whether it did;
 * it is the only way to change a row, and it is atomic. Rows are never removed: a forgotten epoch could be issued twice.
 * Time is the store's own, read together with the row: whoever shares the store shares its clock.
 */
export class LeaseStore extends Context.Service<LeaseStore, {
  readonly read: (session_id: string) => Effect.Effect<LeaseReading, LeaseStoreFailure>
  readonly compareAndSet: (expected: number, row: LeaseRow) => Effect.Effect<boolean, LeaseStoreFailure>
  /**
   * Sessions whose lease ran out and was not given back: their holder is gone. At most `limit`, those that have waited
   * longest first; with `endedWithinMs` only those whose lease ended no longer ago.
   */
  readonly orphans: (
    limit: number,
    endedWithinMs?: number
  ) => Effect.Effect<ReadonlyArray<string>, LeaseStoreFailure>
  /**
   * Sessions whose lease has changed hands or ended, by whomever, as soon as that is so. Fails when the connection is
   * lost; what happened until the next one is missed. Absent: this store cannot tell, and is asked at renewals only.
   */
  readonly changes?: Stream.Stream<string, LeaseStoreFailure>
}>()("rspp/LeaseStore") {
  /** In this process only, for as long as the layer; its clock is Effect's. About 300 bytes a session. */
  static readonly layerMemory: Layer.Layer<LeaseStore> = Layer.sync(LeaseStore, () => {
    const rows = new Map<string, LeaseRow>()
    const now = Effect.map(Clock.currentTimeMillis, Math.floor)
    return LeaseStore.of({
      read: (session_id) => Effect.map(now, (now_ms) => ({ row: rows.get(session_id), now_ms })),
      compareAndSet: (expected, row) =>
        Effect.sync(() => {
          if ((rows.get(row.session_id)?.revision ?? 0) !== expected) return false
          rows.set(row.session_id, row)
          return true
        }),
      orphans: (limit, endedWithinMs = Number.POSITIVE_INFINITY) =>
        Effect.map(now, (now_ms) =>
          [...rows.values()]
            .filter(({ expires_at_ms, state }) => state === "expired" || (state === "held" && expires_at_ms <= now_ms))
            .filter(({ expires_at_ms }) => now_ms - expires_at_ms <= endedWithinMs)
            .sort((a, b) => a.expires_at_ms - b.expires_at_ms || (a.session_id < b.session_id ? -1 : 1))
            .slice(0, limit)
            .map(({ session_id }) => session_id))
    })
  })
}
