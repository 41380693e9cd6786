import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

// A backup is a text of JSON lines: a head, a line for each row, and an end with the count of rows and the hash of every
// byte before it. Rows of a table stand together.

export const backupFormat = "rspp-control-backup"
export const backupFormatVersion = 1

export const BackupHead = Schema.Struct({
  format: Schema.Literal(backupFormat),
  format_version: Schema.Literal(backupFormatVersion),
  /** When it was taken, by the database's clock: Unix time, ms. */
  taken_ms: Schema.Int,
  /** The migrations that the database had, by name. */
  migrations: Schema.Array(Schema.String),
  tables: Schema.Array(Schema.Struct({ table: Schema.String, columns: Schema.Array(Schema.String) }))
})
export type BackupHead = typeof BackupHead.Type

/** A value of a column. */
export const Cell = Schema.Union([Schema.String, Schema.Int, Schema.Null])
export type Cell = typeof Cell.Type

/** A row: the place of its table in the head, and its values in the order of the head's columns. */
export const BackupRow = Schema.Struct({ table: Schema.Int, row: Schema.Array(Cell) })
export type BackupRow = typeof BackupRow.Type

export const BackupEnd = Schema.Struct({ rows: Schema.Int, sha256: Schema.String })
export type BackupEnd = typeof BackupEnd.Type

const BackupLine = Schema.Union([BackupHead, BackupRow, BackupEnd])

const decodeLine = Schema.decodeUnknownResult(Schema.fromJsonString(BackupLine), { onExcessProperty: "error" })

/** A line of a backup, or what is wrong with it. */
export const readLine = (text: string): BackupHead | BackupRow | BackupEnd | string => {
  const line = decodeLine(text)
  return Result.isSuccess(line) ? line.success : "is no line of a backup of this format"
}

export const lineOf = (line: BackupHead | BackupRow | BackupEnd): string => `${JSON.stringify(line)}\n`

/** The hash of lines, as they go by. */
export const runningHash = () => {
  const hash = sha256.create()
  return {
    add: (line: string) => void hash.update(utf8ToBytes(line)),
    digest: () => bytesToHex(hash.digest())
  }
}
