import { ControlBackup } from "@rspp/control/ControlBackup"
import { Effect, FileSystem, Layer, Path } from "effect"
import * as Option from "effect/Option"
import { CliFailure } from "../CliFailure.ts"
import { databaseName, databaseReader } from "../ControlDatabase.ts"
import { parseLeases } from "../LeaseDatabase.ts"
import { notWritable, parentMustExist } from "../OutputFiles.ts"
import { Screen } from "../Screen.ts"

export interface BackupFlags {
  readonly database: string
  readonly to: string
  readonly json: boolean
}

/** Some network and FAT file systems know no links. */
const notLinked = (to: string) =>
  new CliFailure({
    exit: "unavailable",
    message: `${to}: the backup is whole, but cannot be given its name there: this file system makes no hard links`,
    hint: "Give a --to on a local disk, and copy the file from there."
  })

const halfWritten = (partial: string) =>
  new CliFailure({
    exit: "bad_input",
    message: `${partial} is there: another backup is being written to it, or one was cut off`,
    hint: "Wait for it; or, if nobody writes it, remove it or give another --to."
  })

/**
 * `rspp control-plane backup`: the whole of it in a new file that only its owner can read. The file has its name when it is
 * complete and on the disk; until then it is `FILE.partial`, which is gone when the command fails.
 */
export const backUp = Effect.fn("rspp.control-plane.backup")(
  function*({ database: text, json, to }: BackupFlags) {
    const screen = yield* Screen
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const database = yield* parseLeases(text)
    const is = (path: string) => Effect.orElseSucceed(fs.exists(path), () => false)
    if (database.kind === "sqlite" && !(yield* is(database.path))) {
      return yield* new CliFailure({
        exit: "bad_input",
        message: `${databaseName(database)}: there is no such file`,
        hint: "Name the database that rspp control-plane has."
      })
    }
    yield* parentMustExist(to)
    const taken = () =>
      new CliFailure({
        exit: "bad_input",
        message: `${to} is there already`,
        hint: "Give another --to; nothing is overwritten."
      })
    if (yield* is(to)) return yield* taken()
    const partial = `${to}.partial`
    const report = yield* Effect.gen(function*() {
      const file = yield* Effect.mapError(
        fs.open(partial, { flag: "wx", mode: 0o600 }),
        ({ reason }) => reason._tag === "AlreadyExists" ? halfWritten(partial) : notWritable(partial)
      )
      yield* Effect.addFinalizer(() => Effect.ignore(fs.remove(partial)))
      const encoder = new TextEncoder()
      const report = yield* Effect.flatMap(
        ControlBackup,
        (backup) =>
          backup.take((lines) => Effect.mapError(file.writeAll(encoder.encode(lines)), () => notWritable(partial)))
      )
      yield* file.sync
      // a link, not a rename: another file of this name is not replaced
      yield* Effect.mapError(
        fs.link(partial, to),
        ({ reason }) => reason._tag === "AlreadyExists" ? taken() : notLinked(to)
      )
      return report
    }).pipe(Effect.scoped, Effect.provide(ControlBackup.layer.pipe(Layer.provide(databaseReader(database)))))
    const directory = yield* Effect.option(fs.open(paths.dirname(to), { flag: "r" }))
    if (Option.isSome(directory)) yield* Effect.ignore(directory.value.sync)
    if (json) screen.line(JSON.stringify({ file: to, ...report }))
    else {
      screen.line(`${to}: ${report.rows} rows of ${databaseName(database)}, sha256 ${report.sha256}`)
      screen.line(`audit log: ${report.audit.sequence} rows, head ${report.audit.hash}`)
    }
    return undefined
  },
  Effect.scoped
)
