import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createReadStream } from "node:fs"
import OpenAI from "openai"
import { recordings } from "../support/Wav.ts"
import { openAiTranscriptionsServer } from "./OpenAiTranscriptionsServer.ts"

const upload = (client: OpenAI, file: string) =>
  Effect.tryPromise({
    try: () => client.audio.transcriptions.create({ file: createReadStream(file), model: "whisper-1", language: "en" }),
    catch: (error) => {
      if (error instanceof OpenAI.APIError) return error
      throw error
    }
  })

describe("OpenAI's own client and our transcription server", () => {
  it.live("agree on an upload and its text", () =>
    Effect.scoped(Effect.gen(function*() {
      const server = yield* openAiTranscriptionsServer({ engine: ["Go forward ten meters, naïve 東京."] })
      const client = new OpenAI({ apiKey: server.key, baseURL: server.baseUrl, maxRetries: 0 })
      const { text, usage } = yield* upload(client, `${recordings}goforward.wav`)
      assert.strictEqual(text, "Go forward ten meters, naïve 東京.")
      assert.strictEqual(usage?.type, "duration")
      assert.deepStrictEqual(server.calls.map(({ ended }) => ended), ["served"])
    })))

  it.live("agree on refusals: another key, too many requests, a file that is no audio", () =>
    Effect.scoped(Effect.gen(function*() {
      const server = yield* openAiTranscriptionsServer()
      const stranger = new OpenAI({ apiKey: "another", baseURL: server.baseUrl, maxRetries: 0 })
      assert.instanceOf(
        yield* Effect.flip(upload(stranger, `${recordings}goforward.wav`)),
        OpenAI.AuthenticationError
      )
      const client = new OpenAI({ apiKey: server.key, baseURL: server.baseUrl, maxRetries: 0 })
      server.next({ kind: "refuse", status: 429, retryAfterSeconds: 7 })
      const limited = yield* Effect.flip(upload(client, `${recordings}goforward.wav`))
      assert.instanceOf(limited, OpenAI.RateLimitError)
      assert.strictEqual(limited.headers.get("retry-after"), "7")
      assert.instanceOf(yield* Effect.flip(upload(client, `${recordings}README.md`)), OpenAI.BadRequestError)
    })))
})
