import { measured } from "@rspp/runtime/ports/MeasuredWork"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import type { Scope } from "effect"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import * as Stream from "effect/Stream"
import type { Failures } from "../hosted/Failures.ts"
import { answerTo, refusalOf } from "../hosted/ServerEvents.ts"

/** Longest line of an answer in lines, in characters: two minutes of sound in base64 are less. */
export const maxLineChars = 4 * 1024 * 1024

export interface SpeechResponseOptions {
  readonly client: HttpClient.HttpClient.With<HttpClientError, Scope.Scope>
  readonly request: HttpClientRequest
  readonly failures: Failures
  /** How long the head of the answer may take, ms. */
  readonly headMs: number
  /** The longest silence in the middle of it, ms. */
  readonly stallMs: number
  /** What its media type must be, if it names one. */
  readonly type: RegExp
}

/**
 * The body of an answer, in the pieces in which it comes; its end is the end of the sound.
 *
 * Interrupting closes the connection. Fails with what a status or a wrong media type means, when nothing comes for
 * `stallMs`, and when the connection breaks.
 */
export const speechBody = (options: SpeechResponseOptions): Stream.Stream<Uint8Array, ProviderFailure> => {
  const { failures, stallMs, type } = options
  return Stream.unwrap(
    Effect.flatMap(answerTo(options), (response) => {
      const refusal = refusalOf(response, failures, type)
      if (refusal !== undefined) return Effect.fail(refusal)
      const body = Stream.mapError(response.stream, () => failures.broken)
      return Effect.succeed(
        Stream.transformPull(body, (pull) =>
          Effect.succeed(
            Effect.timeoutOrElse(measured(pull), {
              duration: stallMs,
              orElse: () => Effect.fail(failures.stalled(stallMs))
            })
          ))
      )
    })
  )
}

/** The lines of a body, of at most {@link maxLineChars}; empty ones are left out. */
export const speechLines = (
  body: Stream.Stream<Uint8Array, ProviderFailure>,
  failures: Failures
): Stream.Stream<string, ProviderFailure> =>
  Stream.suspend(() => {
    let rest: Array<string> = []
    let restChars = 0
    const takeRest = (end: string): string => {
      const line = rest.length === 0 ? end : rest.join("") + end
      rest = []
      restChars = 0
      return line
    }
    const linesOf = (text: string): Effect.Effect<ReadonlyArray<string>, ProviderFailure> => {
      const lines: Array<string> = []
      let from = 0
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
        const line = takeRest(text.slice(from, end)).trim()
        if (line !== "") lines.push(line)
        from = end + 1
      }
      if (from < text.length) rest.push(text.slice(from))
      restChars += text.length - from
      return restChars > maxLineChars ? Effect.fail(failures.malformed) : Effect.succeed(lines)
    }
    const last = Stream.suspend(() => {
      const line = takeRest("").trim()
      return line === "" ? Stream.empty : Stream.succeed(line)
    })
    return body.pipe(
      Stream.decodeText(),
      Stream.mapEffect(linesOf),
      Stream.flatMap(Stream.fromIterable),
      Stream.concat(last)
    )
  })
