import * as Schema from "effect/Schema"
import { parsePath } from "./internal/FieldPath.ts"

/** The rule that a spec breaks; stable, so that tools can match on it. */
export const SpecErrorCode = Schema.Literals([
  // the form of a field
  "unknown_key",
  "missing_key",
  "bad_value",
  "secret_in_spec",
  "schema_version_unsupported",
  // relations between fields
  "relation",
  "profile_unknown",
  "edge_policy_unknown",
  "action_not_allowed",
  // providers
  "provider_missing",
  "provider_unknown",
  "provider_conflict",
  "provider_not_needed",
  // the graph
  "graph_incomplete",
  "graph_too_large",
  "node_id_duplicate",
  "node_id_reserved",
  "node_type_unknown",
  "node_type_missing",
  "node_type_repeated",
  "node_option_unused",
  "node_input_missing",
  "node_inputs_too_few",
  "node_unreachable",
  "node_dead_end",
  "edge_id_duplicate",
  "edge_duplicate",
  "edge_node_unknown",
  "payload_kind_unknown",
  "payload_mismatch",
  "payload_kinds_mixed",
  "cycle",
  // what edges and nodes decide
  "condition_misplaced",
  "condition_type",
  "condition_unknown",
  "fallback_misplaced",
  "fallback_payload",
  "fallback_dead_end",
  "fallback_repeated",
  "select_rule",
  "select_order_unknown",
  // subgraphs
  "subgraph_missing",
  "subgraph_unknown",
  "subgraph_unused",
  "subgraph_end_unknown",
  "subgraph_recursive",
  "subgraph_too_deep",
  "edge_into_subgraph"
])
export type SpecErrorCode = typeof SpecErrorCode.Type

/**
 * One thing that is wrong in a pipeline spec.
 *
 * `path` is the field as the author wrote it (`nodes[2].node_type`), `rule` the rule in a few words, `message` a
 * sentence that names the field and the value, `hint` what to do about it. Neither ever holds a secret: a spec has none.
 */
export class SpecError extends Schema.TaggedError<SpecError>()("SpecError", {
  code: SpecErrorCode,
  path: Schema.String,
  rule: Schema.String,
  message: Schema.String,
  hint: Schema.String
}) {}

/**
 * The spec was not accepted. Raised by the normalizer and the graph compiler with everything they found, sorted by
 * path, so that an author corrects a spec in one round.
 */
export class SpecRejected extends Schema.TaggedError<SpecRejected>()("SpecRejected", {
  message: Schema.String,
  errors: Schema.NonEmptyArray(SpecError)
}) {
  /** Rejects with `errors`, which must not be empty. Order of discovery does not show: they are sorted by path. */
  static of(errors: ReadonlyArray<SpecError>): SpecRejected {
    const [first, ...rest] = [...errors].sort((a, b) => comparePaths(a.path, b.path) || compare(a.code, b.code))
    if (first === undefined) throw new Error("SpecRejected needs at least one error")
    const message = rest.length === 0 ? first.message : `${first.message} (and ${rest.length} more)`
    return new SpecRejected({ message, errors: [first, ...rest] })
  }
}

const compare = <A extends string | number>(a: A, b: A): number => (a < b ? -1 : a > b ? 1 : 0)

/** Part by part, positions in a list as numbers: `nodes[2]` stands before `nodes[10]`. */
const comparePaths = (a: string, b: string): number => {
  const [left, right] = [parsePath(a), parsePath(b)]
  for (const [i, part] of left.entries()) {
    const other = right[i]
    if (other === undefined) return 1
    const order = typeof part === "number" && typeof other === "number"
      ? part - other
      : compare(String(part), String(other))
    if (order !== 0) return order
  }
  return left.length - right.length
}
