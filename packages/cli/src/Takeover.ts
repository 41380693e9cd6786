import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import type { Lease } from "@rspp/control/LeaseAuthority"
import type { DurableState } from "@rspp/runtime/ports/SessionStateStore"
import { SessionStateStore } from "@rspp/runtime/ports/SessionStateStore"
import type { SessionStates } from "@rspp/timeline/state/SessionStates"
import { Effect, Layer } from "effect"
import { keptBy } from "./StateDatabase.ts"

/** A session that was another runtime's, or was placed here, and is this one's. */
export interface Takeover {
  /** Held, and renewed by whoever took it, for as long as the call. */
  readonly lease: Lease
  readonly leases: LeaseAuthority["Service"]
  readonly states: SessionStates["Service"]
  /** What the other one left, claimed under the lease's epoch; absent: nobody has had it yet. */
  readonly before: DurableState | undefined
}

/** What is known of a session of which nothing was kept: that another had it. Its turns' numbers begin anew. */
export const nothingKept = (session_id: string, authority_epoch: number): DurableState => ({
  session_id,
  authority_epoch,
  revision: 0,
  turns: 0,
  invocations: 0,
  accepted_turns: 0,
  idempotency_keys: [],
  conversation: []
})

/** The authority, for which the lease that was taken counts as the one that the session asks for. */
export const adoptedLease = ({ lease, leases }: Takeover): Layer.Layer<LeaseAuthority> =>
  Layer.succeed(
    LeaseAuthority,
    LeaseAuthority.of({
      ...leases,
      hold: (session_id, placement_id, options) =>
        session_id === lease.session_id && placement_id === lease.placement_id
          ? Effect.succeed(lease)
          : leases.hold(session_id, placement_id, options)
    })
  )

/** Port ← timeline: what was left is there already, and what comes is kept. */
export const takenState = ({ before, lease, states }: Takeover): Layer.Layer<never> =>
  Layer.effect(SessionStateStore, keptBy(states, { firstEpoch: lease.authority_epoch, before, moves: true }))
