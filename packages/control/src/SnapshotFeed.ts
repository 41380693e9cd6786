import { schemaVersion } from "@rspp/contracts/Identity"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import type { Snapshot, SnapshotKind } from "@rspp/contracts/Snapshot"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "./AuditLog.ts"
import { defaultControlPlaneOptions, reissueAtPartOfTtl } from "./ControlPlane.ts"
import type { DatabaseFailure } from "./ControlError.ts"
import { contentHash } from "./internal/ContentHash.ts"
import { SessionDirectory } from "./SessionDirectory.ts"
import { SnapshotLog, snapshotIdOf } from "./SnapshotLog.ts"
import type { LoggedSnapshot, SnapshotLogFailure } from "./SnapshotLog.ts"
import { SnapshotPublisher } from "./SnapshotPublisher.ts"
import type { ProducerError } from "./SnapshotPublisher.ts"

export interface FeedOptions {
  /** How long a published snapshot counts as fresh, ms. */
  readonly snapshotTtlMs: number
  /** How often changes of configuration and new sessions are looked for, ms. */
  readonly everyMs: number
  /** How often what no audit row tells of (leases, health) is looked at, ms. */
  readonly factsEveryMs: number
}

/** A change is published within a quarter of a second and what it takes to read it. */
export const defaultFeedOptions: FeedOptions = {
  snapshotTtlMs: defaultControlPlaneOptions.snapshotTtlMs,
  everyMs: 250,
  factsEveryMs: 3000
}

/** Sessions that are worked on at one time: a database has a few connections. */
const concurrency = 4

/**
 * Publishes the snapshots of every session that has a live lease, in the scope of the session's id, where runtimes
 * follow them (see {@link SnapshotLog}).
 *
 * Guarantees:
 * - **F1** a kind is published when its body is another than the latest in the log, and again, unchanged, before half its
 *   TTL; by whichever control plane of the database sees it first. Two that see it at once publish it twice, as two
 *   versions with the same body.
 * - **F2** a session whose snapshots cannot be made now (its pipeline runs under no version here, the database is away)
 *   keeps the ones that it has; the others go on. What is wrong with it is logged once, not with each look.
 */
export class SnapshotFeed extends Context.Service<SnapshotFeed, {
  /** Looks once at every session that is due; how many snapshots were published. */
  readonly tick: Effect.Effect<number, DatabaseFailure>
  /**
   * The latest of each kind of a session, for who asks for them one by one. What was never published is published first,
   * so that a session that has just got its lease need not wait for the next look.
   */
  readonly published: (
    tenant_id: string,
    session_id: string
  ) => Effect.Effect<ReadonlyArray<LoggedSnapshot>, ProducerError | SnapshotLogFailure>
  /** Does so for ever. What fails is tried again, and logged when it begins to fail. */
  readonly run: Effect.Effect<never>
}>()("rspp/SnapshotFeed") {
  static readonly layer = (
    options: Partial<FeedOptions> = {}
  ): Layer.Layer<SnapshotFeed, never, SnapshotPublisher | SessionDirectory | AuditLog | SnapshotLog> =>
    Layer.effect(SnapshotFeed, Effect.suspend(() => make({ ...defaultFeedOptions, ...options })))
}

/** When and under which configuration a session was last looked at. */
interface Looked {
  readonly sequence: number
  readonly at_ms: number
}

/** A session is looked at often enough that a snapshot is issued anew before half its TTL (F1). */
const lookAtPartOfTtl = 0.05

const make = Effect.fnUntraced(function*({ everyMs, snapshotTtlMs, ...options }: FeedOptions) {
  const factsEveryMs = Math.min(options.factsEveryMs, snapshotTtlMs * lookAtPartOfTtl)
  const publisher = yield* SnapshotPublisher
  const sessions = yield* SessionDirectory
  const audit = yield* AuditLog
  const log = yield* SnapshotLog
  const looked = new Map<string, Looked>()
  /** What was last said to be wrong with a session. */
  const wrong = new Map<string, string>()
  /** Says it once, and again when it is something else. */
  const complain = (session_id: string, { message }: ProducerError | SnapshotLogFailure) =>
    Effect.suspend(() => {
      if (wrong.get(session_id) === message) return Effect.void
      wrong.set(session_id, message)
      return Effect.logWarning(`the snapshots of session ${session_id} are not published: ${message}`)
    })

  const issue = (kind: SnapshotKind, body: unknown, issued_at_ms: number) =>
    ({
      schema_version: schemaVersion,
      snapshot_kind: kind,
      snapshot_id: snapshotIdOf(kind, 1),
      version: 1,
      issued_at_ms,
      ttl_ms: snapshotTtlMs,
      content_hash: contentHash(body),
      body
    }) as Snapshot

  const look = Effect.fnUntraced(
    function*(tenant_id: string, session_id: string): Effect.fn.Return<number, ProducerError | SnapshotLogFailure> {
      const bodies = yield* publisher.bodies(tenant_id, session_id)
      const latest = new Map((yield* log.latest(session_id)).map((one) => [one.snapshot.snapshot_kind, one]))
      const now = Math.floor(yield* Clock.currentTimeMillis)
      let published = 0
      for (const kind of snapshotKinds) {
        const there = latest.get(kind)
        const fresh = there !== undefined && there.age_ms < snapshotTtlMs * reissueAtPartOfTtl
        if (fresh && there.snapshot.content_hash === contentHash(bodies[kind])) continue
        yield* log.publish(session_id, issue(kind, bodies[kind], now))
        published++
      }
      return published
    }
  )

  const tick = Effect.gen(function*() {
    const sequence = yield* audit.length
    const active = yield* sessions.active
    const now = Math.floor(yield* Clock.currentTimeMillis)
    const there = new Set(active.map(({ session_id }) => session_id))
    for (const known of [looked, wrong]) {
      for (const session_id of known.keys()) if (!there.has(session_id)) known.delete(session_id)
    }
    const due = active.filter(({ session_id }) => {
      const last = looked.get(session_id)
      return last === undefined || last.sequence !== sequence || now - last.at_ms >= factsEveryMs
    })
    const counts = yield* Effect.forEach(due, ({ session_id, tenant_id }) => {
      const done = Effect.sync(() => void looked.set(session_id, { sequence, at_ms: now }))
      return look(tenant_id, session_id).pipe(
        Effect.tap(() => Effect.andThen(done, Effect.sync(() => void wrong.delete(session_id)))),
        Effect.catch((error) => {
          const { _tag } = error
          // without a lease it is nowhere yet: it is looked at again with the next tick
          if (_tag === "ControlNotFound" && error.code === "lease_not_found") return Effect.succeed(0)
          // what its configuration lacks is there after a change of that; a database may be back at any time
          const settled = _tag === "ControlNotFound" || _tag === "ControlConflict"
          return Effect.as(Effect.andThen(complain(session_id, error), settled ? done : Effect.void), 0)
        })
      )
    }, { concurrency })
    return counts.reduce((sum, count) => sum + count, 0)
  }).pipe(Effect.withSpan("SnapshotFeed.tick"))

  let failing = false
  const run = tick.pipe(
    Effect.tap(() => Effect.sync(() => void (failing = false))),
    Effect.catch(({ message }) =>
      Effect.suspend(() => {
        if (failing) return Effect.void
        failing = true
        return Effect.logWarning(`no snapshots are published: ${message}`)
      })
    ),
    Effect.andThen(Effect.sleep(everyMs)),
    Effect.forever
  )

  const published = Effect.fn("SnapshotFeed.published")(function*(tenant_id: string, session_id: string) {
    // the log knows no tenants
    yield* sessions.get(tenant_id, session_id)
    const there = yield* log.latest(session_id)
    if (there.length === snapshotKinds.length) return there
    yield* look(tenant_id, session_id)
    return yield* log.latest(session_id)
  })

  return SnapshotFeed.of({ tick, published, run })
})
