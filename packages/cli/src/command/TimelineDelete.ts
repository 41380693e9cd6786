import { AuditLog } from "@rspp/timeline/privacy/AuditLog"
import { deletePayloads } from "@rspp/timeline/privacy/Deletion"
import type { DeletionMode } from "@rspp/timeline/privacy/Deletion"
import { deleteStored } from "@rspp/timeline/store/StoredDeletion"
import { Effect, Layer, Path } from "effect"
import { CliFailure } from "../CliFailure.ts"
import { deletionStore } from "../StoreAddress.ts"
import { keyOfSession } from "../StoredSession.ts"
import { Screen } from "../Screen.ts"
import { turnIdOf } from "../TurnName.ts"

export interface DeleteFlags {
  /** A file, or with `store` a session. */
  readonly file: string
  readonly store: string | undefined
  readonly tenant: string | undefined
  readonly turn: string | undefined
  readonly mode: DeletionMode
  readonly keys: string | undefined
  readonly audit: string | undefined
  readonly json: boolean
}

/** `rspp timeline delete`: what a recording keeps of what was said, in it or in one turn of it. */
export const deleteFromTimeline = Effect.fn("rspp.timeline.delete")(function*(flags: DeleteFlags) {
  const { file, json, keys, mode, store, tenant, turn } = flags
  const screen = yield* Screen
  const paths = yield* Path.Path
  const turnId = turn === undefined ? undefined : turnIdOf(turn)
  const options = { mode, ...(turnId === undefined ? {} : { turnId }), ...(keys === undefined ? {} : { keys }) }
  if (store === undefined && tenant !== undefined) {
    return yield* new CliFailure({
      exit: "usage",
      message: "--tenant says whose session it is, in a store",
      hint: "Add --store STORE, or leave --tenant out."
    })
  }
  const stored = store === undefined ? undefined : yield* deletionStore(store, flags.audit)
  const log = stored?.log ?? flags.audit ?? paths.join(paths.dirname(file), "audit.jsonl")
  const audit = AuditLog.layer(log)
  const report = stored === undefined
    ? yield* Effect.provide(deletePayloads(file, options), audit)
    : yield* Effect.flatMap(keyOfSession(file, tenant), (key) => deleteStored(key, options)).pipe(
      Effect.provide(Layer.merge(stored.layer, audit))
    )
  if (json) return screen.line(JSON.stringify({ file, ...report, audit_log: log }))
  const counts = Object.entries(report.removed).map(([of, count]) => `${count} ${of}`).join(", ")
  const of = turnId === undefined ? "" : ` of ${turnId}`
  const done = mode === "hard_delete" ? "removed" : "can no longer be opened"
  const name = store === undefined ? file : `session ${file} in ${store.startsWith("postgres") ? "PostgreSQL" : store}`
  screen.line(counts === "" ? `${name}: nothing was left${of}` : `${name}: ${counts}${of} ${done}`)
  if (report.key_destroyed) screen.line(`  its key is destroyed`)
  screen.line(`  audited in ${log}`)
  return undefined
})
