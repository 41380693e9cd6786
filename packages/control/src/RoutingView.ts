import { Id } from "@rspp/contracts/Identity"
import type { RoutingViewSnapshot } from "@rspp/contracts/Snapshot"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import { DatabaseFailure, notFound } from "./ControlError.ts"
import type { ControlNotFound } from "./ControlError.ts"
import { LeaseAuthority } from "./LeaseAuthority.ts"
import { failing, JsonText, Long, rowsOf } from "./sql/Database.ts"

/** A place that runs sessions, as it says of itself. */
export const Placement = Schema.Struct({
  placement_id: Id,
  region: Schema.optionalKey(Id),
  /** Where it can be reached, best first. */
  endpoints: Schema.Array(Id).check(Schema.isMaxLength(8))
})
export type Placement = typeof Placement.Type

/** How long a placement counts as there after it last said so, ms. */
export const placementTtlMs = 30_000

/** How long after that a placement is remembered, ms: it may still hold a lease that it renews in the database. */
export const placementKeptMs = 3_600_000

/** Most placements beside its own that a session's view names. */
const maxOthers = 8

/**
 * Routing view (CP-08): where a session is, under which epoch, and where else it could go.
 *
 * Guarantees:
 * - **V1** placement and epoch are those of the live lease; a session without one has no view.
 * - **V2** endpoints are in the order in which they are to be tried: those of the session's own placement as it gave
 *   them, then the other live placements of the tenant, of the session's region first, by name; none twice.
 * - **V3** a placement that has not announced itself for {@link placementTtlMs} is not named, unless it holds the lease;
 *   {@link placementKeptMs} later it is forgotten, when any placement of its tenant announces itself.
 */
export class RoutingView extends Context.Service<RoutingView, {
  /** A placement says that it is there; to be repeated well within {@link placementTtlMs}. */
  readonly announce: (tenant_id: string, placement: Placement) => Effect.Effect<void, DatabaseFailure>
  readonly placements: (tenant_id: string) => Effect.Effect<ReadonlyArray<Placement>, DatabaseFailure>
  /** The body of `routing_view_snapshot`. */
  readonly view: (
    tenant_id: string,
    session: { readonly session_id: string; readonly region?: string | undefined }
  ) => Effect.Effect<RoutingViewSnapshot["body"], ControlNotFound | DatabaseFailure>
}>()("rspp/RoutingView") {
  static readonly layer: Layer.Layer<RoutingView, never, SqlClient.SqlClient | LeaseAuthority> = Layer.effect(
    RoutingView,
    Effect.suspend(() => make)
  )
}

const Row = Schema.Struct({
  placement_id: Schema.String,
  region: Schema.NullOr(Schema.String),
  endpoints: JsonText(Schema.Array(Schema.String)),
  expires_ms: Long
})

/** V2: pure. */
export const orderEndpoints = (
  placements: ReadonlyArray<Placement>,
  own: string,
  region: string | undefined
): ReadonlyArray<string> => {
  const rank = (placement: Placement) =>
    placement.placement_id === own ? 0 : region !== undefined && placement.region === region ? 1 : 2
  const ordered = [...placements].sort((a, b) => rank(a) - rank(b) || (a.placement_id < b.placement_id ? -1 : 1))
  const others = ordered.filter(({ placement_id }) => placement_id !== own).slice(0, maxOthers)
  const first = ordered.filter(({ placement_id }) => placement_id === own)
  return [...new Set([...first, ...others].flatMap(({ endpoints }) => endpoints))]
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const leases = yield* LeaseAuthority
  const rows = rowsOf("rspp_placements", Row)
  const now = Effect.map(Clock.currentTimeMillis, Math.floor)

  const known = Effect.fnUntraced(function*(tenant_id: string, own?: string) {
    const now_ms = yield* now
    const found = yield* rows(sql`SELECT placement_id, region, endpoints, expires_ms FROM rspp_placements
      WHERE tenant_id = ${tenant_id} AND (expires_ms > ${now_ms} OR placement_id = ${own ?? ""})
      ORDER BY placement_id`)
    return found.map(({ endpoints, placement_id, region }): Placement => ({
      placement_id,
      endpoints,
      ...(region === null ? {} : { region })
    }))
  })

  return RoutingView.of({
    announce: Effect.fn("RoutingView.announce")(function*(tenant_id: string, placement: Placement) {
      const seen_ms = yield* now
      const { endpoints, placement_id, region } = placement
      const expires_ms = seen_ms + placementTtlMs
      yield* failing(sql`INSERT INTO rspp_placements ${
        sql.insert({
          tenant_id,
          placement_id,
          region: region ?? null,
          endpoints: JSON.stringify(endpoints),
          seen_ms,
          expires_ms
        })
      } ON CONFLICT (tenant_id, placement_id) DO UPDATE SET region = excluded.region, endpoints = excluded.endpoints,
        seen_ms = excluded.seen_ms, expires_ms = excluded.expires_ms`)
      // every process has an id of its own: without this there would be a row for each that has ever been. A statement of
      // its own, so that two that announce themselves at once do not wait for each other's row.
      yield* failing(sql`DELETE FROM rspp_placements
        WHERE tenant_id = ${tenant_id} AND expires_ms <= ${seen_ms - placementKeptMs}`)
    }),
    placements: (tenant_id) => known(tenant_id),
    view: Effect.fn("RoutingView.view")(
      function*(
        tenant_id: string,
        { region, session_id }: { readonly session_id: string; readonly region?: string | undefined }
      ) {
        const lease = yield* Effect.mapError(
          leases.current(session_id),
          (cause: unknown) => new DatabaseFailure({ message: "the leases cannot be read", retryable: true, cause })
        )
        if (lease === undefined) return yield* notFound("lease", session_id)
        const { authority_epoch, placement_id } = lease
        return {
          placement_id,
          authority_epoch,
          endpoints: orderEndpoints(yield* known(tenant_id, placement_id), placement_id, region)
        }
      }
    )
  })
})
