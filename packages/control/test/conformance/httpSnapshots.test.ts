// The published snapshots as a runtime reads them over HTTP: from the real API, over SQLite and over PostgreSQL.
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpSnapshotLog from "../../src/http/HttpSnapshotLog.ts"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import { SnapshotLog } from "../../src/SnapshotLog.ts"
import { openApi, textAt } from "./support/Api.ts"
import type { Api } from "./support/Api.ts"
import { onBothDatabases } from "./support/Databases.ts"

interface Asked {
  readonly ifNoneMatch: string | null
  readonly status: number
}

/** The log over a `fetch`, and what was asked of it. */
const logOver = (ask: typeof fetch, apiKey: string, options: { readonly answerWithinMs?: number } = {}) => {
  const asked: Array<Asked> = []
  const noted: typeof fetch = async (input, init) => {
    const answer = await ask(input, init)
    asked.push({ ifNoneMatch: new Headers(init?.headers).get("if-none-match"), status: answer.status })
    return answer
  }
  const layer = HttpSnapshotLog.layer({ url: "http://control", apiKey: Redacted.make(apiKey), ...options }).pipe(
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(Layer.succeed(FetchHttpClient.Fetch, noted))
  )
  return { asked, log: Effect.provide(SnapshotLog, layer, { local: true }) }
}

/** A tenant with a pipeline that is rolled out, and a session of it. */
const prepare = async ({ platformKey, send }: Api) => {
  const made = await send("POST", "/v1/tenants", { key: platformKey, body: { tenant_id: "acme", name: "Acme" } })
  const key = textAt(made.json, "owner", "text")
  const spec = { schema_version: "v1.0", pipeline_id: "assistant", pipeline_version: "1" }
  await send("POST", "/v1/pipelines", { key, body: { spec } })
  await send("PUT", "/v1/rollouts/assistant", { key, body: { stable_version: "1" } })
  const session = await send("POST", "/v1/sessions", { key, body: { pipeline_id: "assistant" } })
  return { key, session_id: textAt(session.json, "session", "session_id") }
}

onBothDatabases("snapshots over HTTP", (make) => {
  it.live("are none before the lease, then the six; later the same with their ETag, or what has changed", () =>
    Effect.gen(function*() {
      const api = yield* openApi((yield* make).client)
      const { key, session_id } = yield* Effect.promise(() => prepare(api))
      const { asked, log } = logOver(api.fetch, key)
      const { latest } = yield* log
      assert.deepStrictEqual(yield* latest(session_id), [])
      yield* api.leases.acquire(session_id, "here")
      const first = yield* latest(session_id)
      assert.deepStrictEqual(first.map(({ snapshot }) => snapshot.snapshot_kind), [...snapshotKinds])
      assert.isTrue(first.every(({ age_ms, snapshot }) => snapshot.version === 1 && age_ms >= 0 && age_ms < 20_000))
      const again = yield* latest(session_id)
      assert.deepStrictEqual(again.map(({ snapshot }) => snapshot), first.map(({ snapshot }) => snapshot))
      assert.isTrue(again.every(({ age_ms }, i) => age_ms >= (first[i]?.age_ms ?? 0)))
      assert.deepStrictEqual(asked.slice(-2), [
        { ifNoneMatch: null, status: 200 },
        { ifNoneMatch: "\"r6\"", status: 304 }
      ])
    }))

  it.live("are refused to a key that may not, and for a session that is not there or is another tenant's", () =>
    Effect.gen(function*() {
      const api = yield* openApi((yield* make).client)
      const { session_id } = yield* Effect.promise(() => prepare(api))
      const other = yield* Effect.promise(() =>
        api.send("POST", "/v1/tenants", { key: api.platformKey, body: { tenant_id: "other", name: "Other" } })
      )
      const otherKey = textAt(other.json, "owner", "text")
      yield* api.leases.acquire(session_id, "here")
      for (
        const [key, scope] of [["rspp_no_key", session_id], [otherKey, session_id], [otherKey, "../keys"]] as const
      ) {
        const error = yield* Effect.flip((yield* logOver(api.fetch, key).log).latest(scope))
        assert.strictEqual(error.reason, "refused")
        assert.notInclude(JSON.stringify(error) + String(error), key)
      }
    }))

  it.live("are not believed when they were changed on the way, or are no snapshots at all", () =>
    Effect.gen(function*() {
      const api = yield* openApi((yield* make).client)
      const { key, session_id } = yield* Effect.promise(() => prepare(api))
      yield* api.leases.acquire(session_id, "here")
      const changed = (change: (text: string) => string): typeof fetch => async (input, init) => {
        const answer = await api.fetch(input, init)
        return new Response(change(await answer.text()), { status: answer.status })
      }
      const says = Effect.fnUntraced(function*(change: (text: string) => string) {
        const error = yield* Effect.flip((yield* logOver(changed(change), key).log).latest(session_id))
        return `${error.reason}: ${error.message}`
      })
      assert.match(
        yield* says((text) => text.replace("\"pipeline_version\":\"1\"", "\"pipeline_version\":\"2\"")),
        /^damaged: .*its hash does not fit/u
      )
      assert.match(yield* says((text) => text.replace("\"endpoints\"", "\"points\"")), /^damaged: .*is not valid/u)
      assert.match(yield* says(() => "<html>"), /^damaged: .*are no snapshots/u)
    }))

  it.live("are not there while the server is away or does not answer; no message has the key", () =>
    Effect.gen(function*() {
      yield* make
      const key = "rspp_k_a-secret-that-nobody-sees"
      const away = Effect.fnUntraced(function*(ask: typeof fetch) {
        const error = yield* Effect.flip((yield* logOver(ask, key, { answerWithinMs: 200 }).log).latest("ses_1"))
        assert.notInclude(JSON.stringify(error) + String(error) + String(error.stack), "nobody-sees")
        return error.reason
      })
      const reasons = [
        yield* away(() => Promise.reject(new TypeError(`fetch failed with ${key}`))),
        yield* away(() => new Promise(() => {})),
        yield* away(() => Promise.resolve(new Response("", { status: 503 }))),
        yield* away(() => Promise.resolve(new Response("", { status: 429 })))
      ]
      assert.deepStrictEqual(reasons, reasons.map(() => "unavailable"))
    }))

  it.live("are published by the control plane only", () =>
    Effect.gen(function*() {
      const api = yield* openApi((yield* make).client)
      const { key, session_id } = yield* Effect.promise(() => prepare(api))
      yield* api.leases.acquire(session_id, "here")
      const log = yield* logOver(api.fetch, key).log
      const [first] = yield* log.latest(session_id)
      if (first === undefined) return assert.fail("there is no snapshot")
      assert.strictEqual((yield* Effect.flip(log.publish(session_id, first.snapshot))).reason, "refused")
    }))
})
