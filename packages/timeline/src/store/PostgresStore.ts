import * as Postgres from "@rspp/sql/Postgres"
import { Effect, Layer, Redacted } from "effect"
import * as SqlTimelineStore from "./SqlTimelineStore.ts"
import type { StoreRefused, StoreUnavailable, TimelineStore } from "./TimelineStore.ts"

/**
 * Recordings in PostgreSQL, for more than one machine. `url` is a libpq URI: `postgres://user@host:5432/database`, a
 * directory of a Unix socket as `?host=/run/postgresql`. Opening it fails when the server cannot be reached.
 */
export const layer = (url: Redacted.Redacted<URL>): Layer.Layer<TimelineStore, StoreUnavailable | StoreRefused> => {
  const name = Postgres.nameOf(Redacted.value(url))
  const failed = SqlTimelineStore.storeFailure(name)
  return SqlTimelineStore.layer(name).pipe(
    Layer.provide(Postgres.layer(url).pipe(Layer.catch((error) => Layer.effectContext(Effect.fail(failed(error))))))
  )
}
