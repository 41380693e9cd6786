import { ControlApi } from "@rspp/control/http/ControlApi"
import { addLatencies, latencyOf } from "@rspp/control/LatencyHistogram"
import { actions } from "@rspp/control/Permissions"
import type { ProviderWindow } from "@rspp/control/ProviderHealth"
import type { Action } from "@rspp/control/Permissions"
import { parseSpecText } from "@rspp/control/SpecFile"
import { Effect, FileSystem } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import { CliFailure, told } from "../CliFailure.ts"
import type { ServerFlags } from "../ControlCommands.ts"
import { parseServerUrl } from "../ControlServerAddress.ts"
import { readJson } from "../JsonInput.ts"
import { Screen } from "../Screen.ts"

// The commands that ask a control plane: each one call of the API's client, and its answer in lines or as JSON.

const defaultServer = "http://127.0.0.1:7800"

type Client = HttpApiClient.ForApi<typeof ControlApi>

/** The text of a problem, with what to do where the status says it. */
const hints: Readonly<Record<number, string>> = {
  401: "Put the API key into RSPP_API_KEY.",
  412: "Show it again, look at what changed, and repeat with its revision."
}

const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined

/** An error of the client in the words of the program. */
const failureOf = (server: string) => (error: unknown): CliFailure => {
  if (error instanceof CliFailure) return error
  const status = field(error, "status")
  const detail = field(error, "detail")
  if (typeof status === "number" && typeof detail === "string") {
    const rejected = field(error, "problems")
    const list = Array.isArray(rejected) ? rejected : []
    const lines = list.map((one) => `${String(field(one, "path"))}: ${String(field(one, "message"))}`)
    const hint = hints[status]
    // A key that may not ask has found nothing out: `rspp audit verify` with it must not look like a changed log.
    return new CliFailure({
      exit: status >= 500 || status === 401 || status === 403 ? "unavailable" : "bad_input",
      message: lines.length > 1 ? [detail, ...lines].join("\n") : detail,
      ...(hint === undefined ? {} : { hint })
    })
  }
  // an answer of another form is an error of the client; this is what was to be sent
  if (field(error, "_tag") === "SchemaError") {
    return new CliFailure({
      exit: "bad_input",
      message: `this was not sent, for the API has no such request: ${String(field(error, "message"))}`,
      hint: `${server}/docs shows what it takes.`
    })
  }
  return new CliFailure({
    exit: "unavailable",
    message: `the control plane at ${server} cannot be asked (${String(field(error, "message") ?? error)})`,
    hint: "Start one with rspp control-plane, or name another with --server."
  })
}

/** Asks, and shows the answer: as JSON, or as `lines` of it. */
const call = <A>(
  { json, server: given }: ServerFlags,
  run: (client: Client) => Effect.Effect<A, unknown, FileSystem.FileSystem>,
  lines: (answer: A) => ReadonlyArray<string>,
  secret = false
): Effect.Effect<A, CliFailure, Screen | FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const screen = yield* Screen
    const server = yield* parseServerUrl(
      given ?? process.env["RSPP_CONTROL_PLANE"] ?? defaultServer,
      given === undefined ? "RSPP_CONTROL_PLANE" : "--server"
    )
    const key = process.env["RSPP_API_KEY"] ?? ""
    const answer = yield* HttpApiClient.make(ControlApi, {
      transformClient: HttpClient.mapRequest((request) =>
        request.pipe(HttpClientRequest.prependUrl(server), HttpClientRequest.bearerToken(key))
      )
    }).pipe(
      Effect.flatMap(run),
      Effect.provide(FetchHttpClient.layer),
      Effect.mapError(failureOf(server))
    )
    const text = json ? [JSON.stringify(answer)] : lines(answer)
    // what is given out once is shown as it is; lines have what looks like a secret taken out
    for (const line of text) secret ? screen.raw(`${line}\n`) : screen.line(line)
    return answer
  })

const pretty = (answer: unknown): ReadonlyArray<string> => JSON.stringify(answer, null, 2).split("\n")

interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly next_cursor?: string
}

const listed = <A>(line: (item: A) => string) => ({ items, next_cursor }: Page<A>): ReadonlyArray<string> => [
  ...items.map(line),
  ...(next_cursor === undefined ? [] : [`… more: --cursor ${next_cursor}`])
]

interface PageFlags extends ServerFlags {
  readonly cursor: string | undefined
  readonly limit: number | undefined
}

/** Without the keys that are undefined: the API knows none. */
const present = <A extends object>(value: A) =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as {
    [K in keyof A]?: Exclude<A[K], undefined>
  }

const pageOf = ({ cursor, limit }: PageFlags) => present({ cursor, limit })

const expecting = (ifMatch: string | undefined): { readonly "if-match"?: string } =>
  ifMatch === undefined ? {} : { "if-match": `"${ifMatch.replaceAll("\"", "")}"` }

const day = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/u, "Z")

export const publishPipeline = Effect.fn("rspp.pipeline.publish")(
  function*({ file, max, min, ...flags }: ServerFlags & {
    readonly file: string
    readonly min: string | undefined
    readonly max: string | undefined
  }) {
    const fs = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(
      fs.readFileString(file),
      ({ message }) => new CliFailure({ exit: "bad_input", message: `${file}: cannot be read (${message})` })
    )
    const { value: spec } = yield* Effect.mapError(
      parseSpecText(text, file),
      ({ hint, message }) => new CliFailure({ exit: "bad_input", message, hint })
    )
    const compatibility = present({ min_contract_version: min, max_contract_version: max })
    return yield* call(
      flags,
      (client) => client.pipelines.publish({ payload: { spec, compatibility } }),
      ({ created, published: { content_hash, pipeline_id, pipeline_version } }) => [
        `${created ? "published" : "was published already:"} ${pipeline_id} ${pipeline_version} ${content_hash}`
      ]
    )
  }
)

export const listPipelines = ({ pipeline, ...flags }: PageFlags & { readonly pipeline: string | undefined }) =>
  call(
    flags,
    (client) => client.pipelines.list({ query: { ...pageOf(flags), ...present({ pipeline_id: pipeline }) } }),
    listed(({ content_hash, deprecation, pipeline_id, pipeline_version, published_ms }) =>
      `${pipeline_id} ${pipeline_version}  ${day(published_ms)}  ${content_hash.slice(0, 19)}${
        deprecation === undefined ? "" : `  deprecated: ${deprecation}`
      }`
    )
  )

export const getPipeline = (
  { pipeline, version, ...flags }: ServerFlags & { readonly pipeline: string; readonly version: string | undefined }
) =>
  call(flags, (client) =>
    version === undefined
      ? client.pipelines.getByHash({ params: { content_hash: pipeline } })
      : client.pipelines.get({ params: { pipeline_id: pipeline, pipeline_version: version } }), pretty)

export const deprecatePipeline = (
  { pipeline, reason, version, ...flags }: ServerFlags & {
    readonly pipeline: string
    readonly version: string
    readonly reason: string
  }
) =>
  call(
    flags,
    (client) =>
      client.pipelines.deprecate({
        params: { pipeline_id: pipeline, pipeline_version: version },
        payload: { deprecation: reason }
      }),
    () => [`${pipeline} ${version} is deprecated: ${reason}`]
  )

interface Document {
  readonly id: string
  readonly revision: number
  readonly updated_ms: number
}
const documentLine = ({ id, revision, updated_ms }: Document): string => `${id}  r${revision}  ${day(updated_ms)}`

export const listPolicies = (flags: PageFlags) =>
  call(
    flags,
    (client) => client.policies.list({ query: pageOf(flags) }),
    listed((item) => `${documentLine(item)}  ${JSON.stringify(item.body)}`)
  )

export const getPolicy = ({ policy, ...flags }: ServerFlags & { readonly policy: string }) =>
  call(flags, (client) => client.policies.get({ params: { policy_id: policy } }), pretty)

interface Matching extends ServerFlags {
  readonly ifMatch: string | undefined
}

/** The server reads it strictly; what it is meant to be is the server's to say. */
const documentFile = <A>(path: string, what: string) => Effect.map(readJson(path, what), (value) => value as A)

export const putPolicy = (
  { file, ifMatch, policy, ...flags }: Matching & { readonly policy: string; readonly file: string }
) =>
  call(flags, (client) =>
    Effect.flatMap(
      documentFile<Parameters<Client["policies"]["put"]>[0]["payload"]>(file, "a binding of policy"),
      (payload) => client.policies.put({ params: { policy_id: policy }, headers: expecting(ifMatch), payload })
    ), (document) => [documentLine(document)])

export const removePolicy = ({ ifMatch, policy, ...flags }: Matching & { readonly policy: string }) =>
  call(
    flags,
    (client) => client.policies.remove({ params: { policy_id: policy }, headers: expecting(ifMatch) }),
    () => [`${policy} is removed`]
  )

export const admission = ({ file, ifMatch, ...flags }: Matching & { readonly file: string | undefined }) =>
  call(flags, (client) =>
    file === undefined
      ? client.policies.getAdmission()
      : Effect.flatMap(
        documentFile<Parameters<Client["policies"]["putAdmission"]>[0]["payload"]>(file, "admission rules"),
        (payload) => client.policies.putAdmission({ headers: expecting(ifMatch), payload })
      ), pretty)

export const listRollouts = (flags: PageFlags) =>
  call(
    flags,
    (client) => client.rollouts.list({ query: pageOf(flags) }),
    listed((item) =>
      `${documentLine(item)}  stable ${item.body.stable_version}${
        item.body.candidate_version === undefined
          ? ""
          : item.body.rolled_back.some(({ pipeline_version }) => pipeline_version === item.body.candidate_version)
          ? `, candidate ${item.body.candidate_version} was rolled back`
          : `, candidate ${item.body.candidate_version} at ${item.body.percent ?? 0} %`
      }`
    )
  )

export const getRollout = ({ pipeline, ...flags }: ServerFlags & { readonly pipeline: string }) =>
  call(flags, (client) => client.rollouts.get({ params: { pipeline_id: pipeline } }), pretty)

/** `2026-12-01T08:00Z=25` as a step of a schedule. */
const stepOf = (text: string) => {
  const [, time = "", percent = ""] = /^(.+)=(\d+(?:\.\d+)?)$/u.exec(text) ?? []
  const at_ms = /^\d+$/u.test(time) ? Number(time) : Date.parse(time)
  return time === "" || !Number.isFinite(at_ms)
    ? new CliFailure({
      exit: "usage",
      message: `--step ${text} is no step`,
      hint: "Write TIME=PERCENT, for example 2026-12-01T08:00Z=25."
    })
    : Effect.succeed({ at_ms, percent: Number(percent) })
}

const facets = ["language", "region", "cost_tier"] as const

/** `language=de,region=eu` as the facets of sessions. */
const facetsOf = (text: string) => {
  const pairs = text.split(",").map((pair) => /^(\w+)=(.+)$/u.exec(pair.trim())?.slice(1) ?? [])
  const known = pairs.every(([name]) => facets.some((facet) => facet === name))
  return known
    ? Effect.succeed(
      present(Object.fromEntries(pairs) as { readonly [facet in typeof facets[number]]?: string })
    )
    : new CliFailure({
      exit: "usage",
      message: `--canary ${text} names no sessions`,
      hint: `Write name=value, separated by commas; names are ${facets.join(", ")}.`
    })
}

export const putRollout = Effect.fn("rspp.rollout.put")(function*(
  { allow, canary, canaryFacets, candidate, ifMatch, percent, pipeline, stable, steps, ...flags }: Matching & {
    readonly pipeline: string
    readonly stable: string
    readonly candidate: string | undefined
    readonly percent: number | undefined
    readonly allow: ReadonlyArray<string>
    readonly canary: ReadonlyArray<string>
    readonly canaryFacets: ReadonlyArray<string>
    readonly steps: ReadonlyArray<string>
  }
) {
  const schedule = yield* Effect.forEach(steps, stepOf)
  const canaries = [...canary.map((region) => ({ region })), ...(yield* Effect.forEach(canaryFacets, facetsOf))]
  return yield* call(flags, (client) =>
    client.rollouts.put({
      params: { pipeline_id: pipeline },
      headers: expecting(ifMatch),
      payload: {
        stable_version: stable,
        ...present({ candidate_version: candidate, percent }),
        ...(allow.length === 0 ? {} : { allowlist: allow }),
        ...(canaries.length === 0 ? {} : { canary: canaries }),
        ...(schedule.length === 0 ? {} : { schedule })
      }
    }), (document) => [documentLine(document)])
})

export const rollback = (
  { ifMatch, pipeline, reason, ...flags }: Matching & { readonly pipeline: string; readonly reason: string }
) =>
  call(
    flags,
    (client) =>
      client.rollouts.rollback({ params: { pipeline_id: pipeline }, headers: expecting(ifMatch), payload: { reason } }),
    ({ body, revision }) => [`${pipeline} is back at ${body.stable_version} (r${revision})`]
  )

export const createSession = (
  { caller, language, pipeline, region, tier, ...flags }: ServerFlags & {
    readonly pipeline: string
    readonly caller: string | undefined
    readonly language: string | undefined
    readonly region: string | undefined
    readonly tier: string | undefined
  }
) =>
  call(
    flags,
    (client) =>
      client.sessions.create({
        payload: { pipeline_id: pipeline, ...present({ caller, language, region, cost_tier: tier }) }
      }),
    ({ livekit, session: { pipeline_version, session_id } }) => [
      `${session_id}  ${pipeline} ${pipeline_version}`,
      ...(livekit === undefined ? [] : [`url    ${livekit.server_url}`, `token  ${livekit.participant_token}`])
    ],
    true
  )

export const listSessions = ({ active, ...flags }: PageFlags & { readonly active: boolean }) =>
  call(
    flags,
    (client) => client.sessions.list({ query: { ...pageOf(flags), ...(active ? { active: "true" as const } : {}) } }),
    listed(({ caller, created_ms, ended_ms, pipeline_id, pipeline_version, session_id }) =>
      `${session_id}  ${pipeline_id} ${pipeline_version}  ${caller}  ${day(created_ms)}${
        ended_ms === undefined ? "" : "  ended"
      }`
    )
  )

interface OneSession extends ServerFlags {
  readonly session: string
}

export const getSession = ({ session, ...flags }: OneSession) =>
  call(flags, (client) => client.sessions.get({ params: { session_id: session } }), pretty)

export const getSnapshots = ({ session, ...flags }: OneSession) =>
  call(flags, (client) => client.sessions.snapshots({ params: { session_id: session } }), pretty)

export const endSession = ({ session, ...flags }: OneSession) =>
  call(flags, (client) => client.sessions.end({ params: { session_id: session } }), () => [`${session} has ended`])

export const getLease = ({ session, ...flags }: OneSession) =>
  call(
    flags,
    (client) => client.sessions.lease({ params: { session_id: session } }),
    ({ authority_epoch, placement_id, ttl_ms }) => [
      `${session}  epoch ${authority_epoch} at ${placement_id}, ${ttl_ms} ms left`
    ]
  )

export const revokeLease = ({ epoch, session, ...flags }: OneSession & { readonly epoch: number }) =>
  call(
    flags,
    (client) => client.sessions.revokeLease({ params: { session_id: session }, payload: { expected_epoch: epoch } }),
    () => [`epoch ${epoch} of ${session} is revoked`]
  )

export const listPlacements = (flags: ServerFlags) =>
  call(
    flags,
    (client) => client.runtimes.placements(),
    listed(({ endpoints, placement_id, region }) => `${placement_id}  ${region ?? "-"}  ${endpoints.join(" ")}`)
  )

export const putPlacement = (
  { endpoint, placement, region, ...flags }: ServerFlags & {
    readonly placement: string
    readonly endpoint: ReadonlyArray<string>
    readonly region: string | undefined
  }
) =>
  call(
    flags,
    (client) =>
      client.runtimes.announce({
        params: { placement_id: placement },
        payload: { endpoints: endpoint, ...present({ region }) }
      }),
    () => [`${placement} is announced for 30 s`]
  )

/** One provider in words: its circuit, how much failed, how long first results took. */
const providerLine = (provider: string, state: string, window: ProviderWindow | undefined): string => {
  if (window === undefined) return `${provider}  ${state}`
  const { because, error_rate, failed, first_result_ms, slow, succeeded, trial } = window
  const calls = succeeded + failed
  const why = because === undefined ? "" : because === "slow" ? " (too many calls are slow)" : " (too many calls fail)"
  return [
    `${provider}  ${state}${why}`,
    calls === 0 ? "no calls" : `${calls} calls, ${(error_rate * 100).toFixed(1)} % failed, ${slow} slow`,
    ...(first_result_ms === undefined
      ? []
      : [`first result ${first_result_ms.p50} ms p50, ${first_result_ms.p95} ms p95`]),
    ...(trial === undefined || state !== "half_open" ? [] : [`${trial} may try it`])
  ].join("  ")
}

export const providerHealth = (flags: ServerFlags) =>
  call(
    flags,
    (client) => client.runtimes.providerHealth(),
    ({ providers, windows }) => {
      const known = Object.entries(providers)
      return known.length === 0
        ? ["no provider was reported in the last minute"]
        : known.map(([provider, state]) => providerLine(provider, state, windows[provider]))
    }
  )

export const reportProvider = (
  { failed, firstResults, provider, slow, succeeded, ...flags }: ServerFlags & {
    readonly provider: string
    readonly succeeded: number
    readonly failed: number
    readonly slow: number
    readonly firstResults: ReadonlyArray<number>
  }
) =>
  call(
    flags,
    (client) =>
      client.runtimes.report({
        payload: {
          reports: [{
            provider_id: provider,
            succeeded,
            failed,
            slow,
            ...(firstResults.length === 0 ? {} : { latency: firstResults.map(latencyOf).reduce(addLatencies) })
          }]
        }
      }),
    () => [`${provider}: ${succeeded} calls that went well and ${failed} that did not are reported`]
  )

export const createTenant = (
  { name, tenant, ...flags }: ServerFlags & { readonly tenant: string; readonly name: string | undefined }
) =>
  call(
    flags,
    (client) => client.tenants.create({ payload: { tenant_id: tenant, name: name ?? tenant } }),
    ({ owner }) => [`tenant ${tenant} is made`, `owner key, shown this once: ${owner.text}`],
    true
  )

export const listTenants = (flags: PageFlags) =>
  call(
    flags,
    (client) => client.tenants.list({ query: pageOf(flags) }),
    listed((item) => `${item.tenant_id}  ${item.name}${item.suspended_ms === undefined ? "" : "  suspended"}`)
  )

const suspension = (suspended: boolean) => ({ tenant, ...flags }: ServerFlags & { readonly tenant: string }) =>
  call(
    flags,
    (client) => client.tenants.suspend({ params: { tenant_id: tenant }, payload: { suspended } }),
    () => [`tenant ${tenant} is ${suspended ? "suspended" : "no longer suspended"}`]
  )
export const suspendTenant = suspension(true)
export const resumeTenant = suspension(false)

export const listKeys = (flags: PageFlags) =>
  call(
    flags,
    (client) => client.keys.list({ query: pageOf(flags) }),
    listed((item) =>
      `${item.key_id}  ${item.role}  ${item.name}${item.scopes.length === 0 ? "" : `  only ${item.scopes.join(", ")}`}${
        item.revoked_ms === undefined ? "" : "  revoked"
      }`
    )
  )

const isAction = (name: string): name is Action => (actions as ReadonlyArray<string>).includes(name)

export const createKey = Effect.fn("rspp.tenant.key")(function*(
  { name, role, scope, ...flags }: ServerFlags & {
    readonly name: string
    readonly role: "owner" | "operator" | "viewer" | "runtime"
    readonly scope: ReadonlyArray<string>
  }
) {
  const unknown = scope.find((one) => !isAction(one))
  if (unknown !== undefined) {
    return yield* new CliFailure({
      exit: "usage",
      message: `--scope ${unknown} is no action`,
      hint: `Actions are ${actions.join(", ")}.`
    })
  }
  return yield* call(
    flags,
    (client) => client.keys.create({ payload: { name, role, scopes: scope.filter(isAction) } }),
    ({ key: { key_id }, text }) => [`key ${key_id} is made`, `shown this once: ${text}`],
    true
  )
})

export const revokeKey = ({ key, ...flags }: ServerFlags & { readonly key: string }) =>
  call(flags, (client) => client.keys.revoke({ params: { key_id: key } }), () => [`key ${key} is revoked`])

export const listAudit = (flags: PageFlags) =>
  call(
    flags,
    (client) => client.audit.list({ query: pageOf(flags) }),
    listed((item) => `${item.sequence}  ${day(item.at_ms)}  ${item.actor}  ${item.action} ${item.subject}`)
  )

export const verifyAudit = Effect.fn("rspp.audit.verify")(function*(flags: ServerFlags) {
  const verdict = yield* call(
    flags,
    (client) => client.audit.verify(),
    ({ head, intact, problem, records }) =>
      intact ? [`intact: ${records} rows, head ${head}`] : [`NOT intact: ${problem?.message ?? ""}`]
  )
  if (!verdict.intact) return yield* told("violation")
  return verdict
})
