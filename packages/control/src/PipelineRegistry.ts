import { schemaVersion } from "@rspp/contracts/Identity"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { admissionLimits } from "@rspp/contracts/Snapshot"
import { Natural } from "@rspp/contracts/Quantity"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import { Actor } from "./Actor.ts"
import { AuditLog } from "./AuditLog.ts"
import { CompatibilityWindow, compareVersions, compatibleVersions } from "./Compatibility.ts"
import { ControlConflict, ControlInvalid, notFound } from "./ControlError.ts"
import type { ControlNotFound, DatabaseFailure } from "./ControlError.ts"
import { contentHash } from "./internal/ContentHash.ts"
import type { SpecRejected } from "./SpecError.ts"
import type { NormalizedSpec, NormalizeOptions } from "./SpecNormalizer.ts"
import { SpecNormalizer } from "./SpecNormalizer.ts"
import type { Page, PageRequest } from "./sql/Database.ts"
import { JsonText, Long, nextPosition, pageOf, readPage, rowsOf } from "./sql/Database.ts"

/** A published version, without its content. */
export const PipelineSummary = Schema.Struct({
  tenant_id: Schema.String,
  pipeline_id: Schema.String,
  pipeline_version: Schema.String,
  /** `sha256:` of the canonical JSON of spec and compatibility. */
  content_hash: Schema.String,
  compatibility: CompatibilityWindow,
  published_ms: Schema.Int,
  published_by: Schema.String,
  deprecated_ms: Schema.optionalKey(Schema.Int),
  /** Why, and what to use instead. */
  deprecation: Schema.optionalKey(Schema.String)
})
export type PipelineSummary = typeof PipelineSummary.Type

/** A published version. */
export const PublishedPipeline = Schema.Struct({
  ...PipelineSummary.fields,
  /** As its author wrote it. */
  spec: Schema.Unknown,
  /** What the normalizer made of it when it was published: later defaults do not change it. */
  pipeline: NormalizedPipeline,
  admission: Schema.Struct({ max_turns_per_session: Schema.optionalKey(Natural), ...admissionLimits })
})
export type PublishedPipeline = typeof PublishedPipeline.Type

/** What `publish` is given. */
export interface Publication {
  readonly tenant_id: string
  readonly spec: unknown
  readonly compatibility?: CompatibilityWindow
}

/** What `publish` answers: `created` is false when the very same content was there already. */
export interface PublishResult {
  readonly created: boolean
  readonly published: PublishedPipeline
}

export interface RegistryOptions extends NormalizeOptions {
  /** Versions of the contract that runtimes of this deployment speak; by default the one of this code. */
  readonly contractVersions?: ReadonlyArray<string>
}

/**
 * Pipeline registry (CP-01): published versions of pipelines, of each tenant.
 *
 * Guarantees:
 * - **R1** what is published never changes, but for its deprecation. The same content again is no change; other content
 *   under the same version is refused ({@link ControlConflict}).
 * - **R2** the content hash is that of the canonical JSON of spec and compatibility window: the order of keys in a file
 *   does not show.
 * - **R3** only what the {@link SpecNormalizer} (and with it the graph compiler) accepts is published; a refusal
 *   ({@link SpecRejected}) names path, rule and, in the graph, node or edge.
 * - **R4** a tenant finds its own pipelines only; another tenant's are not found.
 * - **R5** a publication or deprecation is in the audit log.
 */
export class PipelineRegistry extends Context.Service<PipelineRegistry, {
  readonly publish: (
    publication: Publication
  ) => Effect.Effect<PublishResult, SpecRejected | ControlInvalid | ControlConflict | DatabaseFailure>
  readonly get: (
    tenant_id: string,
    pipeline_id: string,
    pipeline_version: string
  ) => Effect.Effect<PublishedPipeline, ControlNotFound | DatabaseFailure>
  /** The version that was published first under this hash. */
  readonly getByHash: (
    tenant_id: string,
    content_hash: string
  ) => Effect.Effect<PublishedPipeline, ControlNotFound | DatabaseFailure>
  /** Versions in the order of their publication; of one pipeline where it is named. */
  readonly list: (
    tenant_id: string,
    request: PageRequest & { readonly pipeline_id?: string | undefined }
  ) => Effect.Effect<Page<PipelineSummary>, ControlInvalid | DatabaseFailure>
  /** Marks a version; running sessions keep it, new rollouts and sessions are refused. Again with other words: they count. */
  readonly deprecate: (
    tenant_id: string,
    pipeline_id: string,
    pipeline_version: string,
    deprecation: string
  ) => Effect.Effect<PipelineSummary, ControlNotFound | DatabaseFailure>
  /** The versions of the contract under which this deployment may run it: the body of `abi_compatibility_snapshot`. */
  readonly abiOf: (
    pipeline: PipelineSummary
  ) => Effect.Effect<{ readonly contract_versions: ReadonlyArray<string> }, ControlConflict>
}>()("rspp/PipelineRegistry") {
  static readonly layer = (
    options: RegistryOptions = {}
  ): Layer.Layer<PipelineRegistry, never, SqlClient.SqlClient | AuditLog | SpecNormalizer> =>
    Layer.effect(PipelineRegistry, Effect.suspend(() => make(options)))
}

/** The runtime's part of a published version. */
export const specOf = ({ admission, pipeline }: PublishedPipeline): NormalizedSpec => ({ pipeline, admission })

export const hashOfPublication = (spec: unknown, compatibility: CompatibilityWindow): string =>
  `sha256:${contentHash({ spec, compatibility })}`

const table = "rspp_pipelines"

const summaryColumns = {
  position: Long,
  tenant_id: Schema.String,
  pipeline_id: Schema.String,
  pipeline_version: Schema.String,
  content_hash: Schema.String,
  compatibility: JsonText(CompatibilityWindow),
  published_ms: Long,
  published_by: Schema.String,
  deprecated_ms: Schema.NullOr(Long),
  deprecation: Schema.NullOr(Schema.String)
}
const SummaryRow = Schema.Struct(summaryColumns)
const Row = Schema.Struct({
  ...summaryColumns,
  spec: JsonText(Schema.Unknown),
  normalized: JsonText(NormalizedPipeline),
  admission: JsonText(PublishedPipeline.fields.admission)
})

const summaryOf = (
  { deprecated_ms, deprecation, position: _position, ...row }: typeof SummaryRow.Type
): PipelineSummary => ({
  ...row,
  ...(deprecated_ms === null ? {} : { deprecated_ms }),
  ...(deprecation === null ? {} : { deprecation })
})

const publishedOf = ({ admission, normalized, spec, ...row }: typeof Row.Type): PublishedPipeline => ({
  ...summaryOf(row),
  spec,
  pipeline: normalized,
  admission
})

const decodeWindow = Schema.decodeUnknownEffect(CompatibilityWindow, { onExcessProperty: "error", errors: "all" })

const readWindow = Effect.fnUntraced(function*(given: unknown) {
  const invalid = (message: string) =>
    new ControlInvalid({
      code: "compatibility_invalid",
      message: `the compatibility window cannot be used: ${message}`,
      problems: [{ path: "compatibility", rule: "compatibility", message }]
    })
  const window = yield* Effect.mapError(decodeWindow(given), (error) => invalid(error.message))
  const { max_contract_version: max, min_contract_version: min } = window
  if (min !== undefined && max !== undefined && compareVersions(min, max) > 0) {
    return yield* invalid(`min_contract_version ${min} is above max_contract_version ${max}`)
  }
  return window
})

const make = Effect.fnUntraced(function*({ contractVersions = [schemaVersion], ...known }: RegistryOptions) {
  const sql = yield* SqlClient.SqlClient
  const audit = yield* AuditLog
  const normalizer = yield* SpecNormalizer
  const rows = rowsOf(table, Row)
  const summaries = rowsOf(table, SummaryRow)
  const columns = sql.literal(Object.keys(summaryColumns).join(", "))

  const of = (tenant_id: string, pipeline_id: string, pipeline_version: string) =>
    sql`tenant_id = ${tenant_id} AND pipeline_id = ${pipeline_id} AND pipeline_version = ${pipeline_version}`

  const get = Effect.fn("PipelineRegistry.get")(
    function*(tenant_id: string, pipeline_id: string, pipeline_version: string) {
      const [row] = yield* rows(sql`SELECT * FROM rspp_pipelines WHERE ${of(tenant_id, pipeline_id, pipeline_version)}`)
      return row === undefined
        ? yield* notFound("pipeline_version", `${pipeline_id}@${pipeline_version}`)
        : publishedOf(row)
    }
  )

  const getByHash = Effect.fn("PipelineRegistry.getByHash")(function*(tenant_id: string, content_hash: string) {
    const [row] = yield* rows(sql`SELECT * FROM rspp_pipelines
      WHERE tenant_id = ${tenant_id} AND content_hash = ${content_hash} ORDER BY position LIMIT 1`)
    return row === undefined ? yield* notFound("pipeline_version", content_hash) : publishedOf(row)
  })

  const list: PipelineRegistry["Service"]["list"] = Effect.fn("PipelineRegistry.list")(
    function*(tenant_id, { pipeline_id, ...page }) {
      const { after, limit } = yield* readPage(page)
      const found = yield* summaries(sql`SELECT ${columns} FROM rspp_pipelines WHERE ${
        sql.and([
          sql`tenant_id = ${tenant_id}`,
          sql`position > ${after}`,
          ...(pipeline_id === undefined ? [] : [sql`pipeline_id = ${pipeline_id}`])
        ])
      } ORDER BY position LIMIT ${limit + 1}`)
      return pageOf(found, limit, summaryOf)
    }
  )

  const publish: PipelineRegistry["Service"]["publish"] = Effect.fn("PipelineRegistry.publish")(
    function*({ compatibility: given = {}, spec, tenant_id }) {
      const compatibility = yield* readWindow(given)
      const { admission, pipeline } = yield* normalizer.normalize(spec, known)
      const { pipeline_id, pipeline_version } = pipeline
      const content_hash = hashOfPublication(spec, compatibility)
      const subject = `${pipeline_id}@${pipeline_version}`
      return yield* audit.write(Effect.gen(function*() {
        const [there] = yield* rows(
          sql`SELECT * FROM rspp_pipelines WHERE ${of(tenant_id, pipeline_id, pipeline_version)}`
        )
        if (there !== undefined) {
          if (there.content_hash === content_hash) {
            return { result: { created: false, published: publishedOf(there) }, entries: [] }
          }
          return yield* new ControlConflict({
            code: "pipeline_version_immutable",
            message:
              `${subject} is published with other content (${there.content_hash}); publish the change under another version`
          })
        }
        const { actor } = yield* Actor
        const published_ms = Math.floor(yield* Clock.currentTimeMillis)
        yield* sql`INSERT INTO rspp_pipelines ${
          sql.insert({
            position: yield* nextPosition(sql, table),
            tenant_id,
            pipeline_id,
            pipeline_version,
            content_hash,
            spec: canonicalJson(spec),
            normalized: canonicalJson(pipeline),
            admission: canonicalJson(admission),
            compatibility: canonicalJson(compatibility),
            published_ms,
            published_by: actor
          })
        }`
        const published: PublishedPipeline = {
          tenant_id,
          pipeline_id,
          pipeline_version,
          content_hash,
          compatibility,
          published_ms,
          published_by: actor,
          spec,
          pipeline,
          admission
        }
        const details = { content_hash, graph_definition_ref: pipeline.graph.graph_definition_ref }
        return {
          result: { created: true, published },
          entries: [{ tenant_id, action: "pipeline.publish", subject, details }]
        }
      }))
    }
  )

  const deprecate = Effect.fn("PipelineRegistry.deprecate")(
    function*(tenant_id: string, pipeline_id: string, pipeline_version: string, deprecation: string) {
      const subject = `${pipeline_id}@${pipeline_version}`
      return yield* audit.write(Effect.gen(function*() {
        const [there] = yield* summaries(
          sql`SELECT ${columns} FROM rspp_pipelines WHERE ${of(tenant_id, pipeline_id, pipeline_version)}`
        )
        if (there === undefined) return yield* notFound("pipeline_version", subject)
        if (there.deprecation === deprecation) return { result: summaryOf(there), entries: [] }
        const deprecated_ms = Math.floor(yield* Clock.currentTimeMillis)
        yield* sql`UPDATE rspp_pipelines SET deprecated_ms = ${deprecated_ms}, deprecation = ${deprecation}
          WHERE ${of(tenant_id, pipeline_id, pipeline_version)}`
        return {
          result: summaryOf({ ...there, deprecated_ms, deprecation }),
          entries: [{ tenant_id, action: "pipeline.deprecate", subject, details: { deprecation } }]
        }
      }))
    }
  )

  const abiOf: PipelineRegistry["Service"]["abiOf"] = ({ compatibility, pipeline_id, pipeline_version }) => {
    const contract_versions = compatibleVersions(compatibility, contractVersions)
    return contract_versions.length > 0
      ? Effect.succeed({ contract_versions })
      : Effect.fail(
        new ControlConflict({
          code: "pipeline_incompatible",
          message: `${pipeline_id}@${pipeline_version} runs under none of the contract versions here (${
            contractVersions.join(", ")
          })`
        })
      )
  }

  return PipelineRegistry.of({ publish, get, getByHash, list, deprecate, abiOf })
})
