import type { SnapshotLog } from "@rspp/control/SnapshotLog"
import { SnapshotLogFailure } from "@rspp/control/SnapshotLog"
import { SnapshotFollower } from "@rspp/control/SnapshotFollower"
import type { FollowerOptions } from "@rspp/control/SnapshotFollower"
import { Effect, Layer, Redacted } from "effect"
import type { FileSystem, Path } from "effect"
import { CliFailure } from "./CliFailure.ts"
import { parseStore } from "./StoreAddress.ts"
import type { StoreAddress } from "./StoreAddress.ts"

/** Where a session's snapshots come from when the control plane is somewhere else. */
export interface SharedSnapshots {
  readonly address: StoreAddress
  /** What shares them: see {@link SnapshotLog}. */
  readonly scope: string
  readonly options: Partial<FollowerOptions>
}

/** Reads `dir:PATH`, `sqlite:PATH` or `postgres:URL`. */
export const parseSnapshots = (text: string): Effect.Effect<StoreAddress, CliFailure> =>
  Effect.mapError(parseStore(text), ({ message }) =>
    new CliFailure({
      exit: "usage",
      message: message.replace("store", "place of snapshots"),
      hint:
        "Snapshots are in dir:PATH, sqlite:PATH, or postgres://USER@HOST/DATABASE (its password may be in PGPASSWORD)."
    }))

/** Opens a log of snapshots; its code is loaded only then. */
export const snapshotLog = (
  address: StoreAddress
): Layer.Layer<SnapshotLog, SnapshotLogFailure, FileSystem.FileSystem | Path.Path> =>
  Layer.unwrap(Effect.promise(async () => {
    if (address.kind === "dir") return (await import("@rspp/control/FileSnapshotLog")).layer(address.path)
    const SqlSnapshotLog = await import("@rspp/control/sql/SqlSnapshotLog")
    if (address.kind !== "postgres") {
      const { layer } = await import("@rspp/sql/NodeSqlite")
      return SqlSnapshotLog.layer({ name: `sqlite ${address.path}` }).pipe(Layer.provide(layer(address.path)))
    }
    const { layer, nameOf } = await import("@rspp/sql/Postgres")
    const { listening } = await import("@rspp/sql/Listening")
    const name = nameOf(Redacted.value(address.url))
    return Layer.unwrap(Effect.map(listening, (listen) => SqlSnapshotLog.layer({ name, listen }))).pipe(
      Layer.provide(layer(address.url)),
      Layer.catchTag("SqlError", (cause) =>
        Layer.effectContext(Effect.fail(
          new SnapshotLogFailure({
            log: name,
            reason: "unavailable",
            message: `${name}: its snapshots cannot be reached (${cause.message})`,
            cause
          })
        )))
    )
  }))

/** A session's snapshots, followed where they are published. */
export const sharedSnapshots = ({ address, options }: SharedSnapshots) =>
  SnapshotFollower.layerNoDeps(options).pipe(Layer.provide(snapshotLog(address)))
