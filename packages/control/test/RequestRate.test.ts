// How fast a key may ask, on virtual time and at the API.
import { assert, describe, it } from "@effect/vitest"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import { Effect, Exit, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { Role } from "../src/Permissions.ts"
import { layerRequestRate, RequestRate } from "../src/http/RequestRate.ts"
import { openApi, textAt } from "./conformance/support/Api.ts"

/** How many of `n` requests of a key are let through now. */
const letThrough = (key: string, n: number, role: Role = "viewer") =>
  Effect.gen(function*() {
    const rate = yield* RequestRate
    let through = 0
    for (let i = 0; i < n; i++) if (Exit.isSuccess(yield* Effect.exit(rate.take({ key_id: key, role })))) through++
    return through
  })

const limited = (burst: number, perSecond: number) => Effect.provide(layerRequestRate({ burst, perSecond }))

describe("the rate of a key", () => {
  it.effect("lets a burst through, then as many as come back, and no more in any time", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* letThrough("a", 50), 20)
      yield* TestClock.adjust(99)
      assert.strictEqual(yield* letThrough("a", 50), 0)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* letThrough("a", 50), 1)
      yield* TestClock.adjust(1000)
      assert.strictEqual(yield* letThrough("a", 50), 10)
      // rest fills the bucket, and not more than that
      yield* TestClock.adjust(3_600_000)
      assert.strictEqual(yield* letThrough("a", 50), 20)
      let through = 0
      for (let tick = 0; tick < 600; tick++) {
        yield* TestClock.adjust(7)
        through += yield* letThrough("a", 3)
      }
      assert.strictEqual(through, 42)
    }).pipe(limited(20, 10)))

  it.effect("takes nothing from another key", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* letThrough("a", 1000), 20)
      assert.strictEqual(yield* letThrough("b", 20), 20)
    }).pipe(limited(20, 10)))

  it.effect("is another for keys of runtimes, where that is asked for", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* letThrough("a", 1000), 20)
      assert.strictEqual(yield* letThrough("b", 1000, "runtime"), 500)
      yield* TestClock.adjust(100)
      assert.strictEqual(yield* letThrough("b", 1000, "runtime"), 100)
    }).pipe(Effect.provide(layerRequestRate({ burst: 20, perSecond: 10 }, { burst: 500, perSecond: 1000 }))))

  it.effect("says after which time it may come again, and then it may", () =>
    Effect.gen(function*() {
      const rate = yield* RequestRate
      yield* letThrough("a", 3)
      yield* TestClock.adjust(100)
      const problem = yield* Effect.flip(rate.take({ key_id: "a", role: "viewer" }))
      assert.deepInclude(problem, { status: 429, code: "too_many_requests", retry_after_ms: 400 })
      yield* TestClock.adjust(problem.retry_after_ms ?? 0)
      yield* rate.take({ key_id: "a", role: "viewer" })
    }).pipe(limited(3, 2)))

  it.effect("is not stopped by a time of day that is put back", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000_000_000)
      yield* letThrough("a", 20)
      yield* TestClock.setTime(1000)
      yield* TestClock.adjust(1000)
      assert.isAtLeast(yield* letThrough("a", 20), 10)
    }).pipe(limited(20, 10)))

  it.effect("is none unless there is a limit", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* letThrough("a", 10_000), 10_000)
    }))

  it.effect("must be a rate", () =>
    Effect.gen(function*() {
      for (const [burst, perSecond] of [[0, 1], [1.5, 1], [1, 0], [1, 1001], [1, Number.NaN]] as const) {
        assert.isTrue(
          Exit.isFailure(yield* Effect.exit(Effect.scoped(Layer.build(layerRequestRate({ burst, perSecond })))))
        )
      }
      yield* Effect.scoped(Layer.build(layerRequestRate({ burst: 200, perSecond: 100 })))
    }))

  it.live("is answered by the API with 429, problem details and Retry-After; other keys go on", () =>
    Effect.gen(function*() {
      const slow = layerRequestRate({ burst: 3, perSecond: 0.001 })
      const { platformKey, send } = yield* openApi(NodeSqlite.layer(":memory:"), slow)
      yield* Effect.promise(async () => {
        const made = await send("POST", "/v1/tenants", { key: platformKey, body: { tenant_id: "acme", name: "n" } })
        const owner = textAt(made.json, "owner", "text")
        const statuses: Array<number> = []
        for (let n = 0; n < 5; n++) statuses.push((await send("GET", "/v1/keys", { key: owner })).status)
        assert.deepStrictEqual(statuses, [200, 200, 200, 429, 429])
        const refused = await send("GET", "/v1/keys", { key: owner })
        assert.match(refused.headers.get("content-type") ?? "", /^application\/problem\+json/u)
        assert.deepInclude(refused.json, { status: 429, code: "too_many_requests" })
        const seconds = Number(refused.headers.get("retry-after"))
        assert.isTrue(seconds > 900 && seconds <= 1000, String(seconds))
        // what is not let through does nothing
        const write = await send("POST", "/v1/keys", { key: owner, body: { name: "x", role: "viewer" } })
        assert.strictEqual(write.status, 429)
        assert.strictEqual((await send("GET", "/v1/tenants", { key: platformKey })).status, 200)
        // probes ask for no key, and a wrong key is told that it is wrong
        assert.strictEqual((await send("GET", "/readyz")).status, 200)
        assert.strictEqual((await send("GET", "/v1/keys", { key: "nonsense" })).status, 401)
      })
    }))
})
