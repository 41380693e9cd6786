// A fuzzer that reads the OpenAPI document: no 5xx, no word of another tenant. `RSPP_FUZZ_REQUESTS=20000` for the long
// form; the short one is part of every run.
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { openApi, textAt } from "./support/Api.ts"
import type { Answer } from "./support/Api.ts"
import { onBothDatabases } from "./support/Databases.ts"
import { fuzz } from "./support/Fuzzer.ts"

const total = Number(process.env["RSPP_FUZZ_REQUESTS"] ?? 800)
const seed = Number(process.env["RSPP_FUZZ_SEED"] ?? 1)

/** Stands in what the tenant acme has, and in no request of the fuzzer. */
const marker = "acme-has-this"

onBothDatabases("the API under a fuzzer", (make) => {
  const test = (name: string, body: (api: Effect.Success<ReturnType<typeof openApi>>) => Promise<unknown>) =>
    it.live(name, () =>
      Effect.gen(function*() {
        const { client } = yield* make
        const api = yield* openApi(client)
        yield* Effect.promise(() => body(api))
      }), 600_000)

  const furnish = async ({ platformKey, send }: Effect.Success<ReturnType<typeof openApi>>) => {
    const tenant = async (tenant_id: string) =>
      textAt(
        (await send("POST", "/v1/tenants", { key: platformKey, body: { tenant_id, name: "n" } })).json,
        "owner",
        "text"
      )
    const [acme, other] = [await tenant("acme"), await tenant("other")]
    const write = async (key: string, method: string, path: string, body: unknown) => {
      const answer = await send(method, path, { key, body })
      assert.isBelow(answer.status, 300, answer.text)
      return answer.json
    }
    const spec = { schema_version: "v1.0", pipeline_id: "assistant", pipeline_version: "1" }
    for (const [key, mark] of [[acme, marker], [other, "other"]] as const) {
      await write(key, "POST", "/v1/pipelines", { spec })
      await write(key, "PUT", "/v1/rollouts/assistant", { stable_version: "1", allowlist: [mark] })
      await write(key, "PUT", "/v1/policies/p1", { match: { region: mark } })
      await write(key, "PUT", "/v1/admission", { reason: mark })
    }
    const session = await write(acme, "POST", "/v1/sessions", { pipeline_id: "assistant", caller: marker })
    const keys = [other]
    for (const role of ["operator", "viewer", "runtime"]) {
      keys.push(textAt(await write(other, "POST", "/v1/keys", { name: role, role }), "text"))
    }
    return {
      acme,
      keys,
      words: [
        "acme",
        "other",
        "assistant",
        "1",
        "2",
        "p1",
        "p2",
        "eu",
        "v1.0",
        textAt(session, "session", "session_id")
      ]
    }
  }

  const without = ["DELETE /v1/keys/{key_id}"]

  test(`answers ${total} requests without a fault, and shows nothing of another tenant`, async (api) => {
    const { acme, keys, words } = await furnish(api)
    const document = (await api.send("GET", "/openapi.json")).json
    const picture = () =>
      Promise.all(
        ["/v1/keys", "/v1/pipelines", "/v1/policies", "/v1/admission", "/v1/rollouts", "/v1/sessions", "/v1/audit"].map(
          async (path) => (await api.send("GET", path, { key: acme })).text
        )
      )
    const before = await picture()
    const report = await fuzz({
      seed,
      requests: total,
      document,
      send: api.send,
      keys,
      words,
      without,
      secrets: [marker, ...keys.map((key) => key.split("_")[2] ?? key)]
    })
    if (process.env["RSPP_FUZZ_REQUESTS"] !== undefined) {
      const { findings, requests, statuses, succeeded } = report
      const reached = `${succeeded.size} operations succeeded, ${findings.length} findings`
      console.log(`seed ${seed}: ${requests} requests, by status ${JSON.stringify(statuses)}; ${reached}`)
    }
    assert.deepStrictEqual(report.findings, [])
    assert.deepStrictEqual(await picture(), before)
    // it reaches what is behind the forms
    assert.isAbove(report.succeeded.size, 15, JSON.stringify(report.statuses))
    const verdict = await api.send("GET", "/v1/audit/verification", { key: api.platformKey })
    assert.strictEqual(textAt(verdict.json, "intact"), "true")
  })

  test("is seen to fail where a fault or another tenant's words are planted", async (api) => {
    const { keys, words } = await furnish(api)
    const document = (await api.send("GET", "/openapi.json")).json
    const planted = (change: (answer: Answer) => Answer) =>
      fuzz({
        seed,
        requests: 60,
        document,
        send: async (...sent) => change(await api.send(...sent)),
        keys,
        words,
        without,
        secrets: [marker]
      })
    const fault = await planted((answer) => (answer.status === 200 ? { ...answer, status: 500 } : answer))
    assert.isTrue(fault.findings.some((finding) => finding.startsWith("a fault")))
    const leak = await planted((answer) => ({ ...answer, text: `${answer.text}${marker}` }))
    assert.strictEqual(leak.findings.filter((finding) => finding.startsWith("another tenant's")).length, 60)
  })
})
