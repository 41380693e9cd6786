import type { PayloadClass } from "@rspp/contracts/Event"
import { payloadClasses } from "@rspp/contracts/Event"
import type { RetentionPolicy } from "@rspp/contracts/Privacy"
import { Effect, FileSystem } from "effect"
import type { PlatformError } from "effect/PlatformError"
import type { Timeline } from "../format/TimelineReader.ts"
import { read } from "../format/TimelineReader.ts"
import { holdIfPossible, mustBeFree } from "../recorder/WriterLock.ts"
import { AuditLog } from "./AuditLog.ts"
import type { AuditUnavailable } from "./AuditLog.ts"
import { destroyKey, findKey, wasDestroyed } from "./KeyStore.ts"
import type { Deletable } from "./Deletion.ts"
import type { KeyStoreFailure } from "./KeyStore.ts"
import { keptClass, removePayloads } from "./Removal.ts"
import { syncDirectory } from "./SafeFile.ts"

const dayMs = 24 * 60 * 60 * 1000

/** What is due for a recording. */
export interface RetentionDecision {
  readonly action: "keep" | "strip" | "remove"
  /** Classes whose time is over, where there is something left of them. */
  readonly classes: ReadonlyArray<PayloadClass>
  /** Payload records that go. */
  readonly records: number
}

/**
 * What the policy says of a recording at the wall clock time `nowMs`, by the session's start in the header. A time is over
 * once its last full day has passed; a recording whose start lies in the future has no age.
 */
export const retentionOf = (
  policy: RetentionPolicy,
  { header, records }: Pick<Timeline, "header" | "records">,
  nowMs: number
): RetentionDecision => {
  const rule = policy.retention.find(({ tenant_id }) => tenant_id === header.tenant_id) ??
    policy.retention.find(({ tenant_id }) => tenant_id === "*")
  const ageMs = Math.max(0, nowMs - header.wall_clock_start_ms)
  const isOver = (days: number | undefined) => days !== undefined && ageMs >= days * dayMs
  const kept = records.map(keptClass)
  if (isOver(rule?.recording_days)) {
    return { action: "remove", classes: [], records: kept.filter((of) => of !== undefined).length }
  }
  const days: Readonly<Partial<Record<PayloadClass, number>>> = rule?.payload_days ?? {}
  const classes = payloadClasses.filter((of) => isOver(days[of]) && kept.includes(of))
  const due = kept.filter((of) => of !== undefined && classes.includes(of)).length
  return { action: classes.length === 0 ? "keep" : "strip", classes, records: due }
}

/** What a sweep did with a file, or would do. */
export interface SweptFile extends Omit<RetentionDecision, "action"> {
  readonly file: string
  readonly action: RetentionDecision["action"] | "skip"
  readonly session_id?: string
  readonly tenant_id?: string
  /** Why it was skipped, although something may be due. */
  readonly problem?: string
}

export interface SweepOptions {
  readonly policy: RetentionPolicy
  /** Wall clock time, ms. */
  readonly nowMs: number
  /** Only say what would be done; nothing is changed and nothing audited. */
  readonly dryRun: boolean
  /** Keys of recordings that are removed are destroyed in this key store. */
  readonly keys?: string
}

/**
 * Applies a retention policy to the `*.timeline` files of a directory and those below it, in the order of their names.
 *
 * Idempotent: what was stripped or removed is not due again. Every change has an entry in the audit log before it and one
 * after it, and files are replaced as a whole, so that a sweep may be killed and run again. A file that is not closed is
 * never stripped, and removed only a day after its start: it may be a call that goes on. A sealed recording is removed with
 * its key, or not at all.
 */
export const sweep = Effect.fn("Retention.sweep")(function*(
  directory: string,
  options: SweepOptions
): Effect.fn.Return<
  ReadonlyArray<SweptFile>,
  AuditUnavailable | KeyStoreFailure | PlatformError,
  AuditLog | FileSystem.FileSystem
> {
  const fs = yield* FileSystem.FileSystem
  const names = yield* fs.readDirectory(directory, { recursive: true })
  const files = names.filter((name) => name.endsWith(".timeline")).sort().map((name) => `${directory}/${name}`)
  return yield* Effect.forEach(files, (file) => sweepFree(file, options))
})

/** A file that somebody writes is left alone. A dry run changes nothing and so needs nothing. */
const sweepFree = (file: string, options: SweepOptions) =>
  Effect.scoped(
    Effect.andThen(options.dryRun ? mustBeFree(file) : holdIfPossible(file), sweepFile(file, options))
  ).pipe(
    Effect.catchTag("FileInUse", ({ message }) =>
      Effect.succeed<SweptFile>({ file, action: "skip", classes: [], records: 0, problem: message }))
  )

/** Why the key of a recording that is to go could not go with it. */
const keyProblem = Effect.fnUntraced(function*(keyId: string | undefined, keys: string | undefined) {
  if (keyId === undefined) return undefined
  if (keys === undefined) return `its key ${keyId} would stay behind; say with --keys where it is`
  if ((yield* findKey(keys, keyId)) !== undefined || (yield* wasDestroyed(keys, keyId))) return undefined
  return `its key ${keyId} is not in the key store ${keys}, and was not destroyed there; it would stay behind elsewhere`
})

const sweepFile = Effect.fnUntraced(function*(
  file: string,
  options: SweepOptions
): Effect.fn.Return<
  SweptFile,
  AuditUnavailable | KeyStoreFailure | PlatformError,
  AuditLog | FileSystem.FileSystem
> {
  const timeline = yield* read(file).pipe(Effect.catch((error) => Effect.succeed(error)))
  if ("_tag" in timeline) return { file, action: "skip", classes: [], records: 0, problem: timeline.message }
  return yield* sweepOne({
    name: file,
    timeline,
    isClosed: timeline.tear === undefined,
    rewrite: (isMeant) => removePayloads(file, isMeant, "retention"),
    remove: Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      // What an earlier sweep left half written goes with it.
      yield* fs.remove(`${file}.next`, { force: true })
      yield* fs.remove(file)
      yield* syncDirectory(file)
    })
  }, options)
})

/** A recording that may be past its time, wherever it is. */
export interface Sweepable<E> extends Deletable<E> {
  /** No more will come. */
  readonly isClosed: boolean
  /** Removes it as a whole. */
  readonly remove: Effect.Effect<void, E, FileSystem.FileSystem>
}

/** What {@link sweep} does with each recording. */
export const sweepOne = Effect.fnUntraced(function*<E>(
  { isClosed, name: file, remove, rewrite, timeline }: Sweepable<E>,
  options: SweepOptions
): Effect.fn.Return<SweptFile, E | AuditUnavailable | KeyStoreFailure, AuditLog | FileSystem.FileSystem> {
  const { payload_key_id, session_id, tenant_id, wall_clock_start_ms } = timeline.header
  const decision = retentionOf(options.policy, timeline, options.nowMs)
  const about = { file, session_id, tenant_id, ...decision }
  if (decision.action === "keep") return about
  const mayGoOn = options.nowMs - wall_clock_start_ms < dayMs
  if (!isClosed && (decision.action === "strip" || mayGoOn)) {
    return { ...about, action: "skip", problem: "it is not closed; cut it at its end with: rspp timeline repair" }
  }
  const lost = decision.action === "remove" ? yield* keyProblem(payload_key_id, options.keys) : undefined
  if (lost !== undefined) return { ...about, action: "skip", problem: lost }
  if (options.dryRun) return about
  const audit = yield* AuditLog
  const { classes, records } = decision
  const subject = { file, session_id, tenant_id, classes, records }
  yield* audit.append({ action: "sweep", outcome: "granted", reason: decision.action, subject })
  if (decision.action === "strip") {
    yield* rewrite((record) => classes.some((of) => of === keptClass(record)))
  } else {
    if (options.keys !== undefined && payload_key_id !== undefined) yield* destroyKey(options.keys, payload_key_id)
    yield* remove
  }
  yield* audit.append({ action: "sweep", outcome: "done", reason: decision.action, subject })
  return about
})
