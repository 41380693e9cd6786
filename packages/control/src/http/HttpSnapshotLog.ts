import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { setLatest } from "../internal/Latest.ts"
import type { LoggedSnapshot } from "../SnapshotLog.ts"
import { inKindOrder, SnapshotLog, SnapshotLogFailure, snapshotOf } from "../SnapshotLog.ts"

export interface HttpSnapshotLogOptions {
  /** Where the control plane is, for example `http://127.0.0.1:7800`. */
  readonly url: string
  /** An API key of the session's tenant that may do `session:read`. It is sent, and never part of a message. */
  readonly apiKey: Redacted.Redacted
  /** How long one answer may take, ms. */
  readonly answerWithinMs?: number
}

/** Sessions whose last answer is remembered; the one that was asked for longest ago goes. */
const maxRemembered = 1024

const Answer = Schema.Struct({
  snapshots: Schema.Array(Schema.Struct({
    age_ms: Schema.Int,
    snapshot: Schema.Struct({
      snapshot_kind: Schema.String,
      version: Schema.Int,
      issued_at_ms: Schema.Int,
      ttl_ms: Schema.Int,
      content_hash: Schema.String,
      body: Schema.Unknown
    })
  }))
})
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Answer))

const Problem = Schema.Struct({ code: Schema.optionalKey(Schema.String), detail: Schema.optionalKey(Schema.String) })
const decodeProblem = Schema.decodeUnknownEffect(Schema.fromJsonString(Problem))

interface Remembered {
  readonly etag: string
  readonly snapshots: ReadonlyArray<LoggedSnapshot>
  readonly askedNs: bigint
}

/**
 * The snapshots of sessions as a control plane's HTTP API gives them: `GET /v1/sessions/{session_id}/snapshots`. A scope is
 * a session's id. For runtimes that may not, or need not, reach the database.
 *
 * It cannot push: readers poll. What they have already is asked for with its ETag and not sent again (304). SL2 holds
 * here too: form and hash of each snapshot are checked when it is read, whatever the server has said. SL3: the server
 * says the age, and what passes until a 304 is counted by the monotonic clock, from before the question.
 *
 * A session that nobody runs yet, so that nothing is published for it, has no snapshots (`latest` is empty). A key that
 * may not, and a session that is not there, are `refused`. Publishing is the control plane's own and refused here.
 */
export const layer = (
  options: HttpSnapshotLogOptions
): Layer.Layer<SnapshotLog, never, HttpClient.HttpClient> => Layer.effect(SnapshotLog, make(options))

const make = Effect.fnUntraced(function*({ answerWithinMs = 5000, apiKey, url }: HttpSnapshotLogOptions) {
  const client = yield* HttpClient.HttpClient
  const clock = yield* Clock.Clock
  const name = `control plane ${url}`
  const remembered = new Map<string, Remembered>()

  const failure = (reason: SnapshotLogFailure["reason"], what: string) =>
    // without the cause: an error of the client has the request in it, and the request has the key
    new SnapshotLogFailure({ log: name, reason, message: `${name}: ${what}` })

  const refusal = (scope: string, status: number, text: string) =>
    Effect.map(
      Effect.orElseSucceed(decodeProblem(text), (): typeof Problem.Type => ({})),
      ({ code, detail = `status ${status}` }): SnapshotLogFailure | undefined => {
        if (status === 404 && code === "lease_not_found") return undefined
        const may = status >= 400 && status < 500 && status !== 408 && status !== 429
        return failure(may ? "refused" : "unavailable", `the snapshots of session ${scope} are not given (${detail})`)
      }
    )

  /** Of an earlier answer, now that it is so much older. */
  const later = ({ askedNs, snapshots }: Remembered, nowNs: bigint): ReadonlyArray<LoggedSnapshot> => {
    const passed = Number((nowNs - askedNs) / 1_000_000n)
    return snapshots.map(({ age_ms, snapshot }) => ({ snapshot, age_ms: age_ms + passed }))
  }

  const ask = Effect.fnUntraced(function*(scope: string) {
    const known = remembered.get(scope)
    const askedNs = clock.monotonicTimeNanosUnsafe()
    const request = HttpClientRequest.get(`/v1/sessions/${encodeURIComponent(scope)}/snapshots`).pipe(
      HttpClientRequest.prependUrl(url),
      HttpClientRequest.bearerToken(apiKey),
      known === undefined ? (same) => same : HttpClientRequest.setHeader("if-none-match", known.etag)
    )
    const { etag, status, text } = yield* client.execute(request).pipe(
      Effect.flatMap((response) =>
        Effect.map(response.text, (text) => ({ text, status: response.status, etag: response.headers["etag"] }))
      ),
      Effect.mapError(({ reason }) => failure("unavailable", `it cannot be asked for snapshots (${reason._tag})`))
    )
    if (status === 304 && known !== undefined) return later(known, askedNs)
    if (status !== 200) {
      const refused = yield* refusal(scope, status, text)
      return refused === undefined ? [] : yield* refused
    }
    const answer = yield* Effect.mapError(
      decode(text),
      () => failure("damaged", `what it answers for session ${scope} are no snapshots`)
    )
    const snapshots: Array<LoggedSnapshot> = []
    for (const { age_ms, snapshot: { snapshot_kind: kind, ...row } } of answer.snapshots) {
      const snapshot = snapshotOf({ kind, ...row })
      if (typeof snapshot === "string") return yield* failure("damaged", `in session ${scope} ${snapshot}`)
      snapshots.push({ snapshot, age_ms: Math.max(0, age_ms) })
    }
    if (etag !== undefined) setLatest(remembered, scope, { etag, snapshots, askedNs }, maxRemembered)
    return inKindOrder(snapshots)
  })

  return SnapshotLog.of({
    name,
    publish: () => Effect.fail(failure("refused", "it publishes snapshots itself; change what they are made from")),
    latest: Effect.fn("SnapshotLog.latest")((scope: string) =>
      Effect.timeoutOrElse(ask(scope), {
        duration: answerWithinMs,
        orElse: () => Effect.fail(failure("unavailable", `no answer about snapshots within ${answerWithinMs} ms`))
      })
    ),
    changes: Stream.never
  })
})
