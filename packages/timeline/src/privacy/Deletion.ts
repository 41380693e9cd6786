import type { PayloadClass } from "@rspp/contracts/Event"
import { Effect, FileSystem, Schema } from "effect"
import type { PlatformError } from "effect/PlatformError"
import { TurnIndex } from "../export/TurnIndex.ts"
import type { Timeline, TimelineError } from "../format/TimelineReader.ts"
import { read } from "../format/TimelineReader.ts"
import { holdIfPossible } from "../recorder/WriterLock.ts"
import type { FileInUse } from "../recorder/WriterLock.ts"
import { AuditLog } from "./AuditLog.ts"
import type { AuditUnavailable } from "./AuditLog.ts"
import { destroyKey, findKey } from "./KeyStore.ts"
import type { KeyStoreFailure } from "./KeyStore.ts"
import { PayloadTurns } from "./PayloadTurns.ts"
import { keptClass, removePayloads } from "./Removal.ts"

/** What was asked for cannot be done to this recording; nothing was changed. */
export class DeletionRefused extends Schema.TaggedError<DeletionRefused>()("DeletionRefused", {
  file: Schema.String,
  message: Schema.String,
  hint: Schema.String
}) {}

/**
 * `hard_delete`: the payloads go from the file, and a `removed` record stands where each was. `crypto_inaccessible`: the
 * key that they are sealed under is destroyed, and the file, with every copy of it, stays as it is and cannot be opened.
 */
export type DeletionMode = "hard_delete" | "crypto_inaccessible"

export interface DeletionOptions {
  readonly mode: DeletionMode
  /** Only what was said in this turn; default: the whole session. */
  readonly turnId?: string
  /** The key store; `crypto_inaccessible` needs it, and `hard_delete` of a session destroys the key in it too. */
  readonly keys?: string
}

/** What was done. */
export interface DeletionReport {
  readonly mode: DeletionMode
  readonly session_id: string
  readonly turn_id?: string
  /** Payload records that were removed, or that nobody can open any more, by class. 0 of any: it was done before. */
  readonly removed: Readonly<Partial<Record<PayloadClass, number>>>
  readonly key_destroyed: boolean
}

type DeletionError = DeletionRefused | FileInUse | AuditUnavailable | KeyStoreFailure | TimelineError | PlatformError

/**
 * Deletes what a recording keeps of a session, or of one turn of it. Evidence, control lane and handles stay, so that the
 * file still verifies and replays identical. An entry of the audit log comes before the deletion (without it nothing is
 * deleted) and another after it. Repeating it changes nothing more. A key that is not where it is said to be is refused,
 * so that nobody takes another store for a deletion.
 */
export const deletePayloads = (
  file: string,
  options: DeletionOptions
): Effect.Effect<DeletionReport, DeletionError, AuditLog | FileSystem.FileSystem> =>
  Effect.scoped(Effect.andThen(held(file), deleteHeld(file, options))).pipe(Effect.withSpan("Deletion.delete"))

/** The file is ours alone until the scope closes; one that is not there has nobody who writes it, and is no file to hold. */
const held = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  if (yield* Effect.orElseSucceed(fs.exists(file), () => false)) yield* holdIfPossible(file)
})

const deleteHeld = Effect.fnUntraced(function*(
  file: string,
  options: DeletionOptions
): Effect.fn.Return<DeletionReport, DeletionError, AuditLog | FileSystem.FileSystem> {
  const timeline = yield* read(file)
  return yield* deleteFrom(
    { name: file, timeline, rewrite: (isMeant) => removePayloads(file, isMeant, "hard_delete") },
    options
  )
})

/** A recording that something can be deleted from, wherever it is. */
export interface Deletable<E> {
  /** For messages and the audit. */
  readonly name: string
  readonly timeline: Timeline
  /** Takes the payloads that `isMeant` names out of it, as a whole or not at all. */
  readonly rewrite: (
    isMeant: (record: Timeline["records"][number]) => boolean
  ) => Effect.Effect<void, E, FileSystem.FileSystem>
}

/** {@link deletePayloads} of a recording that was read already. */
export const deleteFrom = Effect.fnUntraced(function*<E>(
  { name: file, rewrite, timeline }: Deletable<E>,
  options: DeletionOptions
): Effect.fn.Return<
  DeletionReport,
  E | DeletionRefused | AuditUnavailable | KeyStoreFailure,
  AuditLog | FileSystem.FileSystem
> {
  const { mode, turnId } = options
  yield* refused(file, timeline, options)
  const { payload_key_id, session_id, tenant_id } = timeline.header
  const payloads = turnId === undefined ? undefined : new PayloadTurns(timeline.records)
  const isMeant = (record: Timeline["records"][number]) =>
    payloads === undefined || turnId === undefined || payloads.isOf(record, turnId)
  const key = options.keys === undefined || payload_key_id === undefined || turnId !== undefined
    ? undefined
    : yield* findKey(options.keys, payload_key_id)
  if (options.keys !== undefined && payload_key_id !== undefined && turnId === undefined && key === undefined) {
    const sealed = timeline.records.some(({ record }) => record === "sealed")
    if (mode === "crypto_inaccessible" || sealed) {
      return yield* new DeletionRefused({
        file,
        message: `${file}: its key ${payload_key_id} is not in the key store ${options.keys}`,
        hint: "It was destroyed before, or this is not the store that it was made in; nothing was deleted."
      })
    }
  }
  const removed = countByClass(timeline.records.filter((record) => isMeant(record)))
  const records = Object.values(removed).reduce((sum, count) => sum + count, 0)
  const subject = {
    file,
    session_id,
    tenant_id,
    ...(turnId === undefined ? {} : { turn_id: turnId }),
    records
  }
  const audit = yield* AuditLog
  yield* audit.append({ action: "delete", outcome: "granted", reason: mode, subject })
  if (mode === "hard_delete" && records > 0) yield* rewrite(isMeant)
  const key_destroyed = options.keys !== undefined && key !== undefined && (yield* destroyKey(options.keys, key.key_id))
  yield* audit.append({ action: "delete", outcome: "done", reason: mode, subject })
  return { mode, session_id, ...(turnId === undefined ? {} : { turn_id: turnId }), removed, key_destroyed }
})

const refused = (file: string, { header, records, tear }: Timeline, { keys, mode, turnId }: DeletionOptions) => {
  const refuse = (message: string, hint: string) =>
    Effect.fail(new DeletionRefused({ file, message: `${file}: ${message}`, hint }))
  if (mode === "crypto_inaccessible") {
    if (turnId !== undefined) {
      return refuse("the whole session is sealed under one key", "Use --mode hard_delete for a turn.")
    }
    if (header.payload_key_id === undefined) {
      return refuse("its payloads are not sealed", "Use --mode hard_delete; record with --keys next time.")
    }
    return keys === undefined
      ? refuse("no key store is given in which to destroy the key", "Add --keys DIRECTORY.")
      : Effect.void
  }
  if (tear !== undefined) {
    return refuse(
      "it is being recorded still, or was never closed, or is damaged",
      "Wait for its end, or cut it there with: rspp timeline repair"
    )
  }
  const index = new TurnIndex(records)
  return turnId !== undefined && !records.some((record) => index.turnOf(record) === turnId)
    ? refuse(`it has no turn ${turnId}`, "rspp timeline show lists its turns.")
    : Effect.void
}

/** Records that keep a payload, by class. */
export const countByClass = (records: Timeline["records"]): Partial<Record<PayloadClass, number>> => {
  const counts: Partial<Record<PayloadClass, number>> = {}
  for (const record of records) {
    const kept = keptClass(record)
    if (kept !== undefined) counts[kept] = (counts[kept] ?? 0) + 1
  }
  return counts
}
