import type { EdgeCondition } from "@rspp/contracts/GraphDefinition"
import { edgeIdOf } from "../GraphSource.ts"
import { builtInTextFilter, nodeOptionNames, nodePorts, singleTypes } from "../NodeTypes.ts"
import type { SpecError } from "../SpecError.ts"
import type { FieldPath } from "./FieldPath.ts"
import { a, edgePath, graphError, nodePath, oneOf, quote } from "./GraphError.ts"
import { isFallback, takenKinds } from "./GraphPorts.ts"
import type { KnownEdge, KnownGraph, KnownNode } from "./GraphPorts.ts"
import { reachable } from "./GraphSearch.ts"
import { suggest } from "./Spelling.ts"

/** What nodes and edges say beyond their names: options of nodes, rules of selects, conditions and fallbacks. */
export function* ruleErrors(graph: KnownGraph): Generator<SpecError> {
  for (const [i, node] of graph.nodes.entries()) {
    const path = nodePath(node, i)
    yield* optionErrors(graph, node, path)
    if (node.node_type === "select") yield* selectErrors(graph, node, path)
  }
  for (const [i, edge] of graph.edges.entries()) {
    if (edge.condition === undefined) continue
    const path = [...edgePath(edge, i), "condition"]
    yield* conditionErrors(edge, edge.condition, path)
    yield* factErrors(graph, edge, edge.condition, path)
  }
  yield* fallbackErrors(graph)
}

function* optionErrors(graph: KnownGraph, node: KnownNode, path: FieldPath): Generator<SpecError> {
  const { node_id, node_type } = node
  for (const option of nodeOptionNames) {
    if (node[option] === undefined || nodePorts[node_type].options.includes(option)) continue
    const types = Object.entries(nodePorts).filter(([, ports]) => ports.options.includes(option)).map(([type]) => type)
    yield graphError(
      "node_option_unused",
      [...path, option],
      "options-used",
      `node ${quote(node_id)} is ${a(node_type)} and has ${option}, which would do nothing`,
      `Remove it: ${option} is for ${a(oneOf(types))}.`
    )
  }
  if (node.optional !== true || !nodePorts[node_type].options.includes("optional")) return
  const taken = takenKinds(graph, node)
  const given = graph.edges.filter((edge) => edge.from_node_id === node_id && !isFallback(edge))
  const new_ = given.map((edge) => edge.payload_kind).find((kind) => !taken.includes(kind))
  if (new_ === undefined || taken.length === 0) return
  yield graphError(
    "node_option_unused",
    [...path, "optional"],
    "optional-passes-on",
    `node ${quote(node_id)} is optional but gives ${new_}, which it does not get: its input cannot go on in its place`,
    "Remove optional, or add a fallback edge from the node."
  )
}

function* selectErrors(graph: KnownGraph, node: KnownNode, path: FieldPath): Generator<SpecError> {
  const { node_id, select } = node
  if (select === undefined) {
    yield graphError(
      "select_rule",
      path,
      "select-given",
      `node ${quote(node_id)} is a select and does not say how it chooses`,
      "Add select, such as { rule: first }."
    )
    return
  }
  const where = [...path, "select"]
  for (const key of ["order", "wait_ms"] as const) {
    if ((select[key] !== undefined) === (select.rule === "preferred")) continue
    yield select.rule === "preferred"
      ? graphError(
        "select_rule",
        where,
        "select-preferred",
        `node ${quote(node_id)} prefers some of its inputs and has no ${key}`,
        key === "order"
          ? "Add order: the edge ids that come in, the best one first."
          : "Add wait_ms: how long a better one is waited for once something has come, such as 300."
      )
      : graphError(
        "select_rule",
        [...where, key],
        "select-first",
        `node ${quote(node_id)} takes whoever is first and has ${key}, which would do nothing`,
        `Write rule preferred, or remove ${key}.`
      )
  }
  const incoming = graph.edges.filter((edge) => edge.to_node_id === node_id).map(edgeIdOf)
  for (const [i, id] of (select.order ?? []).entries()) {
    if (incoming.includes(id)) continue
    yield graphError(
      "select_order_unknown",
      [...where, "order", i],
      "select-order-names-inputs",
      `node ${quote(node_id)} prefers the edge ${quote(id)}, which does not come into it`,
      suggest(id, incoming, "edge")
    )
  }
}

const comparisons = {
  words: { type: "number", is: ["equals", "not_equals", "at_least", "at_most"] },
  length: { type: "number", is: ["equals", "not_equals", "at_least", "at_most"] },
  complete: { type: "boolean", is: ["equals", "not_equals"] },
  label: { type: "string", is: ["equals", "not_equals"] }
} as const satisfies Record<EdgeCondition["fact"], object>

function* conditionErrors(edge: KnownEdge, { fact, is, value }: EdgeCondition, path: FieldPath): Generator<SpecError> {
  const id = quote(edgeIdOf(edge))
  const { is: allowed, type } = comparisons[fact]
  if (!(allowed as ReadonlyArray<string>).includes(is)) {
    yield graphError(
      "condition_type",
      [...path, "is"],
      "condition-fits",
      `edge ${id} asks whether ${fact} is ${is} something; ${fact} is a ${type}`,
      `Write ${oneOf(allowed)}.`
    )
  }
  if (typeof value !== type) {
    yield graphError(
      "condition_type",
      [...path, "value"],
      "condition-fits",
      `edge ${id} compares ${fact}, which is a ${type}, with ${JSON.stringify(value)}`,
      `Write a ${type}, such as ${type === "number" ? "4" : type === "boolean" ? "true" : "smalltalk"}.`
    )
  }
}

/** A condition on something that nobody finds out before the edge: it could never be met. */
function* factErrors(
  graph: KnownGraph,
  edge: KnownEdge,
  { fact }: EdgeCondition,
  path: FieldPath
): Generator<SpecError> {
  if (isFallback(edge) || !conditional.has(edge.payload_kind)) return
  if (isKnown(graph, fact, edge.from_node_id, new Set())) return
  yield graphError(
    "condition_unknown",
    [...path, "fact"],
    "condition-fact-known",
    `edge ${quote(edgeIdOf(edge))} asks for ${fact}, which is not known of what ${quote(edge.from_node_id)} gives`,
    fact === "label"
      ? "Put a custom node before it that labels what it gives."
      : `Ask for length, or put a custom node before it that finds out.`
  )
}

const conditional: ReadonlySet<string> = new Set(["transcript", "text", "segment"])

/** Whether what a node gives may have the fact. A custom node, or a filter of the author's own, may find out anything. */
const isKnown = (graph: KnownGraph, fact: EdgeCondition["fact"], id: string, seen: Set<string>): boolean => {
  const node = graph.nodes.find(({ node_id }) => node_id === id)
  if (node === undefined || seen.has(id)) return false
  seen.add(id)
  const { node_type, provider_id = builtInTextFilter } = node
  if (fact === "length" || node_type === "custom") return true
  if (node_type === "turn_detector" || node_type === "speech_to_text") return fact !== "label"
  if (node_type === "text_filter" && (fact === "words" || provider_id !== builtInTextFilter)) return true
  if (node_type === "sentence_segmenter") return fact === "words"
  if (nodePorts[node_type].emitsWhatItTakes !== true) return false
  return graph.edges.some((edge) => edge.to_node_id === id && isKnown(graph, fact, edge.from_node_id, seen))
}

/** Edges that may not have a condition, or may not take over. */
function* fallbackErrors(graph: KnownGraph): Generator<SpecError> {
  const { edges, nodes } = graph
  const byId = new Map(nodes.map((node) => [node.node_id, node]))
  const arrows = {
    nodes: nodes.map((node) => node.node_id),
    edges: edges.filter((edge) => !isFallback(edge)).map((edge) => ({ from: edge.from_node_id, to: edge.to_node_id }))
  }
  const outputs = nodes.filter((node) => node.node_type === "audio_output").map((node) => node.node_id)
  const toOutput = reachable(arrows, outputs, true)
  const taken = new Map<string, string>()

  for (const [i, edge] of edges.entries()) {
    const path = edgePath(edge, i)
    const id = quote(edgeIdOf(edge))
    const [from, to] = [byId.get(edge.from_node_id), byId.get(edge.to_node_id)]
    if (from === undefined || to === undefined) continue
    if (edge.condition !== undefined && (isFallback(edge) || isListening(to) || edge.payload_kind === "voice")) {
      yield graphError(
        "condition_misplaced",
        [...path, "condition"],
        "condition-place",
        isFallback(edge)
          ? `edge ${id} is a fallback and has a condition: what it does not let through would be lost`
          : `edge ${id} has a condition, but carries ${edge.payload_kind} to ${a(to.node_type)}`,
        isFallback(edge)
          ? "Remove the condition, or put it on the edges of the node that takes over."
          : "Conditions are for transcripts, texts and segments behind the turn detector."
      )
    }
    if (edge.fallback_on === undefined) continue
    if (nodePorts[from.node_type].hasFallback !== true) {
      const types = Object.entries(nodePorts).filter(([, ports]) => ports.hasFallback).map(([type]) => type)
      yield graphError(
        "fallback_misplaced",
        path,
        "fallback-start",
        `edge ${id} is a fallback, but ${a(from.node_type)} has none`,
        `A fallback edge starts from ${a(oneOf(types))}.`
      )
      continue
    }
    const misfit = handOverMisfit(graph, edge, from, to)
    if (misfit !== undefined) {
      yield graphError("fallback_payload", path, "fallback-hands-over", `edge ${id} ${misfit[0]}`, misfit[1])
    } else if (outputs.length > 0 && !toOutput.has(to.node_id)) {
      yield graphError(
        "fallback_dead_end",
        path,
        "fallback-leads-to-output",
        `edge ${id} hands over to ${quote(to.node_id)}, from which nothing reaches the audio output`,
        `Connect ${to.node_id} onwards, or remove the edge.`
      )
    }
    for (const cause of edge.fallback_on) {
      const key = JSON.stringify([from.node_id, cause])
      const other = taken.get(key)
      if (other === undefined) taken.set(key, id)
      else {
        yield graphError(
          "fallback_repeated",
          [...path, "fallback_on"],
          "one-fallback",
          `edges ${id} and ${other} both take over from ${quote(from.node_id)} on ${cause}`,
          "Keep one of them for each cause."
        )
      }
    }
  }
}

const isListening = ({ node_type }: KnownNode): boolean =>
  node_type !== "audio_output" && singleTypes.includes(node_type)

/** Why the work of one node cannot be handed to the other by this edge; undefined when it can. */
const handOverMisfit = (
  graph: KnownGraph,
  { payload_kind }: KnownEdge,
  from: KnownNode,
  to: KnownNode
): readonly [string, string] | undefined => {
  const accepted = nodePorts[from.node_type].accepts.map((port) => port.kind)
  const taken = takenKinds(graph, from)
  const hint = `Write payload_kind ${oneOf(taken.length > 0 ? taken : accepted)}: a fallback edge carries what ${
    a(from.node_type)
  } was given to do.`
  if (!accepted.includes(payload_kind)) {
    return [`is a fallback and carries ${payload_kind}, which ${quote(from.node_id)} does not take`, hint]
  }
  if (taken.length > 0 && !taken.includes(payload_kind)) {
    return [`is a fallback and carries ${payload_kind}, but ${quote(from.node_id)} gets ${taken.join(" and ")}`, hint]
  }
  if (taken.length > 1) {
    return [
      `is a fallback for ${quote(from.node_id)}, which gets ${taken.join(" and ")}: one edge cannot take over both`,
      "Give the node one kind of input."
    ]
  }
  if (isListening(to) || !nodePorts[to.node_type].accepts.some((port) => port.kind === payload_kind)) {
    return [
      `hands ${payload_kind} over to ${quote(to.node_id)}, ${a(to.node_type)} that cannot take it`,
      `Hand over to a node that takes ${payload_kind}.`
    ]
  }
  return undefined
}
