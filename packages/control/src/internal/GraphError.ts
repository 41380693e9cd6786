import { maxEdges, maxNodes } from "../GraphSource.ts"
import type { SourceEdge, SourceNode } from "../GraphSource.ts"
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

/** `a, b or c` */
export const oneOf = (names: Iterable<string>): string => {
  const all = [...names]
  return all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} or ${all.at(-1)}`
}

/** Where the author wrote the node or edge at this place of a graph. */
export const nodePath = (node: SourceNode, i: number): FieldPath => node.at ?? ["nodes", i]
export const edgePath = (edge: SourceEdge, i: number): FieldPath => edge.at ?? ["edges", i]

/** Too many parts; `at` is the place of the graph or subgraph that has them. */
export const tooLarge = (nodes: number, edges: number, at: FieldPath = []): SpecError =>
  graphError(
    "graph_too_large",
    [...at, nodes > maxNodes ? "nodes" : "edges"],
    "size",
    `${
      at.length === 0 ? "the graph" : `the subgraph ${quote(String(at.at(-1)))}`
    } has ${nodes} nodes and ${edges} edges; at most ${maxNodes} and ${maxEdges} are compiled`,
    "Split the pipeline."
  )

export const duplicateEdge = (edge: SourceEdge, path: FieldPath, first: FieldPath): SpecError =>
  graphError(
    "edge_duplicate",
    path,
    "edges-unique",
    `${formatPath(path)} and ${formatPath(first)} both carry ${edge.payload_kind} from ${quote(edge.from_node_id)} to ${
      quote(edge.to_node_id)
    }${edge.fallback_on === undefined ? "" : " as a fallback"}`,
    edge.fallback_on === undefined ? "Remove one of them." : "Make one edge of them, with the causes of both."
  )
