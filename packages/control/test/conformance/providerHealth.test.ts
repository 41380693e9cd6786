// Provider health as the database keeps it: on SQLite and on PostgreSQL, for one control plane and for several.
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type * as SqlClient from "effect/sql/SqlClient"
import { defaultHealthOptions } from "../../src/CircuitBreaker.ts"
import type { HealthOptions } from "../../src/CircuitBreaker.ts"
import { addLatencies, latencyOf } from "../../src/LatencyHistogram.ts"
import { ProviderHealth } from "../../src/ProviderHealth.ts"
import { migrateControl } from "../../src/sql/Migrations.ts"
import { onBothDatabases } from "./support/Databases.ts"

/** A circuit is half-open as soon as it is open: no test waits for time. */
const noRest: Partial<HealthOptions> = { coolDownMs: 0 }

onBothDatabases("provider health", (make) => {
  /** Two control planes on one database, each with its own clock and connection. */
  const test = <E>(
    name: string,
    options: Partial<HealthOptions>,
    body: (one: ProviderHealth["Service"], other: ProviderHealth["Service"]) => Effect.Effect<unknown, E>
  ) =>
    it.live(name, () =>
      Effect.gen(function*() {
        const { client } = yield* make
        const health = (of: Layer.Layer<SqlClient.SqlClient>) =>
          Layer.build(
            Layer.fresh(ProviderHealth.layer({ ...defaultHealthOptions, ...options })).pipe(
              Layer.provide(Layer.fresh(of))
            )
          )
        yield* Effect.provide(migrateControl, client, { local: true })
        const [one, other] = [yield* health(client), yield* health(client)]
        yield* Effect.flatMap(
          Effect.provide(ProviderHealth, Layer.succeedContext(one)),
          (first) =>
            Effect.flatMap(Effect.provide(ProviderHealth, Layer.succeedContext(other)), (second) => body(first, second))
        )
      }).pipe(Effect.scoped))

  const bad = { provider_id: "llm/a", succeeded: 0, failed: 1 }
  const good = { provider_id: "llm/a", succeeded: 1, failed: 0 }
  const session = (session_id: string, bindings: Readonly<Record<string, string>> = { llm: "llm/a" }) => ({
    session_id,
    bindings
  })
  const stateOf = (
    health: ProviderHealth["Service"],
    session_id: string,
    bindings?: Readonly<Record<string, string>>
  ) => Effect.map(health.statesFor("acme", session(session_id, bindings)), ({ providers }) => providers["llm/a"])

  test(
    "adds up what several control planes hear at once, each report once",
    {},
    (one, other) =>
      Effect.gen(function*() {
        const latency = [40, 60, 700].map(latencyOf).reduce(addLatencies)
        yield* Effect.forEach(
          Array.from({ length: 20 }, (_, at) => at % 2 === 0 ? one : other),
          (health) => health.report("acme", [{ provider_id: "llm/a", succeeded: 3, failed: 1, slow: 1, latency }]),
          { concurrency: "unbounded" }
        )
        const { windows } = yield* one.view("acme")
        assert.deepStrictEqual(windows, {
          "llm/a": {
            succeeded: 60,
            failed: 20,
            slow: 20,
            error_rate: 0.25,
            first_result_ms: { p50: 75, p95: 713 },
            because: "slow"
          }
        })
      })
  )

  test(
    "gives the trial of a half-open circuit to one session, however many ask where",
    noRest,
    (one, other) =>
      Effect.gen(function*() {
        yield* one.report("acme", [{ ...bad, failed: 10 }])
        const answers = yield* Effect.forEach(
          Array.from({ length: 16 }, (_, at) => ({ health: at % 2 === 0 ? one : other, name: `s${at}` })),
          ({ health, name }) => Effect.map(stateOf(health, name), (state) => ({ name, state })),
          { concurrency: "unbounded" }
        )
        const tries = answers.filter(({ state }) => state === "half_open")
        assert.lengthOf(tries, 1, JSON.stringify(answers))
        const [{ name } = { name: "" }] = tries
        // it has it still, and a control plane that looks at all of them sees who
        assert.deepStrictEqual([yield* stateOf(one, name), yield* stateOf(other, name)], ["half_open", "half_open"])
        const view = yield* other.view("acme")
        assert.deepStrictEqual(view.providers, { "llm/a": "half_open" })
        assert.strictEqual(view.windows["llm/a"]?.trial, name)
        assert.strictEqual(yield* stateOf(one, "another"), "open")
        // looking gave nobody anything
        assert.strictEqual((yield* one.view("acme")).windows["llm/a"]?.trial, name)
      })
  )

  test(
    "closes by a trial that goes well, with a new window; opens again by one that does not",
    noRest,
    (one, other) =>
      Effect.gen(function*() {
        yield* one.report("acme", [{ ...bad, failed: 10 }])
        assert.strictEqual(yield* stateOf(one, "a"), "half_open")
        yield* other.report("acme", [bad])
        // it was opened anew, and so is half-open anew: the trial of before is over, and anybody may have the next
        assert.strictEqual(yield* stateOf(other, "b"), "half_open")
        yield* other.report("acme", [good])
        assert.deepStrictEqual([yield* stateOf(one, "a"), yield* stateOf(one, "b")], ["closed", "closed"])
        assert.deepStrictEqual((yield* one.view("acme")).windows["llm/a"], {
          succeeded: 1,
          failed: 0,
          slow: 0,
          error_rate: 0
        })
        yield* one.report("acme", [bad])
        assert.strictEqual(yield* stateOf(one, "a"), "closed")
        // what has nothing to say says nothing
        yield* one.report("acme", [{ provider_id: "llm/quiet", succeeded: 0, failed: 0 }])
        assert.notProperty((yield* one.view("acme")).providers, "llm/quiet")
      })
  )

  test("leaves a slow provider to who has no other", {}, (one) =>
    Effect.gen(function*() {
      yield* one.report("acme", [{ provider_id: "llm/a", succeeded: 10, failed: 0, slow: 10 }])
      assert.strictEqual(yield* stateOf(one, "a"), "closed")
      assert.strictEqual(yield* stateOf(one, "a", { llm: "llm/a", "llm.fallback": "llm/b" }), "open")
    }))
})
