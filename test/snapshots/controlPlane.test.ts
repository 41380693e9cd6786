// A runtime and a real `rspp control-plane`: what it asks, when it asks nothing, and what it does while that is killed.
import { callFacts } from "@rspp/control/test/support/CallFacts"
import { layer as controlPlaneFeed } from "@rspp/cli/ControlPlaneFeed"
import { providerObserver } from "@rspp/cli/RuntimeReports"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { controlClient } from "@rspp/control/http/ControlClient"
import * as HttpSnapshotLog from "@rspp/control/http/HttpSnapshotLog"
import { PinnedPipelines } from "@rspp/control/http/PinnedPipelines"
import type { PinnedSession } from "@rspp/control/http/PinnedPipelines"
import * as PlacementAnnouncer from "@rspp/control/http/PlacementAnnouncer"
import { ProviderReporter } from "@rspp/control/http/ProviderReporter"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import type { FollowerOptions } from "@rspp/control/SnapshotFollower"
import { SnapshotFollower } from "@rspp/control/SnapshotFollower"
import * as SqlLeaseStore from "@rspp/control/sql/SqlLeaseStore"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import { Context, Deferred, Effect, Fiber, Layer, Redacted, Schedule } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, describe, it } from "vitest"
import { ControlPlaneProcess } from "../support/ControlPlaneProcess.ts"
import { TypedCall } from "../support/TypedCall.ts"

/** A snapshot counts for so long after it was published, and so much longer as the operator allows; ms. */
const ttlMs = 4000
const maxStalenessMs = 8000

let directory = ""
let server: ControlPlaneProcess | undefined
afterEach(async () => {
  await server?.kill()
  rmSync(directory, { recursive: true, force: true })
})

/** A control plane with a tenant, its two versions of a pipeline, and keys of it. */
const begin = async (...more: ReadonlyArray<string>) => {
  directory = mkdtempSync(join(tmpdir(), "rspp-runtime-"))
  server = await ControlPlaneProcess.start(directory, ...more)
  const { platformKey, url } = server
  const as = (key: string) =>
    Effect.runPromise(controlClient({ url, apiKey: Redacted.make(key) }).pipe(Effect.provide(FetchHttpClient.layer)))
  const platform = await as(platformKey)
  const { owner } = await Effect.runPromise(
    platform.tenants.create({ payload: { tenant_id: "acme", name: "Acme" } })
  )
  const client = await as(owner.text)
  for (const version of ["v1", "v2"]) {
    const spec = { schema_version: "v1.0", pipeline_id: "assistant", pipeline_version: version }
    await Effect.runPromise(client.pipelines.publish({ payload: { spec } }))
  }
  const { text } = await Effect.runPromise(client.keys.create({ payload: { name: "runtime", role: "runtime" } }))
  return { client, platform, server, url, runtimeKey: text }
}

interface Runtime {
  readonly url: string
  readonly runtimeKey: string
  /** Each request that the runtime makes. */
  readonly asked: Array<string>
  readonly follower?: Partial<FollowerOptions>
  readonly reportEveryMs?: number
}

/** What a process that runs sessions of a control plane holds once. */
const runtime = ({ asked, follower, reportEveryMs = 600_000, runtimeKey, url }: Runtime) => {
  const place = { url, apiKey: Redacted.make(runtimeKey) }
  const noted: typeof fetch = (input, init) => {
    asked.push(`${init?.method ?? "GET"} ${new URL(input instanceof Request ? input.url : input).pathname}`)
    return fetch(input, init)
  }
  return Layer.mergeAll(
    PinnedPipelines.layer(place),
    ProviderReporter.layer(place, { everyMs: reportEveryMs }),
    PlacementAnnouncer.layer(place, { placement_id: "host/1/a", endpoints: ["10.0.0.1:9"] }),
    SnapshotFollower.layerNoDeps({ pollMs: 300, openWithinMs: 1000, ...follower }).pipe(
      Layer.provide(HttpSnapshotLog.layer(place))
    )
  ).pipe(
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(Layer.succeed(FetchHttpClient.Fetch, noted)),
    Layer.merge(ControlPlane.layerMemory()),
    Layer.merge(
      LeaseAuthority.layerNoDeps({ ttlMs: 10_000 }).pipe(
        Layer.provide(SqlLeaseStore.layer({ name: "test" })),
        Layer.provide(NodeSqlite.layer(join(directory, "control.sqlite"))),
        Layer.provide(LeaseTokens.layer)
      )
    )
  )
}
type Services = Layer.Success<ReturnType<typeof runtime>>

/** Starts a session of the control plane in this process, as `rspp run --control-plane` does. */
const start = (session_id: string, call: TypedCall) =>
  Effect.gen(function*() {
    const pinned = yield* (yield* PinnedPipelines).of(session_id)
    return { pinned, fiber: yield* startPinned(pinned, call) }
  })

const startPinned = ({ group, session: { session_id }, spec }: PinnedSession, call: TypedCall) =>
  Effect.gen(function*() {
    const context = yield* Effect.context<Services>()
    const feed = controlPlaneFeed(spec, { placementId: "host/1/a", scope: session_id, group }).pipe(
      Layer.provide(Layer.succeedContext(context))
    )
    const { saw } = Context.get(context, ProviderReporter)
    const observer = providerObserver((_session, invocation, capMs) => saw(invocation, capMs))
    return yield* Effect.forkScoped(call.run(session_id, spec, feed, [observer]))
  })

const eventually = <A>(look: () => Promise<A>, good: (seen: A) => boolean) =>
  Effect.promise(look).pipe(
    Effect.filterOrFail(good, (seen) => `it stays at ${JSON.stringify(seen)}`),
    Effect.retry({ schedule: Schedule.spaced(50), times: 400 })
  )

const minutes = 120_000

describe("a runtime of a control plane", () => {
  it("asks when a session starts, and nothing when turns open", async () => {
    const { client, runtimeKey, url } = await begin()
    await Effect.runPromise(
      client.rollouts.put({
        params: { pipeline_id: "assistant" },
        headers: {},
        payload: { stable_version: "v1" }
      })
    )
    const { session } = await Effect.runPromise(client.sessions.create({ payload: { pipeline_id: "assistant" } }))
    const asked: Array<string> = []
    const test = Effect.gen(function*() {
      const call = new TypedCall()
      const { fiber, pinned } = yield* start(session.session_id, call)
      assert.strictEqual(pinned.spec.pipeline.pipeline_version, "v1")
      assert.strictEqual(yield* call.turn, "opened, committed")
      const at = `/v1/sessions/${session.session_id}`
      assert.includeMembers(asked, [
        `GET ${at}`,
        "GET /v1/pipelines/assistant/versions/v1",
        `GET ${at}/snapshots`,
        "PUT /v1/placements/host%2F1%2Fa"
      ])
      // but for the announcement nothing is due for minutes: whatever was asked now would be asked by a turn
      const before = asked.length
      for (let turn = 0; turn < 20; turn++) assert.strictEqual(yield* call.turn, "opened, committed")
      const byTime = (request: string) => request.startsWith("PUT /v1/placements/")
      assert.deepStrictEqual(asked.slice(before).filter((request) => !byTime(request)), [])
      // that the count would see it
      yield* (yield* PinnedPipelines).of(session.session_id)
      assert.include(asked.slice(before), `GET ${at}`)
      yield* call.hangUp
      yield* Fiber.join(fiber)
    })
    const options = { url, runtimeKey, asked, follower: { pollMs: 3_600_000 } }
    await Effect.runPromise(Effect.scoped(test).pipe(Effect.provide(runtime(options))))
    // it reports once, as it ends: 21 replies, and as many voices
    assert.strictEqual(asked.at(-1), "POST /v1/provider-reports")
  }, minutes)

  it(
    "goes on while that is killed, new sessions too, until the snapshots are stale; recovers when it is back",
    async () => {
      const { client, runtimeKey, server, url } = await begin("--snapshot-ttl", `${ttlMs}`)
      const params = { pipeline_id: "assistant" }
      await Effect.runPromise(client.rollouts.put({ params, headers: {}, payload: { stable_version: "v1" } }))
      const make = async () =>
        (await Effect.runPromise(client.sessions.create({ payload: { pipeline_id: "assistant" } }))).session.session_id
      const ids = [await make(), await make()] as const
      await Effect.runPromise(client.rollouts.put({ params, headers: {}, payload: { stable_version: "v2" } }))
      const ofAnotherVersion = await make()
      const test = Effect.gen(function*() {
        const [running, begunAway, unlike] = [new TypedCall(), new TypedCall(), new TypedCall()]
        const calls = [running, begunAway, unlike]
        const { of } = yield* PinnedPipelines
        const first = yield* start(ids[0], running)
        assert.strictEqual(yield* running.turn, "opened, committed")
        for (const id of [ids[1], ofAnotherVersion]) yield* of(id)
        yield* Effect.promise(() => server.kill())

        assert.strictEqual(yield* running.turn, "opened, committed")
        // known here, and never run: their pipelines were asked for before, their snapshots were not
        const second = yield* start(ids[1], begunAway)
        const third = yield* start(ofAnotherVersion, unlike)
        assert.strictEqual(yield* begunAway.turn, "opened, committed")
        assert.strictEqual(yield* unlike.turn, "reject snapshot_missing:routing_view_snapshot")
        assert.strictEqual((yield* Effect.flip(of("ses_never_asked_for"))).reason, "unavailable")

        for (const call of [running, begunAway]) {
          const stale = call.turn.pipe(
            Effect.filterOrFail((heard) => heard !== "opened, committed", () => "it goes on for ever"),
            Effect.retry({ schedule: Schedule.spaced(100), times: 600 })
          )
          assert.match(yield* stale, /^defer snapshot_stale:/u)
        }
        yield* Effect.promise(() => server.restart())
        for (const call of calls) {
          const back = call.turn.pipe(
            Effect.filterOrFail((heard) => heard === "opened, committed", (heard) => `it stays at ${heard}`),
            Effect.retry({ schedule: Schedule.spaced(100), times: 600 })
          )
          yield* back
        }
        for (const call of calls) yield* call.hangUp
        for (const { fiber } of [first, second, third]) yield* Fiber.join(fiber)
      })
      const options = { url, runtimeKey, asked: [], follower: { maxStalenessMs } }
      await Effect.runPromise(Effect.scoped(test).pipe(Effect.provide(runtime(options))))
    },
    minutes
  )

  it("lets a turn that is open end, and opens none after a rollback, which is in the audit log", async () => {
    const { client, platform, runtimeKey, url } = await begin()
    const params = { pipeline_id: "assistant" }
    const plan = { stable_version: "v1", candidate_version: "v2", percent: 100 }
    await Effect.runPromise(client.rollouts.put({ params, headers: {}, payload: plan }))
    const { session } = await Effect.runPromise(client.sessions.create({ payload: { pipeline_id: "assistant" } }))
    const resolved = (call: TypedCall) =>
      call.inputs.flatMap((input) =>
        input.type === "snapshot" && input.snapshot.snapshot_kind === "version_resolution_snapshot"
          ? [input.snapshot.body.pipeline_version]
          : []
      )
    const test = Effect.gen(function*() {
      const call = new TypedCall()
      const { fiber, pinned } = yield* start(session.session_id, call)
      assert.strictEqual(pinned.spec.pipeline.pipeline_version, "v2")
      for (let turn = 0; turn < 2; turn++) assert.strictEqual(yield* call.turn, "opened, committed")
      const from = call.heard.length
      const answer = yield* Deferred.make<void>()
      call.answers = Deferred.await(answer)
      yield* call.say
      yield* call.until(from, /^opened$/u)

      yield* client.rollouts.rollback({ params, headers: {}, payload: { reason: "it stammers" } })
      yield* eventually(() => Promise.resolve(resolved(call)), (versions) => versions.at(-1) === "v1")
      yield* Deferred.succeed(answer, undefined)
      yield* call.until(from, /^committed$/u)
      assert.deepStrictEqual(call.heard.slice(from), ["opened", "committed"])
      for (let turn = 0; turn < 2; turn++) assert.strictEqual(yield* call.turn, "reject snapshot_incompatible")
      assert.deepStrictEqual(resolved(call), ["v2", "v1"])
      yield* call.hangUp
      yield* Fiber.join(fiber)

      const again = yield* client.sessions.create({ payload: { pipeline_id: "assistant" } })
      const next = new TypedCall()
      const { fiber: last } = yield* start(again.session.session_id, next)
      assert.strictEqual(yield* next.turn, "opened, committed")
      yield* next.hangUp
      yield* Fiber.join(last)
    })
    await Effect.runPromise(Effect.scoped(test).pipe(Effect.provide(runtime({ url, runtimeKey, asked: [] }))))
    const audit = await Effect.runPromise(client.audit.list({ query: {} }))
    const rollback = audit.items.find(({ action }) => action === "rollout.rollback")
    assert.deepInclude(rollback, { subject: "assistant", tenant_id: "acme" })
    assert.include(JSON.stringify(rollback), "it stammers")
    assert.isTrue((await Effect.runPromise(platform.audit.verify())).intact)
  }, minutes)

  it("tells what its provider calls came to, and of itself; what was not taken is dropped", async () => {
    const { client, runtimeKey, server, url } = await begin()
    const params = { pipeline_id: "assistant" }
    await Effect.runPromise(client.rollouts.put({ params, headers: {}, payload: { stable_version: "v1" } }))
    const { session } = await Effect.runPromise(client.sessions.create({ payload: { pipeline_id: "assistant" } }))
    const health = async () => (await Effect.runPromise(client.runtimes.providerHealth())).providers
    const asked: Array<string> = []
    const test = Effect.gen(function*() {
      const call = new TypedCall()
      const { fiber } = yield* start(session.session_id, call)
      assert.strictEqual(yield* call.turn, "opened, committed")
      const reporter = yield* ProviderReporter
      // ten calls, each of which failed: a circuit opens
      for (let i = 0; i < 10; i++) reporter.saw(callFacts("embedded/rules", "timeout"), 4000)
      for (let i = 0; i < 10; i++) reporter.saw(callFacts("embedded/flite", "success"), 4000)
      for (let i = 0; i < 10; i++) reporter.saw(callFacts("embedded/moonshine", "cancelled"), 4000)
      const seen = yield* eventually(health, (providers) => providers["embedded/rules"] === "open")
      assert.strictEqual(seen["embedded/flite"], "closed")
      assert.notProperty(seen, "embedded/moonshine")
      const view = yield* client.sessions.snapshots({ params: { session_id: session.session_id } })
      assert.include(JSON.stringify(view), "10.0.0.1:9")

      yield* Effect.promise(() => server.kill())
      const lost = asked.length
      for (let i = 0; i < 1000; i++) reporter.saw(callFacts("test/lost", "infrastructure_failure"), 4000)
      yield* eventually(() => Promise.resolve(asked.slice(lost)), (all) => all.includes("POST /v1/provider-reports"))
      // it cannot be told, and no turn is the worse for it
      assert.strictEqual(yield* call.turn, "opened, committed")
      yield* Effect.promise(() => server.restart())
      for (let i = 0; i < 10; i++) reporter.saw(callFacts("test/later", "success"), 4000)
      assert.notProperty(
        yield* eventually(health, (providers) => providers["test/later"] === "closed"),
        "test/lost"
      )
      yield* call.hangUp
      yield* Fiber.join(fiber)
    })
    const options = { url, runtimeKey, asked, reportEveryMs: 200 }
    await Effect.runPromise(Effect.scoped(test).pipe(Effect.provide(runtime(options))))
  }, minutes)
})
