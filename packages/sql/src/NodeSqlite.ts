import { Effect, Layer, Semaphore, Stream } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import { Worker } from "node:worker_threads"

/** What the thread is opened with. */
export interface SqliteOptions {
  readonly file: string
  readonly readOnly: boolean
  /** How long a statement waits for another process that writes, ms. */
  readonly busyTimeoutMs: number
  /** The file may not have more pages (of 4 KiB): a quota. */
  readonly maxPages?: number
}

/** One statement, to the thread. */
export interface SqliteRequest {
  readonly id: number
  readonly sql: string
  readonly params: ReadonlyArray<unknown>
  /** Rows as arrays of values instead of objects. */
  readonly arrays: boolean
}

export interface SqliteAnswer {
  readonly id: number
  readonly rows: ReadonlyArray<unknown>
  readonly failure?: { readonly errno: number | undefined; readonly message: string }
}

/** Default of `busyTimeoutMs`: less than a shipper waits for a put. */
export const busyTimeoutMs = 2000

/**
 * Effect's SqlClient over Node's own SQLite (`node:sqlite`), in a thread of its own: a statement that waits for the disk
 * holds nobody up. No Effect package has that: `@effect/sql-sqlite-node` exists only for the betas of Effect 4, and
 * executes on the thread of its caller.
 *
 * The file is created when its directory exists. One connection, so one statement or transaction at a time; other
 * processes may have the same file open. Journal in WAL mode, and each commit is synced. An interrupted statement still
 * runs to its end in the thread; its result is dropped.
 */
export const layer = (
  file: string,
  options: { readonly readOnly?: boolean; readonly maxPages?: number } = {}
): Layer.Layer<SqlClient.SqlClient> =>
  Layer.effect(SqlClient.SqlClient, make({ file, readOnly: false, busyTimeoutMs, ...options })).pipe(
    Layer.provide(Reactivity.layer)
  )

type Resume = (result: Effect.Effect<ReadonlyArray<unknown>, SqlError>) => void

const failure = (cause: unknown, message: string): SqlError =>
  new SqlError({ reason: classifySqliteError(cause, { message, operation: "execute" }) })

const make = Effect.fnUntraced(function*(options: SqliteOptions) {
  const waiting = new Map<number, Resume>()
  let last = 0
  let gone: string | undefined

  const worker = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Worker(new URL("./sqlite.worker.ts", import.meta.url), {
        workerData: options,
        // Node 22 calls its SQLite experimental, once for each thread.
        execArgv: ["--disable-warning=ExperimentalWarning"]
      })
    ),
    (thread) =>
      Effect.callback<void>((resume) => {
        if (gone !== undefined) return resume(Effect.void)
        thread.once("exit", () => resume(Effect.void))
        thread.postMessage("close")
      })
  )
  const end = (reason: string) => {
    gone ??= reason
    for (const resume of waiting.values()) resume(Effect.fail(failure(new Error(gone), gone)))
    waiting.clear()
  }
  worker.on("message", ({ failure: failed, id, rows }: SqliteAnswer) => {
    const resume = waiting.get(id)
    waiting.delete(id)
    resume?.(failed === undefined ? Effect.succeed(rows) : Effect.fail(failure(failed, failed.message)))
  })
  worker.on("error", (error) => end(`the thread of the database ended: ${String(error)}`))
  worker.on("exit", () => end("the thread of the database has ended"))

  const run = (sql: string, params: ReadonlyArray<unknown>, arrays: boolean) =>
    Effect.callback<ReadonlyArray<unknown>, SqlError>((resume) => {
      if (gone !== undefined) return resume(Effect.fail(failure(new Error(gone), gone)))
      const id = ++last
      waiting.set(id, resume)
      worker.postMessage({ id, sql, params, arrays } satisfies SqliteRequest)
      return Effect.sync(() => void waiting.delete(id))
    })

  const execute: Connection["execute"] = (sql, params, transform) =>
    Effect.map(run(sql, params, false), (rows) => transform?.(rows as ReadonlyArray<object>) ?? rows)
  const values: Connection["executeValues"] = (sql, params) =>
    run(sql, params, true) as Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError>
  const connection: Connection = {
    execute,
    executeRaw: (sql, params) => run(sql, params, false),
    executeValues: values,
    executeValuesUnprepared: values,
    executeUnprepared: execute,
    executeStream: (sql, params, transform) =>
      Stream.unwrap(Effect.map(execute(sql, params, transform), (rows) => Stream.fromIterable(rows)))
  }
  const semaphore = yield* Semaphore.make(1)
  const shared = SqlClient.makeSqliteAcquirers({ connection: Effect.succeed(connection), semaphore })
  return yield* SqlClient.make({
    acquirer: shared.acquirer,
    borrower: shared.borrower,
    transactionAcquirer: shared.transactionAcquirer,
    onCommitFailure: shared.onCommitFailure,
    // A transaction that writes takes its lock at once: taking it halfway fails when another process writes too.
    beginTransaction: "BEGIN IMMEDIATE",
    compiler: Statement.makeCompilerSqlite(),
    driver: "node-sqlite",
    spanAttributes: [["db.system.name", "sqlite"]]
  })
})
