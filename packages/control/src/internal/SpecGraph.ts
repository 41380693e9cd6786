import type { NodeType } from "@rspp/contracts/GraphDefinition"
import type { PipelineSpec } from "@rspp/contracts/PipelineSpec"
import type { ProviderBindings } from "@rspp/contracts/TurnPlan"
import type { GraphSource } from "../GraphSource.ts"
import { nodePorts } from "../NodeTypes.ts"
import { simpleGraph, simpleProviders } from "../SimpleGraph.ts"
import { SpecError } from "../SpecError.ts"
import { formatPath } from "./FieldPath.ts"
import type { FieldPath } from "./FieldPath.ts"
import type { Sources } from "./Overlay.ts"
import { suggest } from "./Spelling.ts"

export interface ResolvedGraph {
  readonly graph: GraphSource
  readonly bindings: ProviderBindings
  readonly errors: ReadonlyArray<SpecError>
}

/**
 * The graph of a spec, every node with its provider: the one on the node, else the spec's for the modality, else (only
 * in the simple graph, which the author did not write) the embedded one.
 */
export const resolveGraph = (
  spec: PipelineSpec,
  known: ReadonlyArray<string> | undefined,
  sources: Sources
): ResolvedGraph => {
  const errors: Array<SpecError> = []
  const bindings: Record<string, string> = {}
  const written = spec.nodes !== undefined
  if (written !== (spec.edges !== undefined)) {
    const [there, absent] = written ? ["nodes", "edges"] : ["edges", "nodes"]
    errors.push(
      new SpecError({
        code: "graph_incomplete",
        path: absent,
        rule: "graph.nodes-with-edges",
        message: `the spec has ${there} but no ${absent}`,
        hint: `Add ${absent}, or leave both out for the simple graph.`
      })
    )
  }
  const whole = spec.nodes !== undefined && spec.edges !== undefined
    ? { nodes: spec.nodes, edges: spec.edges }
    : simpleGraph
  sources["graph"] = whole === simpleGraph ? "execution_profile_default" : "explicit"

  const nodes = whole.nodes.map((node, i) => {
    const modality = node.node_type === "subgraph" ? undefined : nodePorts[node.node_type].provider
    if (modality === undefined) return node
    const ofSpec = spec.providers?.[modality]
    const ofNode = node.provider_id
    if (ofNode !== undefined && ofSpec !== undefined && ofNode !== ofSpec) {
      errors.push(
        new SpecError({
          code: "provider_conflict",
          path: formatPath(["nodes", i, "provider_id"]),
          rule: "graph.one-provider",
          message: `node ${
            JSON.stringify(node.node_id)
          } has provider_id ${ofNode}, but providers.${modality} is ${ofSpec}`,
          hint: "Keep one of the two."
        })
      )
    }
    const provider_id = ofNode ?? ofSpec ?? (whole === simpleGraph ? simpleProviders[modality] : undefined)
    if (provider_id === undefined) return node
    const path: FieldPath = ofNode === undefined ? ["providers", modality] : ["nodes", i, "provider_id"]
    if (known !== undefined && !known.includes(provider_id)) {
      errors.push(
        new SpecError({
          code: "provider_unknown",
          path: formatPath(path),
          rule: "graph.provider-known",
          message: `${formatPath(path)}: there is no provider ${JSON.stringify(provider_id)}`,
          hint: suggest(provider_id, known, "provider")
        })
      )
    }
    bindings[modality] = provider_id
    sources[formatPath(["provider_bindings", modality])] = ofNode === undefined && ofSpec === undefined
      ? "execution_profile_default"
      : "explicit"
    return { ...node, provider_id }
  })
  const { pipeline_id, pipeline_version } = spec
  return { graph: { pipeline_id, pipeline_version, nodes, edges: whole.edges }, bindings, errors }
}

const text = (value: unknown): value is string => typeof value === "string" && value !== ""

/**
 * The graph of a spec whose form is wrong somewhere, if the graph itself can still be judged: nodes and edges are there
 * and hold the ids and names that they must.
 */
export const looseGraph = (input: unknown): GraphSource | undefined => {
  if (typeof input !== "object" || input === null) return undefined
  const { edges, nodes, providers } = input as { readonly [K in "nodes" | "edges" | "providers"]?: unknown }
  if (!Array.isArray(nodes) || !Array.isArray(edges)) return undefined
  const whole =
    nodes.every((node) =>
      text(node?.node_id) && text(node.node_type) && (node.provider_id === undefined || text(node.provider_id))
    ) &&
    edges.every((edge) =>
      text(edge?.from_node_id) && text(edge.to_node_id) && text(edge.payload_kind) &&
      (edge.edge_id === undefined || text(edge.edge_id))
    )
  if (!whole) return undefined
  const given = (typeof providers === "object" && providers !== null ? providers : {}) as Readonly<
    Record<string, unknown>
  >
  return {
    pipeline_id: "unnamed",
    pipeline_version: "unnamed",
    nodes: nodes.map((node: GraphSource["nodes"][number]) => {
      const ports = Object.hasOwn(nodePorts, node.node_type) ? nodePorts[node.node_type as NodeType] : undefined
      const provider = ports?.provider === undefined ? undefined : given[ports.provider]
      return node.provider_id === undefined && text(provider) ? { ...node, provider_id: provider } : node
    }),
    edges
  }
}
