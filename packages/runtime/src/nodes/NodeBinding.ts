import type { GraphNode, PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { AnyNode } from "./NodeDefinition.ts"
import type { NodeRegistryService } from "./NodeRegistry.ts"

/** The pipeline names a node that this runtime does not have. */
export class NodeMissing extends Schema.TaggedError<NodeMissing>()("NodeMissing", {
  node_id: Schema.String,
  implementation: Schema.String,
  message: Schema.String,
  hint: Schema.String
}) {}

/** An edge brings a node something that it does not take, or takes from it what it does not give. */
export class NodeMismatch extends Schema.TaggedError<NodeMismatch>()("NodeMismatch", {
  node_id: Schema.String,
  edge_id: Schema.String,
  message: Schema.String,
  hint: Schema.String
}) {}

/** The settings of a node in the pipeline are not what it takes. */
export class NodeSettingsInvalid extends Schema.TaggedError<NodeSettingsInvalid>()("NodeSettingsInvalid", {
  node_id: Schema.String,
  implementation: Schema.String,
  message: Schema.String,
  hint: Schema.String
}) {}

export type NodeError = NodeMissing | NodeMismatch | NodeSettingsInvalid

/** A node of the pipeline with what runs it. */
export interface BoundNode {
  readonly nodeId: string
  readonly definition: AnyNode
  readonly settings: unknown
}

/** The nodes of a pipeline that run outside of the kernel. */
export interface BoundNodes {
  readonly all: ReadonlyArray<BoundNode>
  readonly find: (nodeId: string, implementation: string) => BoundNode | undefined
}

/** Whether a binding is that of a node and not of a provider: `external.<node_id>`. */
export const isNodeBinding = (key: string): boolean => key === "external" || key.startsWith("external.")

/**
 * How long a node may take for a result, start included, as the kernel is to hold it to: `defaultMs` where the node says
 * nothing.
 */
export const capOf = ({ timeouts: { itemMs, startMs } }: AnyNode, defaultMs: number): number =>
  (startMs ?? 0) + (itemMs ?? defaultMs)

/** What runs a node that names no implementation. */
const builtIn: Readonly<Partial<Record<GraphNode["node_type"], string>>> = {
  text_filter: "builtin/text_filter",
  sentence_segmenter: "builtin/sentence_segmenter"
}

const hosted = (node: GraphNode): boolean => node.node_type === "custom" || builtIn[node.node_type] !== undefined

const list = (ids: ReadonlyArray<string>) => ids.join(", ") || "none"

/**
 * Binds every custom node, text filter and segmenter of a pipeline to its implementation, decodes its settings and
 * compares its kinds with those of its edges. Fails with the first {@link NodeError}: before a call starts, never in the
 * middle of one.
 */
export const bindNodes = Effect.fnUntraced(function*(
  pipeline: Pick<NormalizedPipeline, "graph" | "provider_bindings">,
  registry: NodeRegistryService
) {
  const all: Array<BoundNode> = []
  for (const node of pipeline.graph.nodes.filter(hosted)) {
    for (const implementation of yield* implementations(node, pipeline.provider_bindings)) {
      const definition = registry.find(implementation)
      if (definition === undefined) {
        return yield* new NodeMissing({
          node_id: node.node_id,
          implementation,
          message: `node ${node.node_id} runs ${implementation}, which this runtime does not have`,
          hint: `It has ${list(registry.ids)}. Correct the provider_id of the node, or register it (docs/nodes.md).`
        })
      }
      yield* checkKinds(node, definition, pipeline.graph)
      all.push({ nodeId: node.node_id, definition, settings: yield* decodeSettings(node, definition) })
    }
  }
  const found: BoundNodes = {
    all,
    find: (nodeId, implementation) => all.find((one) => one.nodeId === nodeId && one.definition.id === implementation)
  }
  return found
})

/** The implementation of a node, and that of its fallback where the plan binds one. */
const implementations = (
  node: GraphNode,
  bindings: Readonly<Record<string, string>>
): Effect.Effect<ReadonlyArray<string>, NodeMissing> => {
  const first = bindings[`external.${node.node_id}`] ?? bindings["external"] ?? node.provider_id ??
    builtIn[node.node_type]
  if (first === undefined) {
    return Effect.fail(
      new NodeMissing({
        node_id: node.node_id,
        implementation: "",
        message: `node ${node.node_id} is custom and does not say what runs it`,
        hint: "Give it a provider_id: the id of a registered node."
      })
    )
  }
  const fallback = bindings[`external.${node.node_id}.fallback`]
  return Effect.succeed(fallback === undefined || fallback === first ? [first] : [first, fallback])
}

const checkKinds = (
  { node_id }: GraphNode,
  definition: AnyNode,
  { edges }: NormalizedPipeline["graph"]
): Effect.Effect<void, NodeMismatch> => {
  const inputs: ReadonlyArray<PayloadKind> = definition.inputs
  const outputs: ReadonlyArray<PayloadKind> = definition.outputs
  for (const { edge_id, fallback_on, from_node_id, payload_kind, to_node_id } of edges) {
    const mismatch = (message: string, hint: string) =>
      Effect.fail(new NodeMismatch({ node_id, edge_id, message, hint }))
    if (to_node_id === node_id && !inputs.includes(payload_kind)) {
      return mismatch(
        `edge ${edge_id} brings ${payload_kind} to node ${node_id}, but ${definition.id} takes ${list(inputs)}`,
        "Change the payload_kind of the edge, or the node that it leads to."
      )
    }
    // A fallback edge hands on what the node was given.
    const gives = fallback_on === undefined ? outputs : inputs
    if (from_node_id === node_id && !gives.includes(payload_kind)) {
      return mismatch(
        `edge ${edge_id} takes ${payload_kind} from node ${node_id}, but ${definition.id} ${
          fallback_on === undefined ? "gives" : "is given"
        } ${list(gives)}`,
        "Change the payload_kind of the edge, or the node that it comes from."
      )
    }
  }
  return Effect.void
}

const decodeSettings = (node: GraphNode, definition: AnyNode): Effect.Effect<unknown, NodeSettingsInvalid> =>
  Schema.decodeUnknownEffect(definition.settings as Schema.Decoder<unknown>, { onExcessProperty: "error" })(
    node.settings ?? {}
  ).pipe(
    Effect.mapError((error) =>
      new NodeSettingsInvalid({
        node_id: node.node_id,
        implementation: definition.id,
        message: `the settings of node ${node.node_id} are not those of ${definition.id}: ${
          error.message.split("\n").map((line) => line.trim()).join(" ")
        }`,
        hint: `Correct settings of node ${node.node_id} in the pipeline.`
      })
    )
  )
