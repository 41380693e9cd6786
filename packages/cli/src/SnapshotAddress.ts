import type { SnapshotLog } from "@rspp/control/SnapshotLog"
import { SnapshotLogFailure } from "@rspp/control/SnapshotLog"
import { SnapshotFollower } from "@rspp/control/SnapshotFollower"
import type { FollowerOptions } from "@rspp/control/SnapshotFollower"
import { Effect, Layer, Redacted } from "effect"
import type { FileSystem, Path } from "effect"
import type { ControlServer } from "@rspp/control/http/ControlClient"
import { CliFailure } from "./CliFailure.ts"
import { isControlServer, parseControlServer } from "./ControlServerAddress.ts"
import { parseStore } from "./StoreAddress.ts"
import type { StoreAddress } from "./StoreAddress.ts"

/** A place of snapshots, as the command line names it. */
export type SnapshotAddress = StoreAddress | { readonly kind: "http"; readonly server: ControlServer }

/** Where a session's snapshots come from when the control plane is somewhere else. */
export interface SharedSnapshots {
  readonly address: SnapshotAddress
  /** What shares them: see {@link SnapshotLog}. */
  readonly scope: string
  /** Sessions of the same kind, whose snapshots this one may begin with; see the follower's SF5. */
  readonly group?: string
  readonly options: Partial<FollowerOptions>
}

/** Reads `dir:PATH`, `sqlite:PATH`, `postgres:URL`, or the URL of a control plane. */
export const parseSnapshots = (text: string): Effect.Effect<SnapshotAddress, CliFailure> =>
  isControlServer(text)
    ? Effect.map(parseControlServer(text, "--snapshots"), (server) => ({ kind: "http", server }))
    : Effect.mapError(parseStore(text), ({ message }) =>
      new CliFailure({
        exit: "usage",
        message: message.replace("store", "place of snapshots"),
        hint:
          "Snapshots are in dir:PATH, sqlite:PATH, postgres://USER@HOST/DATABASE (its password may be in PGPASSWORD), or at http://HOST:PORT of a control plane."
      }))

/** Opens a log of snapshots; its code is loaded only then. */
export const snapshotLog = (
  address: SnapshotAddress
): Layer.Layer<SnapshotLog, SnapshotLogFailure, FileSystem.FileSystem | Path.Path> =>
  Layer.unwrap(Effect.promise(async () => {
    if (address.kind === "http") {
      const { layer } = await import("@rspp/control/http/HttpSnapshotLog")
      const FetchHttpClient = await import("effect/http/FetchHttpClient")
      return layer(address.server).pipe(Layer.provide(FetchHttpClient.layer))
    }
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
