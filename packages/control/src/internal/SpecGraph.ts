import type { NodeType } from "@rspp/contracts/GraphDefinition"
import { edgeOptions, nodeOptions } from "@rspp/contracts/GraphDefinition"
import { freeMap, Id } from "@rspp/contracts/Identity"
import type { PipelineSpec } from "@rspp/contracts/PipelineSpec"
import type { ProviderBindings } from "@rspp/contracts/TurnPlan"
import * as Schema from "effect/Schema"
import type { GraphSource, SourceNode } from "../GraphSource.ts"
import { builtInTextFilter, nodePorts } from "../NodeTypes.ts"
import type { NodePorts } from "../NodeTypes.ts"
import { simpleGraph, simpleProviders } from "../SimpleGraph.ts"
import type { SpecError } from "../SpecError.ts"
import type { FieldPath } from "./FieldPath.ts"
import { formatPath } from "./FieldPath.ts"
import { a, graphError, nodePath, quote } from "./GraphError.ts"
import type { Sources } from "./Overlay.ts"
import { suggest } from "./Spelling.ts"
import { expandSubgraphs } from "./Subgraphs.ts"

export interface ResolvedGraph {
  /** Subgraphs expanded; undefined where they cannot be. */
  readonly graph: GraphSource | undefined
  readonly bindings: ProviderBindings
  readonly errors: ReadonlyArray<SpecError>
}

type Modality = "stt" | "llm" | "tts" | "external"

/** Ids that can be bound, of each modality or one list for all. */
export type KnownProviders = ReadonlyArray<string> | { readonly [M in Modality]?: ReadonlyArray<string> }

const isList = (known: KnownProviders): known is ReadonlyArray<string> => Array.isArray(known)

/** Modalities that the spec can name a provider for, and those that it can name a stand-in for. */
const modalities = ["stt", "llm", "tts"] as const
const withStandIn = ["llm", "tts"] as const

const portsOf = ({ node_type }: SourceNode): NodePorts | undefined =>
  Object.hasOwn(nodePorts, node_type) ? nodePorts[node_type as NodeType] : undefined

/**
 * The graph of a spec, every node with its provider: the one on the node, else the spec's for the modality, else (only
 * in the simple graph, which the author did not write) the embedded one; and who is bound to what.
 *
 * A binding is called `<modality>`, or `<modality>.<node_id>` where several nodes call the modality; the implementation
 * of a custom node or text filter `external.<node_id>`; the stand-in of a modality `<modality>.fallback`.
 */
export const resolveGraph = (
  spec: PipelineSpec,
  providers: KnownProviders | undefined,
  sources: Sources
): ResolvedGraph => {
  const errors: Array<SpecError> = []
  const bindings: Record<string, string> = {}
  const bind = (key: string, id: string, path: FieldPath | undefined) => {
    const known = providers === undefined || isList(providers) ? providers : providers[key.split(".")[0] as Modality]
    const what = key.startsWith("external.") ? "implementation" : "provider"
    if (path !== undefined && id !== builtInTextFilter && known !== undefined && !known.includes(id)) {
      errors.push(
        graphError(
          "provider_unknown",
          path,
          "provider-known",
          `${formatPath(path)}: there is no ${what} ${quote(id)}`,
          suggest(id, known, what)
        )
      )
    }
    bindings[key] = id
    sources[formatPath(["provider_bindings", key])] = path === undefined ? "execution_profile_default" : "explicit"
  }

  const [there, absent] = spec.nodes !== undefined ? ["nodes", "edges"] : ["edges", "nodes"]
  if ((spec.nodes === undefined) !== (spec.edges === undefined)) {
    errors.push(
      graphError(
        "graph_incomplete",
        [absent ?? ""],
        "nodes-with-edges",
        `the spec has ${there} but no ${absent}`,
        `Add ${absent}, or leave both out for the simple graph.`
      )
    )
  }
  const written = spec.nodes !== undefined && spec.edges !== undefined
  const { pipeline_id, pipeline_version, subgraphs } = spec
  sources["graph"] = written ? "explicit" : "execution_profile_default"
  const expanded = expandSubgraphs({
    pipeline_id,
    pipeline_version,
    nodes: written ? spec.nodes : simpleGraph.nodes,
    edges: written ? spec.edges : simpleGraph.edges,
    ...(subgraphs === undefined ? {} : { subgraphs })
  })
  errors.push(...expanded.errors)
  if (expanded.graph === undefined) return { graph: undefined, bindings, errors }

  const callers = Map.groupBy(expanded.graph.nodes, (node) => portsOf(node)?.provider)
  const nodes = expanded.graph.nodes.map((node, i) => {
    const ports = portsOf(node)
    const modality = ports?.provider
    const where = nodePath(node, i)
    const path = [...where, "provider_id"]
    if (ports?.implementation !== undefined) {
      const provider_id = node.provider_id ?? (ports.implementation === "built_in" ? builtInTextFilter : undefined)
      if (provider_id === undefined) return node
      reserved(node, where, errors)
      bind(`external.${node.node_id}`, provider_id, node.provider_id === undefined ? undefined : path)
      return { ...node, provider_id }
    }
    if (modality === undefined) return node
    const ofSpec = spec.providers?.[modality]
    const provider_id = node.provider_id ?? ofSpec ?? (written ? undefined : simpleProviders[modality])
    if (provider_id === undefined) return node
    const alone = callers.get(modality)?.length === 1
    if (!alone) reserved(node, where, errors)
    bind(
      alone ? modality : `${modality}.${node.node_id}`,
      provider_id,
      node.provider_id !== undefined ? path : ofSpec === undefined ? undefined : ["providers", modality]
    )
    return { ...node, provider_id }
  })

  for (const modality of modalities) {
    const given = spec.providers?.[modality]
    if (given !== undefined) errors.push(...unusedProvider(modality, given, callers.get(modality) ?? []))
  }
  for (const modality of withStandIn) {
    const given = spec.fallback_providers?.[modality]
    if (given === undefined) continue
    const path = ["fallback_providers", modality]
    const own = nodes.filter((node) => portsOf(node)?.provider === modality)
    if (own.every((node) => node.provider_id === given)) {
      errors.push(
        graphError(
          "provider_not_needed",
          path,
          "fallback-provider-used",
          own.length === 0
            ? `${formatPath(path)} is ${given}, but no node calls a provider of this kind`
            : `${formatPath(path)} is ${given}, which is the provider that it would stand in for`,
          "Name another provider, or remove it."
        )
      )
    }
    bind(`${modality}.fallback`, given, path)
  }
  return { graph: { ...expanded.graph, nodes }, bindings, errors }
}

/** Ids that a binding of a node cannot have: `<modality>.fallback` is the stand-in's. */
const reserved = ({ node_id }: SourceNode, path: FieldPath, errors: Array<SpecError>): void => {
  if (node_id !== "fallback" && !node_id.endsWith(".fallback")) return
  errors.push(
    graphError(
      "node_id_reserved",
      [...path, "node_id"],
      "node-id-free",
      `node ${quote(node_id)} has a provider of its own and a name that stands for a stand-in`,
      "Give it an id that does not end in fallback."
    )
  )
}

/** A provider of the spec that no node takes: each names its own. */
function* unusedProvider(
  modality: "stt" | "llm" | "tts",
  given: string,
  callers: ReadonlyArray<SourceNode>
): Generator<SpecError> {
  if (callers.some(({ provider_id }) => provider_id === undefined || provider_id === given)) return
  const [only, ...others] = callers
  if (only !== undefined && others.length === 0) {
    yield graphError(
      "provider_conflict",
      [...nodePath(only, 0), "provider_id"],
      "one-provider",
      `node ${quote(only.node_id)} has provider_id ${only.provider_id}, but providers.${modality} is ${given}`,
      "Keep one of the two."
    )
    return
  }
  yield graphError(
    "provider_not_needed",
    ["providers", modality],
    "provider-used",
    only === undefined
      ? `providers.${modality} is ${given}, but no node calls a provider of this kind`
      : `providers.${modality} is ${given}, but each ${only.node_type} node names its own provider`,
    `Remove it, or add ${a(only?.node_type ?? "node")} without provider_id.`
  )
}

/** As much of a spec as its graph needs to be judged although another field is wrong. Names may be unknown ones. */
const LooseParts = {
  nodes: Schema.Array(
    Schema.Struct({ node_id: Id, node_type: Id, ...nodeOptions, subgraph: Schema.optionalKey(Id) })
  ),
  edges: Schema.Array(
    Schema.Struct({
      edge_id: Schema.optionalKey(Id),
      from_node_id: Id,
      to_node_id: Id,
      payload_kind: Id,
      ...edgeOptions
    })
  )
}
const isLooseSpec = Schema.is(Schema.Struct({
  ...LooseParts,
  subgraphs: Schema.optionalKey(freeMap(Schema.Struct({ ...LooseParts, entry: Id, exit: Id })))
}))

/**
 * The graph of a spec whose form is wrong somewhere, if the graph itself can still be judged: its parts are there and
 * hold the ids, names and options that they must.
 */
export const looseGraph = (input: unknown): GraphSource | undefined => {
  if (!isLooseSpec(input)) return undefined
  const { providers } = input as { readonly providers?: unknown }
  const given = (typeof providers === "object" && providers !== null ? providers : {}) as Readonly<
    Record<string, unknown>
  >
  const provided = <L extends { readonly nodes: ReadonlyArray<SourceNode> }>(level: L) => ({
    ...level,
    nodes: level.nodes.map((node) => {
      const modality = portsOf(node)?.provider
      const provider = modality === undefined ? undefined : given[modality]
      return node.provider_id === undefined && typeof provider === "string" && provider !== ""
        ? { ...node, provider_id: provider }
        : node
    })
  })
  const subgraphs = Object.entries(input.subgraphs ?? {}).map(([name, level]) => [name, provided(level)] as const)
  return {
    ...provided(input),
    pipeline_id: "unnamed",
    pipeline_version: "unnamed",
    subgraphs: Object.fromEntries(subgraphs)
  }
}
