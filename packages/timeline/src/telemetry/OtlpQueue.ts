import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import { rejectedIn } from "./OtlpAnswer.ts"
import type { Destination } from "./TelemetrySettings.ts"

/** Requests of one signal that may wait for the collector; past it the oldest goes. */
export const maxWaitingRequests = 64

/** Bytes of requests of one signal that may wait; past it the oldest goes. */
export const maxWaitingBytes = 8_388_608

/** Times that a request is sent before it is given up. */
export const maxAttempts = 4

/** The wait before a request is sent again: 1, 2 and 4 s, or what the collector asks for, up to this. */
const maxRetryDelayMs = 30_000

/** What the OTLP specification has sent again; anything else will not become better. */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** An encoded batch. */
export interface OtlpRequest {
  readonly body: Uint8Array
  /** Spans, data points or log records in it. */
  readonly records: number
}

/** What became of telemetry that did not arrive. */
export interface Lost {
  readonly records: number
  readonly reason: string
}

/** One answer of the collector, or that there was none. */
type Answer =
  | { readonly kind: "taken"; readonly rejected: number; readonly reason: string }
  | { readonly kind: "again"; readonly afterMs: number | undefined; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string }

/**
 * What waits for the collector, and who sends it: one queue and one fiber for each signal.
 *
 * Guarantees: I-TELEMETRY-SHED `offer` never waits, does no I/O and holds at most {@link maxWaitingRequests} requests of
 * {@link maxWaitingBytes}; when there is no room the oldest is dropped, and everything that does not arrive is counted
 * (`lost`), whether the collector hangs, refuses, fails or is not there.
 */
export class OtlpQueue {
  readonly #destination: Destination
  readonly #lost: (lost: Lost) => void
  readonly #bell: Queue.Queue<void>
  #waiting: Array<OtlpRequest> = []
  #bytes = 0
  #sending: OtlpRequest | undefined
  #whenIdle: Array<() => void> = []
  /** The program wants to end: nothing is tried again. */
  readonly #closing = Deferred.makeUnsafe<void>()

  private constructor(destination: Destination, lost: (lost: Lost) => void, bell: Queue.Queue<void>) {
    this.#destination = destination
    this.#lost = lost
    this.#bell = bell
  }

  static readonly make = (destination: Destination, lost: (lost: Lost) => void): Effect.Effect<OtlpQueue> =>
    Effect.map(Queue.sliding<void>(1), (bell) => new OtlpQueue(destination, lost, bell))

  /** Requests that wait or are on their way. */
  get size(): number {
    return this.#waiting.length + (this.#sending === undefined ? 0 : 1)
  }

  offer(request: OtlpRequest): void {
    this.#waiting.push(request)
    this.#bytes += request.body.byteLength
    while (this.#waiting.length > maxWaitingRequests || this.#bytes > maxWaitingBytes) {
      const oldest = this.#waiting.shift()
      if (oldest === undefined) break
      this.#bytes -= oldest.body.byteLength
      this.#lost({ records: oldest.records, reason: "too much waits for the collector" })
    }
    Queue.offerUnsafe(this.#bell, undefined)
  }

  /** Sends until it is interrupted. */
  readonly run: Effect.Effect<never, never, HttpClient.HttpClient> = Effect.forever(
    Effect.suspend(() => {
      const next = this.#waiting.shift()
      if (next === undefined) {
        for (const idle of this.#whenIdle.splice(0)) idle()
        return Queue.take(this.#bell)
      }
      this.#bytes -= next.body.byteLength
      this.#sending = next
      return Effect.andThen(
        this.#deliver(next),
        Effect.sync(() => {
          this.#sending = undefined
        })
      )
    })
  )

  /** Until nothing waits any more; from now on nothing is tried again. */
  readonly flush: Effect.Effect<void> = Effect.callback<void>((resume) => {
    Deferred.doneUnsafe(this.#closing, Effect.void)
    if (this.size === 0) return resume(Effect.void)
    this.#whenIdle.push(() => resume(Effect.void))
    Queue.offerUnsafe(this.#bell, undefined)
  })

  /** What is still there is lost. */
  abandon(): void {
    const reason = "the program ended before the collector took it"
    if (this.#sending !== undefined) this.#lost({ records: this.#sending.records, reason })
    this.#sending = undefined
    this.#dropWaiting(reason)
  }

  #dropWaiting(reason: string): void {
    const records = this.#waiting.reduce((sum, request) => sum + request.records, 0)
    this.#waiting = []
    this.#bytes = 0
    if (records > 0) this.#lost({ records, reason })
  }

  #deliver(request: OtlpRequest, attempt = 1): Effect.Effect<void, never, HttpClient.HttpClient> {
    return Effect.flatMap(this.#send(request), (answer) => {
      if (answer.kind === "taken") {
        if (answer.rejected > 0) this.#lost({ records: answer.rejected, reason: answer.reason })
        return Effect.void
      }
      if (answer.kind === "refused" || attempt >= maxAttempts || Deferred.isDoneUnsafe(this.#closing)) {
        this.#lost({ records: request.records, reason: answer.reason })
        // The program ends, and the collector does not answer: it will not answer what comes after either.
        if (answer.kind === "again" && Deferred.isDoneUnsafe(this.#closing)) this.#dropWaiting(answer.reason)
        return Effect.void
      }
      const delayMs = Math.min(answer.afterMs ?? 500 * 2 ** attempt, maxRetryDelayMs)
      return Effect.andThen(
        Effect.raceFirst(Effect.sleep(delayMs), Deferred.await(this.#closing)),
        this.#deliver(request, attempt + 1)
      )
    })
  }

  #send({ body }: OtlpRequest): Effect.Effect<Answer, never, HttpClient.HttpClient> {
    const { compression, headers, protocol, timeoutMs, url } = this.#destination
    const type = protocol === "http/json" ? "application/json" : "application/x-protobuf"
    const plain = HttpClientRequest.post(url).pipe(
      HttpClientRequest.setHeaders({ "user-agent": "rspp", ...headers }),
      HttpClientRequest.setBody(HttpBody.uint8Array(body, type))
    )
    return Effect.gen(function*() {
      const client = yield* HttpClient.HttpClient
      const request = compression === "gzip" ? yield* HttpClientRequest.compressBody(plain, "gzip") : plain
      const response = yield* client.execute(request)
      const { status } = response
      const bytes = new Uint8Array(yield* response.arrayBuffer)
      if (status >= 200 && status < 300) {
        const rejected = rejectedIn(bytes, response.headers["content-type"] ?? type)
        const taken: Answer = { kind: "taken", rejected, reason: "the collector took only a part" }
        return taken
      }
      const reason = `the collector answered ${status}`
      if (!passing.has(status)) return { kind: "refused", reason } satisfies Answer
      return { kind: "again", reason, afterMs: yield* retryAfter(response.headers["retry-after"]) } satisfies Answer
    }).pipe(
      Effect.timeoutOption(timeoutMs),
      Effect.map((answer): Answer =>
        Option.getOrElse(answer, (): Answer => ({
          kind: "again",
          afterMs: undefined,
          reason: `the collector did not answer within ${timeoutMs} ms`
        }))
      ),
      // What is wrong with a request's address or headers is no word for a log: it may hold a key.
      Effect.catchCause(() =>
        Effect.succeed<Answer>({ kind: "again", afterMs: undefined, reason: "the collector cannot be reached" })
      ),
      Effect.provideService(HttpClient.TracerPropagationEnabled, false),
      Effect.withTracerEnabled(false)
    )
  }
}

const retryAfter = (value: string | undefined) =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const parsed = value === undefined ? undefined : Headers.parseRetryAfter(value)
    if (parsed === undefined || Result.isFailure(parsed)) return undefined
    return Duration.toMillis(Headers.retryAfterDelay(parsed.success, now))
  })
