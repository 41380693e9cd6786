import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type * as SchemaIssue from "effect/SchemaIssue"
import { Divergence } from "./Divergence.ts"
import { EventRecord } from "./Event.ts"
import { BaselineEvidence, EvidenceSupplement } from "./Evidence.ts"
import { GraphDefinition } from "./GraphDefinition.ts"
import { NormalizedPipeline } from "./NormalizedPipeline.ts"
import { DecisionOutcome } from "./Outcome.ts"
import { PipelineSpec } from "./PipelineSpec.ts"
import { Profile } from "./Profile.ts"
import { SessionConfig } from "./SessionConfig.ts"
import { ControlSignal } from "./Signal.ts"
import {
  AbiCompatibilitySnapshot,
  AdmissionPolicySnapshot,
  PolicyResolutionSnapshot,
  ProviderHealthSnapshot,
  RoutingViewSnapshot,
  snapshotKinds,
  VersionResolutionSnapshot
} from "./Snapshot.ts"
import { TimelineHeader, TimelineRecord } from "./Timeline.ts"
import { TurnTransition } from "./Turn.ts"
import { ResolvedTurnPlan } from "./TurnPlan.ts"

/** The schema of each kind of artifact. */
export const artifactSchemas = {
  event: EventRecord,
  control_signal: ControlSignal,
  turn_transition: TurnTransition,
  resolved_turn_plan: ResolvedTurnPlan,
  decision_outcome: DecisionOutcome,
  baseline_evidence: BaselineEvidence,
  evidence_supplement: EvidenceSupplement,
  divergence: Divergence,
  pipeline_spec: PipelineSpec,
  graph_definition: GraphDefinition,
  normalized_pipeline: NormalizedPipeline,
  profile: Profile,
  session_config: SessionConfig,
  routing_view_snapshot: RoutingViewSnapshot,
  admission_policy_snapshot: AdmissionPolicySnapshot,
  abi_compatibility_snapshot: AbiCompatibilitySnapshot,
  version_resolution_snapshot: VersionResolutionSnapshot,
  policy_resolution_snapshot: PolicyResolutionSnapshot,
  provider_health_snapshot: ProviderHealthSnapshot,
  timeline_header: TimelineHeader,
  timeline_record: TimelineRecord
} as const

export type ArtifactKind = keyof typeof artifactSchemas
/** The value of an artifact of kind `K`. */
export type ArtifactOf<K extends ArtifactKind> = typeof artifactSchemas[K]["Type"]

export const artifactKinds = Object.keys(artifactSchemas) as ReadonlyArray<ArtifactKind>

export const isArtifactKind = (name: string): name is ArtifactKind => Object.hasOwn(artifactSchemas, name)

/**
 * Options that every decode of an artifact needs: objects are closed at every depth, and all errors are reported.
 * Effect's own defaults would silently drop unknown keys.
 */
export const decodeOptions = { errors: "all", onExcessProperty: "error" } as const satisfies SchemaAST.ParseOptions

/** One thing that is wrong with an artifact. */
export interface Issue {
  /** The field, from the root of the artifact; empty for the artifact itself. */
  readonly path: ReadonlyArray<string | number>
  /** Id of the conditional rule that is broken, or the JSON Schema keyword (`required`, `enum`, `additionalProperties` …). */
  readonly rule: string
  /** What is expected there, in words. */
  readonly message: string
}

export type Verdict<K extends ArtifactKind = ArtifactKind> =
  | { readonly ok: true; readonly value: ArtifactOf<K> }
  | { readonly ok: false; readonly issues: ReadonlyArray<Issue> }

const shown = (values: ReadonlyArray<unknown>): string => values.map((value) => JSON.stringify(value)).join(", ")

/** The values that a union of literals allows, or `undefined` for anything else. */
const literals = (ast: SchemaAST.AST): ReadonlyArray<unknown> | undefined => {
  if (ast._tag === "Literal") return [ast.literal]
  if (ast._tag !== "Union") return undefined
  const values = ast.types.map(literals)
  return values.every((value) => value !== undefined) ? values.flat() : undefined
}

const typeNames: Readonly<Record<string, string>> = {
  String: "a string",
  Number: "a number",
  Boolean: "true or false",
  Null: "null",
  Objects: "an object",
  Arrays: "a list"
}

const expected = (ast: SchemaAST.AST): string =>
  ast._tag === "Union" ? [...new Set(ast.types.map(expected))].join(" or ") : typeNames[ast._tag] ?? ast._tag

/** The key whose literal tells the members of a union of objects apart, with its values; `undefined` where there is none. */
const discriminator = (ast: SchemaAST.AST): { readonly key: string; readonly values: ReadonlyArray<unknown> } | undefined => {
  if (ast._tag !== "Union") return undefined
  const tags = ast.types.map((type) =>
    type._tag === "Objects" ? type.propertySignatures.find((field) => field.type._tag === "Literal") : undefined
  )
  const key = tags[0]?.name
  return typeof key === "string" && tags.every((tag) => tag?.name === key)
    ? { key, values: tags.flatMap((tag) => (tag === undefined ? [] : literals(tag.type) ?? [])) }
    : undefined
}

const oneOf = (path: Issue["path"], values: ReadonlyArray<unknown>): Issue => ({
  path,
  rule: "enum",
  message: values.length === 1 ? `must be ${shown(values)}` : `must be one of ${shown(values)}`
})

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const at = (root: unknown, path: Issue["path"]): unknown =>
  path.reduce<unknown>((value, key) => (value as Readonly<Record<string | number, unknown>> | undefined)?.[key], root)

const typeIssue = (root: unknown, path: Issue["path"], ast: SchemaAST.AST): Issue => {
  const values = literals(ast)
  if (values !== undefined) return oneOf(path, values)
  const tag = discriminator(ast)
  if (tag === undefined || !isObject(at(root, path))) return { path, rule: "type", message: `must be ${expected(ast)}` }
  return Object.hasOwn(at(root, path) as object, tag.key)
    ? oneOf([...path, tag.key], tag.values)
    : { path: [...path, tag.key], rule: "required", message: "is missing" }
}

/** The issues of Effect's decoder as a flat list in our own words. `filter` is the check that is being reported. */
const flatten = (
  root: unknown,
  issue: SchemaIssue.Issue,
  path: Issue["path"] = [],
  filter?: SchemaAST.Check<unknown>
): ReadonlyArray<Issue> => {
  switch (issue._tag) {
    case "Pointer": {
      const keys = issue.path.map((key) => (typeof key === "symbol" ? String(key) : key))
      return flatten(root, issue.issue, [...path, ...keys], filter)
    }
    case "Composite":
      return issue.issues.flatMap((inner) => flatten(root, inner, path, filter))
    case "Encoding":
      return flatten(root, issue.issue, path, filter)
    case "Filter":
      return flatten(root, issue.issue, path, issue.filter)
    case "MissingKey":
      return [{ path, rule: "required", message: "is missing" }]
    case "UnexpectedKey":
      return [{
        path,
        rule: "additionalProperties",
        message: path.at(-1) === "" ? "a key must not be empty" : "is not a known field here"
      }]
    case "AnyOf":
      return issue.issues.length === 0
        ? [typeIssue(root, path, issue.ast)]
        : issue.issues.flatMap((inner) => flatten(root, inner, path, filter))
    case "InvalidType":
      return [typeIssue(root, path, issue.ast)]
    case "InvalidValue": {
      const annotations = { ...filter?.annotations, ...issue.annotations }
      const rule = typeof annotations["rule"] === "string" ? annotations["rule"] : "type"
      return [{ path, rule, message: issue.annotations?.message ?? `must be ${annotations.expected ?? "another value"}` }]
    }
    case "Forbidden":
    case "OneOf":
      return [{ path, rule: issue._tag, message: "is not valid" }]
  }
}

const decoders = new Map<ArtifactKind, (value: unknown) => Result.Result<unknown, Schema.SchemaError>>()

const decoder = (kind: ArtifactKind) => {
  const known = decoders.get(kind)
  if (known !== undefined) return known
  const decode = Schema.decodeUnknownResult(artifactSchemas[kind] as Schema.Decoder<unknown>, decodeOptions)
  decoders.set(kind, decode)
  return decode
}

/**
 * Judges a parsed JSON value as an artifact of one kind, against that kind alone.
 *
 * Every problem of form is reported; the conditional rules of an object are judged once its form is right. It never
 * throws, and it reads only the value that it is given.
 *
 * @example
 * const verdict = validate("turn_transition", { from_state: "Idle", trigger: "commit", to_state: "Terminal", deterministic: true })
 * // { ok: false, issues: [{ path: ["from_state"], rule: "transition.commit.from-state", message: "commit is legal only from Active" }] }
 */
export const validate = <K extends ArtifactKind>(kind: K, value: unknown): Verdict<K> => {
  const result = decoder(kind)(value)
  return Result.isSuccess(result)
    ? { ok: true, value: value as ArtifactOf<K> }
    : { ok: false, issues: flatten(value, result.failure.issue) }
}

/** An issue as one line: `authority_epoch: an event of turn scope carries authority_epoch [event.turn-scope-requires-authority-epoch]`. */
export const formatIssue = ({ message, path, rule }: Issue): string =>
  `${path.length === 0 ? "artifact" : path.join(".")}: ${message} [${rule}]`

/**
 * The kind that a parsed JSON value looks like, by the keys that tell kinds apart; `undefined` when none fits.
 *
 * It does not validate: an artifact that lacks its telling key is not recognised, or is taken for another kind.
 */
export const guessKind = (value: unknown): ArtifactKind | undefined => {
  if (!isObject(value)) return undefined
  const has = (...keys: ReadonlyArray<string>) => keys.every((key) => Object.hasOwn(value, key))
  if (has("record")) return value["record"] === "header" ? "timeline_header" : "timeline_record"
  if (has("snapshot_kind")) return snapshotKinds.find((kind) => kind === value["snapshot_kind"])
  if (has("signal")) return "control_signal"
  if (has("event_scope") || has("event_id", "lane")) return "event"
  if (has("trigger") || has("from_state", "to_state")) return "turn_transition"
  if (has("outcome_kind")) return "decision_outcome"
  if (has("divergence_class")) return "divergence"
  if (has("sealed_ms")) return "evidence_supplement"
  if (has("or02_evidence_schema_version") || has("terminal", "times")) return "baseline_evidence"
  if (has("plan_hash")) return "resolved_turn_plan"
  if (has("graph")) return "normalized_pipeline"
  if (has("profile_id") || has("profile_version")) return "profile"
  if (has("graph_definition_ref", "nodes")) return "graph_definition"
  if (has("pipeline_id")) return "pipeline_spec"
  if (has("endpointing") || has("voice_activity")) return "session_config"
  return undefined
}
