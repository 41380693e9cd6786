import { schemaVersion } from "@rspp/contracts/Identity"
import type { GraphDefinition } from "@rspp/contracts/GraphDefinition"
import type { NormalizedPipeline, SettingSource } from "@rspp/contracts/NormalizedPipeline"
import type { PipelineSpec } from "@rspp/contracts/PipelineSpec"
import { simpleProfile } from "@rspp/contracts/Profile"
import type { Profile } from "@rspp/contracts/Profile"
import { hasSecret } from "@rspp/contracts/Secrets"
import { defaultSessionConfig, sessionConfigProblems } from "@rspp/contracts/SessionConfig"
import type { SessionConfig } from "@rspp/contracts/SessionConfig"
import { adaptiveActions, replayModes } from "@rspp/contracts/TurnPlan"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { GraphCompiler } from "./GraphCompiler.ts"
import type { GraphSource } from "./GraphSource.ts"
import { actionErrors } from "./internal/ActionRules.ts"
import { edgePolicies, edgePolicyErrors, watermarkErrors } from "./internal/EdgePolicies.ts"
import type { FieldPath } from "./internal/FieldPath.ts"
import { formatPath, parsePath } from "./internal/FieldPath.ts"
import { overlay } from "./internal/Overlay.ts"
import type { Sources } from "./internal/Overlay.ts"
import { looseGraph, resolveGraph } from "./internal/SpecGraph.ts"
import type { KnownProviders } from "./internal/SpecGraph.ts"
import { isGraphName, readForm } from "./internal/SpecForm.ts"
import { suggest } from "./internal/Spelling.ts"
import { SpecError, SpecRejected } from "./SpecError.ts"

/** A spec that was accepted: what the runtime is given, and what the control plane keeps for its own snapshots. */
export interface NormalizedSpec {
  readonly pipeline: NormalizedPipeline
  readonly admission: {
    /** Turns that a session may open; absent: the control plane's own quota. */
    readonly max_turns_per_session?: number
    readonly max_turns_per_minute?: number
    readonly max_turns_per_minute_per_tenant?: number
    readonly max_concurrent_turns_per_tenant?: number
    readonly max_sessions_per_tenant?: number
  }
}

export interface NormalizeOptions {
  /**
   * The ids of all providers and node implementations that can be bound: of each modality, or one list for all. Without
   * it, any id is accepted.
   */
  readonly providers?: KnownProviders
}

/**
 * Spec normalizer (CP-02): a PipelineSpec, as parsed from a file, → a pipeline with nothing left unsaid.
 *
 * Guarantees:
 * - **N1** the result is a valid `NormalizedPipeline`: every value of the execution profile that the author left out is
 *   filled in, and `sources` says for each leaf who set it (one entry for an edge policy that is all the profile's).
 * - **N2** the same spec gives the same result; the order of keys, nodes, edges and of lists that are sets does not show.
 * - **N3** everything that can be found wrong is reported at once, each with path, rule and what to do. Relations between
 *   fields are judged only once their form is right.
 *
 * Fails with {@link SpecRejected}. It reads no file, no clock and no environment.
 */
export class SpecNormalizer extends Context.Service<SpecNormalizer, {
  readonly normalize: (spec: unknown, options?: NormalizeOptions) => Effect.Effect<NormalizedSpec, SpecRejected>
}>()("rspp/SpecNormalizer") {
  /** Needs the graph compiler. */
  static readonly layerNoDeps: Layer.Layer<SpecNormalizer, never, GraphCompiler> = Layer.effect(
    SpecNormalizer,
    Effect.map(GraphCompiler, (compiler) =>
      SpecNormalizer.of({
        normalize: Effect.fn("SpecNormalizer.normalize")((spec: unknown, options?: NormalizeOptions) =>
          normalize(compiler, spec, options ?? {})
        )
      }))
  )

  /** With the graph compiler. */
  static readonly layer: Layer.Layer<SpecNormalizer> = SpecNormalizer.layerNoDeps.pipe(
    Layer.provide(GraphCompiler.layer)
  )
}

/** Who set the value at `path`; undefined when the path is not in the pipeline. */
export const sourceOf = (pipeline: NormalizedPipeline, path: string): SettingSource | undefined => {
  for (let parts = parsePath(path); parts.length > 0; parts = parts.slice(0, -1)) {
    const source = pipeline.sources[formatPath(parts)]
    if (source !== undefined) return source
  }
  return undefined
}

/** A spec is kept in every recording and shown by every tool: no place for a secret. */
const secretErrors = (value: unknown, path: FieldPath = []): ReadonlyArray<SpecError> => {
  if (typeof value === "string") {
    return !hasSecret(value) ? [] : [
      new SpecError({
        code: "secret_in_spec",
        path: formatPath(path),
        rule: "spec.no-secrets",
        message: `${formatPath(path)} looks like a secret, and a spec is kept in every recording`,
        hint: "Give secrets in the environment of the provider or the node."
      })
    ]
  }
  if (Array.isArray(value)) return value.flatMap((inner, at) => secretErrors(inner, [...path, at]))
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => secretErrors(inner, [...path, key]))
}

/** The execution profiles that a spec can name. */
const profiles: ReadonlyMap<string, Profile> = new Map([[simpleProfile.profile_version, simpleProfile]])

const normalize = Effect.fnUntraced(
  function*(
    compiler: GraphCompiler["Service"],
    input: unknown,
    options: NormalizeOptions
  ): Effect.fn.Return<NormalizedSpec, SpecRejected> {
    const form = readForm(input)
    if (!form.ok) {
      const graph = looseGraph(input)
      if (graph === undefined) return yield* SpecRejected.of(form.errors)
      // the graph can be judged although another field is wrong; its unknown names are reported once, with a hint
      const compiled = yield* compile(compiler, graph)
      const ofGraph = Result.isFailure(compiled) ? compiled.failure.errors : []
      const told = new Set(ofGraph.map((error) => error.path))
      const errors = form.errors.filter((error) => !isGraphName(error) || !told.has(error.path))
      return yield* SpecRejected.of([...errors, ...ofGraph])
    }
    const { spec } = form
    const errors: Array<SpecError> = [...versionErrors(spec), ...secretErrors(spec)]
    const sources: Sources = {}

    const profile = profiles.get(spec.execution_profile ?? simpleProfile.profile_version)
    if (profile === undefined) {
      const name = spec.execution_profile ?? ""
      errors.push(
        new SpecError({
          code: "profile_unknown",
          path: "execution_profile",
          rule: "profile.known",
          message: `execution_profile ${JSON.stringify(name)} does not exist`,
          hint: suggest(name, profiles.keys(), "profile")
        })
      )
    }
    const { profile_version, ...defaults } = profile ?? simpleProfile
    const execution_profile = overlay(profile_version, spec.execution_profile, ["execution_profile"], sources)

    const resolved = resolveGraph(spec, options.providers, sources)
    errors.push(...resolved.errors)
    const compiled = resolved.graph === undefined ? undefined : yield* compile(compiler, resolved.graph)
    const graph = compiled !== undefined && Result.isSuccess(compiled) ? compiled.success : undefined
    if (compiled !== undefined && Result.isFailure(compiled)) errors.push(...compiled.failure.errors)

    if (resolved.graph !== undefined) {
      const allowed = spec.allowed_adaptive_actions ?? defaults.allowed_adaptive_actions
      errors.push(...actionErrors(resolved.graph, spec.fallback_providers, allowed))
    }

    const session_config = overlay<SessionConfig>(
      defaultSessionConfig,
      spec.session_config,
      ["session_config"],
      sources
    )
    delete sources["session_config.schema_version"]
    errors.push(...sessionErrors(session_config))

    const flow_control = overlay(defaults.flow_control, spec.flow_control, ["flow_control"], sources)
    for (const [lane, mark] of Object.entries(flow_control.watermarks)) {
      errors.push(...watermarkErrors(mark, ["flow_control", "watermarks", lane]))
    }

    const edge_buffer_policies = graph === undefined
      ? {}
      : edgePolicies(graph.edges, spec.edge_buffer_policies, profile ?? simpleProfile, sources)
    // without the author's graph every policy would be one for an unknown edge
    const judged = graph !== undefined && !resolved.errors.some((error) => error.code === "graph_incomplete")
    if (judged) errors.push(...edgePolicyErrors(edge_buffer_policies, spec.edge_buffer_policies))

    if (errors.length > 0 || graph === undefined) return yield* SpecRejected.of(errors)

    const { allowed_replay_modes, recording_level } = overlay(
      defaults.recording_policy,
      spec.recording_policy,
      ["recording_policy"],
      sources
    )
    const actions = overlay(defaults.allowed_adaptive_actions, spec.allowed_adaptive_actions, [
      "allowed_adaptive_actions"
    ], sources)
    const pipeline: NormalizedPipeline = {
      schema_version: schemaVersion,
      pipeline_id: spec.pipeline_id,
      pipeline_version: spec.pipeline_version,
      execution_profile,
      graph,
      budgets: overlay(defaults.budgets, spec.budgets, ["budgets"], sources),
      provider_first_result_ms: overlay(
        defaults.provider_first_result_ms,
        undefined,
        ["provider_first_result_ms"],
        sources
      ),
      ...phaseLimits(defaults, spec, sources),
      cancellation_grace_ms: overlay(defaults.cancellation_grace_ms, undefined, ["cancellation_grace_ms"], sources),
      provider_bindings: resolved.bindings,
      edge_buffer_policies,
      flow_control,
      // sets, in the contract's own order (N2)
      allowed_adaptive_actions: adaptiveActions.filter((action) => actions.includes(action)),
      recording_policy: {
        recording_level,
        allowed_replay_modes: replayModes.filter((mode) => allowed_replay_modes.includes(mode))
      },
      snapshot_outcomes: overlay(defaults.snapshot_outcomes, undefined, ["snapshot_outcomes"], sources),
      session_config,
      sources
    }
    return { pipeline, admission: { ...spec.admission } }
  }
)

/** Limits of a call after its first result that the author or the profile gives; the others are the contract's. */
const phaseLimits = (
  defaults: Pick<Profile, PhaseLimit>,
  spec: Pick<PipelineSpec, PhaseLimit>,
  sources: Sources
): { -readonly [K in PhaseLimit]?: number } => {
  const limits: { -readonly [K in PhaseLimit]?: number } = {}
  for (const key of ["provider_between_chunks_ms", "provider_total_ms"] as const) {
    const own = spec[key] ?? defaults[key]
    if (own !== undefined) limits[key] = overlay(own, spec[key], [key], sources)
  }
  return limits
}

type PhaseLimit = "provider_between_chunks_ms" | "provider_total_ms"

const compile = (
  compiler: GraphCompiler["Service"],
  source: GraphSource
): Effect.Effect<Result.Result<GraphDefinition, SpecRejected>> => Effect.result(compiler.compile(source))

/** The major version that this normalizer reads, with its dot: `v1.`. */
const majorVersion = schemaVersion.slice(0, schemaVersion.indexOf(".") + 1)

function* versionErrors({ schema_version }: PipelineSpec): Generator<SpecError> {
  if (schema_version.startsWith(majorVersion)) return
  yield new SpecError({
    code: "schema_version_unsupported",
    path: "schema_version",
    rule: "spec.schema-version",
    message: `schema_version ${schema_version} is not one that is read here`,
    hint: `Write ${schemaVersion}.`
  })
}

function* sessionErrors(config: SessionConfig): Generator<SpecError> {
  for (const { message, path, rule } of sessionConfigProblems(config)) {
    const where = formatPath(["session_config", ...path])
    yield new SpecError({
      code: "relation",
      path: where,
      rule,
      message: `${where}: ${message}`,
      hint: "Change one of the two; a value that the spec leaves out is the profile's."
    })
  }
}
