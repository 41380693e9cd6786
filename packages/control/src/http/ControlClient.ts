import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { ControlApi } from "./ControlApi.ts"

/** Where a control plane is, and the key that it is asked with. */
export interface ControlServer {
  /** For example `http://127.0.0.1:7800`. */
  readonly url: string
  /** It is sent, and never part of a message. */
  readonly apiKey: Redacted.Redacted
}

export type ControlClient = HttpApiClient.ForApi<typeof ControlApi>

/**
 * A control plane did not do what a runtime asked of it: it cannot be asked (`unavailable`), it refuses (`refused`; its
 * `status` says more), or what it answered is not what it should be (`damaged`).
 */
export class ControlRequestFailure extends Schema.TaggedError<ControlRequestFailure>()("ControlRequestFailure", {
  reason: Schema.Literals(["unavailable", "refused", "damaged"]),
  message: Schema.String,
  status: Schema.optionalKey(Schema.Int)
}) {}

/** How long one answer may take, ms. */
export const answerWithinMs = 5000

/** The client of the API that a runtime asks with. */
export const controlClient = (
  { apiKey, url }: ControlServer
): Effect.Effect<ControlClient, never, HttpClient.HttpClient> =>
  HttpApiClient.make(ControlApi, {
    transformClient: HttpClient.mapRequest((request) =>
      request.pipe(HttpClientRequest.prependUrl(url), HttpClientRequest.bearerToken(apiKey))
    )
  })

const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined

const failureOf = ({ url }: ControlServer, error: unknown): ControlRequestFailure => {
  // without the cause: an error of the client has the request in it, and the request has the key
  const status = field(error, "status")
  const detail = field(error, "detail")
  if (typeof status === "number" && typeof detail === "string") {
    const reason = status >= 500 || status === 429 ? "unavailable" : "refused"
    return new ControlRequestFailure({ reason, status, message: `the control plane at ${url} answers: ${detail}` })
  }
  if (field(error, "_tag") === "SchemaError") {
    return new ControlRequestFailure({
      reason: "damaged",
      message: `what the control plane at ${url} answers cannot be read (${String(field(error, "message"))})`
    })
  }
  const what = field(field(error, "reason"), "_tag") ?? field(error, "_tag")
  return new ControlRequestFailure({
    reason: "unavailable",
    message: `the control plane at ${url} cannot be asked (${typeof what === "string" ? what : "no answer"})`
  })
}

/** A question, its failure in words, and no longer than {@link answerWithinMs}. */
export const asked = <A>(
  server: ControlServer,
  question: Effect.Effect<A, unknown>
): Effect.Effect<A, ControlRequestFailure> =>
  question.pipe(
    Effect.timeout(answerWithinMs),
    Effect.mapError((error) => failureOf(server, error))
  )
