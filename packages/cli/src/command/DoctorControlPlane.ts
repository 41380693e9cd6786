import { ControlApi } from "@rspp/control/http/ControlApi"
import { Effect } from "effect"
import * as Clock from "effect/Clock"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as OpenApi from "effect/http-api/OpenApi"
import { parseServerUrl } from "../ControlServerAddress.ts"
import { clockFinding, showFindings, skewOf } from "../Findings.ts"
import type { Finding } from "../Findings.ts"

/** How long an answer may take, ms. */
const answerWithinMs = 5000

const field = (value: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>(
    (inner, name) =>
      typeof inner === "object" && inner !== null ? (inner as Readonly<Record<string, unknown>>)[name] : undefined,
    value
  )

const ask = (url: string, path: string, key?: string) =>
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const request = HttpClientRequest.get(`${url}${path}`)
    const response = yield* client.execute(key === undefined ? request : HttpClientRequest.bearerToken(request, key))
    return { status: response.status, json: yield* Effect.orElseSucceed(response.json, (): unknown => undefined) }
  }).pipe(
    Effect.timeoutOrElse({
      duration: answerWithinMs,
      orElse: () => Effect.fail({ message: `no answer within ${answerWithinMs} ms` })
    }),
    Effect.mapError(({ message }) => message)
  )

const found = (check: string, wrong: string | undefined, right: string): Finding => ({
  check,
  ok: wrong === undefined,
  message: wrong ?? right
})

/** The key in the environment: every key may read either its tenant or the tenants. */
const keyFinding = Effect.fnUntraced(function*(url: string, key: string) {
  if (key === "") return found("key", undefined, "RSPP_API_KEY is not set; no key was tried")
  const own = yield* ask(url, "/v1/tenant", key)
  const { status } = own.status === 403 ? yield* ask(url, "/v1/tenants?limit=1", key) : own
  return found(
    "key",
    status === 200 || status === 403 || status === 429
      ? undefined
      : status === 401
      ? "the key in RSPP_API_KEY is refused: unknown, expired, revoked, or of a suspended tenant; make another"
      : `the key in RSPP_API_KEY could not be tried: the answer was ${status}`,
    "the key in RSPP_API_KEY is accepted"
  )
})

const looked = Effect.fnUntraced(function*(url: string, key: string) {
  const before = yield* Clock.currentTimeMillis
  const live = yield* ask(url, "/healthz")
  const after = yield* Clock.currentTimeMillis
  const isOne = live.status === 200 && field(live.json, "status") === "ok"
  const answered = found(
    "connectivity",
    isOne ? undefined : `${url} answers, but not as a control plane does (${live.status}): look at the address`,
    `${url} answered in ${Math.max(0, Math.round(after - before))} ms`
  )
  if (!isOne) return [answered]
  const asked = yield* Clock.currentTimeMillis
  const ready = yield* ask(url, "/readyz")
  const told = yield* Clock.currentTimeMillis
  const now = field(ready.json, "now_ms")
  const said = field(ready.json, "detail")
  const detail = typeof said === "string" ? said : `it answers ${ready.status}`
  const wanted = OpenApi.fromApi(ControlApi).info.version
  const version = String(field((yield* ask(url, "/openapi.json")).json, "info", "version"))
  const findings = [
    answered,
    found(
      "ready",
      ready.status === 200 ? undefined : `it is not ready: ${detail}`,
      "it is ready, and so is its database"
    ),
    found(
      "api_version",
      version.split(".")[0] === wanted.split(".")[0]
        ? undefined
        : `its API has version ${version}, and this program speaks ${wanted}: use the version of rspp that it has`,
      `its API has version ${version}`
    ),
    yield* keyFinding(url, key)
  ]
  return typeof now === "number" ? [...findings, clockFinding(skewOf(asked, now, told))] : findings
})

/**
 * `rspp doctor --control-plane`: can it be reached, is it ready, does it speak this program's API, is the key of the
 * environment accepted, does its clock agree with this machine's. Ends with 69 when something is wrong.
 */
export const examineControlPlane = Effect.fn("rspp.doctor.control-plane")(
  function*({ json, url: text }: { readonly url: string; readonly json: boolean }) {
    const url = yield* parseServerUrl(text, "--control-plane")
    const findings = yield* looked(url, process.env["RSPP_API_KEY"] ?? "").pipe(
      Effect.provide(FetchHttpClient.layer),
      Effect.catch((message) =>
        Effect.succeed([found("connectivity", `${url} cannot be reached (${message}): is it running there?`, "")])
      )
    )
    return yield* showFindings({ control_plane: url }, findings, json)
  }
)
