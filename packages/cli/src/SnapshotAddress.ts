import type { SnapshotLog } from "@rspp/control/SnapshotLog"
import { SnapshotLogFailure } from "@rspp/control/SnapshotLog"
import { SnapshotFollower } from "@rspp/control/SnapshotFollower"
import type { FollowerOptions } from "@rspp/control/SnapshotFollower"
import { sqlReason } from "@rspp/sql/SqlReason"
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

/** What the command line says of snapshots that are published somewhere else. */
export interface SnapshotFlags {
  readonly snapshots: string | undefined
  readonly snapshotScope: string | undefined
  readonly maxStaleness: number | undefined
}

const usage = (message: string, hint: string) => Effect.fail(new CliFailure({ exit: "usage", message, hint }))

/** Checks what is said of snapshots, and reads where they are; undefined: nothing is said. */
export const readSnapshots = Effect.fnUntraced(
  function*({ maxStaleness, snapshotScope, snapshots }: SnapshotFlags) {
    if (snapshots === undefined) {
      if (maxStaleness === undefined && snapshotScope === undefined) return undefined
      return yield* usage(
        "--snapshot-scope and --max-staleness are of --snapshots",
        "Say where the snapshots are: --snapshots dir:PATH, sqlite:PATH, postgres://… or http://…"
      )
    }
    if (maxStaleness !== undefined && maxStaleness < 0) {
      return yield* usage(
        "--max-staleness cannot be negative",
        "It is in ms; without it snapshots count for their TTL."
      )
    }
    const read: Pick<SharedSnapshots, "address" | "options"> = {
      address: yield* parseSnapshots(snapshots),
      options: maxStaleness === undefined ? {} : { maxStalenessMs: maxStaleness }
    }
    return read
  }
)

/** Whose snapshots a session follows when nobody says it: a control plane has its own, other places a pipeline's. */
export const usualScope = ({ kind }: SnapshotAddress, session_id: string, pipelineId: string): string =>
  kind === "http" ? session_id : pipelineId

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
            message: `${name}: its snapshots cannot be reached (${sqlReason(cause)})`,
            cause
          })
        )))
    )
  }))

/** Sessions' snapshots, followed where they are published. */
export const sharedSnapshots = ({ address, options }: Pick<SharedSnapshots, "address" | "options">) =>
  SnapshotFollower.layerNoDeps(options).pipe(Layer.provide(snapshotLog(address)))
