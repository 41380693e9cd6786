import type { SourceEdge } from "../GraphSource.ts"
import { SpecError } from "../SpecError.ts"
import type { SpecErrorCode } from "../SpecError.ts"
import { formatPath } from "./FieldPath.ts"
import type { FieldPath } from "./FieldPath.ts"

/** An error of the graph; its rule is `graph.<rule>`. */
export const graphError = (
  code: SpecErrorCode,
  path: FieldPath,
  rule: string,
  message: string,
  hint: string
): SpecError => new SpecError({ code, path: formatPath(path), rule: `graph.${rule}`, message, hint })

/** The name of a node type with its article. */
export const a = (type: string): string => `${/^[aeiou]/u.test(type) ? "an" : "a"} ${type}`

export const quote = (name: string): string => JSON.stringify(name)

export const duplicateEdge = (edge: SourceEdge, i: number, first: number): SpecError =>
  graphError(
    "edge_duplicate",
    ["edges", i],
    "edges-unique",
    `edges[${i}] and edges[${first}] both carry ${edge.payload_kind} from ${quote(edge.from_node_id)} to ${
      quote(edge.to_node_id)
    }`,
    "Remove one of them."
  )
