import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { recordingLevels } from "@rspp/contracts/TurnPlan"
import { evaluatePolicies, PolicyBinding } from "@rspp/control/PolicyEvaluation"
import type { PolicyDecision, SessionFacets } from "@rspp/control/PolicyEvaluation"
import { describeSpecError, parseSpecText } from "@rspp/control/SpecFile"
import { SpecNormalizer, sourceOf } from "@rspp/control/SpecNormalizer"
import { Effect, FileSystem, Schema } from "effect"
import { CliFailure, told } from "../CliFailure.ts"
import { readJson } from "../JsonInput.ts"
import { knownProviders } from "../PipelineFile.ts"
import { withProviders } from "../ProviderCatalog.ts"
import { Screen } from "../Screen.ts"

const normalizerLayer = SpecNormalizer.layer

const readSpec = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(path).pipe(
    Effect.mapError((error) =>
      new CliFailure({
        exit: "bad_input",
        message: error.reason._tag === "NotFound"
          ? `${path}: there is no such file`
          : `${path}: cannot be read (${error.message})`,
        hint: "Give the path of a pipeline spec, .json or .yaml."
      })
    )
  )
  const source = yield* parseSpecText(text, path)
  const normalizer = yield* SpecNormalizer
  const result = yield* Effect.result(
    normalizer.normalize(source.value, { providers: yield* withProviders(undefined, knownProviders) })
  )
  return { source, result }
})

/** The pipeline of a file; a spec that is not accepted ends the command with every fault. */
const pipelineOf = Effect.fnUntraced(function*(path: string) {
  const { result, source } = yield* readSpec(path)
  if (result._tag === "Success") return result.success
  return yield* new CliFailure({
    exit: "violation",
    message: result.failure.errors.map((error) => describeSpecError(error, source)).join("\n")
  })
})

/** `rspp spec validate`: one line for each file that is right, one for each fault of those that are not. */
export const validateSpecs = Effect.fn("rspp.spec.validate")(
  function*({ files, json }: { readonly files: ReadonlyArray<string>; readonly json: boolean }) {
    const screen = yield* Screen
    let faults = 0
    for (const file of files) {
      const { result, source } = yield* readSpec(file)
      if (result._tag === "Success") {
        const { pipeline } = result.success
        const { graph: { edges, graph_definition_ref, nodes }, pipeline_id, pipeline_version } = pipeline
        screen.line(
          json
            ? JSON.stringify({ file, valid: true, pipeline_id, pipeline_version, graph_definition_ref })
            : `${
              screen.style.green("ok")
            }  ${file}  ${pipeline_id} ${pipeline_version}, ${nodes.length} nodes, ${edges.length} edges`
        )
        continue
      }
      const { errors } = result.failure
      faults += errors.length
      if (json) {
        const found = errors.map(({ code, hint, message, path, rule }) => ({
          code,
          path,
          rule,
          message,
          hint,
          ...source.locate(path)
        }))
        screen.line(JSON.stringify({ file, valid: false, errors: found }))
      } else for (const error of errors) screen.line(describeSpecError(error, source))
    }
    if (faults > 0) return yield* told("violation")
    return undefined
  },
  Effect.provide(normalizerLayer)
)

/** `rspp spec normalize` */
export const normalizeFile = Effect.fn("rspp.spec.normalize")(
  function*({ file }: { readonly file: string }) {
    const { pipeline } = yield* pipelineOf(file)
    ;(yield* Screen).line(canonicalJson(pipeline))
  },
  Effect.provide(normalizerLayer)
)

/** A value of the pipeline and who set it. */
interface Explained {
  readonly path: string
  readonly value: unknown
  /** `author`, the profile (`simple/v1`), or `policy <id>` where a binding took something away. */
  readonly source: string
}

const settings = [
  "budgets",
  "provider_first_result_ms",
  "provider_between_chunks_ms",
  "provider_total_ms",
  "cancellation_grace_ms",
  "provider_bindings",
  "edge_buffer_policies",
  "flow_control",
  "allowed_adaptive_actions",
  "recording_policy",
  "snapshot_outcomes",
  "session_config"
] as const

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** What stands in a path, in the form of the normalizer's own. */
const step = (path: string, key: string): string =>
  /^[A-Za-z_]\w*$/u.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`

/** The pipeline after policy: as the runtime resolves it when a turn opens. */
const underPolicy = (pipeline: NormalizedPipeline, { body, sources }: PolicyDecision) => {
  const { allowed_adaptive_actions: wanted, recording_policy: { allowed_replay_modes, recording_level } } = pipeline
  const actions = wanted.filter((action) => body.allowed_adaptive_actions.includes(action))
  const level = recordingLevels[
    Math.min(recordingLevels.indexOf(recording_level), recordingLevels.indexOf(body.max_recording_level))
  ] ?? "L0"
  const modes = allowed_replay_modes.filter((mode) => body.allowed_replay_modes.includes(mode))
  const by = new Map<string, string>()
  if (actions.length < wanted.length) {
    const bindings = [sources.allowed_adaptive_actions, sources.degrade_posture].filter((id) => id !== "pipeline")
    by.set("allowed_adaptive_actions", `policy ${[...new Set(bindings)].join(", ")}`)
  }
  if (level !== recording_level) by.set("recording_policy.recording_level", `policy ${sources.max_recording_level}`)
  if (modes.length < allowed_replay_modes.length) {
    by.set("recording_policy.allowed_replay_modes", `policy ${sources.allowed_replay_modes}`)
  }
  return {
    pipeline: {
      ...pipeline,
      allowed_adaptive_actions: actions,
      recording_policy: { recording_level: level, allowed_replay_modes: modes }
    },
    by
  }
}

/** Every leaf of the settings, each with its source. */
const explained = (
  original: NormalizedPipeline,
  effective: NormalizedPipeline,
  by: ReadonlyMap<string, string>
): ReadonlyArray<Explained> => {
  const leaves: Array<Explained> = []
  const visit = (path: string, value: unknown) => {
    if (isFields(value)) {
      for (const [key, inner] of Object.entries(value)) visit(step(path, key), inner)
      return
    }
    const set = sourceOf(original, path) === "explicit" ? "author" : original.execution_profile
    leaves.push({ path, value, source: by.get(path) ?? set })
  }
  for (const name of settings) if (effective[name] !== undefined) visit(name, effective[name])
  return leaves
}

const decodePolicies = Schema.decodeUnknownEffect(Schema.Record(Schema.String, PolicyBinding), {
  onExcessProperty: "error",
  errors: "all"
})

export interface ExplainFlags {
  readonly file: string
  readonly policy: string | undefined
  readonly language: string | undefined
  readonly region: string | undefined
  readonly tier: string | undefined
  readonly json: boolean
}

/** `rspp spec explain`: nodes and edges as they will run, then every setting with who set it. */
export const explainSpec = Effect.fn("rspp.spec.explain")(
  function*({ file, json, language, policy, region, tier }: ExplainFlags) {
    const screen = yield* Screen
    const { line, style } = screen
    const { admission, pipeline: original } = yield* pipelineOf(file)
    const facets: SessionFacets = {
      ...(language === undefined ? {} : { language }),
      ...(region === undefined ? {} : { region }),
      ...(tier === undefined ? {} : { cost_tier: tier })
    }
    const bindings = policy === undefined ? {} : yield* Effect.mapError(
      decodePolicies(yield* readJson(policy, "bindings of policy by their ids")),
      ({ message }) => new CliFailure({ exit: "bad_input", message: `${policy}: ${message}` })
    )
    const decision = evaluatePolicies(Object.entries(bindings).map(([id, body]) => ({ id, body })), facets, original)
    const { by, pipeline } = underPolicy(original, decision)
    const values = explained(original, pipeline, by)
    if (json) {
      line(JSON.stringify({
        pipeline_id: pipeline.pipeline_id,
        pipeline_version: pipeline.pipeline_version,
        execution_profile: pipeline.execution_profile,
        graph: pipeline.graph,
        graph_source: sourceOf(original, "graph") === "explicit" ? "author" : original.execution_profile,
        settings: values,
        admission,
        ...(decision.cost_cap === undefined
          ? {}
          : { cost_cap: { ...decision.cost_cap, source: decision.sources.cost_cap } })
      }))
      return
    }
    line(style.bold(`${pipeline.pipeline_id} ${pipeline.pipeline_version}`) + `, profile ${pipeline.execution_profile}`)
    const { edges, graph_definition_ref, nodes } = pipeline.graph
    line("")
    line(
      `graph ${graph_definition_ref} ${
        style.dim(sourceOf(original, "graph") === "explicit" ? "author" : original.execution_profile)
      }`
    )
    for (const { node_id, node_type, provider_id } of nodes) {
      line(`  ${node_id.padEnd(20)} ${node_type.padEnd(20)} ${provider_id ?? ""}`.trimEnd())
    }
    for (const { edge_id, fallback_on, from_node_id, lane, payload_kind, to_node_id } of edges) {
      const fallback = fallback_on === undefined ? "" : `, on ${fallback_on.join(", ")}`
      line(`  ${from_node_id} → ${to_node_id}  ${payload_kind} (${lane}${fallback})  ${style.dim(edge_id)}`)
    }
    line("")
    const width = Math.min(60, Math.max(...values.map(({ path }) => path.length)))
    for (const { path, source, value } of values) {
      line(
        `${path.padEnd(width)} = ${JSON.stringify(value)}  ${
          source === "author" || source.startsWith("policy") ? style.bold(source) : style.dim(source)
        }`
      )
    }
    for (const [name, value] of Object.entries(admission)) line(`admission.${name} = ${value}  ${style.bold("author")}`)
    if (decision.cost_cap !== undefined) {
      line(`cost_cap = ${JSON.stringify(decision.cost_cap)}  ${style.bold(`policy ${decision.sources.cost_cap}`)}`)
    }
  },
  Effect.provide(normalizerLayer)
)
