import { ControlPlane } from "@rspp/control/ControlPlane"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { ControlPlaneFailure, ControlPlaneFeed } from "@rspp/runtime/ports/ControlPlaneFeed"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** This program as a placement of sessions. */
const placementId = "local"

/**
 * The runtime's view of the control plane in this process: a session's lease, held and renewed, and its six snapshots.
 */
export const layer = (
  spec: NormalizedSpec
): Layer.Layer<ControlPlaneFeed, never, ControlPlane | LeaseAuthority> =>
  Layer.effect(
    ControlPlaneFeed,
    Effect.gen(function*() {
      const control = yield* ControlPlane
      const leases = yield* LeaseAuthority
      return ControlPlaneFeed.of({
        open: ({ onLease, onSnapshot, session_id }) =>
          Effect.gen(function*() {
            yield* leases.subscribe(session_id, (change) => onLease({ type: "lease", ...change }))
            const lease = yield* leases.hold(session_id, placementId)
            yield* control.openSession({
              session_id,
              placement_id: placementId,
              authority_epoch: lease.authority_epoch,
              spec
            })
            yield* control.subscribe(session_id, onSnapshot)
          }).pipe(
            Effect.mapError((cause) => new ControlPlaneFailure({ message: cause.message, cause }))
          )
      })
    })
  )
