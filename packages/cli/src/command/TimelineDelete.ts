import { AuditLog } from "@rspp/timeline/privacy/AuditLog"
import { deletePayloads } from "@rspp/timeline/privacy/Deletion"
import type { DeletionMode } from "@rspp/timeline/privacy/Deletion"
import { Effect, Path } from "effect"
import { Screen } from "../Screen.ts"
import { turnIdOf } from "../TurnName.ts"

export interface DeleteFlags {
  readonly file: string
  readonly turn: string | undefined
  readonly mode: DeletionMode
  readonly keys: string | undefined
  readonly audit: string | undefined
  readonly json: boolean
}

/** `rspp timeline delete`: what a recording keeps of what was said, in it or in one turn of it. */
export const deleteFromTimeline = Effect.fn("rspp.timeline.delete")(function*(flags: DeleteFlags) {
  const { file, json, keys, mode, turn } = flags
  const screen = yield* Screen
  const paths = yield* Path.Path
  const turnId = turn === undefined ? undefined : turnIdOf(turn)
  const log = flags.audit ?? paths.join(paths.dirname(file), "audit.jsonl")
  const report = yield* deletePayloads(file, {
    mode,
    ...(turnId === undefined ? {} : { turnId }),
    ...(keys === undefined ? {} : { keys })
  }).pipe(Effect.provide(AuditLog.layer(log)))
  if (json) return screen.line(JSON.stringify({ file, ...report, audit_log: log }))
  const counts = Object.entries(report.removed).map(([of, count]) => `${count} ${of}`).join(", ")
  const of = turnId === undefined ? "" : ` of ${turnId}`
  const done = mode === "hard_delete" ? "removed" : "can no longer be opened"
  screen.line(counts === "" ? `${file}: nothing was left${of}` : `${file}: ${counts}${of} ${done}`)
  if (report.key_destroyed) screen.line(`  its key is destroyed`)
  screen.line(`  audited in ${log}`)
  return undefined
})
