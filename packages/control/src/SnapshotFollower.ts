import type { RoutingViewSnapshot, Snapshot, SnapshotKind } from "@rspp/contracts/Snapshot"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Scope } from "effect"
import { contentHash } from "./internal/ContentHash.ts"
import { makeSubscribers } from "./internal/Subscribers.ts"
import { SnapshotLog } from "./SnapshotLog.ts"

export interface FollowerOptions {
  /** How often a followed scope is read when nothing was pushed, ms. */
  readonly pollMs: number
  /** How long past its TTL a snapshot still counts, ms: what the operator allows a control plane to be away. */
  readonly maxStalenessMs: number
  /** How long the first session of a scope waits for its snapshots, ms. */
  readonly openWithinMs: number
}

export const defaultFollowerOptions: FollowerOptions = { pollMs: 1000, maxStalenessMs: 0, openWithinMs: 2000 }

/** What a scope can begin with while its log is away: the snapshots of another scope of the same group. */
export interface Kin {
  /** Scopes of a group differ in nothing but the routing view: sessions of one tenant, pipeline version and facets. */
  readonly group: string
  /** The scope's own placement and epoch, from its lease: these are never another's. */
  readonly routing: RoutingViewSnapshot["body"]
}

/** Scopes that nobody follows and whose last good snapshots are remembered, for sessions to come; the one that was heard of longest ago goes. */
const maxScopes = 1024

/** How often the opening of a scope looks for its first snapshots, ms. */
const openAgainMs = 100

/** Scopes that are read at one time. */
const concurrency = 8

/** After a push channel broke, it is opened again so much later, ms. */
const listenAgainMs = 500

/**
 * Snapshots of a {@link SnapshotLog}, as a runtime follows them: pushed where the log can push, polled in any case.
 *
 * Guarantees:
 * - **SF1** nobody waits for the log but the opening of a scope, and that no longer than `openWithinMs`.
 * - **SF2** while the log is away, sessions of a scope that was read once have its last good snapshots, new sessions too.
 * - **SF3** a snapshot is handed on with the time for which it still counts as its `ttl_ms`: TTL plus `maxStalenessMs`,
 *   less its age by the log's clock and what has passed since by the monotonic clock. So it is stale everywhere at once,
 *   whenever it came to a session; one that is past it is handed on with 1 ms, and is stale (not missing) at once.
 * - **SF4** versions of a kind never go back.
 * - **SF5** a scope that was never read, and cannot be, begins with the last good snapshots of its group ({@link Kin}),
 *   under version 0, so that its own replace them as soon as they can be read. They are stale when the other's are.
 * - **SF6** a log that is away holds no round up: scopes are not asked for one by one until each has failed. The next
 *   round begins with those that were not asked for, so that a log that answers only some of them comes to all.
 */
export class SnapshotFollower extends Context.Service<SnapshotFollower, {
  /** Hands on the latest of each kind, and then each later one, until the scope closes; synchronously. */
  readonly follow: (
    scope: string,
    onSnapshot: (snapshot: Snapshot) => void,
    kin?: Kin
  ) => Effect.Effect<void, never, Scope.Scope>
}>()("rspp/SnapshotFollower") {
  static readonly layerNoDeps = (
    options: Partial<FollowerOptions> = {}
  ): Layer.Layer<SnapshotFollower, never, SnapshotLog> =>
    Layer.effect(SnapshotFollower, make({ ...defaultFollowerOptions, ...options }))
}

/** A snapshot, and the monotonic time at which it no longer counts. */
interface Known {
  readonly snapshot: Snapshot
  readonly untilNs: bigint
}

const make = Effect.fnUntraced(function*({ maxStalenessMs, openWithinMs, pollMs }: FollowerOptions) {
  const log = yield* SnapshotLog
  const clock = yield* Clock.Clock
  const subscribers = makeSubscribers<Snapshot>()
  const known = new Map<string, Map<SnapshotKind, Known>>()
  const followed = new Map<string, number>()
  /** Of each known scope that has one. */
  const groups = new Map<string, string>()

  const handedOn = ({ snapshot, untilNs }: Known): Snapshot => ({
    ...snapshot,
    ttl_ms: Math.max(1, Number((untilNs - clock.monotonicTimeNanosUnsafe()) / 1_000_000n))
  })

  const remembered = (scope: string): Map<SnapshotKind, Known> => {
    const kinds = known.get(scope) ?? new Map<SnapshotKind, Known>()
    known.delete(scope)
    known.set(scope, kinds)
    // those that are followed are there anyway, and do not stand in the way of the others
    if (known.size <= maxScopes + followed.size) return kinds
    const oldest = [...known.keys()].find((one) => !followed.has(one))
    if (oldest === undefined) return kinds
    known.delete(oldest)
    groups.delete(oldest)
    return kinds
  }

  const refresh = Effect.fnUntraced(function*(scope: string) {
    const askedNs = clock.monotonicTimeNanosUnsafe()
    const latest = yield* log.latest(scope)
    if (latest.length === 0) return
    const kinds = remembered(scope)
    for (const { age_ms, snapshot } of latest) {
      const before = kinds.get(snapshot.snapshot_kind)
      if (before !== undefined && before.snapshot.version >= snapshot.version) continue // SF4
      const left = BigInt(snapshot.ttl_ms + maxStalenessMs - age_ms) * 1_000_000n
      const now: Known = { snapshot, untilNs: askedNs + left }
      kinds.set(snapshot.snapshot_kind, now)
      subscribers.publish(scope, handedOn(now))
    }
  })
  /** Scopes whose last question had no answer. */
  const unanswered = new Set<string>()
  /** Scopes stand in the order in which they are asked for. One without an answer keeps its place, but not a second time. */
  const asked = (scope: string, answered: boolean): void => {
    const again = unanswered.delete(scope)
    const count = followed.get(scope)
    if (count === undefined) return
    if (!answered && !again) return void unanswered.add(scope)
    followed.delete(scope)
    followed.set(scope, count)
  }
  const refreshAll = Effect.suspend(() =>
    Effect.forEach(
      [...followed.keys()],
      (scope) =>
        Effect.onExit(refresh(scope), (exit) => Effect.sync(() => asked(scope, Exit.isSuccess(exit)))).pipe(
          // SF6: what is wrong with one scope is its own; a log that is away is so for all
          Effect.catchIf((error) => error.reason !== "unavailable", () => Effect.void)
        ),
      { discard: true, concurrency }
    )
  ).pipe(Effect.ignore)

  /** SF5: what the scope of the group that was heard of last has; the scope's own routing view goes with it. */
  const lend = ({ group, routing }: Kin): ReadonlyArray<Snapshot> => {
    const lender = [...known.keys()].findLast((scope) => groups.get(scope) === group)
    const kinds = known.get(lender ?? "")
    return snapshotKinds.flatMap((kind): ReadonlyArray<Snapshot> => {
      const there = kinds?.get(kind)
      if (there === undefined) return []
      const lent = { ...handedOn(there), version: 0 }
      return lent.snapshot_kind === "routing_view_snapshot"
        ? [{ ...lent, body: routing, content_hash: contentHash(routing) }]
        : [lent]
    })
  }

  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(pollMs), refreshAll)))
  yield* Effect.forkScoped(Effect.forever(
    log.changes.pipe(
      Stream.runForEach((scope) =>
        scope === "" ? refreshAll : followed.has(scope) ? Effect.ignore(refresh(scope)) : Effect.void
      ),
      Effect.ignore,
      Effect.andThen(Effect.sleep(listenAgainMs))
    )
  ))

  return SnapshotFollower.of({
    follow: Effect.fn("SnapshotFollower.follow")(function*(
      scope: string,
      onSnapshot: (snapshot: Snapshot) => void,
      kin?: Kin
    ) {
      yield* Effect.acquireRelease(
        Effect.sync(() => void followed.set(scope, (followed.get(scope) ?? 0) + 1)),
        () =>
          Effect.sync(() => {
            const left = (followed.get(scope) ?? 1) - 1
            if (left > 0) return void followed.set(scope, left)
            followed.delete(scope)
            unanswered.delete(scope)
            if (!known.has(scope)) groups.delete(scope)
          })
      )
      yield* subscribers.add(scope, onSnapshot, () => [...(known.get(scope)?.values() ?? [])].map(handedOn))
      let answered = false
      const read = Effect.tap(refresh(scope), () => Effect.sync(() => void (answered = true)))
      // Until there is something: who publishes may hear of a new scope only now.
      yield* Effect.repeat(read, { until: () => known.has(scope), schedule: Schedule.spaced(openAgainMs) }).pipe(
        Effect.timeoutOption(openWithinMs),
        Effect.ignore
      )
      if (kin === undefined) return
      groups.set(scope, kin.group)
      if (!answered && !known.has(scope)) { for (const snapshot of lend(kin)) onSnapshot(snapshot) }
    })
  })
})
