import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import type { Snapshot, SnapshotKind } from "@rspp/contracts/Snapshot"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Scope } from "effect"
import { admissionBody, AdmissionPolicy } from "./AdmissionPolicy.ts"
import { ControlPlane } from "./ControlPlane.ts"
import type { SessionAlreadyOpen, SessionFacts, SessionNotOpen, SnapshotBody, SnapshotInvalid } from "./ControlPlane.ts"
import type { ControlConflict, ControlNotFound, DatabaseFailure } from "./ControlError.ts"
import { PipelineRegistry, specOf } from "./PipelineRegistry.ts"
import type { PublishedPipeline } from "./PipelineRegistry.ts"
import { PolicyEvaluation } from "./PolicyEvaluation.ts"
import { ProviderHealth } from "./ProviderHealth.ts"
import { RoutingView } from "./RoutingView.ts"
import { facetsOf, SessionDirectory } from "./SessionDirectory.ts"

/** The bodies of a session's six snapshots. */
export type SnapshotBodies = { readonly [K in SnapshotKind]: SnapshotBody<K> }

export type ProducerError = ControlNotFound | ControlConflict | DatabaseFailure

/**
 * What the six snapshots of a session say, from the modules that decide it: routing view, admission policy, registry
 * (compatibility), rollout (version), policy evaluation and provider health.
 *
 * Guarantees:
 * - **P1** bodies are read anew from the database each time; the same state gives the same bodies, and so the same
 *   content hashes. Reading them may give the session the trial of a half-open circuit (B4), which is a change of state.
 * - **P2** `refresh` publishes a kind only when its body is another than the latest: versions count changes.
 * - **P3** a session whose version was rolled back gets the version resolution of the stable one at the next `refresh`.
 *
 * How snapshots get to runtimes is the {@link ControlPlane}'s part.
 */
export class SnapshotPublisher extends Context.Service<SnapshotPublisher, {
  readonly bodies: (tenant_id: string, session_id: string) => Effect.Effect<SnapshotBodies, ProducerError>
  /** Opens the session at the control plane for as long as the scope, with these bodies. */
  readonly open: (
    tenant_id: string,
    session_id: string
  ) => Effect.Effect<
    ReadonlyArray<Snapshot>,
    ProducerError | SessionAlreadyOpen | SessionNotOpen | SnapshotInvalid,
    Scope.Scope
  >
  /** Publishes what has changed; the kinds that had. */
  readonly refresh: (
    tenant_id: string,
    session_id: string
  ) => Effect.Effect<ReadonlyArray<SnapshotKind>, ProducerError | SessionNotOpen | SnapshotInvalid>
}>()("rspp/SnapshotPublisher") {
  static readonly layer: Layer.Layer<
    SnapshotPublisher,
    never,
    | ControlPlane
    | SessionDirectory
    | PipelineRegistry
    | PolicyEvaluation
    | AdmissionPolicy
    | ProviderHealth
    | RoutingView
  > = Layer.effect(SnapshotPublisher, Effect.suspend(() => make))
}

/** Published pipelines that stay read; each is some 30 KB. */
const maxKnownPipelines = 256

const make = Effect.gen(function*() {
  const control = yield* ControlPlane
  const sessions = yield* SessionDirectory
  const registry = yield* PipelineRegistry
  const policy = yield* PolicyEvaluation
  const admission = yield* AdmissionPolicy
  const health = yield* ProviderHealth
  const routing = yield* RoutingView

  /** What is published never changes; deprecation does, and says nothing to a snapshot. */
  const known = new Map<string, PublishedPipeline>()
  const pipelineOf = Effect.fnUntraced(function*(tenant_id: string, pipeline_id: string, pipeline_version: string) {
    const name = JSON.stringify([tenant_id, pipeline_id, pipeline_version])
    const there = known.get(name)
    if (there !== undefined) return there
    const published = yield* registry.get(tenant_id, pipeline_id, pipeline_version)
    const [oldest] = known.keys()
    if (known.size >= maxKnownPipelines && oldest !== undefined) known.delete(oldest)
    known.set(name, published)
    return published
  })

  const produce = Effect.fnUntraced(function*(tenant_id: string, session_id: string) {
    const session = yield* sessions.get(tenant_id, session_id)
    const published = yield* pipelineOf(tenant_id, session.pipeline_id, session.pipeline_version)
    const { pipeline } = published
    const decision = yield* policy.evaluate(tenant_id, facetsOf(session), pipeline)
    const { body: rules } = yield* admission.get(tenant_id)
    const bodies: SnapshotBodies = {
      routing_view_snapshot: yield* routing.view(tenant_id, session),
      admission_policy_snapshot: admissionBody(rules, published.admission, decision.cost_cap),
      abi_compatibility_snapshot: yield* registry.abiOf(published),
      version_resolution_snapshot: {
        pipeline_version: pipeline.pipeline_version,
        graph_definition_ref: pipeline.graph.graph_definition_ref
      },
      policy_resolution_snapshot: decision.body,
      provider_health_snapshot: yield* health.statesFor(tenant_id, { session_id, bindings: pipeline.provider_bindings })
    }
    return { bodies, published }
  })

  const publishChanged = Effect.fnUntraced(function*(session_id: string, bodies: SnapshotBodies) {
    const latest = new Map((yield* control.latest(session_id)).map((snapshot) => [snapshot.snapshot_kind, snapshot]))
    const changed: Array<SnapshotKind> = []
    for (const kind of snapshotKinds) {
      if (canonicalJson(latest.get(kind)?.body ?? null) === canonicalJson(bodies[kind])) continue
      yield* control.publish(session_id, kind, bodies[kind])
      changed.push(kind)
    }
    return changed
  })

  return SnapshotPublisher.of({
    bodies: Effect.fn("SnapshotPublisher.bodies")((tenant_id: string, session_id: string) =>
      Effect.map(produce(tenant_id, session_id), ({ bodies }) => bodies)
    ),
    open: Effect.fn("SnapshotPublisher.open")(function*(tenant_id: string, session_id: string) {
      const { bodies, published } = yield* produce(tenant_id, session_id)
      const { over_quota, reason, ...limits } = bodies.admission_policy_snapshot
      const facts: SessionFacts = {
        session_id,
        ...bodies.routing_view_snapshot,
        spec: { ...specOf(published), admission: limits },
        maxTurnsPerSession: limits.max_turns_per_session,
        overQuota: over_quota,
        overQuotaReason: reason,
        policy: bodies.policy_resolution_snapshot,
        providerHealth: bodies.provider_health_snapshot.providers
      }
      yield* control.openSession(facts)
      // what the facts cannot say (the window of contract versions) follows as the next version of its kind
      yield* publishChanged(session_id, bodies)
      return yield* control.latest(session_id)
    }),
    refresh: Effect.fn("SnapshotPublisher.refresh")(function*(tenant_id: string, session_id: string) {
      const { bodies } = yield* produce(tenant_id, session_id)
      return yield* publishChanged(session_id, bodies)
    })
  })
})
