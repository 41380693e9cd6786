import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Stream } from "effect"
import type { ServerResponse } from "node:http"
import { inspect } from "node:util"
import type { Adapter, HostedSettings } from "@rspp/providers/Adapter"
import type { GivenSettings } from "@rspp/providers/hosted/Instance"
import { makeInstance } from "@rspp/providers/hosted/Instance"
import type { LanguageModel, Message } from "@rspp/runtime/ports/LanguageModel"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import type { Usage } from "@rspp/runtime/ports/ProviderUsage"
import { ProviderUsage, UsageSum } from "@rspp/runtime/ports/ProviderUsage"
import { chatServer } from "./ChatServer.ts"

export const key = "sk-secret-0123456789"

/** A short conversation. */
export const hello: ReadonlyArray<Message> = [
  { role: "system", text: "Be brief." },
  { role: "user", text: "Hello." }
]

/** What a call gave until it ended: the pieces, how it failed, what it used. No failure has the key in it. */
export const asked = (model: LanguageModel["Service"], messages: ReadonlyArray<Message> = hello) =>
  Effect.gen(function*() {
    const pieces: Array<string> = []
    const sum = new UsageSum()
    const exit = yield* Effect.exit(
      Stream.runForEach(model.reply(messages), (piece) => Effect.sync(() => void pieces.push(piece))).pipe(
        Effect.provideService(ProviderUsage, sum)
      )
    )
    const used: Usage | undefined = sum.close()
    if (Exit.isSuccess(exit)) return { pieces, used, failure: undefined }
    const failure = Cause.squash(exit.cause) as ProviderFailure
    for (const said of [JSON.stringify(failure), inspect(failure, { depth: 9 }), Cause.pretty(exit.cause)]) {
      assert.notInclude(said, key)
    }
    return { pieces, used, failure: { ...failure } }
  })

/** The same over a server that answers as it is told, and what the server was asked. */
export const askedOver = <S extends HostedSettings>(
  adapter: Adapter<"llm", S>,
  answer: (response: ServerResponse) => void,
  options: { readonly given?: GivenSettings; readonly messages?: ReadonlyArray<Message>; readonly base?: string } = {}
) =>
  Effect.scoped(Effect.gen(function*() {
    const headers: Array<Readonly<Record<string, unknown>>> = []
    const server = yield* chatServer((response, request) => {
      headers.push(request.headers)
      answer(response)
    })
    const model = yield* makeInstance(adapter, "test/model", {
      base_url: server.baseUrl.replace(/\/v1$/u, options.base ?? ""),
      api_key: key,
      warm_connections: 0,
      ...options.given
    })
    return { ...(yield* asked(model, options.messages)), requests: server.requests, headers }
  }))

/** Answers with an event stream of these parts. */
export const streamed = (...parts: ReadonlyArray<string>) => (response: ServerResponse): void => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  parts.forEach((part) => response.write(part))
  response.end()
}

/** Answers with a status and a JSON body. */
export const refused = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
(
  response: ServerResponse
): void => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(JSON.stringify(body))
}
