import { nodeTypes, payloadKinds } from "@rspp/contracts/GraphDefinition"
import { edgeIdOf, maxEdges, maxNodes } from "../GraphSource.ts"
import type { GraphSource } from "../GraphSource.ts"
import type { SpecError } from "../SpecError.ts"
import { formatPath } from "./FieldPath.ts"
import { duplicateEdge, edgePath, graphError, nodePath, quote, tooLarge } from "./GraphError.ts"
import { suggest } from "./Spelling.ts"

/** Ids, types, kinds and references, each on its own. */
export function* formErrors({ edges, nodes }: GraphSource): Generator<SpecError> {
  if (nodes.length > maxNodes || edges.length > maxEdges) {
    yield tooLarge(nodes.length, edges.length)
    return
  }
  const ids = new Map<string, number>()
  for (const [i, node] of nodes.entries()) {
    const { node_id, node_type } = node
    const path = nodePath(node, i)
    const first = ids.get(node_id)
    const other = first === undefined ? undefined : nodes[first]
    if (first !== undefined && other !== undefined) {
      yield graphError(
        "node_id_duplicate",
        [...path, "node_id"],
        "node-ids-unique",
        `${formatPath(path)} and ${formatPath(nodePath(other, first))} are both called ${quote(node_id)}`,
        "Give each node an id of its own."
      )
    } else ids.set(node_id, i)
    if (!isOneOf(nodeTypes, node_type)) {
      yield graphError(
        "node_type_unknown",
        [...path, "node_type"],
        "node-type-known",
        `node ${quote(node_id)} has the unknown type ${quote(node_type)}`,
        suggest(node_type, [...nodeTypes, "subgraph"], "node type")
      )
    }
  }
  const edgeIds = new Map<string, number>()
  for (const [i, edge] of edges.entries()) {
    const id = edgeIdOf(edge)
    const path = edgePath(edge, i)
    for (const key of ["from_node_id", "to_node_id"] as const) {
      if (ids.has(edge[key])) continue
      yield graphError(
        "edge_node_unknown",
        [...path, key],
        "edge-nodes-exist",
        `edge ${quote(id)} names the node ${quote(edge[key])}, which does not exist`,
        suggest(edge[key], ids.keys(), "node")
      )
    }
    if (!isOneOf(payloadKinds, edge.payload_kind)) {
      yield graphError(
        "payload_kind_unknown",
        [...path, "payload_kind"],
        "payload-kind-known",
        `edge ${quote(id)} carries the unknown payload kind ${quote(edge.payload_kind)}`,
        suggest(edge.payload_kind, payloadKinds, "payload kind")
      )
    }
    const first = edgeIds.get(id)
    const same = first === undefined ? undefined : edges[first]
    if (first === undefined || same === undefined) edgeIds.set(id, i)
    else {
      const twice = same.from_node_id === edge.from_node_id && same.to_node_id === edge.to_node_id &&
        same.payload_kind === edge.payload_kind && (same.fallback_on === undefined) === (edge.fallback_on === undefined)
      yield twice ?
        duplicateEdge(edge, path, edgePath(same, first)) :
        graphError(
          "edge_id_duplicate",
          [...path, ...(edge.edge_id === undefined ? [] : ["edge_id"])],
          "edge-ids-unique",
          `${formatPath(path)} and ${formatPath(edgePath(same, first))} are both called ${quote(id)}`,
          "Give one of them another edge_id."
        )
    }
  }
}

const isOneOf = <A extends string>(known: ReadonlyArray<A>, name: string): name is A =>
  (known as ReadonlyArray<string>).includes(name)
