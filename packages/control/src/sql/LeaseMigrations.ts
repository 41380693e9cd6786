import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

/** Where PostgreSQL says whose lease has changed hands or ended. */
export const leaseChannel = "rspp_leases"

/** The table of leases. Numbers 0010 to 0014 and 0030 to 0034 are its. */
export const leaseMigrations = {
  "0010_leases": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const long = sql.onDialectOrElse({ pg: () => sql.literal("BIGINT"), orElse: () => sql.literal("INTEGER") })
    yield* sql`CREATE TABLE rspp_leases (
      session_id TEXT NOT NULL PRIMARY KEY,
      revision ${long} NOT NULL,
      placement_id TEXT NOT NULL,
      authority_epoch ${long} NOT NULL CHECK (authority_epoch >= 1),
      lease_token TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('held', 'revoked', 'expired')),
      expires_at_ms ${long} NOT NULL
    )`
    yield* sql`CREATE INDEX rspp_leases_by_end ON rspp_leases (expires_at_ms)`
  }),
  // Whoever ends an epoch, and however: the database tells of it in the transaction that does it. Renewals are not told.
  "0030_lease_news": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql.onDialectOrElse({
      pg: () =>
        Effect.andThen(
          sql.unsafe(`CREATE FUNCTION rspp_tell_lease() RETURNS trigger LANGUAGE plpgsql AS $tell$
            BEGIN
              PERFORM pg_notify('${leaseChannel}', NEW.session_id);
              RETURN NULL;
            END
          $tell$`),
          sql.unsafe(`CREATE TRIGGER rspp_lease_news AFTER UPDATE ON rspp_leases FOR EACH ROW
            WHEN (OLD.authority_epoch <> NEW.authority_epoch OR OLD.state <> NEW.state)
            EXECUTE FUNCTION rspp_tell_lease()`)
        ),
      orElse: () => Effect.void
    })
  })
}
