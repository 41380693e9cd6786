import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schedule } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type { ReporterOptions } from "../src/http/ProviderReporter.ts"
import { ProviderReporter } from "../src/http/ProviderReporter.ts"

interface Report {
  readonly provider_id: string
  readonly succeeded: number
  readonly failed: number
}

/** A server that the test takes away and brings back, and what it was told. */
const makeServer = () => {
  const state = { away: false, asked: 0, told: [] as Array<ReadonlyArray<Report>> }
  const ask: typeof fetch = async (input, init) => {
    const { away } = state
    state.asked++
    const { reports } = await new Request(input, init).json() as { readonly reports: ReadonlyArray<Report> }
    if (away) throw new TypeError("fetch failed")
    state.told.push(reports)
    return new Response(null, { status: 204 })
  }
  const layer = (options: Partial<ReporterOptions>) =>
    ProviderReporter.layer({ url: "http://control", apiKey: Redacted.make("rspp_k_s") }, options).pipe(
      Layer.provide(FetchHttpClient.layer),
      Layer.provide(Layer.succeed(FetchHttpClient.Fetch, ask))
    )
  return { state, layer }
}

const until = (fact: () => boolean) =>
  Effect.suspend(() => fact() ? Effect.void : Effect.fail("it never came to that")).pipe(
    Effect.retry({ schedule: Schedule.spaced(5), times: 4000 })
  )

describe("a reporter of provider calls", () => {
  it.live("adds up what says something of a provider, and reports it once, at the latest as it ends", () =>
    Effect.gen(function*() {
      const { layer, state } = makeServer()
      yield* Effect.provide(
        Effect.map(ProviderReporter, ({ saw }) => {
          for (const outcome of ["success", "success", "timeout", "overload", "infrastructure_failure"] as const) {
            saw("llm/a", outcome)
          }
          for (const outcome of ["blocked", "cancelled"] as const) saw("llm/b", outcome)
        }),
        layer({ everyMs: 3_600_000 }),
        { local: true }
      )
      assert.deepStrictEqual(state.told, [[{ provider_id: "llm/a", succeeded: 2, failed: 3 }]])
    }))

  it.live("holds no more than a report takes, and drops what the server did not take", () =>
    Effect.gen(function*() {
      const { layer, state } = makeServer()
      yield* Effect.gen(function*() {
        const { saw } = yield* ProviderReporter
        for (let i = 0; i < 150; i++) saw(`llm/${i}`, "success")
        for (let i = 0; i < 1_000_001; i++) saw("llm/0", "timeout")
        yield* until(() => state.told.length === 1)
        assert.strictEqual(state.told[0]?.length, 100)
        assert.deepStrictEqual(state.told[0]?.[0], { provider_id: "llm/0", succeeded: 1, failed: 1_000_000 })
        state.away = true
        saw("llm/lost", "timeout")
        const { asked } = state
        yield* until(() => state.asked > asked)
        state.away = false
        saw("llm/later", "success")
        yield* until(() => state.told.length === 2)
      }).pipe(Effect.provide(layer({ everyMs: 20 }), { local: true }))
      assert.deepStrictEqual(state.told.slice(1), [[{ provider_id: "llm/later", succeeded: 1, failed: 0 }]])
    }))

  it.live("does not hold up the end of the program when the server does not answer", () =>
    Effect.gen(function*() {
      const layer = ProviderReporter.layer(
        { url: "http://control", apiKey: Redacted.make("rspp_k_s") },
        { everyMs: 3_600_000, lastWithinMs: 50 }
      ).pipe(
        Layer.provide(FetchHttpClient.layer),
        Layer.provide(Layer.succeed(FetchHttpClient.Fetch, () => new Promise<Response>(() => {})))
      )
      yield* Effect.provide(Effect.map(ProviderReporter, ({ saw }) => saw("llm/a", "success")), layer, { local: true })
    }))
})
