import * as ClusterSchema from "effect/cluster/ClusterSchema"
import * as Entity from "effect/cluster/Entity"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as Context from "effect/Context"
import { Digest } from "effect/crypto"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type { Scope } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { DatabaseFailure } from "./ControlError.ts"
import { LeaseAuthority } from "./LeaseAuthority.ts"
import type { Lease } from "./LeaseAuthority.ts"

export interface PlacementOptions {
  /**
   * How long a runtime that is not heard of keeps its part of the sessions, ms: take the TTL of the leases. At least
   * {@link leastGoneMs}.
   */
  readonly goneAfterMs: number
}

/** What a runtime does with sessions that are placed on it. */
export interface PlacedRuntime {
  /** Unlike any other process's. */
  readonly placement_id: string
  /** How many sessions it runs at once, at most; those that it has no room for wait, each until another one is over. */
  readonly maxSessions: number
  /** Waits for room where the process also runs sessions that nobody placed; asked before the lease, and kept until `run` ends. */
  readonly room?: Effect.Effect<void, never, Scope.Scope>
  /**
   * Runs a session under a lease that is held, and renewed, until the effect ends. When it ends by itself the session is
   * over; when it is interrupted the session is another runtime's.
   */
  readonly run: (lease: Lease) => Effect.Effect<void, never, Scope.Scope>
}

/** The session, as a thing that the cluster keeps running somewhere: one message that is worked on until it is over. */
const PlacedSession = Entity.make("rspp/Session", [
  Rpc.make("Run", {
    payload: { session_id: Schema.NonEmptyString },
    // Placed again, it is the same session.
    primaryKey: ({ session_id }) => session_id
  }).annotate(ClusterSchema.Persisted, true).annotate(ClusterSchema.InterruptOnTermination, true)
])

/** Tables of the cluster have names of their own. */
const prefix = "rspp_cluster"

/** Parts that the sessions fall into, each at one runtime at a time: more than there will be runtimes. */
const parts = 64

/** Sessions that a runtime knows of, those that wait there among them; further ones stay in the database meanwhile. */
const maxKnown = 10_000

/** How often the database is asked for sessions that were placed, ms. */
const pollMs = 500

/** A runtime has to have been silent for so long, ms, however short leases are: a slow machine is not a dead one. */
const leastGoneMs = 5000

/** How soon a session whose lease another still holds is tried again, as a part of `goneAfterMs`. */
const triedAgainPart = 0.05

/** How long a session has to end when it moves, ms: no longer than a runtime's shutdown, and then some. */
const leaveWithinMs = 2000

/**
 * Places sessions on runtimes that share a database, by Effect's cluster layer (`effect/cluster`): where there is no
 * media server that places them.
 *
 * A session that is placed falls into one of {@link parts} by its id, and each part is at one of the runtimes that are
 * there. The request to run it is a row of the database until the session is over: when its runtime dies, leaves, or is
 * cut off, the part goes to another one, which finds the row and runs the session.
 *
 * **Who may run it is not decided here.** The cluster says which runtime should; {@link LeaseAuthority} says which may:
 * a runtime that gets a session waits until it has the lease, under the next epoch, and so never runs it at the same
 * time as the one that had it, whatever the cluster believes.
 *
 * Runtimes do not speak with each other: all goes through the database, so that a session begins within 0.5 s of being
 * placed. No runtime: it waits.
 */
export class SessionPlacement extends Context.Service<SessionPlacement, {
  /** Has a session run by some runtime, until it is over. Placing one twice is placing it once. */
  readonly place: (session_id: string) => Effect.Effect<void, DatabaseFailure>
}>()("rspp/SessionPlacement") {
  /** Places sessions, and runs none. */
  static readonly layerClient = (
    options: PlacementOptions
  ): Layer.Layer<SessionPlacement, DatabaseFailure, SqlClient> => placement.pipe(Layer.provide(sharding(options)))

  /** Places sessions, and runs those that fall to this process, until the scope closes: then they move. */
  static readonly layerRuntime = (
    options: PlacementOptions,
    runtime: PlacedRuntime
  ): Layer.Layer<SessionPlacement, DatabaseFailure, SqlClient | LeaseAuthority> =>
    placement.pipe(
      Layer.provideMerge(entity(options, runtime)),
      Layer.provide(sharding(options, runtime))
    )
}

const unreachable = (cause: unknown) =>
  new DatabaseFailure({ message: "the database of the placements cannot be reached", retryable: true, cause })

const placement = Layer.effect(
  SessionPlacement,
  Effect.map(PlacedSession.client, (client) =>
    SessionPlacement.of({
      place: Effect.fn("SessionPlacement.place")((session_id: string) =>
        client(session_id).Run({ session_id }, { discard: true }).pipe(
          // It is being run already.
          Effect.catchTag("AlreadyProcessingMessage", () => Effect.void),
          Effect.mapError(unreachable)
        )
      )
    }))
)

const entity = (
  { goneAfterMs }: PlacementOptions,
  { maxSessions, placement_id, room = Effect.void, run }: PlacedRuntime
) =>
  Layer.unwrap(Effect.map(Semaphore.make(maxSessions), (places) =>
    PlacedSession.toLayer(
      Effect.map(LeaseAuthority, (leases) => ({
        Run: ({ payload: { session_id } }: { readonly payload: { readonly session_id: string } }) =>
          leases.hold(session_id, placement_id, { regain: true }).pipe(
            // Whoever had it may still believe so, until its TTL is over.
            Effect.retry(Schedule.spaced(Math.max(20, Math.floor(goneAfterMs * triedAgainPart)))),
            Effect.orDie,
            (held) => Effect.andThen(room, held),
            Effect.flatMap(run),
            Effect.scoped,
            // The cluster's own bound counts a session for a minute after it is over.
            places.withPermits(1)
          )
      })),
      { concurrency: "unbounded" }
    )))

const sharding = (options: PlacementOptions, runtime?: PlacedRuntime) => {
  const goneAfterMs = Math.max(leastGoneMs, options.goneAfterMs)
  return Sharding.layer.pipe(
    Layer.provide(Runners.layerNoop),
    Layer.provide(SqlMessageStorage.layerWith({ prefix })),
    Layer.provide([SqlRunnerStorage.layerWith({ prefix }), RunnerHealth.layerNoop]),
    Layer.provide(Digest.layerWebCrypto),
    Layer.provide(ShardingConfig.layer({
      // Nobody calls it there: it is a name.
      runnerAddress: runtime === undefined ? Option.none() : Option.some(RunnerAddress.make(runtime.placement_id, 0)),
      maxResidentEntities: maxKnown,
      shardsPerGroup: parts,
      shardLockExpiration: goneAfterMs,
      shardLockRefreshInterval: Math.floor(goneAfterMs / 4),
      refreshAssignmentsInterval: Math.floor(goneAfterMs / 8),
      entityTerminationTimeout: leaveWithinMs,
      entityMessagePollInterval: pollMs
    })),
    Layer.catchCause((cause) => Layer.effectContext(Effect.fail(unreachable(cause))))
  )
}
