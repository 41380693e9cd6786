import { nodeTypes, payloadKinds } from "@rspp/contracts/GraphDefinition"
import { edgeIdOf, maxEdges, maxNodes } from "../GraphSource.ts"
import type { GraphSource } from "../GraphSource.ts"
import type { SpecError } from "../SpecError.ts"
import { duplicateEdge, graphError, quote } from "./GraphError.ts"
import { suggest } from "./Spelling.ts"

/** Ids, types, kinds and references, each on its own. */
export function* formErrors({ edges, nodes }: GraphSource): Generator<SpecError> {
  if (nodes.length > maxNodes || edges.length > maxEdges) {
    yield graphError(
      "graph_too_large",
      [nodes.length > maxNodes ? "nodes" : "edges"],
      "size",
      `the graph has ${nodes.length} nodes and ${edges.length} edges; at most ${maxNodes} and ${maxEdges} are compiled`,
      "Split the pipeline."
    )
    return
  }
  const ids = new Map<string, number>()
  for (const [i, { node_id, node_type }] of nodes.entries()) {
    const first = ids.get(node_id)
    if (first !== undefined) {
      yield graphError(
        "node_id_duplicate",
        ["nodes", i, "node_id"],
        "node-ids-unique",
        `nodes[${i}] and nodes[${first}] are both called ${quote(node_id)}`,
        "Give each node an id of its own."
      )
    } else ids.set(node_id, i)
    if (!isOneOf(nodeTypes, node_type)) {
      yield graphError(
        "node_type_unknown",
        ["nodes", i, "node_type"],
        "node-type-known",
        `node ${quote(node_id)} has the unknown type ${quote(node_type)}`,
        suggest(node_type, nodeTypes, "node type")
      )
    }
  }
  const edgeIds = new Map<string, number>()
  for (const [i, edge] of edges.entries()) {
    const id = edgeIdOf(edge)
    for (const key of ["from_node_id", "to_node_id"] as const) {
      if (ids.has(edge[key])) continue
      yield graphError(
        "edge_node_unknown",
        ["edges", i, key],
        "edge-nodes-exist",
        `edge ${quote(id)} names the node ${quote(edge[key])}, which does not exist`,
        suggest(edge[key], ids.keys(), "node")
      )
    }
    if (!isOneOf(payloadKinds, edge.payload_kind)) {
      yield graphError(
        "payload_kind_unknown",
        ["edges", i, "payload_kind"],
        "payload-kind-known",
        `edge ${quote(id)} carries the unknown payload kind ${quote(edge.payload_kind)}`,
        suggest(edge.payload_kind, payloadKinds, "payload kind")
      )
    }
    const first = edgeIds.get(id)
    if (first === undefined) edgeIds.set(id, i)
    else {
      const same = edges[first]
      const twice = same?.from_node_id === edge.from_node_id && same.to_node_id === edge.to_node_id &&
        same.payload_kind === edge.payload_kind
      yield twice ?
        duplicateEdge(edge, i, first) :
        graphError(
          "edge_id_duplicate",
          ["edges", i, ...(edge.edge_id === undefined ? [] : ["edge_id"])],
          "edge-ids-unique",
          `edges[${i}] and edges[${first}] are both called ${quote(id)}`,
          "Give one of them another edge_id."
        )
    }
  }
}

const isOneOf = <A extends string>(known: ReadonlyArray<A>, name: string): name is A =>
  (known as ReadonlyArray<string>).includes(name)
