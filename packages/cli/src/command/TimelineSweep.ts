import { AuditLog } from "@rspp/timeline/privacy/AuditLog"
import { sweep } from "@rspp/timeline/privacy/Retention"
import type { SweptFile } from "@rspp/timeline/privacy/Retention"
import { sweepStored } from "@rspp/timeline/store/StoredDeletion"
import { Clock, Effect, FileSystem, Layer, Path } from "effect"
import { CliFailure, told } from "../CliFailure.ts"
import { ofKind, readJson } from "../JsonInput.ts"
import { deletionStore } from "../StoreAddress.ts"
import { Screen } from "../Screen.ts"

export interface SweepFlags {
  readonly directory: string | undefined
  /** Sweeps a store instead of a directory. */
  readonly store: string | undefined
  readonly policy: string
  readonly now: string | undefined
  readonly dryRun: boolean
  readonly keys: string | undefined
  readonly audit: string | undefined
  readonly json: boolean
}

/** `rspp timeline sweep`: removes from recordings what is past its time. */
export const sweepTimelines = Effect.fn("rspp.timeline.sweep")(function*(flags: SweepFlags) {
  const { directory, dryRun, json, keys, store } = flags
  if ((directory === undefined) === (store === undefined)) {
    return yield* new CliFailure({
      exit: "usage",
      message: directory === undefined
        ? "there is nothing to sweep"
        : "a directory and a store cannot be swept at once",
      hint: "Give a DIR of recordings, or --store STORE."
    })
  }
  const screen = yield* Screen
  const paths = yield* Path.Path
  const policy = yield* ofKind(flags.policy, "retention_policy", yield* readJson(flags.policy, "a retention policy"))
  const nowMs = flags.now === undefined ? yield* Clock.currentTimeMillis : Date.parse(flags.now)
  if (Number.isNaN(nowMs)) {
    return yield* new CliFailure({
      exit: "usage",
      message: `--now is no time: ${flags.now}`,
      hint: "Give it as 2026-12-31 or 2026-12-31T12:00:00Z."
    })
  }
  const fs = yield* FileSystem.FileSystem
  for (const [path, what] of [[directory, "directory of recordings"], [keys, "key store"]] as const) {
    if (path === undefined) continue
    const kind = yield* fs.stat(path).pipe(Effect.map(({ type }) => type), Effect.orElseSucceed(() => undefined))
    if (kind === "Directory") continue
    return yield* new CliFailure({
      exit: "bad_input",
      message: kind === undefined ? `${path}: there is no such ${what}` : `${path} is no directory`,
      hint: `Give the path of a ${what}.`
    })
  }
  const options = { policy, nowMs, dryRun, ...(keys === undefined ? {} : { keys }) }
  const stored = store === undefined ? undefined : yield* deletionStore(store, flags.audit)
  const log = stored?.log ?? flags.audit ?? paths.join(directory ?? ".", "audit.jsonl")
  const audit = AuditLog.layer(log)
  const files = stored === undefined
    ? yield* Effect.provide(sweep(directory ?? ".", options), audit)
    : yield* Effect.provide(sweepStored(options), Layer.merge(stored.layer, audit))
  if (json) {
    screen.line(
      JSON.stringify({
        ...(directory === undefined ? { store } : { directory }),
        dry_run: dryRun,
        now_ms: nowMs,
        files
      })
    )
  } else {
    for (const file of files) if (file.action !== "keep") screen.line(lineOf(file, dryRun))
    const count = (action: SweptFile["action"]) => files.filter((file) => file.action === action).length
    const [stripped, removed, skipped] = [count("strip"), count("remove"), count("skip")]
    screen.line(
      `${files.length} recordings: ${stripped} stripped, ${removed} removed, ${skipped} skipped` +
        (dryRun ? " (dry run: nothing was changed)" : "")
    )
  }
  if (files.some(({ action }) => action === "skip")) return yield* told("bad_input")
  return undefined
})

const lineOf = ({ action, classes, file, problem, records }: SweptFile, dryRun: boolean): string => {
  const would = dryRun ? "would be " : ""
  switch (action) {
    case "strip":
      return `${file}: ${records} records of ${classes.join(", ")} ${would}removed`
    case "remove":
      return `${file}: ${would}removed as a whole`
    default:
      return `${file}: skipped: ${problem ?? ""}`
  }
}
