import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Actor } from "../Actor.ts"
import { IdempotencyStore } from "../IdempotencyStore.ts"
import type { StoredAnswer } from "../IdempotencyStore.ts"
import { contentHash } from "../internal/ContentHash.ts"
import { SecurityTenancy } from "../SecurityTenancy.ts"
import { Caller, Guard, Requires, SecretAnswer } from "./Guard.ts"
import { ConflictProblem, ForbiddenProblem, logFailure, unauthorized, unavailable } from "./Problems.ts"
import { RequestRate } from "./RequestRate.ts"

/** Longest idempotency key. */
const maxIdempotencyKey = 200

const textOf = ({ body }: HttpServerResponse.HttpServerResponse): string =>
  body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""

/** Documents are known by their revision, everything else by its bytes. */
const etagOf = (text: string): string => {
  const value: unknown = JSON.parse(text)
  const revision = typeof value === "object" && value !== null ? (value as { readonly revision?: unknown }).revision : 0
  return typeof revision === "number" && Number.isInteger(revision) && revision > 0
    ? `"r${revision}"`
    : `"${contentHash(value).slice(0, 32)}"`
}

const matches = (header: string | undefined, etag: string): boolean =>
  header !== undefined &&
  (header.trim() === "*" || header.split(",").some((one) => one.trim().replace(/^W\//u, "") === etag))

/** The answer with its ETag; `304` to a reader that has it already. */
const tagged = (
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  const text = response.status === 200 ? textOf(response) : ""
  if (text === "") return response
  const etag = etagOf(text)
  return request.method === "GET" && matches(request.headers["if-none-match"], etag)
    ? HttpServerResponse.empty({ status: 304, headers: { etag } })
    : HttpServerResponse.setHeader(response, "etag", etag)
}

const forbiddenTenant = new ForbiddenProblem({
  code: "other_tenant",
  detail: "this key belongs to another tenant than x-rspp-tenant names; leave the header out, or send that tenant's key"
})

/** A NUL in the address or in a string of the body: PostgreSQL keeps none, so that nothing else takes it either. */
const hasNul = (url: string, body: string): boolean =>
  url.includes("%00") || (body.includes("\\u0000") && /(?<!\\)(?:\\\\)*\\u0000/u.test(body))

const nulRefused = new HttpApiError.BadRequestProblem({ detail: "the character U+0000 is in the request; take it out" })

/** The guard over the modules that it asks. */
export const guardLayer: Layer.Layer<Guard, never, SecurityTenancy | IdempotencyStore> = Layer.effect(
  Guard,
  Effect.gen(function*() {
    const security = yield* SecurityTenancy
    const idempotency = yield* IdempotencyStore
    const rate = yield* RequestRate

    return Guard.of({
      bearer: Effect.fnUntraced(function*(httpEffect, { credential, endpoint }) {
        const request = yield* HttpServerRequest.HttpServerRequest
        const principal = yield* security.authenticate(Redacted.value(credential)).pipe(
          Effect.tapError((error) => error._tag === "DatabaseFailure" ? logFailure(error) : Effect.void),
          Effect.mapError((error) => (error._tag === "Unauthenticated" ? unauthorized(error) : unavailable))
        )
        yield* rate.take(principal)
        const named = request.headers["x-rspp-tenant"]
        if (named !== undefined && named !== principal.tenant_id) return yield* forbiddenTenant
        const action = Option.getOrUndefined(Context.getOption(endpoint.annotations, Requires))
        // an endpoint that says nothing is nobody's
        if (action === undefined) return yield* forbiddenTenant
        const { tenant_id } = principal
        yield* Effect.mapError(
          security.authorise(principal, action, tenant_id),
          ({ code, message }) => new ForbiddenProblem({ code, detail: message })
        )
        const body = request.method === "GET" ? "" : yield* Effect.orElseSucceed(request.text, () => "")
        if (hasNul(request.url, body)) return yield* nulRefused
        const request_id = request.headers["x-request-id"]
        const run = httpEffect.pipe(
          Effect.provideService(Caller, { principal, tenant_id }),
          Effect.provideService(Actor, {
            actor: `key:${principal.key_id}`,
            ...(request_id === undefined ? {} : { request_id: request_id.slice(0, 200) })
          })
        )
        const idempotency_key = request.headers["idempotency-key"]
        if (idempotency_key === undefined || request.method === "GET") return tagged(request, yield* run)
        if (idempotency_key === "" || idempotency_key.length > maxIdempotencyKey) {
          return yield* new ConflictProblem({
            code: "idempotency_key_invalid",
            detail: `an Idempotency-Key has 1 to ${maxIdempotencyKey} characters`
          })
        }
        const secret = Option.isSome(Context.getOption(endpoint.annotations, SecretAnswer))
        const answerOf = (response: HttpServerResponse.HttpServerResponse): StoredAnswer | undefined =>
          response.status >= 300 ? undefined : {
            status: response.status,
            content_type: response.headers["content-type"] ?? "application/json",
            body: secret ? "" : textOf(response)
          }
        const fingerprint = contentHash([request.method, request.url, body])
        const done = yield* idempotency.once(
          { key_id: principal.key_id, idempotency_key, fingerprint },
          run,
          answerOf
        ).pipe(Effect.catchTags({
          ControlConflict: ({ code, message }) => Effect.fail(new ConflictProblem({ code, detail: message })),
          DatabaseFailure: (error) => Effect.andThen(logFailure(error), Effect.fail(unavailable))
        }))
        if (!done.repeated) return tagged(request, done.result)
        if (secret) {
          return yield* new ConflictProblem({
            code: "answer_given_once",
            detail: "this was done already, and its answer held a secret that is given out once; revoke it and ask anew"
          })
        }
        const { answer } = done
        const headers = { "idempotency-replayed": "true" }
        return answer.body === ""
          ? HttpServerResponse.empty({ status: answer.status, headers })
          : tagged(
            request,
            HttpServerResponse.text(answer.body, {
              status: answer.status,
              contentType: answer.content_type,
              headers
            })
          )
      })
    })
  })
)
