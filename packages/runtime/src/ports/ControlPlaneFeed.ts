import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import type { InputOf } from "@rspp/contracts/SessionInput"
import type { Snapshot } from "@rspp/contracts/Snapshot"
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type { Effect, Scope } from "effect"

/** The session could not be placed: no lease, or no snapshots. */
export class ControlPlaneFailure extends Schema.TaggedError<ControlPlaneFailure>()("ControlPlaneFailure", {
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/**
 * The control plane as a session sees it: snapshots and leases that are pushed to it. Nothing is asked per event.
 *
 * Opening acquires the session's lease and delivers the snapshots of the moment before it returns; both go on being
 * delivered, and the lease renewed, as long as the scope. Calls to the sink are synchronous and never wait.
 */
export class ControlPlaneFeed extends Context.Service<ControlPlaneFeed, {
  readonly open: (options: {
    readonly session_id: string
    readonly pipeline: NormalizedPipeline
    readonly onSnapshot: (snapshot: Snapshot) => void
    /**
     * `asOfNs`: time of the monotonic clock, ns, before the authority was asked for what it now says; the TTL counts from
     * then, so that no delay of the answer, and no pause of this process, makes a lease longer than it is. Left out by a
     * feed whose news takes no time.
     */
    readonly onLease: (lease: InputOf<"lease">, asOfNs?: bigint) => void
  }) => Effect.Effect<void, ControlPlaneFailure, Scope.Scope>
}>()("rspp/ControlPlaneFeed") {}
