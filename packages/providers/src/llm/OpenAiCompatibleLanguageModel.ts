import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Pull } from "effect"
import { Sse } from "effect/encoding"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { Message } from "@rspp/runtime/ports/LanguageModel"
import { measured } from "@rspp/runtime/ports/MeasuredWork"
import type { ProviderDescriptor } from "@rspp/runtime/ports/ProviderDescriptor"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { ProvidersConfig } from "../ProvidersConfig.ts"
import { ProviderUnavailable } from "../ProviderUnavailable.ts"

/** A hosted model needs longer than the profile's second for its first token; 4 s, as the embedded recogniser. */
export const descriptor: ProviderDescriptor = {
  provider_id: "openai/compatible",
  modality: "llm",
  firstResultCapMs: 4_000
}

/** Longest silence between two pieces of a reply, in milliseconds; the first piece is bounded by the session. */
export const maxStallMs = 15_000

/** Longest wait for the end of the body after the reply's regular end, in milliseconds. */
const maxReadOutMs = 500

/** Longest single event of the stream, in characters. */
const maxEventChars = 1_000_000

const failure = (
  outcome_class: ProviderFailure["outcome_class"],
  retryable: boolean,
  message: string
): ProviderFailure =>
  // No cause: the request, with the key in its headers, hangs on the errors of the HTTP client.
  new ProviderFailure({ provider_id: descriptor.provider_id, outcome_class, retryable, message })

/** What a status that is not 2xx means. */
export const failureOfStatus = (status: number): ProviderFailure => {
  const message = `The language model server answered with status ${status}`
  if (status === 429) return failure("overload", true, message)
  if (status === 401 || status === 403) return failure("blocked", false, `${message}: check RSPP_LLM_API_KEY`)
  if (status === 408) return failure("timeout", true, message)
  return failure("infrastructure_failure", status >= 500, message)
}

/** One event of a streamed chat completion: as much of it as is used. */
const Chunk = Schema.Struct({
  choices: Schema.optionalKey(Schema.Array(Schema.Struct({
    delta: Schema.optionalKey(Schema.Struct({ content: Schema.optionalKey(Schema.NullOr(Schema.String)) })),
    finish_reason: Schema.optionalKey(Schema.NullOr(Schema.String))
  }))),
  error: Schema.optionalKey(Schema.Unknown)
})

const decodeChunk = Schema.decodeUnknownOption(Schema.fromJsonString(Chunk))

/** A piece of the reply, or its regular end. */
type Piece = { readonly text: string; readonly last: boolean }

const pieceOf = (data: string): Effect.Effect<Piece, ProviderFailure> => {
  if (data === "[DONE]") return Effect.succeed({ text: "", last: true })
  const chunk = Option.getOrUndefined(decodeChunk(data))
  if (chunk === undefined) {
    return Effect.fail(
      failure("infrastructure_failure", true, "The language model server sent something that is no chat completion")
    )
  }
  if (chunk.error !== undefined) {
    return Effect.fail(
      failure("infrastructure_failure", true, "The language model server broke its reply off with an error")
    )
  }
  const choice = chunk.choices?.[0]
  if (choice?.finish_reason === "content_filter") {
    return Effect.fail(failure("blocked", false, "The language model server's content filter blocked the reply"))
  }
  const finished = choice?.finish_reason !== undefined && choice.finish_reason !== null
  return Effect.succeed({ text: choice?.delta?.content ?? "", last: finished })
}

const broken = failure("infrastructure_failure", true, "The connection to the language model server broke")
const truncated = failure("infrastructure_failure", true, "The language model server's reply ended too early")
const stalled = failure("timeout", true, `The language model server sent nothing for ${maxStallMs} ms`)

/**
 * The text of a response. It ends only after a regular end, and fails when the body ends without one.
 *
 * After the regular end the body is read out, so that the connection can be used again; whatever happens there no
 * longer matters.
 */
const textOf = (response: HttpClientResponse): Stream.Stream<string, ProviderFailure> =>
  Stream.suspend(() => {
    let finished = false
    const noted = (piece: Piece): string => {
      finished ||= piece.last
      return piece.text
    }
    const texts = response.stream.pipe(
      Stream.decodeText(),
      Stream.pipeThroughChannel(Sse.decode({ maxEventSize: maxEventChars })),
      Stream.mapError(() => broken),
      Stream.mapEffect((event) => Effect.map(pieceOf(event.data), noted)),
      Stream.filter((text) => text !== "")
    )
    const bounded = <A>(pull: Pull.Pull<A, ProviderFailure>): Pull.Pull<A, ProviderFailure> =>
      Effect.timeoutOrElse(measured(pull), {
        duration: finished ? maxReadOutMs : maxStallMs,
        orElse: () => Effect.fail(stalled)
      }).pipe(Effect.catch((end): Effect.Effect<never, ProviderFailure | Cause.Done> =>
        finished ? Cause.done() : Effect.fail(Cause.isDone(end) ? truncated : end)
      ))
    return Stream.transformPull(texts, (pull) =>
      Effect.succeed(Effect.suspend(() => bounded(pull))))
  })

/** The server that is set, or what must be set; it is not asked whether it answers. */
export const check = Effect.flatMap(ProvidersConfig, ({ llm }) =>
  llm !== undefined ? Effect.succeed(llm) : Effect.fail(
    new ProviderUnavailable({
      provider_id: descriptor.provider_id,
      message: "No language model server is set",
      remedy:
        "Set RSPP_LLM_BASE_URL (for example http://127.0.0.1:11434/v1), RSPP_LLM_MODEL and, if needed, RSPP_LLM_API_KEY"
    })
  ))

/**
 * A model behind any server that speaks OpenAI's `POST /chat/completions` with `stream: true`, as {@link LanguageModel}.
 *
 * Set by `RSPP_LLM_BASE_URL` (up to and with `/v1`), `RSPP_LLM_MODEL` and, where the server wants one,
 * `RSPP_LLM_API_KEY`; building the Layer fails with {@link ProviderUnavailable} when they are not set. The key appears in
 * no message and no error.
 *
 * Failures: 429 → `overload`; 401 and 403 → `blocked`; 408 → `timeout`; other 4xx → `infrastructure_failure`, not
 * retryable; 5xx, no connection, a broken or truncated stream, or something that is no chat completion →
 * `infrastructure_failure`, retryable; nothing for {@link maxStallMs} → `timeout`. It does not retry by itself: the
 * session does. Interrupting closes the connection.
 */
export const make = Effect.gen(function*() {
  const llm = yield* check
  // Scoped by the stream: a response that is dropped before it was read is closed, too.
  const client = HttpClient.withScope(yield* HttpClient.HttpClient)
  const request = (messages: ReadonlyArray<Message>) =>
    HttpClientRequest.post(`${llm.baseUrl}/chat/completions`).pipe(
      HttpClientRequest.accept("text/event-stream"),
      llm.apiKey === undefined ? (same) => same : HttpClientRequest.bearerToken(llm.apiKey),
      HttpClientRequest.bodyJsonUnsafe({
        model: llm.model,
        stream: true,
        messages: messages.map(({ role, text }) => ({ role, content: text }))
      })
    )
  return LanguageModel.of({
    descriptor,
    reply: (messages) =>
      Stream.unwrap(
        measured(client.execute(request(messages))).pipe(
          Effect.mapError(() =>
            failure("infrastructure_failure", true, "The language model server could not be reached")
          ),
          Effect.flatMap((response) =>
            response.status >= 200 && response.status < 300
              ? Effect.succeed(textOf(response))
              : Effect.fail(failureOfStatus(response.status))
          )
        )
      )
  })
})

/** Needs {@link ProvidersConfig} and an HTTP client. */
export const layerNoDeps = Layer.effect(LanguageModel, make)

/** With the settings of the environment, over `fetch`. */
export const layer = Layer.provide(layerNoDeps, [ProvidersConfig.layer, FetchHttpClient.layer])
