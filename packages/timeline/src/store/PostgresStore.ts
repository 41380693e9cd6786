import * as PgClient from "@effect/sql-pg/PgClient"
import { Effect, Layer, Redacted } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import { SqlClient } from "effect/sql/SqlClient"
import * as SqlTimelineStore from "./SqlTimelineStore.ts"
import type { StoreRefused, StoreUnavailable, TimelineStore } from "./TimelineStore.ts"

/** Connections of one process. */
const maxConnections = 4

const connectTimeoutMs = 5000

/** The largest answer: a segment of one frame of 16 MiB, as the server writes it. */
const maxMessageBytes = 64 * 1024 * 1024

/** `postgres host:port/database`, for messages: neither user nor password. */
const nameOf = (url: URL): string =>
  `postgres ${url.host === "" ? url.searchParams.get("host") ?? "localhost" : url.host}${url.pathname}`

/**
 * Recordings in PostgreSQL, for more than one machine. `url` is a libpq URI: `postgres://user@host:5432/database`, a
 * directory of a Unix socket as `?host=/run/postgresql`. Opening it fails when the server cannot be reached.
 */
export const layer = (url: Redacted.Redacted<URL>): Layer.Layer<TimelineStore, StoreUnavailable | StoreRefused> => {
  const name = nameOf(Redacted.value(url))
  const client = PgClient.make({
    url: Redacted.make(Redacted.value(url).href),
    maxConnections,
    connectTimeout: connectTimeoutMs,
    maxMessageSize: maxMessageBytes,
    applicationName: "rspp"
  })
  return SqlTimelineStore.layer(name).pipe(
    Layer.provide(Layer.effect(SqlClient, Effect.mapError(client, SqlTimelineStore.storeFailure(name)))),
    Layer.provide(Reactivity.layer)
  )
}
