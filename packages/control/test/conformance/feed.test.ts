// The feed of snapshots, from the modules into the log that runtimes follow: on SQLite and on PostgreSQL.
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { AdmissionPolicy } from "../../src/AdmissionPolicy.ts"
import { AuditLog } from "../../src/AuditLog.ts"
import { ControlPlane } from "../../src/ControlPlane.ts"
import { controlModules } from "../../src/ControlModules.ts"
import { LeaseAuthority } from "../../src/LeaseAuthority.ts"
import { LeaseTokens } from "../../src/LeaseTokens.ts"
import { PipelineRegistry } from "../../src/PipelineRegistry.ts"
import { ProviderHealth } from "../../src/ProviderHealth.ts"
import { Rollout } from "../../src/Rollout.ts"
import { SessionDirectory } from "../../src/SessionDirectory.ts"
import { defaultFeedOptions, SnapshotFeed } from "../../src/SnapshotFeed.ts"
import { SnapshotLog } from "../../src/SnapshotLog.ts"
import * as SqlLeaseStore from "../../src/sql/SqlLeaseStore.ts"
import * as SqlSnapshotLog from "../../src/sql/SqlSnapshotLog.ts"
import { onBothDatabases } from "./support/Databases.ts"

const modules = (options: Partial<typeof defaultFeedOptions> = {}) =>
  SnapshotFeed.layer({ ...defaultFeedOptions, factsEveryMs: 0, ...options }).pipe(
    Layer.provideMerge(controlModules()),
    Layer.provideMerge(SqlSnapshotLog.layer({ name: "test" })),
    Layer.provideMerge(LeaseAuthority.layerNoDeps()),
    Layer.provideMerge(SqlLeaseStore.layer({ name: "test" })),
    Layer.provideMerge(LeaseTokens.layerSeeded(1)),
    Layer.provideMerge(ControlPlane.layerMemory())
  )
type Modules = Layer.Success<ReturnType<typeof modules>> | SqlClient.SqlClient

onBothDatabases("the feed of snapshots", (make) => {
  const test = <E>(
    name: string,
    body: Effect.Effect<unknown, E, Modules>,
    options: Partial<typeof defaultFeedOptions> = {}
  ) =>
    it.live(
      name,
      () =>
        Effect.flatMap(make, ({ client }) =>
          Effect.provide(body, modules(options).pipe(Layer.provideMerge(client)), { local: true }))
    )

  const session = Effect.gen(function*() {
    const registry = yield* PipelineRegistry
    for (const version of ["1", "2"]) {
      const spec = { schema_version: "v1.0", pipeline_id: "assistant", pipeline_version: version }
      yield* registry.publish({ tenant_id: "acme", spec })
    }
    yield* (yield* Rollout).put("acme", "assistant", { stable_version: "1", candidate_version: "2", percent: 100 })
    return yield* (yield* SessionDirectory).create("acme", { pipeline_id: "assistant" })
  })

  const versions = (session_id: string) =>
    Effect.flatMap(
      SnapshotLog,
      (log) =>
        Effect.map(log.latest(session_id), (all) =>
          Object.fromEntries(all.map(({ snapshot }) => [snapshot.snapshot_kind, snapshot.version])))
    )

  test(
    "publishes the six of a session once it has a lease, then only what changes",
    Effect.gen(function*() {
      const feed = yield* SnapshotFeed
      const { session_id } = yield* session
      assert.strictEqual(yield* feed.tick, 0)
      yield* (yield* LeaseAuthority).acquire(session_id, "here")
      assert.strictEqual(yield* feed.tick, 6)
      assert.strictEqual(yield* feed.tick, 0)
      yield* (yield* AdmissionPolicy).put("acme", { max_turns_per_minute: 9 })
      assert.strictEqual(yield* feed.tick, 1)
      const failed = (provider_id: string) =>
        Effect.flatMap(ProviderHealth, (health) => health.report("acme", [{ provider_id, succeeded: 0, failed: 20 }]))
      // a provider that the session does not call is no news to it
      yield* failed("llm/another")
      assert.strictEqual(yield* feed.tick, 0)
      yield* failed("embedded/rules")
      assert.strictEqual(yield* feed.tick, 1)
      yield* (yield* LeaseAuthority).rotate(session_id, 1, "there")
      assert.strictEqual(yield* feed.tick, 1)
      yield* (yield* Rollout).rollback("acme", "assistant", "it stammers")
      assert.strictEqual(yield* feed.tick, 1)
      assert.deepStrictEqual(yield* versions(session_id), {
        routing_view_snapshot: 2,
        admission_policy_snapshot: 2,
        abi_compatibility_snapshot: 1,
        version_resolution_snapshot: 2,
        policy_resolution_snapshot: 1,
        provider_health_snapshot: 2
      })
      yield* (yield* SessionDirectory).end("acme", session_id)
      yield* (yield* AdmissionPolicy).put("acme", {})
      assert.strictEqual(yield* feed.tick, 0)
    })
  )

  test(
    "issues them anew before half their TTL",
    Effect.gen(function*() {
      const feed = yield* SnapshotFeed
      const { session_id } = yield* session
      yield* (yield* LeaseAuthority).acquire(session_id, "here")
      assert.strictEqual(yield* feed.tick, 6)
      yield* Effect.sleep(45)
      assert.strictEqual(yield* feed.tick, 6)
      assert.strictEqual((yield* versions(session_id))["abi_compatibility_snapshot"], 2)
    }),
    { snapshotTtlMs: 100 }
  )

  test(
    "leaves other sessions alone when one cannot be made, and the last ones stay",
    Effect.gen(function*() {
      const feed = yield* SnapshotFeed
      const broken = yield* session
      const whole = yield* (yield* SessionDirectory).create("acme", { pipeline_id: "assistant" })
      for (const { session_id } of [broken, whole]) yield* (yield* LeaseAuthority).acquire(session_id, "here")
      assert.strictEqual(yield* feed.tick, 12)
      const sql = yield* SqlClient.SqlClient
      yield* sql`UPDATE rspp_sessions SET pipeline_version = 'gone' WHERE session_id = ${broken.session_id}`
      yield* (yield* AdmissionPolicy).put("acme", { max_turns_per_minute: 9 })
      assert.strictEqual(yield* feed.tick, 1)
      assert.strictEqual((yield* versions(broken.session_id))["admission_policy_snapshot"], 1)
      assert.strictEqual((yield* versions(whole.session_id))["admission_policy_snapshot"], 2)
      assert.isAbove(yield* (yield* AuditLog).length, 3)
    })
  )

  test(
    "says once what is wrong with a session, and asks again only after a change, or when facts are due",
    Effect.gen(function*() {
      const said: Array<string> = []
      const logger = Logger.layer([Logger.make(({ message }) => void said.push(String(message)))])
      const feed = yield* SnapshotFeed
      const tick = Effect.provide(feed.tick, logger)
      const { pipeline_version, session_id } = yield* session
      yield* (yield* LeaseAuthority).acquire(session_id, "here")
      const sql = yield* SqlClient.SqlClient
      const pinned = (version: string) =>
        sql`UPDATE rspp_sessions SET pipeline_version = ${version} WHERE session_id = ${session_id}`
      const change = (max_turns_per_minute: number) =>
        Effect.flatMap(AdmissionPolicy, (policy) => policy.put("acme", { max_turns_per_minute }))
      yield* pinned("gone")
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* tick, 0)
      yield* change(8)
      assert.strictEqual(yield* tick, 0)
      assert.lengthOf(said, 1)
      assert.include(said[0], session_id)
      // nothing tells the feed of this; it would be seen if the session were looked at with each tick
      yield* pinned(pipeline_version)
      assert.strictEqual(yield* tick, 0)
      yield* change(9)
      assert.strictEqual(yield* tick, 6)
      yield* pinned("gone")
      yield* change(10)
      assert.strictEqual(yield* tick, 0)
      assert.lengthOf(said, 2)
    }),
    { factsEveryMs: 3_600_000, snapshotTtlMs: 3_600_000_000 }
  )
})
