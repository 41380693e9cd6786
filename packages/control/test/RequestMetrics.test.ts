// What `GET /metrics` says of requests.
import { assert, it } from "@effect/vitest"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import { Effect } from "effect"
import { openApi, textAt } from "./conformance/support/Api.ts"

const seriesOf = (text: string) =>
  new Map(
    text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
      const at = line.lastIndexOf(" ")
      return [line.slice(0, at), Number(line.slice(at + 1))] as const
    })
  )

it.live("GET /metrics counts requests by status, but neither probes nor itself, and names no tenant and no path", () =>
  Effect.gen(function*() {
    const { platformKey, send } = yield* openApi(NodeSqlite.layer(":memory:"))
    yield* Effect.promise(async () => {
      const made = await send("POST", "/v1/tenants", { key: platformKey, body: { tenant_id: "acme", name: "n" } })
      const owner = textAt(made.json, "owner", "text")
      for (let n = 0; n < 3; n++) await send("GET", "/v1/keys", { key: owner })
      await send("GET", "/v1/sessions/ses_gone", { key: owner })
      await send("GET", "/v1/keys", { key: "nonsense" })
      await send("GET", "/nowhere")
      for (const probe of ["/healthz", "/readyz", "/metrics"]) await send("GET", probe)
      const { headers, status, text } = await send("GET", "/metrics")
      assert.strictEqual(status, 200)
      assert.match(headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/u)
      const series = seriesOf(text)
      const count = (of: number) => series.get(`rspp_http_requests_total{status="${of}"}`)
      assert.deepStrictEqual([200, 201, 404, 401].map(count), [3, 1, 2, 1])
      assert.strictEqual(series.get("rspp_http_requests_running"), 0)
      assert.strictEqual(series.get("rspp_http_request_seconds_count"), 7)
      assert.match(text, /# TYPE rspp_http_requests_total counter/u)
      assert.notMatch(text, /acme|ses_gone|v1/u)
    })
  }))
