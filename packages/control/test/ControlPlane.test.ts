import { validate } from "@rspp/contracts/Artifact"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { Snapshot } from "@rspp/contracts/Snapshot"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { createHash } from "node:crypto"
import { ControlPlane } from "../src/ControlPlane.ts"
import type { SessionFacts } from "../src/ControlPlane.ts"
import { SpecNormalizer } from "../src/SpecNormalizer.ts"

const provide = Effect.provide(Layer.merge(ControlPlane.layerMemory({ snapshotTtlMs: 10_000 }), SpecNormalizer.layer), {
  local: true
})

const factsOf = (over: Partial<SessionFacts> = {}, admission?: { max_turns_per_session: number }) =>
  Effect.gen(function*() {
    const normalizer = yield* SpecNormalizer
    const spec = yield* normalizer.normalize({
      schema_version: "v1.0",
      pipeline_id: "demo",
      pipeline_version: "demo/1",
      ...(admission === undefined ? {} : { admission })
    })
    return { session_id: "s", placement_id: "p", authority_epoch: 1, spec, ...over }
  })

const bodyOf = (snapshots: ReadonlyArray<Snapshot>, kind: Snapshot["snapshot_kind"]): unknown =>
  snapshots.find((snapshot) => snapshot.snapshot_kind === kind)?.body
const ids = (snapshots: ReadonlyArray<Snapshot>) => snapshots.map((snapshot) => snapshot.snapshot_id)

describe("a session that opens", () => {
  it.effect("gets six valid snapshots at version 1, issued now, in the contract's order", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_700_000_000_123)
      const plane = yield* ControlPlane
      const snapshots = yield* plane.openSession(yield* factsOf())
      assert.deepStrictEqual(ids(snapshots), snapshotKinds.map((kind) => `snap_${kind}_1`))
      for (const snapshot of snapshots) {
        assert.isTrue(validate(snapshot.snapshot_kind, snapshot).ok, snapshot.snapshot_kind)
        assert.deepStrictEqual([snapshot.version, snapshot.issued_at_ms, snapshot.ttl_ms], [
          1,
          1_700_000_000_123,
          10_000
        ])
        const hash = createHash("sha256").update(canonicalJson(snapshot.body)).digest("hex")
        assert.strictEqual(snapshot.content_hash, hash)
      }
      assert.deepStrictEqual(yield* plane.latest("s"), snapshots)
    }).pipe(provide))

  it.effect("has in them what its pipeline, its lease and the operator say", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane
      const facts = yield* factsOf()
      const { pipeline } = facts.spec
      const plain = yield* plane.openSession(facts)
      assert.deepStrictEqual(plain.map((snapshot) => snapshot.body), [
        { placement_id: "p", authority_epoch: 1, endpoints: [] },
        { max_turns_per_session: 100_000, over_quota: "reject", reason: "turn_quota_exhausted" },
        { contract_versions: ["v1.0"] },
        { pipeline_version: "demo/1", graph_definition_ref: pipeline.graph.graph_definition_ref },
        {
          allowed_adaptive_actions: pipeline.allowed_adaptive_actions,
          max_recording_level: "L0",
          allowed_replay_modes: pipeline.recording_policy.allowed_replay_modes
        },
        { providers: { "embedded/moonshine": "closed", "embedded/rules": "closed", "embedded/flite": "closed" } }
      ])
      const set = yield* plane.openSession(
        yield* factsOf({
          session_id: "t",
          authority_epoch: 4,
          endpoints: ["e"],
          maxTurnsPerSession: 3,
          overQuota: "defer",
          overQuotaReason: "busy",
          policy: {
            max_recording_level: "L2",
            allowed_adaptive_actions: [],
            allowed_replay_modes: ["replay_decisions"]
          },
          providerHealth: { "embedded/rules": "open", "other": "half_open" }
        })
      )
      assert.deepStrictEqual(bodyOf(set, "routing_view_snapshot"), {
        placement_id: "p",
        authority_epoch: 4,
        endpoints: ["e"]
      })
      assert.deepStrictEqual(bodyOf(set, "admission_policy_snapshot"), {
        max_turns_per_session: 3,
        over_quota: "defer",
        reason: "busy"
      })
      assert.deepStrictEqual(bodyOf(set, "policy_resolution_snapshot"), {
        allowed_adaptive_actions: [],
        max_recording_level: "L2",
        allowed_replay_modes: ["replay_decisions"]
      })
      assert.deepStrictEqual(bodyOf(set, "provider_health_snapshot"), {
        providers: {
          "embedded/moonshine": "closed",
          "embedded/rules": "open",
          "embedded/flite": "closed",
          "other": "half_open"
        }
      })
    }).pipe(provide))

  it.effect("has the lower of the spec's and the operator's quota, zero included", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane
      const quota = (session_id: string, operator: number | undefined, author: number) =>
        Effect.gen(function*() {
          const over = operator === undefined ? { session_id } : { session_id, maxTurnsPerSession: operator }
          const snapshots = yield* plane.openSession(yield* factsOf(over, { max_turns_per_session: author }))
          return (bodyOf(snapshots, "admission_policy_snapshot") as { max_turns_per_session: number })
            .max_turns_per_session
        })
      assert.deepStrictEqual([yield* quota("a", undefined, 0), yield* quota("b", 5, 7), yield* quota("c", 7, 5)], [
        0,
        5,
        5
      ])
    }).pipe(provide))

  it.effect("is refused while it is open, and free again when its scope has closed", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane
      const facts = yield* factsOf()
      yield* Effect.scoped(Effect.gen(function*() {
        yield* plane.openSession(facts)
        assert.strictEqual((yield* Effect.flip(plane.openSession(facts)))._tag, "SessionAlreadyOpen")
        assert.strictEqual((yield* plane.latest("s")).length, 6)
      }))
      assert.deepStrictEqual(yield* plane.latest("s"), [])
      assert.strictEqual((yield* plane.openSession(facts))[0]?.version, 1)
    }).pipe(provide))

  it.effect("is refused with facts that make no valid snapshot", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane
      const error = yield* Effect.flip(plane.openSession(yield* factsOf({ maxTurnsPerSession: -1 })))
      assert.deepStrictEqual([error._tag, error.message], [
        "SnapshotInvalid",
        "admission_policy_snapshot: body.max_turns_per_session must be a value of at least 0"
      ])
      assert.deepStrictEqual(yield* plane.latest("s"), [])
    }).pipe(provide))
})

describe("a publication", () => {
  it.effect("is the next version of its kind, for its session alone", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane
      yield* plane.openSession(yield* factsOf())
      yield* plane.openSession(yield* factsOf({ session_id: "t" }))
      const first = yield* plane.publish("s", "abi_compatibility_snapshot", { contract_versions: ["v1.0", "v1.1"] })
      const second = yield* plane.publish("s", "abi_compatibility_snapshot", { contract_versions: ["v1.0", "v1.1"] })
      assert.deepStrictEqual(ids([first, second]), [
        "snap_abi_compatibility_snapshot_2",
        "snap_abi_compatibility_snapshot_3"
      ])
      assert.strictEqual(second.content_hash, first.content_hash)
      const versions = (session: string) =>
        Effect.map(plane.latest(session), (all) => all.map((snapshot) => snapshot.version))
      assert.deepStrictEqual([yield* versions("s"), yield* versions("t")], [[1, 1, 3, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
    }).pipe(provide))

  it.effect("that is invalid, or for a session that is not open, changes nothing", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane
      const before = yield* plane.openSession(yield* factsOf())
      const invalid = yield* Effect.flip(plane.publish("s", "abi_compatibility_snapshot", { contract_versions: [] }))
      assert.deepStrictEqual([invalid._tag, invalid.message], [
        "SnapshotInvalid",
        "abi_compatibility_snapshot: body.contract_versions must be a list of at least 1"
      ])
      assert.strictEqual(
        (yield* Effect.flip(plane.publish("t", "abi_compatibility_snapshot", { contract_versions: ["v1.0"] })))._tag,
        "SessionNotOpen"
      )
      assert.deepStrictEqual(yield* plane.latest("s"), before)
    }).pipe(provide))

  it.effect("of many at once leaves no gap in the versions", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane
      yield* plane.openSession(yield* factsOf())
      const heard: Array<number> = []
      yield* plane.subscribe("s", (snapshot) =>
        snapshot.snapshot_kind === "routing_view_snapshot" && heard.push(snapshot.version))
      yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) =>
          i),
        (i) =>
          plane.publish("s", "routing_view_snapshot", { placement_id: `p${i}`, authority_epoch: i, endpoints: [] }),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(heard, Array.from({ length: 21 }, (_, i) => i + 1))
    }).pipe(provide))
})

describe("a subscriber", () => {
  it.effect("gets the latest of each kind, then every later version, until its scope closes", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane
      yield* plane.openSession(yield* factsOf())
      yield* plane.publish("s", "abi_compatibility_snapshot", { contract_versions: ["v1.0"] })
      const heard: Array<Snapshot> = []
      const scope = yield* Scope.make()
      yield* Scope.provide(plane.subscribe("s", (snapshot) => heard.push(snapshot)), scope)
      assert.deepStrictEqual(
        heard.map((snapshot) => [snapshot.snapshot_kind, snapshot.version]),
        snapshotKinds.map((kind) => [
          kind,
          kind === "abi_compatibility_snapshot" ? 2 : 1
        ])
      )
      yield* plane.publish("s", "routing_view_snapshot", { placement_id: "q", authority_epoch: 2, endpoints: [] })
      assert.strictEqual(heard.at(-1)?.snapshot_id, "snap_routing_view_snapshot_2")
      yield* Scope.close(scope, Exit.void)
      yield* plane.publish("s", "routing_view_snapshot", { placement_id: "p", authority_epoch: 3, endpoints: [] })
      assert.strictEqual(heard.length, 7)
    }).pipe(provide))

  it.effect("that came before its session gets everything from the first", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane
      const heard: Array<Snapshot> = []
      yield* plane.subscribe("s", (snapshot) => heard.push(snapshot))
      const snapshots = yield* plane.openSession(yield* factsOf())
      assert.deepStrictEqual(heard, snapshots)
    }).pipe(provide))

  it.effect("never holds a snapshot of half its TTL while the session is open, and hears no more when it has closed", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane
      const heard: Array<Snapshot> = []
      yield* plane.subscribe("s", (snapshot) => heard.push(snapshot))
      const scope = yield* Scope.make()
      yield* Scope.provide(plane.openSession(yield* factsOf()), scope)
      for (let now = 100; now <= 30_000; now += 100) {
        yield* TestClock.adjust(100)
        for (const snapshot of yield* plane.latest("s")) assert.isBelow(now - snapshot.issued_at_ms, 5000)
      }
      const routing = heard.filter((snapshot) => snapshot.snapshot_kind === "routing_view_snapshot")
      assert.deepStrictEqual(routing.map((snapshot) => [snapshot.version, snapshot.issued_at_ms]).slice(0, 3), [
        [1, 0],
        [2, 4000],
        [3, 8000]
      ])
      assert.strictEqual(new Set(routing.map((snapshot) => snapshot.content_hash)).size, 1)
      yield* Scope.close(scope, Exit.void)
      const count = heard.length
      yield* TestClock.adjust(60_000)
      assert.strictEqual(heard.length, count)
    }).pipe(provide))
})
