import { ControlBackup } from "@rspp/control/ControlBackup"
import { Effect, FileSystem, Layer, Stream } from "effect"
import { CliFailure, told } from "../CliFailure.ts"
import { databaseClient, databaseName } from "../ControlDatabase.ts"
import { parseLeases } from "../LeaseDatabase.ts"
import { parentMustExist } from "../OutputFiles.ts"
import { Screen } from "../Screen.ts"

export interface RestoreFlags {
  readonly database: string
  readonly from: string
  readonly json: boolean
}

/**
 * `rspp control-plane restore`: a backup, whole, into a database without a control plane. Ends with 1 when the audit log in
 * the backup was not intact: everything is restored then all the same.
 */
export const restoreBackup = Effect.fn("rspp.control-plane.restore")(
  function*({ database: text, from, json }: RestoreFlags) {
    const screen = yield* Screen
    const fs = yield* FileSystem.FileSystem
    const database = yield* parseLeases(text)
    // before a database is made for it
    yield* Effect.mapError(
      Effect.scoped(fs.open(from, { flag: "r" })),
      ({ message }) =>
        new CliFailure({
          exit: "bad_input",
          message: `${from}: cannot be read (${message})`,
          hint: "Give a file of rspp control-plane backup."
        })
    )
    const fresh = database.kind === "sqlite" && !(yield* Effect.orElseSucceed(fs.exists(database.path), () => false))
    if (database.kind === "sqlite") yield* parentMustExist(database.path)
    const lines = fs.stream(from).pipe(Stream.decodeText, Stream.splitLines)
    const report = yield* Effect.flatMap(ControlBackup, (backup) => backup.restore(lines)).pipe(
      Effect.provide(ControlBackup.layer.pipe(Layer.provide(databaseClient(database)))),
      // a file that was made for nothing; one that another program is making something of is not ours
      Effect.tapError(({ _tag }) =>
        fresh && database.kind === "sqlite" && _tag !== "RestoreRefused" && _tag !== "DatabaseFailure"
          ? Effect.forEach(["", "-wal", "-shm"], (end) => Effect.ignore(fs.remove(`${database.path}${end}`)))
          : Effect.void
      )
    )
    const { audit, counter_floor, live_keys, rows, taken_ms } = report
    const when = new Date(taken_ms).toISOString()
    if (json) screen.line(JSON.stringify({ database: databaseName(database), ...report }))
    else {
      screen.line(`${databaseName(database)}: ${rows} rows of ${when}`)
      screen.line(`epochs, versions and revisions go on above ${counter_floor}`)
      screen.line(
        audit.intact
          ? `audit log: intact, ${audit.records} rows, head ${audit.head}`
          : `audit log: NOT intact: ${audit.problem?.message ?? ""}`
      )
      screen.line(`${live_keys} API keys are accepted, also those that were revoked after ${when}: revoke them again`)
    }
    return audit.intact ? undefined : yield* told("violation")
  }
)
