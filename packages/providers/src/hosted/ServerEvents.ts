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
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Failures } from "./Failures.ts"
import { retryAfterOf } from "./Failures.ts"
import { isConnectTimeout } from "./HttpClient.ts"

/** Longest wait for the end of the body after the answer's regular end, ms. */
const maxReadOutMs = 500

/** Longest single event of a stream, in characters. */
const maxEventChars = 1_000_000

/** Most of a refusal's body that is read, in characters. */
const maxRefusalChars = 65_536

/** Longest wait for a refusal's body, ms. */
const maxRefusalMs = 500

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
  /** How long a connection may take, ms, for the failure that says so; it is the client that keeps to it. */
  readonly connectMs?: number
  /**
   * What a refusal means to a vendor that says more in its body than in its status; undefined leaves it to the status.
   * `body` is its beginning, at most {@link maxRefusalChars}.
   */
  readonly refused?: (
    refusal: { readonly status: number; readonly retryAfterMs: number | undefined; readonly body: string }
  ) => ProviderFailure | undefined
  /** The longest silence between two events that mean something, ms. */
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
  return given === undefined || type.test(given) ? undefined : failures.wrongType
}

/** Sends a request and gives the head of its answer, within `headMs`; measured, interruptible, and without causes. */
export const answerTo = (
  { client, connectMs, failures, headMs, request }: Omit<ServerEventsOptions<never>, "meaningOf" | "stallMs">
) =>
  measured(client.execute(request)).pipe(
    Effect.mapError((error) =>
      connectMs !== undefined && isConnectTimeout(error) ? failures.connectLate(connectMs) : failures.unreachable
    ),
    Effect.timeoutOrElse({ duration: headMs, orElse: () => Effect.fail(failures.stalled(headMs)) })
  )

/** The beginning of a refusal's body, as far as it comes in time; empty where it does not. */
export const beginningOf = (response: HttpClientResponse): Effect.Effect<string> =>
  measured(
    response.stream.pipe(
      Stream.decodeText(),
      Stream.scan(() => "", (sofar, more) => sofar + more),
      Stream.takeUntil((sofar) => sofar.length >= maxRefusalChars),
      Stream.runLast
    )
  ).pipe(
    Effect.timeoutOption(maxRefusalMs),
    Effect.map((body) => Option.getOrElse(Option.flatten(body), () => "").slice(0, maxRefusalChars)),
    Effect.orElseSucceed(() => "")
  )

/**
 * The events of a text. `retry`, which a server may send at any time, says when to connect again; nobody does, and the
 * stream goes on (`Sse.decode` ends there).
 */
const eventsOf = <E>(texts: Stream.Stream<string, E>): Stream.Stream<Sse.Event, E | Sse.SseError> =>
  Stream.suspend(() => {
    let events: Array<Sse.Event> = []
    const parser = Sse.makeParser((event) => void (event._tag === "Event" && events.push(event)), {
      maxEventSize: maxEventChars
    })
    return Stream.flattenIterable(Stream.mapEffect(texts, (text) => {
      const error = parser.feed(text)
      if (error !== undefined) return Effect.fail(error)
      const complete = events
      events = []
      return Effect.succeed(complete)
    }))
  })

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
        eventsOf,
        Stream.mapError(() => failures.broken),
        Stream.mapEffect(meaningOf),
        // What comes after the end is looked at (what the call used may be among it), and never handed on.
        Stream.map(({ last = false, value }): Meaning<A> => {
          if (finished) return {}
          finished = last
          return value === undefined ? { last } : { value, last }
        }),
        // A vendor that only says that it is still there is silent: what means nothing ends no wait.
        Stream.filter(({ last, value }) => value !== undefined || last === true)
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
      if (refusal === undefined) return Effect.succeed(values(response))
      const { refused } = options
      if (refused === undefined || response.status < 400) return Effect.fail(refusal)
      const said = { status: response.status, retryAfterMs: retryAfterOf(response) }
      return Effect.flatMap(beginningOf(response), (body) => Effect.fail(refused({ ...said, body }) ?? refusal))
    })
  )
}
