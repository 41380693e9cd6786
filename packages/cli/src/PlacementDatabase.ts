import { defaultLeaseOptions } from "@rspp/control/LeaseAuthority"
import { Effect, Layer } from "effect"
import { CliFailure } from "./CliFailure.ts"
import { databaseClient } from "./ControlDatabase.ts"
import type { DatabaseAddress, SharedLeases } from "./LeaseDatabase.ts"

/** The cluster's locks are connections of the server: only PostgreSQL has them. */
const mustBePostgres = (database: DatabaseAddress): Effect.Effect<void, CliFailure> =>
  database.kind === "postgres" ? Effect.void : Effect.fail(
    new CliFailure({
      exit: "usage",
      message: "sessions are placed by way of PostgreSQL only",
      hint: "Give --leases postgres://USER@HOST/DATABASE."
    })
  )

const load = Effect.promise(() => import("@rspp/control/SessionPlacement"))

/** Makes this process one of those that sessions are placed on. */
export const placedRuntimes = Effect.fnUntraced(function*({ database, ttlMs }: SharedLeases) {
  yield* mustBePostgres(database)
  const { SessionPlacement } = yield* load
  return (runtime: Parameters<typeof SessionPlacement.layerRuntime>[1]) =>
    SessionPlacement.layerRuntime({ goneAfterMs: ttlMs }, runtime).pipe(Layer.provide(databaseClient(database)))
})

/** Places sessions from a process that runs none. */
export const placementClient = Effect.fnUntraced(function*(database: DatabaseAddress) {
  yield* mustBePostgres(database)
  const { SessionPlacement } = yield* load
  return {
    SessionPlacement,
    layer: SessionPlacement.layerClient({ goneAfterMs: defaultLeaseOptions.ttlMs }).pipe(
      Layer.provide(databaseClient(database))
    )
  }
})
