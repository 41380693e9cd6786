import type { NodeType } from "@rspp/contracts/GraphDefinition"
import { nodePorts, singleTypes } from "../NodeTypes.ts"
import type { SpecError } from "../SpecError.ts"
import { a, edgePath, graphError, nodePath, quote } from "./GraphError.ts"
import { isFallback, portErrors } from "./GraphPorts.ts"
import type { KnownGraph } from "./GraphPorts.ts"
import { ruleErrors } from "./GraphRules.ts"
import { byCodeUnit, findCycles, reachable } from "./GraphSearch.ts"

const list = (names: Iterable<string>): string => [...names].join(" and ")

/** How the parts fit together; everything named here exists. */
export function* shapeErrors(graph: KnownGraph): Generator<SpecError> {
  yield* countErrors(graph)
  yield* providerErrors(graph)
  yield* portErrors(graph)
  yield* ruleErrors(graph)
  yield* wayErrors(graph)
}

const idsOf = ({ nodes }: KnownGraph, type: NodeType): ReadonlyArray<string> =>
  nodes.filter((node) => node.node_type === type).map((node) => node.node_id).sort(byCodeUnit)

function* countErrors(graph: KnownGraph): Generator<SpecError> {
  for (const type of singleTypes) {
    const ids = idsOf(graph, type)
    if (ids.length === 1) continue
    yield ids.length === 0
      ? graphError(
        "node_type_missing",
        ["nodes"],
        "one-of-each",
        `the graph has no ${type} node`,
        `Add a node with node_type ${type} and connect it.`
      )
      : graphError(
        "node_type_repeated",
        ["nodes"],
        "one-of-each",
        `the graph has ${ids.length} ${type} nodes: ${ids.map(quote).join(", ")}`,
        "Keep one: a pipeline listens to one caller, decides on turns in one place and speaks on one track."
      )
  }
}

function* providerErrors({ nodes }: KnownGraph): Generator<SpecError> {
  for (const [i, node] of nodes.entries()) {
    const { node_id, node_type, provider_id } = node
    const { implementation, provider } = nodePorts[node_type]
    if (provider_id === undefined && (provider !== undefined || implementation === "required")) {
      yield graphError(
        "provider_missing",
        nodePath(node, i),
        "provider-given",
        `node ${quote(node_id)} is ${a(node_type)} and has no provider`,
        provider === undefined
          ? "Add provider_id to the node: the name of the implementation that it runs."
          : `Add provider_id to the node, or providers.${provider} to the spec.`
      )
    }
    if (provider_id !== undefined && provider === undefined && implementation === undefined) {
      yield graphError(
        "provider_not_needed",
        [...nodePath(node, i), "provider_id"],
        "provider-used",
        `node ${quote(node_id)} is ${a(node_type)}, which calls no provider, but has provider_id ${quote(provider_id)}`,
        "Remove provider_id from the node."
      )
    }
  }
}

/** Cycles, and nodes that are on no way from the caller to where something comes out. */
function* wayErrors(graph: KnownGraph): Generator<SpecError> {
  const { edges, nodes } = graph
  const arrowsOf = (some: KnownGraph["edges"]) => ({
    nodes: nodes.map((node) => node.node_id),
    edges: some.map((edge) => ({ from: edge.from_node_id, to: edge.to_node_id }))
  })
  const arrows = arrowsOf(edges)
  const inputs = idsOf(graph, "audio_input")
  for (const cycle of findCycles(arrows, inputs)) {
    const closing = edges.findIndex((edge) => edge.from_node_id === cycle.at(-1) && edge.to_node_id === cycle[0])
    const edge = edges[closing]
    yield graphError(
      "cycle",
      edge === undefined ? ["edges"] : edgePath(edge, closing),
      "acyclic",
      `the graph has a cycle: ${[...cycle, cycle[0]].join(" → ")}`,
      `Remove the edge from ${cycle.at(-1)} to ${cycle[0]}, or turn it round.`
    )
  }
  // a node that only hands over on failure has no way out of its own
  const onwards = arrowsOf(edges.filter((edge) => !isFallback(edge)))
  const outputs = idsOf(graph, "audio_output")
  const ends = nodes.filter(({ node_id, node_type }) =>
    node_type === "audio_output" || node_type === "transcript_sink" ||
    (node_type === "custom" && !onwards.edges.some((edge) => edge.from === node_id))
  )
  const fromInput = reachable(arrows, inputs)
  const toEnd = reachable(onwards, ends.map((node) => node.node_id), true)
  for (const [i, node] of nodes.entries()) {
    const { node_id } = node
    // a missing end has been reported; without it every node would be
    if (inputs.length > 0 && !fromInput.has(node_id)) {
      yield graphError(
        "node_unreachable",
        nodePath(node, i),
        "reachable",
        `node ${quote(node_id)} cannot be reached from the audio input ${list(inputs.map(quote))}`,
        `Connect ${node_id}, or remove it.`
      )
    }
    if (outputs.length > 0 && !toEnd.has(node_id)) {
      yield graphError(
        "node_dead_end",
        nodePath(node, i),
        "leads-to-output",
        `nothing that node ${quote(node_id)} emits reaches the audio output ${
          list(outputs.map(quote))
        } or a transcript sink`,
        `Connect ${node_id} onwards, or remove it.`
      )
    }
  }
}
