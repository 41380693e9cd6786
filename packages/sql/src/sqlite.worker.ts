// A thread of its own for one SQLite database: SQLite waits for the disk, and the thread of the sessions must not.
// It knows nothing of timelines. See NodeSqlite.ts for the other end.
import { closeSync, openSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import type { SQLInputValue, StatementSync } from "node:sqlite"
import { parentPort, workerData } from "node:worker_threads"
import type { SqliteAnswer, SqliteOptions, SqliteRequest } from "./NodeSqlite.ts"

/** Statements that stay prepared; a store has a handful. */
const maxStatements = 64

const { busyTimeoutMs, file, maxPages, readOnly } = workerData as SqliteOptions

let database: DatabaseSync | undefined
const statements = new Map<string, StatementSync>()

const openDatabase = (): DatabaseSync => {
  if (database !== undefined) return database
  // For its owner only; what SQLite puts beside it has the mode of the file.
  if (!readOnly && file !== ":memory:") closeSync(openSync(file, "a", 0o600))
  const opened = new DatabaseSync(file, { readOnly })
  try {
    opened.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`)
    // Readers do not wait for the writer; and what COMMIT has answered survives a power cut.
    if (!readOnly) opened.exec("PRAGMA journal_mode = WAL")
    opened.exec("PRAGMA synchronous = FULL")
    // What is deleted is overwritten.
    if (!readOnly) opened.exec("PRAGMA secure_delete = ON")
    if (maxPages !== undefined) opened.exec(`PRAGMA max_page_count = ${maxPages}`)
  } catch (error) {
    opened.close()
    throw error
  }
  database = opened
  return opened
}

const prepare = (sql: string): StatementSync => {
  const known = statements.get(sql)
  if (known !== undefined) return known
  const statement = openDatabase().prepare(sql)
  const [oldest] = statements.keys()
  if (statements.size >= maxStatements && oldest !== undefined) statements.delete(oldest)
  statements.set(sql, statement)
  return statement
}

const run = ({ arrays, params, sql }: SqliteRequest): SqliteAnswer["rows"] => {
  const statement = prepare(sql)
  statement.setReturnArrays(arrays)
  if (statement.columns().length > 0) return statement.all(...params as Array<SQLInputValue>)
  statement.run(...params as Array<SQLInputValue>)
  return []
}

parentPort?.on("message", (request: SqliteRequest | "close") => {
  if (request === "close") {
    database?.close()
    parentPort?.close()
    return
  }
  let answer: SqliteAnswer
  try {
    answer = { id: request.id, rows: run(request) }
  } catch (error) {
    const { errcode, message } = error as { readonly errcode?: number; readonly message: string }
    answer = { id: request.id, rows: [], failure: { errno: errcode, message } }
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage(answer)
})
