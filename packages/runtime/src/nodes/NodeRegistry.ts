import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { AnyNode } from "./NodeDefinition.ts"

const key = "rspp/NodeRegistry"

/** The nodes that a runtime has, by the name that pipelines call them by. */
export interface NodeRegistryService {
  readonly find: (id: string) => AnyNode | undefined
  readonly ids: ReadonlyArray<string>
}

/** A registry of these nodes, for a Layer that finds them elsewhere. */
export const registryOf = (nodes: ReadonlyArray<AnyNode>): NodeRegistryService => {
  const byId = new Map<string, AnyNode>()
  for (const node of nodes) {
    if (byId.has(node.id)) throw new Error(`two nodes are called ${node.id}`)
    byId.set(node.id, node)
  }
  return { find: (id) => byId.get(id), ids: [...byId.keys()].sort() }
}

/**
 * Node registry (DX-06): the nodes that pipelines of this runtime may name. Empty unless a Layer says otherwise; the
 * sentence segmenter is there in any case.
 *
 * Two nodes of one name are a mistake of the program that composes them, and a defect.
 */
export const NodeRegistry = Context.Reference<NodeRegistryService>(key, { defaultValue: () => registryOf([]) })

/** A registry of these nodes. */
export const layerOf = (nodes: ReadonlyArray<AnyNode>): Layer.Layer<never> =>
  Layer.sync(NodeRegistry, () => registryOf(nodes))
