import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schedule } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type { ReporterOptions } from "../src/http/ProviderReporter.ts"
import { ProviderReporter } from "../src/http/ProviderReporter.ts"
import { callFacts } from "./support/CallFacts.ts"

interface Report {
  readonly provider_id: string
  readonly succeeded: number
  readonly failed: number
  readonly slow?: number
  readonly latency?: ReadonlyArray<number>
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
            saw(callFacts("llm/a", outcome), 4000)
          }
          for (const outcome of ["blocked", "cancelled"] as const) saw(callFacts("llm/b", outcome), 4000)
        }),
        layer({ everyMs: 3_600_000 }),
        { local: true }
      )
      assert.deepStrictEqual(state.told, [[{ provider_id: "llm/a", succeeded: 2, failed: 3 }]])
    }))

  it.live("reports how long first results took, and how many were slow for their provider's cap", () =>
    Effect.gen(function*() {
      const { layer, state } = makeServer()
      yield* Effect.provide(
        Effect.map(ProviderReporter, ({ saw }) => {
          for (const firstMs of [40, 50, 51, 3000, 3001, 12_000]) saw(callFacts("llm/a", "success", { firstMs }), 4000)
          // a timeout is a failure, and not slow besides; its latency is nobody's
          saw(callFacts("llm/a", "timeout", { firstMs: 3900 }), 4000)
          // a recogniser's guess in the middle of a word is no result that anybody waits for
          saw(callFacts("stt/a", "success", { firstMs: 9000, finalMs: 120, modality: "stt" }), 4000)
        }),
        layer({ everyMs: 3_600_000 }),
        { local: true }
      )
      assert.deepStrictEqual(state.told, [[
        {
          provider_id: "llm/a",
          succeeded: 6,
          failed: 1,
          slow: 2,
          latency: [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1]
        },
        {
          provider_id: "stt/a",
          succeeded: 1,
          failed: 0,
          latency: [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
      ]])
    }))

  it.live("holds no more than a report takes, and drops what the server did not take", () =>
    Effect.gen(function*() {
      const { layer, state } = makeServer()
      yield* Effect.gen(function*() {
        const { saw } = yield* ProviderReporter
        for (let i = 0; i < 150; i++) saw(callFacts(`llm/${i}`, "success"), 4000)
        for (let i = 0; i < 1_000_001; i++) saw(callFacts("llm/0", "timeout"), 4000)
        yield* until(() => state.told.length === 1)
        assert.strictEqual(state.told[0]?.length, 100)
        assert.deepStrictEqual(state.told[0]?.[0], { provider_id: "llm/0", succeeded: 1, failed: 1_000_000 })
        state.away = true
        saw(callFacts("llm/lost", "timeout"), 4000)
        const { asked } = state
        yield* until(() => state.asked > asked)
        state.away = false
        saw(callFacts("llm/later", "success"), 4000)
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
      yield* Effect.provide(
        Effect.map(ProviderReporter, ({ saw }) => saw(callFacts("llm/a", "success"), 4000)),
        layer,
        { local: true }
      )
    }))
})
