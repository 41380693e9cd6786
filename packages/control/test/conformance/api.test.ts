// The HTTP API over SQLite and over PostgreSQL: authorisation (from the API's definition, in full), ETags, idempotency,
// problem details, sessions.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHmac } from "node:crypto"
import { permissions, roles } from "../../src/Permissions.ts"
import { at, endpoints, liveKitSecret, openApi, textAt } from "./support/Api.ts"
import type { Answer, Api } from "./support/Api.ts"
import { onBothDatabases } from "./support/Databases.ts"

const spec = (version: string, more: object = {}) => ({
  schema_version: "v1.0",
  pipeline_id: "assistant",
  pipeline_version: version,
  ...more
})

/** A word that stands in whatever the tenant acme has, and nowhere else. */
const marker = "acme-only"

/** A tenant with one of everything, and a key of each role. */
const furnish = async (api: Api, tenant_id: string, mark: string) => {
  const ok = async (answer: Promise<Answer>) => {
    const { json, status, text } = await answer
    assert.isBelow(status, 300, text)
    return json
  }
  const made = await ok(api.send("POST", "/v1/tenants", { key: api.platformKey, body: { tenant_id, name: mark } }))
  const owner = textAt(made, "owner", "text")
  const send = (method: string, path: string, body?: unknown) => ok(api.send(method, path, { key: owner, body }))
  const published = await send("POST", "/v1/pipelines", { spec: spec("1", { budgets: { turn_budget_ms: 7001 } }) })
  await send("POST", "/v1/pipelines", { spec: spec("2") })
  await send("PUT", "/v1/pipelines/assistant/versions/2/deprecation", { deprecation: mark })
  await send("PUT", "/v1/policies/p1", { match: { region: mark } })
  await send("PUT", "/v1/admission", { reason: mark })
  await send("PUT", "/v1/rollouts/assistant", { stable_version: "1", allowlist: [mark] })
  const session = await send("POST", "/v1/sessions", { pipeline_id: "assistant", caller: mark })
  const keys: Record<string, string> = { platform: api.platformKey, owner }
  for (const role of ["operator", "viewer", "runtime"]) {
    keys[role] = textAt(await send("POST", "/v1/keys", { name: mark, role }), "text")
  }
  const spare = await send("POST", "/v1/keys", { name: mark, role: "viewer" })
  return {
    keys,
    session_id: textAt(session, "session", "session_id"),
    content_hash: textAt(published, "published", "content_hash"),
    spare: textAt(spare, "key", "key_id")
  }
}
type Furnished = Awaited<ReturnType<typeof furnish>>

/** A request of each endpoint that is right in every way: what it says is about the tenant's own things. */
const requests = ({ content_hash, session_id, spare }: Furnished) => {
  const session = { session_id }
  const all: Readonly<Record<string, { readonly params?: Readonly<Record<string, string>>; readonly body?: unknown }>> =
    {
      "health.live": {},
      "health.ready": {},
      "tenants.create": { body: { tenant_id: "acme", name: "x" } },
      "tenants.list": {},
      "tenants.current": {},
      "tenants.suspend": { params: { tenant_id: "acme" }, body: { suspended: false } },
      "keys.create": { body: { name: "x", role: "viewer" } },
      "keys.list": {},
      "keys.revoke": { params: { key_id: spare } },
      "pipelines.publish": { body: { spec: spec("1") } },
      "pipelines.list": {},
      "pipelines.get": { params: { pipeline_id: "assistant", pipeline_version: "1" } },
      "pipelines.getByHash": { params: { content_hash } },
      "pipelines.deprecate": {
        params: { pipeline_id: "assistant", pipeline_version: "2" },
        body: { deprecation: "x" }
      },
      "policies.list": {},
      "policies.get": { params: { policy_id: "p1" } },
      "policies.put": { params: { policy_id: "p1" }, body: { match: { region: "x" } } },
      "policies.remove": { params: { policy_id: "p9" } },
      "policies.getAdmission": {},
      "policies.putAdmission": { body: {} },
      "rollouts.list": {},
      "rollouts.get": { params: { pipeline_id: "assistant" } },
      "rollouts.put": { params: { pipeline_id: "assistant" }, body: { stable_version: "1" } },
      "rollouts.rollback": { params: { pipeline_id: "assistant" }, body: { reason: "x" } },
      "sessions.create": { body: { pipeline_id: "assistant" } },
      "sessions.list": {},
      "sessions.get": { params: session },
      "sessions.end": { params: session },
      "sessions.snapshots": { params: session },
      "sessions.lease": { params: session },
      "sessions.revokeLease": { params: session, body: { expected_epoch: 1 } },
      "runtimes.placements": {},
      "runtimes.announce": { params: { placement_id: "here" }, body: { endpoints: ["here:1"] } },
      "runtimes.report": { body: { reports: [{ provider_id: "llm", succeeded: 1, failed: 0 }] } },
      "runtimes.providerHealth": {},
      "audit.list": {},
      "audit.verify": {}
    }
  return all
}

const filled = (path: string, params: Readonly<Record<string, string>> = {}): string =>
  path.replace(/:(\w+)/gu, (_, name: string) => encodeURIComponent(params[name] ?? "missing"))

onBothDatabases("the API", (make) => {
  const test = (name: string, body: (api: Effect.Success<ReturnType<typeof openApi>>) => Promise<unknown>) =>
    it.live(name, () =>
      Effect.gen(function*() {
        const { client } = yield* make
        const api = yield* openApi(client)
        yield* Effect.promise(() => body(api))
      }))

  test("lets each role do what the table of permissions says, in its own tenant, at every endpoint", async (api) => {
    const acme = await furnish(api, "acme", marker)
    const wanted = requests(acme)
    assert.deepStrictEqual(Object.keys(wanted).sort(), endpoints.map(({ name }) => name).sort())
    let cells = 0
    for (const { action, method, name, path } of endpoints) {
      const { body, params } = wanted[name] ?? {}
      const at = filled(path, params)
      const nobody = await api.send(method, at, { body })
      if (action === undefined) {
        assert.strictEqual(nobody.status, 200, name)
        continue
      }
      assert.strictEqual(nobody.status, 401, `${name} without a key`)
      assert.strictEqual(
        (await api.send(method, at, { body, key: `rspp_${"0".repeat(12)}_${"0".repeat(64)}` })).status,
        401
      )
      const allowed: ReadonlyArray<string> = permissions[action]
      for (const role of roles) {
        const answer = await api.send(method, at, { body, key: acme.keys[role] })
        const said = `${role} at ${name}: ${answer.status} ${answer.text.slice(0, 200)}`
        if (allowed.includes(role)) assert.notInclude([401, 403, 500, 503], answer.status, said)
        else assert.strictEqual(answer.status, 403, said)
        cells++
      }
    }
    assert.strictEqual(cells, roles.length * endpoints.filter(({ action }) => action !== undefined).length)
  })

  test("shows and changes nothing of another tenant, at any endpoint, for any role", async (api) => {
    const acme = await furnish(api, "acme", marker)
    const other = await furnish(api, "other", "others")
    const picture = async () => {
      const read = async (path: string) => (await api.send("GET", path, { key: acme.keys["owner"] })).text
      const sessions = await read("/v1/sessions")
      return [
        await read("/v1/tenant"),
        await read("/v1/keys"),
        await read("/v1/pipelines"),
        await read("/v1/policies"),
        await read("/v1/admission"),
        await read("/v1/rollouts"),
        await read("/v1/audit"),
        await read("/v1/provider-health"),
        sessions
      ]
    }
    const before = await picture()
    const wanted = requests(acme)
    for (const { action, method, name, path } of endpoints) {
      if (action === undefined) continue
      const { body, params } = wanted[name] ?? {}
      for (const role of ["owner", "operator", "viewer", "runtime"]) {
        const key = other.keys[role]
        const answer = await api.send(method, filled(path, params), { body, key })
        const said = `${role} of another tenant at ${name}: ${answer.status} ${answer.text.slice(0, 300)}`
        assert.isBelow(answer.status, 500, said)
        assert.notInclude(answer.text, marker, said)
        assert.notInclude(answer.text, acme.keys["owner"]?.split("_")[1] ?? "?", said)
        const named = await api.send(method, filled(path, params), { body, key, headers: { "x-rspp-tenant": "acme" } })
        assert.strictEqual(named.status, 403, said)
        assert.strictEqual(textAt(named.json, "code"), "other_tenant")
      }
    }
    assert.deepStrictEqual(await picture(), before)
    const own = await api.send("GET", "/v1/tenant", { key: acme.keys["viewer"], headers: { "x-rspp-tenant": "acme" } })
    assert.strictEqual(own.status, 200)
  })

  test("does a write with an idempotency key once, also when it comes many times at once", async (api) => {
    const acme = await furnish(api, "acme", marker)
    const key = acme.keys["owner"]
    const create = (idempotency: string, caller = "ann") =>
      api.send("POST", "/v1/sessions", {
        key,
        headers: { "idempotency-key": idempotency },
        body: { pipeline_id: "assistant", caller }
      })
    const answers = await Promise.all(Array.from({ length: 10 }, () => create("one")))
    assert.deepStrictEqual(new Set(answers.map(({ status }) => status)), new Set([201]))
    assert.strictEqual(new Set(answers.map(({ json }) => textAt(json, "session", "session_id"))).size, 1)
    assert.strictEqual(answers.filter(({ headers }) => headers.get("idempotency-replayed") === "true").length, 9)
    const reused = await create("one", "bob")
    assert.deepStrictEqual([reused.status, textAt(reused.json, "code")], [409, "idempotency_key_reused"])
    const another = await create("two")
    assert.notStrictEqual(
      textAt(another.json, "session", "session_id"),
      textAt(answers[0]?.json, "session", "session_id")
    )
    // what failed was not done, and may be sent again
    const failing = (version: string) =>
      api.send("PUT", "/v1/rollouts/assistant", {
        key,
        headers: { "idempotency-key": "three" },
        body: { stable_version: version }
      })
    assert.strictEqual((await failing("9")).status, 422)
    assert.strictEqual((await failing("1")).status, 200)
    // a secret is not kept for the second request
    const newKey = () =>
      api.send("POST", "/v1/keys", {
        key,
        headers: { "idempotency-key": "four" },
        body: { name: "ci", role: "viewer" }
      })
    const first = await newKey()
    assert.strictEqual(first.status, 201)
    const second = await newKey()
    assert.deepStrictEqual([second.status, textAt(second.json, "code")], [409, "answer_given_once"])
    const keys = await api.send("GET", "/v1/keys", { key })
    assert.strictEqual(
      (at(keys.json, "items") as ReadonlyArray<unknown>).filter((one) => at(one, "name") === "ci").length,
      1
    )
  })

  test("gives ETags: a reader that has it gets 304, a writer that has not seen the last change gets 412", async (api) => {
    const acme = await furnish(api, "acme", marker)
    const key = acme.keys["owner"]
    const read = (headers: Readonly<Record<string, string>> = {}) =>
      api.send("GET", "/v1/policies/p1", { key, headers })
    const first = await read()
    assert.strictEqual(first.headers.get("etag"), "\"r1\"")
    const again = await read({ "if-none-match": "\"r1\"" })
    assert.deepStrictEqual([again.status, again.text], [304, ""])
    const put = (region: string, headers: Readonly<Record<string, string>>) =>
      api.send("PUT", "/v1/policies/p1", { key, headers, body: { match: { region } } })
    const changed = await put("eu", { "if-match": "\"r1\"" })
    assert.deepStrictEqual([changed.status, changed.headers.get("etag")], [200, "\"r2\""])
    const late = await put("us", { "if-match": "\"r1\"" })
    assert.deepStrictEqual([late.status, textAt(late.json, "code")], [412, "revision_conflict"])
    assert.strictEqual((await put("us", { "if-none-match": "*" })).status, 412)
    assert.strictEqual((await put("us", { "if-match": "soon" })).status, 422)
    assert.strictEqual((await read({ "if-none-match": "\"r1\", \"r2\"" })).status, 304)
    const list = await api.send("GET", "/v1/pipelines", { key })
    const etag = list.headers.get("etag") ?? ""
    assert.strictEqual(
      (await api.send("GET", "/v1/pipelines", { key, headers: { "if-none-match": etag } })).status,
      304
    )
    await api.send("POST", "/v1/pipelines", { key, body: { spec: spec("3") } })
    assert.strictEqual(
      (await api.send("GET", "/v1/pipelines", { key, headers: { "if-none-match": etag } })).status,
      200
    )
  })

  test("answers every error as problem details", async (api) => {
    const acme = await furnish(api, "acme", marker)
    const key = acme.keys["owner"]
    const bad = spec("4", { nodes: [{ node_id: "a", node_type: "speech_to_txt" }], edges: [] })
    const answers: ReadonlyArray<readonly [number, Promise<Answer>]> = [
      [404, api.send("GET", "/nowhere")],
      [404, api.send("PATCH", "/v1/pipelines", { key })],
      [401, api.send("GET", "/v1/pipelines")],
      [403, api.send("GET", "/v1/tenants", { key })],
      [404, api.send("GET", "/v1/sessions/gone", { key })],
      [400, api.send("GET", "/v1/pipelines?limit=many", { key })],
      [400, api.send("GET", "/v1/pipelines?limt=1", { key })],
      [422, api.send("GET", "/v1/pipelines?cursor=zzz", { key })],
      [400, api.send("POST", "/v1/pipelines", { key, body: "{" })],
      [415, api.send("POST", "/v1/pipelines", { key, body: "{}", headers: { "content-type": "text/xml" } })],
      [400, api.send("PUT", "/v1/admission", { key, body: { max_turn_per_session: 1 } })],
      [409, api.send("POST", "/v1/pipelines", { key, body: { spec: spec("1") } })],
      [422, api.send("POST", "/v1/pipelines", { key, body: { spec: bad } })],
      [409, api.send("POST", "/v1/tenants", { key: api.platformKey, body: { tenant_id: "acme", name: "x" } })]
    ]
    for (const [status, sent] of answers) {
      const answer = await sent
      assert.strictEqual(answer.status, status, answer.text)
      assert.match(answer.headers.get("content-type") ?? "", /^application\/problem\+json/u)
      assert.strictEqual(at(answer.json, "status"), status)
      assert.isString(at(answer.json, "title"))
    }
    const rejected = await api.send("POST", "/v1/pipelines", { key, body: { spec: bad } })
    assert.strictEqual(textAt(rejected.json, "problems", 0, "path"), "nodes[0].node_type")
    assert.match(textAt(rejected.json, "problems", 0, "rule"), /^graph\./u)
  })

  test("opens a session with the way into its LiveKit room", async (api) => {
    const acme = await furnish(api, "acme", marker)
    const opened = await api.send("POST", "/v1/sessions", {
      key: acme.keys["operator"],
      body: { pipeline_id: "assistant", caller: "ann" }
    })
    assert.strictEqual(opened.status, 201)
    const session_id = textAt(opened.json, "session", "session_id")
    assert.strictEqual(textAt(opened.json, "livekit", "server_url"), "ws://127.0.0.1:7880")
    const token = textAt(opened.json, "livekit", "participant_token")
    const [header = "", claims = "", signature] = token.split(".")
    assert.strictEqual(
      createHmac("sha256", liveKitSecret).update(`${header}.${claims}`).digest("base64url"),
      signature
    )
    const said = JSON.parse(Buffer.from(claims, "base64url").toString()) as Readonly<Record<string, unknown>> & {
      readonly exp: number
      readonly nbf: number
    }
    assert.deepInclude(said, {
      iss: "devkey",
      sub: "ann",
      video: { room: session_id, roomJoin: true, canPublish: true, canSubscribe: true, canPublishData: true }
    })
    assert.approximately(said.exp - said.nbf, 600, 1)
    // its lease and snapshots, once a runtime has it
    const key = acme.keys["owner"]
    const path = `/v1/sessions/${session_id}`
    assert.strictEqual((await api.send("GET", `${path}/lease`, { key })).status, 404)
    assert.strictEqual((await api.send("GET", `${path}/snapshots`, { key })).status, 404)
    await Effect.runPromise(api.leases.acquire(session_id, "here"))
    const lease = await api.send("GET", `${path}/lease`, { key })
    assert.deepInclude(lease.json, { placement_id: "here", authority_epoch: 1 })
    assert.notInclude(lease.text, "token")
    const snapshots = await api.send("GET", `${path}/snapshots`, { key })
    assert.deepStrictEqual([textAt(snapshots.json, "revision"), snapshots.headers.get("etag")], ["6", "\"r6\""])
    assert.strictEqual(textAt(snapshots.json, "snapshots", 3, "snapshot", "body", "pipeline_version"), "1")
    const again = await api.send("GET", `${path}/snapshots`, { key, headers: { "if-none-match": "\"r6\"" } })
    assert.deepStrictEqual([again.status, again.text], [304, ""])
    const revoke = (expected_epoch: number) =>
      api.send("POST", `${path}/lease/revocation`, { key, body: { expected_epoch } })
    assert.strictEqual((await revoke(7)).status, 409)
    assert.strictEqual((await revoke(1)).status, 204)
    assert.strictEqual((await api.send("GET", `${path}/lease`, { key })).status, 404)
    assert.strictEqual(textAt((await api.send("DELETE", path, { key })).json, "session_id"), session_id)
  })

  test("tells of itself: an OpenAPI document with every endpoint, a page, and probes", async (api) => {
    const document = await api.send("GET", "/openapi.json")
    const paths = at(document.json, "paths") as Readonly<Record<string, Readonly<Record<string, unknown>>>>
    for (const { action, method, name, path } of endpoints) {
      const described = paths[path.replace(/:(\w+)/gu, "{$1}")]?.[method.toLowerCase()]
      assert.isDefined(described, name)
      assert.strictEqual(JSON.stringify(at(described, "security")) === "[]", action === undefined, name)
    }
    assert.include((await api.send("GET", "/docs")).text, "RSPP control plane")
    assert.strictEqual((await api.send("GET", "/healthz")).status, 200)
    assert.strictEqual(textAt((await api.send("GET", "/readyz")).json, "status"), "ready")
  })
})

describe("the definition of the API", () => {
  it("names an action for every endpoint but the probes", () => {
    assert.deepStrictEqual(
      endpoints.filter(({ action }) => action === undefined).map(({ name }) => name),
      ["health.live", "health.ready"]
    )
    assert.isAbove(endpoints.length, 30)
  })
})
