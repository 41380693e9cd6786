import type { PipelineSpec } from "@rspp/contracts/PipelineSpec"
import type { AdaptiveAction } from "@rspp/contracts/TurnPlan"
import { edgeIdOf } from "../GraphSource.ts"
import type { GraphSource } from "../GraphSource.ts"
import { nodePorts } from "../NodeTypes.ts"
import type { SpecError } from "../SpecError.ts"
import type { FieldPath } from "./FieldPath.ts"
import { formatPath } from "./FieldPath.ts"
import { edgePath, graphError, nodePath, oneOf, quote } from "./GraphError.ts"

/** What is prepared for failures but could never be used: the plan does not allow what it needs. */
export function* actionErrors(
  { edges, nodes }: GraphSource,
  standIns: PipelineSpec["fallback_providers"],
  allowed: ReadonlyArray<AdaptiveAction>
): Generator<SpecError> {
  const needs = (path: FieldPath, what: string, ...actions: ReadonlyArray<AdaptiveAction>) =>
    actions.some((action) => allowed.includes(action)) ? [] : [
      graphError(
        "action_not_allowed",
        path,
        "actions-allowed",
        `${what}, which allowed_adaptive_actions does not allow`,
        `Add ${oneOf(actions)} to allowed_adaptive_actions.`
      )
    ]
  for (const [i, edge] of edges.entries()) {
    if (edge.fallback_on === undefined) continue
    yield* needs([...edgePath(edge, i), "fallback_on"], `edge ${quote(edgeIdOf(edge))} is a fallback`, "fallback")
  }
  for (const [i, node] of nodes.entries()) {
    const type = node.node_type as keyof typeof nodePorts
    if (node.optional !== true || !nodePorts[type]?.options.includes("optional")) continue
    yield* needs([...nodePath(node, i), "optional"], `node ${quote(node.node_id)} is optional`, "degrade")
  }
  for (const modality of ["llm", "tts"] as const) {
    if (standIns?.[modality] === undefined) continue
    const path = ["fallback_providers", modality]
    yield* needs(path, `${formatPath(path)} stands in for another`, "provider_switch", "fallback")
  }
}
