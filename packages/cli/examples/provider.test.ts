// The provider of TinyChat.ts against a server of its protocol: it streams, and a refusal has a name.
import { assert, describe, it } from "@effect/vitest"
import { layerOf } from "@rspp/providers/hosted/Instance"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { Effect, Stream } from "effect"
import { createServer } from "node:http"
import type { ServerResponse } from "node:http"
import { adapter } from "./TinyChat.ts"

/** The address of a server that answers every request so, for as long as the scope is open. */
const server = (answer: (response: ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      const listening = createServer((_request, response) => answer(response)).listen(0, "127.0.0.1", () => {
        const address = listening.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close: () => listening.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

/** What the model says to a caller's good morning. */
const answerOf = (base_url: string) =>
  Effect.gen(function*() {
    const model = yield* LanguageModel
    return yield* Stream.runCollect(model.reply([{ role: "user", text: "Good morning." }]))
  }).pipe(Effect.provide(layerOf(adapter, "mine/model", { base_url, model: "tiny-1", api_key: "a key" })))

const chunk = (content: string, finish_reason: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason }] })}\n\n`

describe("A provider of one's own", () => {
  it.live("hands on what the vendor says, piece by piece", () =>
    Effect.gen(function*() {
      const { url } = yield* server((response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.end(`${chunk("Good ")}${chunk("morning to you.", "stop")}data: [DONE]\n\n`)
      })
      assert.deepStrictEqual([...yield* answerOf(url)], ["Good ", "morning to you."])
    }))

  it.live("says what kind of failure a refusal is", () =>
    Effect.gen(function*() {
      const { url } = yield* server((response) => response.writeHead(429).end())
      const failure = yield* Effect.flip(answerOf(url))
      assert.deepInclude(failure, { _tag: "ProviderFailure", outcome_class: "overload" })
    }))
})
