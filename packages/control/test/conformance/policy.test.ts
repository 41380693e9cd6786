// Policies, admission, rollouts, sessions, health, routing and what the snapshots say: on SQLite and on PostgreSQL.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { AdmissionPolicy, judgeSession } from "../../src/AdmissionPolicy.ts"
import { AuditLog } from "../../src/AuditLog.ts"
import { ControlPlane } from "../../src/ControlPlane.ts"
import { controlModules } from "../../src/ControlModules.ts"
import { LeaseAuthority } from "../../src/LeaseAuthority.ts"
import { LeaseTokens } from "../../src/LeaseTokens.ts"
import { PipelineRegistry } from "../../src/PipelineRegistry.ts"
import { PolicyEvaluation } from "../../src/PolicyEvaluation.ts"
import { ProviderHealth } from "../../src/ProviderHealth.ts"
import { percentAt, resolveVersion, Rollout, shareOf } from "../../src/Rollout.ts"
import type { RolloutState } from "../../src/Rollout.ts"
import { orderEndpoints, placementKeptMs, placementTtlMs, RoutingView } from "../../src/RoutingView.ts"
import { SessionDirectory } from "../../src/SessionDirectory.ts"
import { SnapshotPublisher } from "../../src/SnapshotPublisher.ts"
import { onBothDatabases } from "./support/Databases.ts"

const modules = controlModules().pipe(
  Layer.provideMerge(LeaseAuthority.layerMemory()),
  Layer.provideMerge(LeaseTokens.layerSeeded(1)),
  Layer.provideMerge(ControlPlane.layerMemory())
)
type Modules = Layer.Success<typeof modules> | SqlClient.SqlClient

const spec = (version: string, more: object = {}) => ({
  schema_version: "v1.0",
  pipeline_id: "assistant",
  pipeline_version: version,
  ...more
})

const published = (version: string, more: object = {}, tenant_id = "acme") =>
  Effect.flatMap(PipelineRegistry, (registry) => registry.publish({ tenant_id, spec: spec(version, more) }))

onBothDatabases("the control plane's modules", (make) => {
  const test = <E>(name: string, body: Effect.Effect<unknown, E, Modules>) =>
    it.live(
      name,
      () =>
        Effect.flatMap(make, ({ client }) =>
          Effect.provide(body, modules.pipe(Layer.provideMerge(client)), { local: true }))
    )

  test(
    "policy: the most specific binding decides each field, and the pipeline what none says",
    Effect.gen(function*() {
      const { evaluate, policies } = yield* PolicyEvaluation
      const { published: { pipeline } } = yield* published("1", {
        allowed_adaptive_actions: ["retry", "provider_switch", "degrade", "fallback"],
        fallback_providers: { llm: "embedded/other", tts: "embedded/another" },
        recording_policy: { recording_level: "L2" }
      })
      const bare = yield* evaluate("acme", {}, pipeline)
      assert.deepStrictEqual(bare.body.allowed_adaptive_actions, pipeline.allowed_adaptive_actions)
      assert.strictEqual(bare.body.max_recording_level, "L2")
      assert.strictEqual(bare.sources.max_recording_level, "pipeline")
      yield* policies.put("acme", "all", { match: {}, max_recording_level: "L1", degrade_posture: "fallback_only" })
      yield* policies.put("acme", "german", { match: { language: "de" }, max_recording_level: "L0" })
      yield* policies.put("acme", "eu", {
        match: { region: "eu" },
        max_recording_level: "L2",
        degrade_posture: "never"
      })
      yield* policies.put("acme", "cheap", {
        match: { cost_tier: "cheap" },
        cost_cap: { max_session_cost_micros: 1000, turn_cost_micros: 90 }
      })
      const level = (facets: object) =>
        Effect.map(evaluate("acme", facets, pipeline), ({ body, sources }) => [
          body.max_recording_level,
          sources.max_recording_level
        ])
      assert.deepStrictEqual(yield* level({}), ["L1", "all"])
      assert.deepStrictEqual(yield* level({ language: "de" }), ["L0", "german"])
      assert.deepStrictEqual(yield* level({ language: "de", region: "eu" }), ["L2", "eu"])
      assert.deepStrictEqual(yield* level({ language: "de", region: "us", cost_tier: "cheap" }), ["L0", "german"])
      const cheap = yield* evaluate("acme", { region: "eu", cost_tier: "cheap" }, pipeline)
      assert.deepStrictEqual(cheap.body.allowed_adaptive_actions, ["retry", "provider_switch"])
      assert.deepStrictEqual(cheap.cost_cap, { max_session_cost_micros: 1000, turn_cost_micros: 90 })
      assert.deepStrictEqual(yield* evaluate("other", { language: "de" }, pipeline), bare)
    })
  )

  test(
    "policy: one binding for each match; a change founded on an old revision is refused",
    Effect.gen(function*() {
      const { policies } = yield* PolicyEvaluation
      const first = yield* policies.put("acme", "eu", { match: { region: "eu" }, max_recording_level: "L0" }, 0)
      assert.strictEqual(first.revision, 1)
      const taken = yield* Effect.flip(policies.put("acme", "eu2", { match: { region: "eu" } }))
      assert.strictEqual(taken._tag, "ControlConflict")
      const second = yield* policies.put("acme", "eu", { match: { region: "eu" }, max_recording_level: "L1" }, 1)
      assert.strictEqual(second.revision, 2)
      const late = yield* Effect.flip(policies.put("acme", "eu", { match: {} }, 1))
      assert.include(late.message, "revision 2, not 1")
      assert.strictEqual((yield* policies.put("acme", "eu", second.body)).revision, 2)
      const form = yield* Effect.flip(policies.put("acme", "x", { match: { planet: "mars" } }))
      assert.strictEqual(form._tag, "ControlInvalid")
      assert.strictEqual((yield* Effect.flip(policies.get("other", "eu")))._tag, "ControlNotFound")
      yield* policies.remove("acme", "eu", 2)
      assert.strictEqual((yield* Effect.flip(policies.remove("acme", "eu", undefined)))._tag, "ControlNotFound")
      const { items } = yield* (yield* AuditLog).list("acme", {})
      assert.deepStrictEqual(items.map(({ action }) => action), ["policy.put", "policy.put", "policy.remove"])
    })
  )

  test(
    "rollout: only what is published, current and was not taken back is rolled out",
    Effect.gen(function*() {
      const { put, rollback } = yield* Rollout
      yield* published("1")
      yield* published("2")
      const refused = (plan: object) =>
        Effect.map(Effect.flip(put("acme", "assistant", plan)), ({ message }) => message)
      assert.include(yield* refused({ stable_version: "9" }), "not published")
      assert.include(yield* refused({ stable_version: "1", candidate_version: "1" }), "is the stable version")
      assert.include(yield* refused({ stable_version: "1", percent: 101 }), "rollout cannot be used")
      yield* put("acme", "assistant", { stable_version: "1", candidate_version: "2", percent: 10 })
      assert.strictEqual(
        (yield* Effect.flip(put("other", "assistant", { stable_version: "1" })))._tag,
        "ControlInvalid"
      )
      yield* rollback("acme", "assistant", "it stammers")
      const again = yield* rollback("acme", "assistant", "it stammers")
      assert.strictEqual(again.revision, 2)
      assert.include(yield* refused({ stable_version: "2" }), "was rolled back")
      yield* put("acme", "assistant", { stable_version: "1" })
      assert.include(yield* refused({ stable_version: "1", candidate_version: "2" }), "was rolled back")
      yield* published("3")
      yield* (yield* PipelineRegistry).deprecate("acme", "assistant", "3", "no")
      assert.include(yield* refused({ stable_version: "3" }), "is deprecated")
    })
  )

  test(
    "rollback: later turns and new sessions have the stable version, and it is in the audit log",
    Effect.gen(function*() {
      const sessions = yield* SessionDirectory
      const rollout = yield* Rollout
      const publisher = yield* SnapshotPublisher
      const leases = yield* LeaseAuthority
      yield* published("1")
      const candidate = yield* published("2", { budgets: { turn_budget_ms: 9000 } })
      yield* rollout.put("acme", "assistant", { stable_version: "1", candidate_version: "2", allowlist: ["ann"] })
      const ann = yield* sessions.create("acme", { pipeline_id: "assistant", caller: "ann" })
      const bob = yield* sessions.create("acme", { pipeline_id: "assistant", caller: "bob" })
      assert.deepStrictEqual([ann.pipeline_version, bob.pipeline_version], ["2", "1"])
      yield* leases.acquire(ann.session_id, "here")
      yield* publisher.open("acme", ann.session_id)
      const version = Effect.map(
        (yield* ControlPlane).latest(ann.session_id),
        (all) =>
          all.flatMap((snapshot) => snapshot.snapshot_kind === "version_resolution_snapshot" ? [snapshot] : [])[0]
      )
      const before = yield* version
      assert.strictEqual(before?.body.graph_definition_ref, candidate.published.pipeline.graph.graph_definition_ref)
      // the candidate grows and shrinks: sessions stay
      yield* rollout.put("acme", "assistant", { stable_version: "1", candidate_version: "2", percent: 100 })
      assert.strictEqual((yield* sessions.get("acme", bob.session_id)).pipeline_version, "1")
      yield* rollout.put("acme", "assistant", { stable_version: "1", candidate_version: "2", percent: 0 })
      assert.strictEqual((yield* sessions.get("acme", ann.session_id)).pipeline_version, "2")
      assert.deepStrictEqual(yield* publisher.refresh("acme", ann.session_id), [])
      yield* rollout.rollback("acme", "assistant", "it stammers")
      assert.strictEqual((yield* sessions.get("acme", ann.session_id)).pipeline_version, "1")
      assert.deepStrictEqual(yield* publisher.refresh("acme", ann.session_id), ["version_resolution_snapshot"])
      const after = yield* version
      assert.deepInclude(after?.body, { pipeline_version: "1" })
      assert.strictEqual(after?.version, (before?.version ?? 0) + 1)
      const fresh = yield* sessions.create("acme", { pipeline_id: "assistant", caller: "ann" })
      assert.strictEqual(fresh.pipeline_version, "1")
      const { items } = yield* (yield* AuditLog).list("acme", {})
      assert.deepInclude(items.at(-1), {
        action: "rollout.rollback",
        details: { from: "2", to: "1", reason: "it stammers", revision: 4 }
      })
    }).pipe(Effect.scoped)
  )

  test(
    "admission: quotas, fair shares and precedence under overload turn new sessions away",
    Effect.gen(function*() {
      const admission = yield* AdmissionPolicy
      const sessions = yield* SessionDirectory
      yield* published("1")
      yield* (yield* Rollout).put("acme", "assistant", { stable_version: "1" })
      yield* admission.put("acme", {
        fairness: { key: "caller", max_sessions: 2 },
        overload: { capacity: 4, precedence: [{ cost_tier: "batch", admit_below_percent: 50 }] }
      }, 0)
      const one = (caller: string, cost_tier?: string) =>
        sessions.create("acme", {
          pipeline_id: "assistant",
          caller,
          ...(cost_tier === undefined ? {} : { cost_tier })
        })
      const turned = (caller: string, tier?: string) =>
        Effect.map(
          Effect.flip(one(caller, tier)),
          (error) => error._tag === "ControlOverloaded" ? error.code : error._tag
        )
      const first = yield* one("ann")
      yield* one("ann")
      assert.strictEqual(yield* turned("ann"), "fair_share_exhausted")
      assert.strictEqual(yield* turned("bob", "batch"), "overload")
      yield* one("bob")
      yield* one("cid")
      assert.strictEqual(yield* turned("dan"), "overload")
      yield* sessions.end("acme", first.session_id)
      yield* one("ann")
      yield* admission.put("acme", { max_sessions_per_tenant: 3, over_quota: "defer" }, 1)
      const error = yield* Effect.flip(one("eve"))
      assert.deepInclude(error, { code: "session_quota_exhausted", retry_after_ms: 1000 })
      assert.strictEqual((yield* sessions.list("acme", { active: true })).items.length, 4)
      assert.strictEqual((yield* sessions.list("acme", {})).items.length, 5)
      assert.strictEqual((yield* Effect.flip(sessions.get("other", first.session_id)))._tag, "ControlNotFound")
      assert.strictEqual((yield* Effect.flip(sessions.end("other", first.session_id)))._tag, "ControlNotFound")
      const twice = { cost_tier: "x", admit_below_percent: 1 }
      const unclear = yield* Effect.flip(
        admission.put("acme", { overload: { capacity: 1, precedence: [twice, twice] } })
      )
      assert.strictEqual(unclear._tag, "ControlInvalid")
    })
  )

  test(
    "admission: twenty at once get no more sessions than the quota",
    Effect.gen(function*() {
      const sessions = yield* SessionDirectory
      yield* published("1")
      yield* (yield* Rollout).put("acme", "assistant", { stable_version: "1" })
      yield* (yield* AdmissionPolicy).put("acme", { max_sessions_per_tenant: 7 })
      const all = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => Effect.result(sessions.create("acme", { pipeline_id: "assistant" })),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(all.filter(({ _tag }) => _tag === "Success").length, 7)
    })
  )

  test(
    "health: reports of all runtimes of a tenant count together",
    Effect.gen(function*() {
      const health = yield* ProviderHealth
      const report = (failed: number, succeeded: number) =>
        health.report("acme", [{ provider_id: "llm/a", failed, succeeded }])
      yield* Effect.forEach([1, 2, 3, 4, 5], () => report(1, 1), { concurrency: "unbounded" })
      const of = (tenant_id: string, provider: string) =>
        Effect.map(
          health.statesFor(tenant_id, { session_id: "s", bindings: { llm: provider } }),
          ({ providers }) => providers
        )
      assert.deepStrictEqual(yield* of("acme", "llm/a"), { "llm/a": "open" })
      assert.deepStrictEqual(yield* of("acme", "llm/b"), { "llm/b": "closed" })
      assert.deepStrictEqual(yield* of("other", "llm/a"), { "llm/a": "closed" })
      // what goes well while it is open was begun before: it closes nothing
      yield* report(0, 10)
      assert.deepStrictEqual(yield* of("acme", "llm/a"), { "llm/a": "open" })
      const { providers, windows } = yield* health.view("acme")
      assert.deepStrictEqual(providers, { "llm/a": "open" })
      assert.deepStrictEqual(windows, {
        "llm/a": { succeeded: 15, failed: 5, slow: 0, error_rate: 0.25, because: "failures" }
      })
      assert.deepStrictEqual(yield* health.view("other"), { providers: {}, windows: {} })
    })
  )

  test(
    "routing: a session is where its lease is; other live placements follow",
    Effect.gen(function*() {
      const routing = yield* RoutingView
      const leases = yield* LeaseAuthority
      yield* routing.announce("acme", { placement_id: "a", region: "us", endpoints: ["a:1"] })
      yield* routing.announce("acme", { placement_id: "b", region: "eu", endpoints: ["b:1", "b:2"] })
      yield* routing.announce("acme", { placement_id: "c", endpoints: ["c:1"] })
      yield* routing.announce("acme", { placement_id: "c", region: "eu", endpoints: ["c:2"] })
      yield* routing.announce("other", { placement_id: "d", region: "eu", endpoints: ["d:1"] })
      const session = { session_id: "s", region: "eu" }
      assert.strictEqual((yield* Effect.flip(routing.view("acme", session)))._tag, "ControlNotFound")
      yield* leases.acquire("s", "c")
      assert.deepStrictEqual(yield* routing.view("acme", session), {
        placement_id: "c",
        authority_epoch: 1,
        endpoints: ["c:2", "b:1", "b:2", "a:1"]
      })
      yield* leases.rotate("s", 1, "a")
      assert.deepInclude(yield* routing.view("acme", session), { placement_id: "a", authority_epoch: 2 })
      // a placement that is no longer heard of is not named, unless it holds the lease
      yield* (yield* SqlClient.SqlClient)`UPDATE rspp_placements SET expires_ms = 1 WHERE placement_id <> 'b'`
      assert.deepStrictEqual((yield* routing.view("acme", session)).endpoints, ["a:1", "b:1", "b:2"])
    })
  )

  test(
    "routing: placements that have long been silent are forgotten, and those of another tenant are not touched",
    Effect.gen(function*() {
      const routing = yield* RoutingView
      const sql = yield* SqlClient.SqlClient
      const known = Effect.map(
        sql`SELECT placement_id FROM rspp_placements ORDER BY placement_id`,
        (rows) => rows.map((row) => String(row["placement_id"]))
      )
      for (const placement_id of ["a", "b", "c"]) yield* routing.announce("acme", { placement_id, endpoints: [] })
      yield* routing.announce("other", { placement_id: "d", endpoints: [] })
      yield* sql`UPDATE rspp_placements SET expires_ms = expires_ms - ${placementTtlMs + placementKeptMs}
        WHERE placement_id <> 'b'`
      // silent, and not yet for so long
      yield* sql`UPDATE rspp_placements SET expires_ms = expires_ms - ${placementKeptMs / 2} WHERE placement_id = 'b'`
      yield* routing.announce("acme", { placement_id: "e", endpoints: [] })
      assert.deepStrictEqual(yield* known, ["b", "d", "e"])
      // one that is late comes back as itself
      yield* routing.announce("other", { placement_id: "d", endpoints: ["d:1"] })
      assert.deepStrictEqual(yield* known, ["b", "d", "e"])
    })
  )

  test(
    "snapshots: the six bodies come from the modules, and only what changed is published",
    Effect.gen(function*() {
      const publisher = yield* SnapshotPublisher
      const control = yield* ControlPlane
      const { published: { pipeline } } = yield* published("1", {
        admission: { max_turns_per_session: 40, max_turns_per_minute: 9 }
      })
      yield* (yield* Rollout).put("acme", "assistant", { stable_version: "1" })
      const session = yield* (yield* SessionDirectory).create("acme", { pipeline_id: "assistant", cost_tier: "cheap" })
      const id = session.session_id
      assert.strictEqual((yield* Effect.flip(publisher.bodies("acme", id)))._tag, "ControlNotFound")
      yield* (yield* LeaseAuthority).acquire(id, "here")
      const opened = yield* publisher.open("acme", id)
      assert.deepStrictEqual(opened.map(({ version }) => version), [1, 1, 1, 1, 1, 1])
      assert.deepStrictEqual(
        Object.fromEntries(opened.map(({ body, snapshot_kind }) => [snapshot_kind, body])),
        { ...(yield* publisher.bodies("acme", id)) }
      )
      assert.deepStrictEqual(yield* publisher.refresh("acme", id), [])
      yield* (yield* AdmissionPolicy).put("acme", { max_turns_per_minute: 20, max_turns_per_session: 30 })
      assert.deepStrictEqual(yield* publisher.refresh("acme", id), ["admission_policy_snapshot"])
      yield* (yield* PolicyEvaluation).policies.put("acme", "cheap", {
        match: { cost_tier: "cheap" },
        max_recording_level: "L0",
        allowed_adaptive_actions: [],
        cost_cap: { max_session_cost_micros: 1000, turn_cost_micros: 90 }
      })
      const [stt = ""] = Object.values(pipeline.provider_bindings)
      yield* (yield* ProviderHealth).report("acme", [{ provider_id: stt, succeeded: 0, failed: 10 }])
      assert.deepStrictEqual(yield* publisher.refresh("acme", id), [
        "admission_policy_snapshot",
        "policy_resolution_snapshot",
        "provider_health_snapshot"
      ])
      const latest = Object.fromEntries((yield* control.latest(id)).map((one) => [one.snapshot_kind, one]))
      assert.deepStrictEqual(latest["admission_policy_snapshot"]?.body, {
        max_turns_per_session: 11,
        max_turns_per_minute: 9,
        over_quota: "reject",
        reason: "cost_cap_reached"
      })
      assert.strictEqual(latest["admission_policy_snapshot"]?.version, 3)
      assert.deepStrictEqual(latest["policy_resolution_snapshot"]?.body, {
        allowed_adaptive_actions: [],
        max_recording_level: "L0",
        allowed_replay_modes: pipeline.recording_policy.allowed_replay_modes
      })
      assert.deepInclude(latest["provider_health_snapshot"]?.body, {
        providers: {
          ...Object.fromEntries(Object.values(pipeline.provider_bindings).map((p) => [p, "closed" as const])),
          [stt]: "open"
        }
      })
      assert.strictEqual((yield* Effect.flip(publisher.bodies("other", id)))._tag, "ControlNotFound")
    }).pipe(Effect.scoped)
  )
})

const state = (more: Partial<RolloutState>): RolloutState => ({
  stable_version: "1",
  candidate_version: "2",
  rolled_back: [],
  ...more
})

describe("a rollout", () => {
  const keys = Array.from({ length: 10_000 }, (_, at) => `session-${at}`)
  const versions = (percent: number) =>
    keys.map((key) => resolveVersion("assistant", state({ percent }), key, {}, 0).pipeline_version)

  it("gives a share of 10,000 sessions the candidate, within the binomial bound", () => {
    for (const percent of [1, 10, 50, 90]) {
      const got = versions(percent).filter((version) => version === "2").length
      const mean = keys.length * percent / 100
      // 4.5 standard deviations: once in 150,000 draws of chance; these keys never change
      assert.isAtMost(Math.abs(got - mean), 4.5 * Math.sqrt(mean * (1 - percent / 100)), `${percent} %: ${got}`)
    }
    assert.notInclude(versions(0), "2")
    assert.notInclude(versions(100), "1")
  })

  it("keeps each session on its version, when asked again and when the share grows", () => {
    assert.deepStrictEqual(versions(10), versions(10))
    const [tenth, half] = [versions(10), versions(50)]
    assert.isTrue(tenth.every((version, at) => version === "1" || half[at] === "2"))
  })

  it("deals another candidate to other sessions", () => {
    const [a, b] = ["2", "3"].map((candidate) => keys.filter((key) => shareOf("assistant", candidate, key) < 10))
    const both = a?.filter((key) => b?.includes(key)).length ?? 0
    assert.isBelow(both, 200)
    assert.isAbove(both, 40)
  })

  it("follows its schedule, whatever the order of the steps", () => {
    const plan = { stable_version: "1", percent: 1, schedule: [{ at_ms: 20, percent: 50 }, { at_ms: 10, percent: 5 }] }
    assert.deepStrictEqual([0, 9, 10, 19, 20, 99].map((at) => percentAt(plan, at)), [1, 1, 5, 5, 50, 50])
  })

  it("puts rolled back before allowlist before canary before share", () => {
    const all = state({ percent: 100, allowlist: ["ann"], canary: [{ region: "eu" }, {}] })
    const got = (plan: RolloutState, key: string, facets: object) => {
      const { pipeline_version, reason } = resolveVersion("assistant", plan, key, facets, 0)
      return `${pipeline_version} ${reason}`
    }
    assert.strictEqual(got(all, "ann", { region: "eu" }), "2 allowlist")
    assert.strictEqual(got(all, "bob", { region: "eu" }), "2 canary")
    assert.strictEqual(got(all, "bob", { region: "us" }), "2 share")
    assert.strictEqual(got({ ...all, percent: 0 }, "bob", {}), "1 stable")
    const back = { ...all, rolled_back: [{ pipeline_version: "2", at_ms: 1, reason: "x" }] }
    assert.strictEqual(got(back, "ann", { region: "eu" }), "1 stable")
  })
})

describe("endpoints", () => {
  it("are ordered: the session's own, its region's, the others; none twice", () => {
    const places = [
      { placement_id: "z", region: "eu", endpoints: ["z", "same"] },
      { placement_id: "a", region: "us", endpoints: ["a"] },
      { placement_id: "m", region: "us", endpoints: ["m", "same"] }
    ]
    assert.deepStrictEqual(orderEndpoints(places, "m", "eu"), ["m", "same", "z", "a"])
    assert.deepStrictEqual(orderEndpoints(places, "gone", undefined), ["a", "m", "same", "z"])
  })
})

describe("the admission of a session", () => {
  it("is without limits where there are no rules", () => {
    assert.isUndefined(judgeSession({}, undefined, { ofTenant: 1_000_000, ofKey: 1_000_000 }))
  })
})
