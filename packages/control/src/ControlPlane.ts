import { validate } from "@rspp/contracts/Artifact"
import { schemaVersion } from "@rspp/contracts/Identity"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import type { Snapshot, SnapshotKind } from "@rspp/contracts/Snapshot"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Scope } from "effect"
import { contentHash } from "./internal/ContentHash.ts"
import { makeSubscribers } from "./internal/Subscribers.ts"
import type { NormalizedSpec } from "./SpecNormalizer.ts"

/** The session is already open here. Raised by `openSession`. */
export class SessionAlreadyOpen extends Schema.TaggedError<SessionAlreadyOpen>()("SessionAlreadyOpen", {
  session_id: Schema.String,
  message: Schema.String
}) {}

/** No such session is open here. Raised by `publish`. */
export class SessionNotOpen extends Schema.TaggedError<SessionNotOpen>()("SessionNotOpen", {
  session_id: Schema.String,
  message: Schema.String
}) {}

/** The facts do not make a valid snapshot of their kind. Raised by `openSession` and `publish`; nothing was published. */
export class SnapshotInvalid extends Schema.TaggedError<SnapshotInvalid>()("SnapshotInvalid", {
  snapshot_kind: Schema.String,
  path: Schema.String,
  message: Schema.String
}) {}

/** What a snapshot of kind `K` says. */
export type SnapshotBody<K extends SnapshotKind> = Extract<Snapshot, { readonly snapshot_kind: K }>["body"]
type Bodies = { readonly [K in SnapshotKind]: SnapshotBody<K> }
type Policy = SnapshotBody<"policy_resolution_snapshot">

/** What the control plane knows of a session when it opens; everything but the first four has a default. */
export interface SessionFacts {
  readonly session_id: string
  readonly placement_id: string
  /** The epoch of the session's lease. */
  readonly authority_epoch: number
  readonly spec: NormalizedSpec
  /** Where else the session could be reached; none by default. */
  readonly endpoints?: ReadonlyArray<string>
  /** The operator's quota of turns; the spec's holds too if it is lower. Default {@link defaultMaxTurnsPerSession}. */
  readonly maxTurnsPerSession?: number
  /** What a turn over the quota gets; `reject` by default. */
  readonly overQuota?: "reject" | "defer"
  /** The reason that goes with it; `turn_quota_exhausted` by default. */
  readonly overQuotaReason?: string
  /** What policy allows; by default what the pipeline asks for. */
  readonly policy?: Partial<Policy>
  /** The state of each provider's circuit; `closed` (healthy) for each bound provider that is not named. */
  readonly providerHealth?: SnapshotBody<"provider_health_snapshot">["providers"]
}

export interface ControlPlaneOptions {
  /** How long a snapshot counts as fresh, in ms. At least {@link minSnapshotTtlMs}. */
  readonly snapshotTtlMs: number
}

/** 10 minutes: a session outlives a restart of the control plane, but not an afternoon without one. */
export const defaultControlPlaneOptions: ControlPlaneOptions = { snapshotTtlMs: 600_000 }

/** Below this, snapshots would be a load of their own. */
export const minSnapshotTtlMs = 1000

/** One turn every two seconds for more than two days: no session gets there by talking. */
export const defaultMaxTurnsPerSession = 100_000

/** Snapshots are issued anew after this part of their TTL, so that a session never sees a stale one while it runs. */
export const reissueAtPartOfTtl = 0.4

/**
 * The control plane as a runtime sees it: six versioned snapshots for each open session (CP-04, CP-05, CP-08, CP-10 and
 * version resolution, whose facts come from the caller for now).
 *
 * Guarantees:
 * - **S1** an open session has one snapshot of each kind; versions of a kind are dense and start at 1.
 * - **S2** `snapshot_id` is `snap_<kind>_<version>`; `content_hash` is the SHA-256 of the canonical JSON of `body`, so
 *   equal facts have equal hashes.
 * - **S3** a subscriber gets the latest of each kind, in the contract's order of kinds, and then every later version in
 *   order. Each is valid by its schema.
 * - **S4** every snapshot is issued again, with the same body, before half its TTL.
 *
 * Time is Effect's clock (`issued_at_ms` is Unix time). It holds what is in memory only, and a session's state no longer
 * than the scope that opened it. It never asks the runtime anything.
 */
export class ControlPlane extends Context.Service<ControlPlane, {
  /** Opens a session for as long as the scope, and returns its six snapshots at version 1. */
  readonly openSession: (
    facts: SessionFacts
  ) => Effect.Effect<ReadonlyArray<Snapshot>, SessionAlreadyOpen | SnapshotInvalid, Scope.Scope>
  /** Publishes new facts of one kind to a running session: the next version. */
  readonly publish: <K extends SnapshotKind>(
    session_id: string,
    kind: K,
    body: SnapshotBody<K>
  ) => Effect.Effect<Snapshot, SessionNotOpen | SnapshotInvalid>
  /**
   * Calls `onSnapshot` as S3 says, until the scope closes. The session may open later. `onSnapshot` is called
   * synchronously and must not throw.
   */
  readonly subscribe: (
    session_id: string,
    onSnapshot: (snapshot: Snapshot) => void
  ) => Effect.Effect<void, never, Scope.Scope>
  /** The latest snapshot of each kind; empty when the session is not open. */
  readonly latest: (session_id: string) => Effect.Effect<ReadonlyArray<Snapshot>>
}>()("rspp/ControlPlane") {
  static readonly layerMemory = (
    options: ControlPlaneOptions = defaultControlPlaneOptions
  ): Layer.Layer<ControlPlane> => Layer.sync(ControlPlane, () => make(options))
}

const make = ({ snapshotTtlMs }: ControlPlaneOptions): ControlPlane["Service"] => {
  if (!Number.isInteger(snapshotTtlMs) || snapshotTtlMs < minSnapshotTtlMs) {
    throw new Error(`snapshotTtlMs must be an integer of at least ${minSnapshotTtlMs}, not ${snapshotTtlMs}`)
  }
  const sessions = new Map<string, Map<SnapshotKind, Snapshot>>()
  const subscribers = makeSubscribers<Snapshot>()

  const issue = (kind: SnapshotKind, body: unknown, version: number, now: number) => {
    const snapshot = {
      schema_version: schemaVersion,
      snapshot_kind: kind,
      snapshot_id: `snap_${kind}_${version}`,
      version,
      issued_at_ms: Math.floor(now),
      ttl_ms: snapshotTtlMs,
      body
    }
    // a body that cannot be hashed is not JSON: the form is judged first
    const form = validate(kind, { ...snapshot, content_hash: "0".repeat(64) })
    if (form.ok) return Result.succeed({ ...snapshot, content_hash: contentHash(body) } as Snapshot)
    const [first] = form.issues
    const path = first?.path.join(".") ?? ""
    return Result.fail(
      new SnapshotInvalid({ snapshot_kind: kind, path, message: `${kind}: ${path} ${first?.message}` })
    )
  }

  /** The next version of one kind. From reading the latest to telling it is one synchronous step: nothing gets between. */
  const advance = Effect.fnUntraced(
    function*(session_id: string, kind: SnapshotKind, bodyAfter: (latest: Snapshot) => unknown) {
      const now = yield* Clock.currentTimeMillis
      return yield* Effect.suspend((): Effect.Effect<Snapshot, SessionNotOpen | SnapshotInvalid> => {
        const known = sessions.get(session_id)
        const latest = known?.get(kind)
        if (known === undefined || latest === undefined) {
          const message = `session ${session_id} is not open at this control plane`
          return Effect.fail(new SessionNotOpen({ session_id, message }))
        }
        const next = issue(kind, bodyAfter(latest), latest.version + 1, now)
        if (Result.isFailure(next)) return Effect.fail(next.failure)
        known.set(kind, next.success)
        subscribers.publish(session_id, next.success)
        return Effect.succeed(next.success)
      })
    }
  )

  const publish = Effect.fn("ControlPlane.publish")((session_id: string, kind: SnapshotKind, body: unknown) =>
    advance(session_id, kind, () => body)
  )

  const reissue = Effect.fnUntraced(function*(session_id: string) {
    for (;;) {
      yield* Effect.sleep(Math.floor(snapshotTtlMs * reissueAtPartOfTtl))
      for (const kind of snapshotKinds) yield* advance(session_id, kind, (latest) => latest.body)
    }
  })

  const openSession = Effect.fn("ControlPlane.openSession")(function*(facts: SessionFacts) {
    const { session_id } = facts
    const bodies = bodiesOf(facts)
    const now = yield* Clock.currentTimeMillis
    const snapshots = yield* Effect.forEach(
      snapshotKinds,
      (kind) => Effect.fromResult(issue(kind, bodies[kind], 1, now))
    )
    yield* Effect.acquireRelease(
      Effect.suspend(() => {
        if (sessions.has(session_id)) {
          return Effect.fail(new SessionAlreadyOpen({ session_id, message: `session ${session_id} is already open` }))
        }
        sessions.set(session_id, new Map(snapshots.map((snapshot) => [snapshot.snapshot_kind, snapshot])))
        for (const snapshot of snapshots) subscribers.publish(session_id, snapshot)
        return Effect.void
      }),
      () => Effect.sync(() => sessions.delete(session_id))
    )
    // its facts were valid once and are issued unchanged; it ends with the scope
    yield* Effect.forkScoped(Effect.ignore(reissue(session_id)))
    return snapshots
  })

  return ControlPlane.of({
    openSession,
    publish,
    subscribe: (session_id, onSnapshot) =>
      subscribers.add(session_id, onSnapshot, () => sessions.get(session_id)?.values() ?? []),
    latest: (session_id) => Effect.sync(() => [...(sessions.get(session_id)?.values() ?? [])])
  })
}

/** The facts, as the six snapshots say them. */
const bodiesOf = (facts: SessionFacts): Bodies => {
  const { admission, pipeline } = facts.spec
  const { max_turns_per_session, ...limits } = admission
  const operatorQuota = facts.maxTurnsPerSession ?? defaultMaxTurnsPerSession
  return {
    routing_view_snapshot: {
      placement_id: facts.placement_id,
      authority_epoch: facts.authority_epoch,
      endpoints: facts.endpoints ?? []
    },
    admission_policy_snapshot: {
      max_turns_per_session: Math.min(operatorQuota, max_turns_per_session ?? operatorQuota),
      ...limits,
      over_quota: facts.overQuota ?? "reject",
      reason: facts.overQuotaReason ?? "turn_quota_exhausted"
    },
    abi_compatibility_snapshot: { contract_versions: [schemaVersion] },
    version_resolution_snapshot: {
      pipeline_version: pipeline.pipeline_version,
      graph_definition_ref: pipeline.graph.graph_definition_ref
    },
    policy_resolution_snapshot: {
      allowed_adaptive_actions: facts.policy?.allowed_adaptive_actions ?? pipeline.allowed_adaptive_actions,
      max_recording_level: facts.policy?.max_recording_level ?? pipeline.recording_policy.recording_level,
      allowed_replay_modes: facts.policy?.allowed_replay_modes ?? pipeline.recording_policy.allowed_replay_modes
    },
    provider_health_snapshot: {
      providers: {
        ...Object.fromEntries(
          Object.values(pipeline.provider_bindings).map((provider) => [provider, "closed" as const])
        ),
        ...facts.providerHealth
      }
    }
  }
}
