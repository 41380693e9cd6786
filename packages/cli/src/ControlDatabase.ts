import { ControlPlane } from "@rspp/control/ControlPlane"
import { controlModules } from "@rspp/control/ControlModules"
import type { ControlOptions } from "@rspp/control/ControlModules"
import { DatabaseFailure } from "@rspp/control/ControlError"
import { defaultLeaseOptions, LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import { SnapshotFeed } from "@rspp/control/SnapshotFeed"
import type { FeedOptions } from "@rspp/control/SnapshotFeed"
import type { SnapshotLog } from "@rspp/control/SnapshotLog"
import * as SqlSnapshotLog from "@rspp/control/sql/SqlSnapshotLog"
import * as SqlLeaseStore from "@rspp/control/sql/SqlLeaseStore"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import * as Postgres from "@rspp/sql/Postgres"
import { sqlReason } from "@rspp/sql/SqlReason"
import { Effect, Layer, Redacted } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { DatabaseAddress } from "./LeaseDatabase.ts"

/** The name of a database, for messages: without a password. */
export const databaseName = (database: DatabaseAddress): string =>
  database.kind === "sqlite" ? `sqlite ${database.path}` : Postgres.nameOf(Redacted.value(database.url))

/** Connections that a control plane holds to PostgreSQL: requests wait for one another beyond that. */
const controlConnections = 10

/** A client of a database that this program shares with others. */
export const databaseClient = (database: DatabaseAddress): Layer.Layer<SqlClient, DatabaseFailure> =>
  database.kind === "sqlite"
    ? NodeSqlite.layer(database.path)
    : Postgres.layer(database.url, { maxConnections: controlConnections }).pipe(
      Layer.catch((cause) =>
        Layer.effectContext(Effect.fail(
          new DatabaseFailure({
            message: `${databaseName(database)} cannot be reached (${sqlReason(cause)})`,
            retryable: true,
            cause
          })
        ))
      )
    )

/** A client that only reads: on SQLite it holds up nobody who writes, and makes no file. */
export const databaseReader = (database: DatabaseAddress): Layer.Layer<SqlClient, DatabaseFailure> =>
  database.kind === "sqlite" ? NodeSqlite.layer(database.path, { readOnly: true }) : databaseClient(database)

/** The log of snapshots in the same database. */
const snapshotsIn = (database: DatabaseAddress): Layer.Layer<SnapshotLog, DatabaseFailure, SqlClient> =>
  SqlSnapshotLog.layer({ name: databaseName(database) }).pipe(
    Layer.catch((cause) =>
      Layer.effectContext(Effect.fail(new DatabaseFailure({ message: cause.message, retryable: true, cause })))
    )
  )

/**
 * Every module of the control plane over a database, with the leases in it, and the feed that publishes the snapshots of
 * its sessions there.
 */
export const controlOver = (
  database: DatabaseAddress,
  { snapshotTtlMs, ...options }: ControlOptions & Partial<Pick<FeedOptions, "snapshotTtlMs">> = {}
) =>
  SnapshotFeed.layer(snapshotTtlMs === undefined ? {} : { snapshotTtlMs }).pipe(
    Layer.provideMerge(controlModules(options)),
    Layer.provide(snapshotsIn(database)),
    Layer.provideMerge(LeaseAuthority.layerNoDeps(defaultLeaseOptions)),
    Layer.provide(SqlLeaseStore.layer({ name: databaseName(database) })),
    Layer.provide(LeaseTokens.layer),
    Layer.provideMerge(ControlPlane.layerMemory()),
    Layer.provideMerge(databaseClient(database))
  )
