import { PgClient } from "@effect/sql-pg/PgClient"
import { Effect, Stream } from "effect"
import type { SqlError } from "effect/sql/SqlError"

/**
 * What PostgreSQL says on a channel (LISTEN), payload by payload. A stream begins with `""`, when it has begun to listen:
 * what was said before that was missed. It fails when the connection is lost, and holds a connection of the client for as
 * long as it runs.
 */
export const listening: Effect.Effect<(channel: string) => Stream.Stream<string, SqlError>, never, PgClient> = Effect
  .map(
    PgClient,
    (client) => (channel) =>
      Stream.unwrap(
        Effect.map(
          client.listen(channel),
          (queue) => Stream.concat(Stream.succeed(""), Stream.map(Stream.fromQueue(queue), ({ payload }) => payload))
        )
      )
  )
