import { Id } from "@rspp/contracts/Identity"
import { Natural } from "@rspp/contracts/Quantity"
import { Snapshot } from "@rspp/contracts/Snapshot"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { AdmissionRules } from "../AdmissionPolicy.ts"
import { AuditRecord, AuditVerdict } from "../AuditLog.ts"
import { CompatibilityWindow } from "../Compatibility.ts"
import { ActionName } from "../Permissions.ts"
import { PipelineSummary, PublishedPipeline } from "../PipelineRegistry.ts"
import { PolicyBinding } from "../PolicyEvaluation.ts"
import { ProviderHealthView, ProviderReport } from "../ProviderHealth.ts"
import { RolloutPlan, RolloutState } from "../Rollout.ts"
import { Placement } from "../RoutingView.ts"
import { ApiKey, NewKey, Tenant } from "../SecurityTenancy.ts"
import { Session, SessionRequest } from "../SessionDirectory.ts"
import { Guard, Requires, SecretAnswer } from "./Guard.ts"
import { problems } from "./Problems.ts"

// The definition of the HTTP API: what server, client, OpenAPI document and the tests of authorisation are made from.

const pageOf = <S extends Schema.Constraint>(item: S) =>
  Schema.Struct({ items: Schema.Array(item), next_cursor: Schema.optionalKey(Schema.String) })

const documentOf = <S extends Schema.Constraint>(body: S) =>
  Schema.Struct({ id: Schema.String, revision: Schema.Int, updated_ms: Schema.Int, body })

const page = {
  cursor: Schema.optionalKey(Schema.String),
  limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 200 })))
} as const

/** `If-Match: "r3"`: only if it is at revision 3. `If-None-Match: *`: only if there is none. */
const preconditions = {
  "if-match": Schema.optionalKey(Schema.String),
  "if-none-match": Schema.optionalKey(Schema.String)
} as const

const Text = Schema.NonEmptyString.check(Schema.isMaxLength(1000))
/** Unix time in ms that a calendar has. */
const Moment = Natural.check(Schema.isLessThanOrEqualTo(8_640_000_000_000_000))
const created = HttpApiSchema.status(201)
const error = problems

/** Where and how a client joins the room of its session. */
export const ClientRoute = Schema.Struct({
  server_url: Schema.String,
  room: Schema.String,
  participant_identity: Schema.String,
  /** A LiveKit access token (JWT). */
  participant_token: Schema.String,
  expires_ms: Schema.Int
})
export type ClientRoute = typeof ClientRoute.Type

/** A session and, where LiveKit is configured, the way into it. */
export const OpenedSession = Schema.Struct({ session: Session, livekit: Schema.optionalKey(ClientRoute) })

/** The latest published snapshot of each kind of a session. */
export const PublishedSnapshots = Schema.Struct({
  /** The sum of their versions: another number after each publication, and so the ETag. */
  revision: Schema.Int,
  /** In the contract's order of kinds; `age_ms`: how long ago each was published, by the control plane's clock. */
  snapshots: Schema.Array(Schema.Struct({ age_ms: Schema.Int, snapshot: Snapshot }))
})

/** A live lease, without its token. */
export const LeaseView = Schema.Struct({
  session_id: Schema.String,
  placement_id: Schema.String,
  authority_epoch: Schema.Int,
  ttl_ms: Schema.Int
})

const health = HttpApiGroup.make("health").add(
  HttpApiEndpoint.get("live", "/healthz", { success: Schema.Struct({ status: Schema.Literal("ok") }) }),
  HttpApiEndpoint.get("ready", "/readyz", {
    success: Schema.Struct({ status: Schema.Literal("ready"), now_ms: Schema.Int }),
    error
  })
).annotate(OpenApi.Description, "Probes: no key is asked for.")

const tenants = HttpApiGroup.make("tenants").add(
  HttpApiEndpoint.post("create", "/v1/tenants", {
    payload: Schema.Struct({ tenant_id: Id, name: Text }),
    success: Schema.Struct({ tenant: Tenant, owner: NewKey }).pipe(created),
    error
  }).annotate(Requires, "tenant:create").annotate(SecretAnswer, true),
  HttpApiEndpoint.get("list", "/v1/tenants", { query: page, success: pageOf(Tenant), error }).annotate(
    Requires,
    "tenant:list"
  ),
  HttpApiEndpoint.get("current", "/v1/tenant", { success: Tenant, error }).annotate(Requires, "tenant:read"),
  HttpApiEndpoint.put("suspend", "/v1/tenants/:tenant_id/suspension", {
    params: { tenant_id: Id },
    payload: Schema.Struct({ suspended: Schema.Boolean }),
    success: Tenant,
    error
  }).annotate(Requires, "tenant:suspend")
).middleware(Guard)

const keys = HttpApiGroup.make("keys").add(
  HttpApiEndpoint.post("create", "/v1/keys", {
    payload: Schema.Struct({
      name: Text,
      role: Schema.Literals(["owner", "operator", "viewer", "runtime"]),
      scopes: Schema.optionalKey(Schema.Array(ActionName)),
      expires_ms: Schema.optionalKey(Moment)
    }),
    success: NewKey.pipe(created),
    error
  }).annotate(Requires, "key:create").annotate(SecretAnswer, true),
  HttpApiEndpoint.get("list", "/v1/keys", { query: page, success: pageOf(ApiKey), error }).annotate(
    Requires,
    "key:list"
  ),
  HttpApiEndpoint.delete("revoke", "/v1/keys/:key_id", { params: { key_id: Id }, success: ApiKey, error }).annotate(
    Requires,
    "key:revoke"
  )
).middleware(Guard)

const versionPath = { pipeline_id: Id, pipeline_version: Id } as const

const pipelines = HttpApiGroup.make("pipelines").add(
  HttpApiEndpoint.post("publish", "/v1/pipelines", {
    payload: Schema.Struct({ spec: Schema.Unknown, compatibility: Schema.optionalKey(CompatibilityWindow) }),
    success: Schema.Struct({ created: Schema.Boolean, published: PublishedPipeline }),
    error
  }).annotate(Requires, "pipeline:publish"),
  HttpApiEndpoint.get("list", "/v1/pipelines", {
    query: { ...page, pipeline_id: Schema.optionalKey(Id) },
    success: pageOf(PipelineSummary),
    error
  }).annotate(Requires, "pipeline:read"),
  HttpApiEndpoint.get("get", "/v1/pipelines/:pipeline_id/versions/:pipeline_version", {
    params: versionPath,
    success: PublishedPipeline,
    error
  }).annotate(Requires, "pipeline:read"),
  HttpApiEndpoint.get("getByHash", "/v1/pipeline-hashes/:content_hash", {
    params: { content_hash: Id },
    success: PublishedPipeline,
    error
  }).annotate(Requires, "pipeline:read"),
  HttpApiEndpoint.put("deprecate", "/v1/pipelines/:pipeline_id/versions/:pipeline_version/deprecation", {
    params: versionPath,
    payload: Schema.Struct({ deprecation: Text }),
    success: PipelineSummary,
    error
  }).annotate(Requires, "pipeline:deprecate")
).middleware(Guard)

const policies = HttpApiGroup.make("policies").add(
  HttpApiEndpoint.get("list", "/v1/policies", { query: page, success: pageOf(documentOf(PolicyBinding)), error })
    .annotate(Requires, "policy:read"),
  HttpApiEndpoint.get("get", "/v1/policies/:policy_id", {
    params: { policy_id: Id },
    success: documentOf(PolicyBinding),
    error
  }).annotate(Requires, "policy:read"),
  HttpApiEndpoint.put("put", "/v1/policies/:policy_id", {
    params: { policy_id: Id },
    headers: preconditions,
    payload: PolicyBinding,
    success: documentOf(PolicyBinding),
    error
  }).annotate(Requires, "policy:write"),
  HttpApiEndpoint.delete("remove", "/v1/policies/:policy_id", {
    params: { policy_id: Id },
    headers: preconditions,
    error
  }).annotate(Requires, "policy:write"),
  HttpApiEndpoint.get("getAdmission", "/v1/admission", { success: documentOf(AdmissionRules), error }).annotate(
    Requires,
    "admission:read"
  ),
  HttpApiEndpoint.put("putAdmission", "/v1/admission", {
    headers: preconditions,
    payload: AdmissionRules,
    success: documentOf(AdmissionRules),
    error
  }).annotate(Requires, "admission:write")
).middleware(Guard)

const rolloutPath = { pipeline_id: Id } as const

const rollouts = HttpApiGroup.make("rollouts").add(
  HttpApiEndpoint.get("list", "/v1/rollouts", { query: page, success: pageOf(documentOf(RolloutState)), error })
    .annotate(Requires, "rollout:read"),
  HttpApiEndpoint.get("get", "/v1/rollouts/:pipeline_id", {
    params: rolloutPath,
    success: documentOf(RolloutState),
    error
  }).annotate(Requires, "rollout:read"),
  HttpApiEndpoint.put("put", "/v1/rollouts/:pipeline_id", {
    params: rolloutPath,
    headers: preconditions,
    payload: RolloutPlan,
    success: documentOf(RolloutState),
    error
  }).annotate(Requires, "rollout:write"),
  HttpApiEndpoint.post("rollback", "/v1/rollouts/:pipeline_id/rollback", {
    params: rolloutPath,
    headers: preconditions,
    payload: Schema.Struct({ reason: Text }),
    success: documentOf(RolloutState),
    error
  }).annotate(Requires, "rollout:write")
).middleware(Guard)

const sessionPath = { session_id: Id } as const

const sessions = HttpApiGroup.make("sessions").add(
  HttpApiEndpoint.post("create", "/v1/sessions", {
    payload: SessionRequest,
    success: OpenedSession.pipe(created),
    error
  }).annotate(Requires, "session:create"),
  HttpApiEndpoint.get("list", "/v1/sessions", {
    query: { ...page, active: Schema.optionalKey(Schema.Literals(["true", "false"])) },
    success: pageOf(Session),
    error
  }).annotate(Requires, "session:read"),
  HttpApiEndpoint.get("get", "/v1/sessions/:session_id", { params: sessionPath, success: Session, error }).annotate(
    Requires,
    "session:read"
  ),
  HttpApiEndpoint.delete("end", "/v1/sessions/:session_id", { params: sessionPath, success: Session, error }).annotate(
    Requires,
    "session:end"
  ),
  HttpApiEndpoint.get("snapshots", "/v1/sessions/:session_id/snapshots", {
    params: sessionPath,
    success: PublishedSnapshots,
    error
  }).annotate(Requires, "session:read"),
  HttpApiEndpoint.get("lease", "/v1/sessions/:session_id/lease", {
    params: sessionPath,
    success: LeaseView,
    error
  }).annotate(Requires, "lease:read"),
  HttpApiEndpoint.post("revokeLease", "/v1/sessions/:session_id/lease/revocation", {
    params: sessionPath,
    payload: Schema.Struct({ expected_epoch: Natural }),
    error
  }).annotate(Requires, "lease:revoke")
).middleware(Guard)

const runtimes = HttpApiGroup.make("runtimes").add(
  HttpApiEndpoint.get("placements", "/v1/placements", {
    success: Schema.Struct({ items: Schema.Array(Placement) }),
    error
  }).annotate(Requires, "placement:read"),
  HttpApiEndpoint.put("announce", "/v1/placements/:placement_id", {
    params: { placement_id: Id },
    payload: Placement.mapFields(({ endpoints, region }) => ({ endpoints, region })),
    error
  }).annotate(Requires, "placement:write"),
  HttpApiEndpoint.post("report", "/v1/provider-reports", {
    payload: Schema.Struct({ reports: Schema.Array(ProviderReport).check(Schema.isMaxLength(100)) }),
    error
  }).annotate(Requires, "health:report"),
  HttpApiEndpoint.get("providerHealth", "/v1/provider-health", {
    success: ProviderHealthView,
    error
  }).annotate(Requires, "health:read")
).middleware(Guard)

const audit = HttpApiGroup.make("audit").add(
  HttpApiEndpoint.get("list", "/v1/audit", { query: page, success: pageOf(AuditRecord), error }).annotate(
    Requires,
    "audit:read"
  ),
  HttpApiEndpoint.get("verify", "/v1/audit/verification", { success: AuditVerdict, error }).annotate(
    Requires,
    "audit:verify"
  )
).middleware(Guard)

/** What is not in a schema is refused, not left out: a misspelt field would be a limit that nobody applies. */
const strict = { onExcessProperty: "error", errors: "all" } as const

export class ControlApi extends HttpApi.make("rspp-control")
  .add(health)
  .add(tenants)
  .add(keys)
  .add(pipelines)
  .add(policies)
  .add(rollouts)
  .add(sessions)
  .add(runtimes)
  .add(audit)
  .middleware(HttpApiMiddleware.ProblemDetails)
  .annotate(HttpApi.PayloadParseOptions, strict)
  .annotate(HttpApi.QueryParseOptions, strict)
  .annotateMerge(OpenApi.annotations({
    title: "RSPP control plane",
    version: "1.0.0",
    description: [
      "Pipelines, policies, rollouts, sessions and leases of voice agents.",
      "Send an API key as `Authorization: Bearer rspp_…`; everything is done in the tenant of the key.",
      "Errors are problem details (RFC 9457) with a stable `code`.",
      "Writes take an `Idempotency-Key`; documents take `If-Match: \"r<revision>\"`; reads answer `If-None-Match`."
    ].join(" ")
  }))
{}
