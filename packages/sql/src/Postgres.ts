import * as PgClient from "@effect/sql-pg/PgClient"
import { Redacted } from "effect"
import type { Layer } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** Connections of one process, unless it says otherwise. */
const defaultMaxConnections = 4

const connectTimeoutMs = 5000

/** The largest answer: a segment of a recording of one frame of 16 MiB, as the server writes it. */
const maxMessageBytes = 64 * 1024 * 1024

/** `postgres host:port/database`, for messages: neither user nor password. */
export const nameOf = (url: URL): string =>
  `postgres ${url.host === "" ? url.searchParams.get("host") ?? "localhost" : url.host}${url.pathname}`

/**
 * Effect's SqlClient over PostgreSQL, and `PgClient` for LISTEN and NOTIFY. `url` is a libpq URI:
 * `postgres://user@host:5432/database`, a directory of a Unix socket as `?host=/run/postgresql`. Opening it fails when
 * the server cannot be reached.
 */
export const layer = (
  url: Redacted.Redacted<URL>,
  options: { readonly maxConnections?: number } = {}
): Layer.Layer<PgClient.PgClient | SqlClient, SqlError> =>
  PgClient.layer({
    url: Redacted.make(Redacted.value(url).href),
    maxConnections: options.maxConnections ?? defaultMaxConnections,
    connectTimeout: connectTimeoutMs,
    maxMessageSize: maxMessageBytes,
    applicationName: "rspp"
  })
