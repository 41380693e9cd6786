import { ControlPlane } from "@rspp/control/ControlPlane"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { leaseNews } from "@rspp/control/LeaseNews"
import { LocalHealth } from "@rspp/control/LocalHealth"
import { SnapshotFollower } from "@rspp/control/SnapshotFollower"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { ControlPlaneFailure, ControlPlaneFeed } from "@rspp/runtime/ports/ControlPlaneFeed"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

/** The tenant of sessions that run on the user's own machine. */
export const localTenant = "local"

/** This program as a placement of sessions, when nobody else can take them. */
const onlyPlacement = "local"

export interface FeedOptions {
  /** Whose sessions they are: calls of one tenant say nothing to another. */
  readonly tenant_id?: string | undefined
  readonly placementId?: string | undefined
  readonly scope?: string | ((session_id: string) => string) | undefined
  readonly group?: string | undefined
}

/**
 * The runtime's view of the control plane: a session's lease, held and renewed, and its six snapshots.
 *
 * Snapshots are those of the control plane in this process, which learns of providers from a {@link LocalHealth} in the
 * context; without one every circuit stays closed. With a {@link SnapshotFollower} in the context and a `scope`
 * they are those that somebody else publishes there, and the session goes on deciding from the last ones while that is away.
 * Where each session has a scope of its own, `scope` says which. A `group` says which other scopes' snapshots a session may begin with when its own cannot be read (SF5).
 *
 * `placementId` names this process among those that share the leases. A lease that only ran out, because its store was
 * away or this process stood still, is taken again under a new epoch if nobody else has it by then. A session that was
 * given to another placement hears that its epoch is revoked, never the other's lease.
 */
export const layer = (
  spec: NormalizedSpec,
  { group, placementId = onlyPlacement, scope, tenant_id = localTenant }: FeedOptions = {}
): Layer.Layer<ControlPlaneFeed, never, ControlPlane | LeaseAuthority> =>
  Layer.effect(
    ControlPlaneFeed,
    Effect.gen(function*() {
      const control = yield* ControlPlane
      const leases = yield* LeaseAuthority
      const health = Option.getOrUndefined(yield* Effect.serviceOption(LocalHealth))
      const follower = Option.getOrUndefined(yield* Effect.serviceOption(SnapshotFollower))
      return ControlPlaneFeed.of({
        open: ({ onLease, onSnapshot, session_id }) =>
          Effect.gen(function*() {
            /** The epoch under which this placement has the session, once it has. */
            let own = 0
            yield* leases.subscribe(session_id, (change) => {
              const input = leaseNews(change, own, placementId)
              if (input === undefined) return
              own = Math.max(own, input.authority_epoch)
              onLease(input, change.as_of_ns)
            })
            const lease = yield* leases.hold(session_id, placementId, { regain: true })
            const { authority_epoch } = lease
            if (follower !== undefined && scope !== undefined) {
              const routing = { placement_id: placementId, authority_epoch, endpoints: [] }
              const followed = typeof scope === "string" ? scope : scope(session_id)
              return yield* follower.follow(followed, onSnapshot, group === undefined ? undefined : { group, routing })
            }
            const known = yield* health?.follow({
              tenant_id,
              session_id,
              bindings: spec.pipeline.provider_bindings,
              publish: (body) => control.publish(session_id, "provider_health_snapshot", body)
            }) ?? Effect.undefined
            yield* control.openSession({
              session_id,
              placement_id: placementId,
              authority_epoch,
              spec,
              ...(known === undefined ? {} : { providerHealth: known.providers })
            })
            return yield* control.subscribe(session_id, onSnapshot)
          }).pipe(
            Effect.mapError((cause) => new ControlPlaneFailure({ message: cause.message, cause }))
          )
      })
    })
  )
