// Provider health of a process that has no control plane but its own: when sessions are told, and how often.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { CircuitState } from "../src/CircuitBreaker.ts"
import { LocalHealth } from "../src/LocalHealth.ts"
import type { LocalHealthOptions } from "../src/LocalHealth.ts"
import { callFacts } from "./support/CallFacts.ts"

const bindings = { llm: "llm/a", "llm.fallback": "llm/b" }

const withHealth = (
  body: (health: LocalHealth["Service"]) => Effect.Effect<void, never, Scope.Scope>,
  options: Partial<LocalHealthOptions> = {}
) =>
  Effect.scoped(
    Effect.flatMap(Layer.build(LocalHealth.layer(options)), (context) =>
      Effect.scoped(Effect.flatMap(Effect.provide(LocalHealth, Layer.succeedContext(context)), body)))
  )

/** A session that notes what it is told of `llm/a`. */
const following = Effect.fnUntraced(function*(
  health: LocalHealth["Service"],
  session_id: string,
  { fails = 0, tenant_id = "t" }: { readonly tenant_id?: string; readonly fails?: number } = {}
) {
  const told: Array<CircuitState | undefined> = []
  let left = fails
  const publish = ({ providers }: { readonly providers: Readonly<Record<string, CircuitState>> }) =>
    Effect.suspend(() => {
      if (left-- > 0) return Effect.fail("not now")
      told.push(providers["llm/a"])
      return Effect.void
    })
  const first = yield* health.follow({ tenant_id, session_id, bindings, publish })
  return { told, first: first.providers["llm/a"] }
})

const fail = (health: LocalHealth["Service"], times: number, tenant_id = "t") => {
  for (let i = 0; i < times; i++) {
    health.saw({ tenant_id, session_id: "s" }, callFacts("llm/a", "timeout"), 4000)
  }
}

describe("the health of a process alone", () => {
  it.effect("tells every session of the tenant, within a quarter of a second, and what comes later as it is", () =>
    withHealth(Effect.fnUntraced(function*(health) {
      const [s, other] = [yield* following(health, "s"), yield* following(health, "o", { tenant_id: "u" })]
      assert.strictEqual(s.first, "closed")
      fail(health, 4)
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(s.told, [])
      fail(health, 1)
      yield* TestClock.adjust(250)
      assert.deepStrictEqual([s.told, other.told], [["open"], []])
      assert.strictEqual((yield* following(health, "later")).first, "open")
    })))

  it.effect("tells what time brings about, to one session, and gives its trial on when it ends", () =>
    withHealth(Effect.fnUntraced(function*(health) {
      const scope = yield* Scope.make()
      const a = yield* Scope.provide(following(health, "a"), scope)
      const b = yield* following(health, "b")
      fail(health, 5)
      yield* TestClock.adjust(19_000)
      assert.deepStrictEqual([a.told, b.told], [["open"], ["open"]])
      yield* TestClock.adjust(2000)
      // the first that asked
      assert.deepStrictEqual([a.told, b.told], [["open", "half_open"], ["open"]])
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(1500)
      assert.deepStrictEqual(b.told, ["open", "half_open"])
      health.saw({ tenant_id: "t", session_id: "b" }, callFacts("llm/a", "success", { firstMs: 300 }), 4000)
      yield* TestClock.adjust(250)
      assert.strictEqual(b.told.at(-1), "closed")
    })))

  it.effect("tells nobody more often than it says, however often the circuit changes", () =>
    withHealth(
      Effect.fnUntraced(function*(health) {
        const { told } = yield* following(health, "s")
        for (let at = 0; at < 1000; at++) {
          fail(health, 1)
          health.saw({ tenant_id: "t", session_id: "s" }, callFacts("llm/a", "success", { firstMs: 300 }), 4000)
          yield* TestClock.adjust(1)
        }
        assert.isAtLeast(told.length, 2)
        assert.isAtMost(told.length, 5)
      }),
      { minCalls: 1, coolDownMs: 0 }
    ))

  it.effect("tells again what could not be told", () =>
    withHealth(Effect.fnUntraced(function*(health) {
      const { told } = yield* following(health, "s", { fails: 3 })
      fail(health, 5)
      yield* TestClock.adjust(500)
      assert.deepStrictEqual(told, [])
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(told, ["open"])
    })))

  it.effect("does nothing for a session whose providers are well", () =>
    withHealth(Effect.fnUntraced(function*(health) {
      const { told } = yield* following(health, "s")
      for (let i = 0; i < 100; i++) {
        health.saw({ tenant_id: "t", session_id: "s" }, callFacts("llm/a", "success", { firstMs: 300 }), 4000)
      }
      yield* TestClock.adjust(100_000)
      assert.deepStrictEqual(told, [])
    })))
})
