// The pipeline that a session is pinned to, as a runtime takes it from the real API: over SQLite and over PostgreSQL.
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { PinnedPipelines } from "../../src/http/PinnedPipelines.ts"
import { openApi, textAt } from "./support/Api.ts"
import type { Api } from "./support/Api.ts"
import { onBothDatabases } from "./support/Databases.ts"

const over = (ask: typeof fetch, apiKey: string) =>
  Effect.provide(
    PinnedPipelines,
    PinnedPipelines.layer({ url: "http://control", apiKey: Redacted.make(apiKey) }).pipe(
      Layer.provide(FetchHttpClient.layer),
      Layer.provide(Layer.succeed(FetchHttpClient.Fetch, ask))
    ),
    { local: true }
  )

const prepare = async ({ platformKey, send }: Api) => {
  const made = await send("POST", "/v1/tenants", { key: platformKey, body: { tenant_id: "acme", name: "Acme" } })
  const key = textAt(made.json, "owner", "text")
  for (const version of ["1", "2"]) {
    const spec = { schema_version: "v1.0", pipeline_id: "assistant", pipeline_version: version }
    await send("POST", "/v1/pipelines", { key, body: { spec } })
  }
  const roll = (body: unknown) => send("PUT", "/v1/rollouts/assistant", { key, body })
  await roll({ stable_version: "1", candidate_version: "2", percent: 100 })
  const create = async (body: object = {}) =>
    textAt(
      (await send("POST", "/v1/sessions", { key, body: { pipeline_id: "assistant", ...body } })).json,
      "session",
      "session_id"
    )
  return { key, create, roll }
}

onBothDatabases("pinned pipelines", (make) => {
  it.live("are those of the session, whatever new sessions get by then", () =>
    Effect.gen(function*() {
      const api = yield* openApi((yield* make).client)
      const { create, key, roll } = yield* Effect.promise(() => prepare(api))
      const { of } = yield* over(api.fetch, key)
      const before = yield* Effect.promise(() => create({ region: "eu" }))
      yield* Effect.promise(() => roll({ stable_version: "1" }))
      const after = yield* Effect.promise(() => create())
      const [first, second] = [yield* of(before), yield* of(after)]
      assert.deepStrictEqual(
        [first, second].map(({ spec }) => spec.pipeline.pipeline_version),
        ["2", "1"]
      )
      assert.match(first.content_hash, /^sha256:[0-9a-f]{64}$/u)
      assert.strictEqual(first.session.tenant_id, "acme")
      assert.notStrictEqual(first.group, second.group)
      assert.strictEqual((yield* of(before)).group, first.group)
    }))

  it.live("are refused when they are not what was published", () =>
    Effect.gen(function*() {
      const api = yield* openApi((yield* make).client)
      const { create, key } = yield* Effect.promise(() => prepare(api))
      const session_id = yield* Effect.promise(() => create())
      const says = Effect.fnUntraced(function*(change: (text: string) => string) {
        const changed: typeof fetch = async (input, init) => {
          const answer = await api.fetch(input, init)
          const text = await answer.text()
          const { headers, status } = answer
          return new Response(new Request(input).url.includes("/v1/pipelines/") ? change(text) : text, {
            headers,
            status
          })
        }
        const error = yield* Effect.flip((yield* over(changed, key)).of(session_id))
        assert.notInclude(JSON.stringify(error) + String(error), key)
        return `${error.reason}: ${error.message}`
      })
      const replaced = (what: RegExp, by: string) => (text: string) => {
        assert.match(text, what)
        return text.replace(what, by)
      }
      assert.match(
        yield* says(replaced(/"spec":\{/u, "\"spec\":{\"budgets\":{\"turn_budget_ms\":1},")),
        /^damaged: the pipeline assistant@2 was changed after it was published: its content hash is sha256:\w+, but that of its content is sha256:/u
      )
      assert.match(
        yield* says(replaced(/"content_hash":"sha256:\w{8}/u, "\"content_hash\":\"sha256:00000000")),
        /^damaged: .*its content hash is sha256:00000000/u
      )
      assert.match(
        yield* says(replaced(/"node_id":"llm"/u, "\"node_id\":\"other\"")),
        /^damaged: the graph of pipeline assistant@2 was changed/u
      )
      assert.match(yield* says(replaced(/"node_type":"\w+"/u, "\"node_type\":7")), /^damaged: .*cannot be read/u)
      // whole, but another version than the session's
      const other = yield* Effect.promise(() => api.send("GET", "/v1/pipelines/assistant/versions/1", { key }))
      assert.match(
        yield* says(() => other.text),
        /^damaged: .*assistant@2 was asked for, and assistant@1 was answered/u
      )
    }))

  it.live("are not given for a session that has ended, is not there, or is another tenant's", () =>
    Effect.gen(function*() {
      const api = yield* openApi((yield* make).client)
      const { create, key } = yield* Effect.promise(() => prepare(api))
      const [live, ended] = yield* Effect.promise(async () => [await create(), await create()] as const)
      yield* Effect.promise(() => api.send("DELETE", `/v1/sessions/${ended}`, { key }))
      const tenant = yield* Effect.promise(() =>
        api.send("POST", "/v1/tenants", { key: api.platformKey, body: { tenant_id: "other", name: "Other" } })
      )
      const cases = [[key, ended], [key, "ses_nobody"], [textAt(tenant.json, "owner", "text"), live], [
        "rspp_no",
        live
      ]] as const
      for (const [by, session_id] of cases) {
        const error = yield* Effect.flip((yield* over(api.fetch, by)).of(session_id))
        assert.strictEqual(error.reason, "refused", error.message)
        assert.notInclude(JSON.stringify(error) + String(error), by)
      }
    }))

  it.live("stay those of a session that was asked for before while the control plane is away", () =>
    Effect.gen(function*() {
      const api = yield* openApi((yield* make).client)
      const { create, key } = yield* Effect.promise(() => prepare(api))
      const [known, unknown] = yield* Effect.promise(async () => [await create(), await create()] as const)
      const away = { is: false }
      const { of } = yield* over(
        (input, init) => away.is ? Promise.reject(new TypeError(`fetch failed for ${key}`)) : api.fetch(input, init),
        key
      )
      const first = yield* of(known)
      away.is = true
      assert.deepStrictEqual(yield* of(known), first)
      const error = yield* Effect.flip(of(unknown))
      assert.strictEqual(error.reason, "unavailable")
      assert.notInclude(JSON.stringify(error) + String(error), key)
      away.is = false
      assert.strictEqual((yield* of(unknown)).spec.pipeline.pipeline_version, "2")
    }))
})
