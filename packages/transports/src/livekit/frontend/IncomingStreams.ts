import type { RemoteParticipant } from "@livekit/rtc-node"
import { named } from "@rspp/runtime/determinism/FiberName"
import { Bell } from "@rspp/runtime/events/Bell"
import { Ring } from "@rspp/runtime/events/Ring"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Scope } from "effect"

/** A stream of the caller is not taken. `message` says what was wrong with it. */
export class StreamRefused extends Schema.TaggedError<StreamRefused>()("StreamRefused", {
  message: Schema.String
}) {}

/** Streams that wait until it is known who the caller is, or that the one before is read. */
export const waitingStreams = 8

interface Reader<Chunk> extends AsyncIterable<Chunk> {
  readonly close: () => Promise<void>
}

/**
 * All chunks of a stream. Fails when they come to more than `maxSize`, or are not complete within `timeoutMs`; the
 * stream is closed then, and what else comes of it is dropped.
 */
export const readBounded = <Chunk>(
  reader: AsyncIterable<Chunk> & { readonly close: () => Promise<void> },
  bounds: { readonly maxSize: number; readonly timeoutMs: number; readonly sizeOf: (chunk: Chunk) => number }
): Effect.Effect<ReadonlyArray<Chunk>, StreamRefused> => {
  const { maxSize, sizeOf, timeoutMs } = bounds
  const read = async (signal: AbortSignal) => {
    signal.addEventListener("abort", () => void reader.close())
    const chunks: Array<Chunk> = []
    let size = 0
    for await (const chunk of reader) {
      size += sizeOf(chunk)
      if (size > maxSize) throw new StreamRefused({ message: `it is longer than ${maxSize} bytes` })
      chunks.push(chunk)
    }
    return chunks
  }
  return Effect.tryPromise({
    try: read,
    catch: (cause) =>
      cause instanceof StreamRefused ? cause : new StreamRefused({
        message: `it broke off${cause instanceof Error ? `: ${cause.message}` : ""}`
      })
  }).pipe(Effect.timeoutOrElse({
    duration: timeoutMs,
    orElse: () => Effect.fail(new StreamRefused({ message: `it was not complete within ${timeoutMs} ms` }))
  }))
}

/**
 * Streams of one topic, those of the caller only, one after the other, in the order in which they came.
 *
 * Those that come before it is known who the caller is wait, up to {@link waitingStreams}; those of others are closed
 * unread. What is refused is logged, without what it said.
 */
export class IncomingStreams<R extends Reader<unknown>> {
  readonly #what: string
  readonly #waiting = new Ring<{ readonly reader: R; readonly identity: string }>(waitingStreams)
  #caller: string | undefined
  #bell: Bell | undefined
  #open = true

  /** `what`: a stream's name in the log. */
  constructor(what: string) {
    this.#what = what
  }

  /** The handler of the topic. */
  readonly take = (reader: R, { identity }: { readonly identity: string }): void => {
    const other = this.#caller !== undefined && this.#caller !== identity
    if (!this.#open || other || !this.#waiting.offer({ reader, identity })) return void reader.close()
    this.#bell?.ring()
  }

  readonly linked = ({ identity }: RemoteParticipant): void => {
    this.#caller = identity
    this.#bell?.ring()
  }

  /** Hands every stream to `handle`, for as long as the scope; then `release` is called. */
  serve(
    handle: (reader: R) => Effect.Effect<void, StreamRefused>,
    release: () => void
  ): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const bell = yield* Bell.make
      this.#bell = bell
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          this.#open = false
          release()
          for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take()) {
            void next.reader.close()
          }
        })
      )
      yield* Effect.forkScoped(named(this.#what)(this.#run(handle, bell)))
    })
  }

  #run(handle: (reader: R) => Effect.Effect<void, StreamRefused>, bell: Bell): Effect.Effect<never> {
    return Effect.gen({ self: this }, function*() {
      for (;;) {
        const next = this.#caller === undefined ? undefined : this.#waiting.take()
        if (next === undefined) {
          yield* bell.wait
          continue
        }
        if (next.identity !== this.#caller) {
          void next.reader.close()
          continue
        }
        yield* handle(next.reader).pipe(
          Effect.catch(({ message }) => Effect.logWarning(`${this.#what} of the caller was not taken: ${message}`))
        )
      }
    })
  }
}
