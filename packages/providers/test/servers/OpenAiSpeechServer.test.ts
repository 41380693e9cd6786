import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import OpenAI from "openai"
import { openAiSpeechServer } from "./OpenAiSpeechServer.ts"

const client = (server: { readonly baseUrl: string; readonly key: string }, apiKey = server.key) =>
  new OpenAI({ apiKey, baseURL: server.baseUrl, maxRetries: 0 })

const request = {
  model: "gpt-4o-mini-tts",
  voice: "alloy",
  input: "Good day to you.",
  response_format: "pcm" as const
}

describe("the OpenAI speech server, as OpenAI's own client sees it", () => {
  it.live("streams 24 kHz PCM", () =>
    Effect.gen(function*() {
      const server = yield* openAiSpeechServer()
      const bytes = yield* Effect.promise(async () => {
        const response = await client(server).audio.speech.create(request)
        return new Uint8Array(await response.arrayBuffer())
      })
      assert.strictEqual(bytes.length, 16 * 60 * 24 * 2)
      const samples = new Int16Array(bytes.buffer, 0, bytes.length / 2)
      assert.isAbove(Math.max(...samples), 7_000)
      assert.deepStrictEqual(server.calls, [{
        path: "/v1/audio/speech",
        request,
        ended: "served",
        end: (server.calls[0] as unknown as { end: unknown }).end
      }] as never)
    }))

  it.live("sees a client that leaves", () =>
    Effect.gen(function*() {
      const server = yield* openAiSpeechServer({ paceMs: 5 })
      yield* Effect.promise(async () => {
        const controller = new AbortController()
        const response = await client(server).audio.speech.create(
          { ...request, input: "word ".repeat(100) },
          { signal: controller.signal }
        )
        const reader = response.body!.getReader()
        await reader.read()
        controller.abort()
        while (server.calls[0]?.ended === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
      })
      assert.strictEqual(server.calls[0]?.ended, "aborted")
    }))

  it.live("answers with OpenAI's errors", () =>
    Effect.gen(function*() {
      const server = yield* openAiSpeechServer()
      const failed = (apiKey?: string) =>
        Effect.promise(() => client(server, apiKey).audio.speech.create(request).catch((error: unknown) => error))
      const unauthorised = yield* failed("sk-wrong")
      assert.instanceOf(unauthorised, OpenAI.AuthenticationError)
      server.next({ kind: "refuse", status: 429, retryAfterSeconds: 7 }, { kind: "vendor_error" })
      const limited = yield* failed()
      assert.instanceOf(limited, OpenAI.RateLimitError)
      assert.strictEqual(limited.headers.get("retry-after"), "7")
      const empty = yield* failed()
      assert.strictEqual((empty as InstanceType<typeof OpenAI.RateLimitError>).code, "insufficient_quota")
    }))
})
