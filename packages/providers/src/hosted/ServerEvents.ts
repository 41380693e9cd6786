import { measured } from "@rspp/runtime/ports/MeasuredWork"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { Sse } from "effect/encoding"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import type { Pull, Scope } from "effect"
import * as Stream from "effect/Stream"
import type { Failures } from "./Failures.ts"
import { retryAfterOf } from "./Failures.ts"

/** Longest wait for the end of the body after the answer's regular end, ms. */
const maxReadOutMs = 500

/** Longest single event of a stream, in characters. */
const maxEventChars = 1_000_000

/** What an event means: something to hand on, the regular end of the answer, or neither. */
export interface Meaning<A> {
  readonly value?: A
  readonly last?: boolean
}

export interface ServerEventsOptions<A> {
  /** Scoped by the stream: a response that is dropped before it was read is closed, too (`HttpClient.withScope`). */
  readonly client: HttpClient.HttpClient.With<HttpClientError, Scope.Scope>
  readonly request: HttpClientRequest
  readonly failures: Failures
  /** How long the head of the answer may take, ms. */
  readonly headMs: number
  /** The longest silence between two events, ms. */
  readonly stallMs: number
  readonly meaningOf: (event: Sse.Event) => Effect.Effect<Meaning<A>, ProviderFailure>
}

/** Why a response is no answer; undefined: it is one. `type` is the media type that it must have, if it names one. */
export const refusalOf = (
  response: HttpClientResponse,
  failures: Failures,
  type: RegExp
): ProviderFailure | undefined => {
  const { headers, status } = response
  if (status < 200 || status >= 300) return failures.status(status, retryAfterOf(response))
  const given = headers["content-type"]
  return given === undefined || type.test(given) ? undefined : failures.malformed
}

/** Sends a request and gives the head of its answer, within `headMs`; measured, interruptible, and without causes. */
export const answerTo = (
  { client, failures, headMs, request }: Omit<ServerEventsOptions<never>, "meaningOf" | "stallMs">
) =>
  measured(client.execute(request)).pipe(
    Effect.mapError(() => failures.unreachable),
    Effect.timeoutOrElse({ duration: headMs, orElse: () => Effect.fail(failures.stalled(headMs)) })
  )

/** Each pull within its bound: `stallMs`, and once `isOver` no longer than it takes to read the rest out. */
export const boundedPull = <A>(
  pull: Pull.Pull<A, ProviderFailure>,
  failures: Failures,
  stallMs: number,
  isOver: () => boolean
): Pull.Pull<A, ProviderFailure> =>
  Effect.suspend(() =>
    Effect.timeoutOrElse(measured(pull), {
      duration: isOver() ? maxReadOutMs : stallMs,
      orElse: () => Effect.fail(failures.stalled(stallMs))
    }).pipe(
      Effect.catch((end): Effect.Effect<never, ProviderFailure | Cause.Done> =>
        isOver() ? Cause.done() : Effect.fail(Cause.isDone(end) ? failures.truncated : end)
      )
    )
  )

/**
 * The values of a streamed answer (server-sent events). It ends only after its regular end, and fails when the body ends
 * without one, stalls, or is no event stream.
 *
 * After the regular end the body is read out, so that the connection can be used again; whatever happens there no longer
 * matters. Interrupting closes the request.
 */
export const serverEvents = <A>(options: ServerEventsOptions<A>): Stream.Stream<A, ProviderFailure> => {
  const { failures, meaningOf, stallMs } = options
  const values = (response: HttpClientResponse): Stream.Stream<A, ProviderFailure> =>
    Stream.suspend(() => {
      let finished = false
      const meanings = response.stream.pipe(
        Stream.decodeText(),
        Stream.pipeThroughChannel(Sse.decode({ maxEventSize: maxEventChars })),
        Stream.mapError(() => failures.broken),
        Stream.mapEffect(meaningOf),
        Stream.tap(({ last = false }) => Effect.sync(() => void (finished ||= last)))
      )
      return Stream.transformPull(meanings, (pull) =>
        Effect.succeed(boundedPull(pull, failures, stallMs, () => finished))).pipe(
          Stream.flatMap(({ value }) =>
            value === undefined ? Stream.empty : Stream.succeed(value)
          )
        )
    })
  return Stream.unwrap(
    Effect.flatMap(answerTo(options), (response) => {
      const refusal = refusalOf(response, failures, /^text\/event-stream/iu)
      return refusal === undefined ? Effect.succeed(values(response)) : Effect.fail(refusal)
    })
  )
}
