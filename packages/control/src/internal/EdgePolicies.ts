import type { GraphEdge } from "@rspp/contracts/GraphDefinition"
import type { PartialEdgeBufferPolicy, PipelineSpec } from "@rspp/contracts/PipelineSpec"
import type { Profile } from "@rspp/contracts/Profile"
import type { EdgeBufferPolicies, EdgeBufferPolicy, Watermark } from "@rspp/contracts/TurnPlan"
import { SpecError } from "../SpecError.ts"
import { formatPath } from "./FieldPath.ts"
import { overlay } from "./Overlay.ts"
import type { Sources } from "./Overlay.ts"
import { suggest } from "./Spelling.ts"

/** High at 75 % and low at 50 % of a bound, as in every profile (CONTRACT section 5); high is at least 1. */
export const watermarkOf = (bound: number): Watermark => ({
  high: Math.max(1, Math.floor(bound * 0.75)),
  low: Math.floor(bound * 0.5)
})

/**
 * The policy of every edge: the profile's for the kind of payload, with what the author wrote for the edge laid over it.
 *
 * What follows from a bound or a strategy follows what the author wrote too: watermarks and the latency contribution from
 * the bounds, the data lane's handling from the strategy; and an edge that no longer blocks has no block time.
 */
export const edgePolicies = (
  edges: ReadonlyArray<GraphEdge>,
  written: PipelineSpec["edge_buffer_policies"],
  profile: Profile,
  sources: Sources
): EdgeBufferPolicies =>
  Object.fromEntries(edges.map(({ edge_id, payload_kind }) => {
    const defaults = profile.edge_buffer_policies[payload_kind]
    const own = written !== undefined && Object.hasOwn(written, edge_id) ? written[edge_id] : undefined
    const path = ["edge_buffer_policies", edge_id]
    if (own === undefined || Object.keys(own).length === 0) {
      // one entry for the whole edge: all of it is the profile's
      sources[formatPath(path)] = "execution_profile_default"
      return [edge_id, defaults]
    }
    const policy = overlay<EdgeBufferPolicy>(adapted(defaults, own), own, path, sources)
    delete sources[formatPath([...path, "defaulting_source"])]
    return [edge_id, { ...policy, defaulting_source: "explicit_edge_config" }]
  }))

/** The defaults of an edge of which the author wrote a part. */
const adapted = (defaults: EdgeBufferPolicy, own: PartialEdgeBufferPolicy): EdgeBufferPolicy => {
  const { max_block_time_ms, ...rest } = defaults
  const strategy = own.strategy ?? defaults.strategy
  const maxMs = own.max_queue_ms ?? defaults.max_queue_ms
  return {
    ...rest,
    ...(strategy === "block" && max_block_time_ms !== undefined ? { max_block_time_ms } : {}),
    max_latency_contribution_ms: maxMs,
    watermarks: {
      queue_items: watermarkOf(own.max_queue_items ?? defaults.max_queue_items),
      queue_ms: watermarkOf(maxMs)
    },
    lane_handling: { ...defaults.lane_handling, DataLane: strategy }
  }
}

/** Policies for edges that are not in the graph, and policies whose numbers contradict each other. */
export function* edgePolicyErrors(
  policies: EdgeBufferPolicies,
  written: PipelineSpec["edge_buffer_policies"]
): Generator<SpecError> {
  for (const edge_id of Object.keys(written ?? {})) {
    const path = ["edge_buffer_policies", edge_id]
    const policy = Object.hasOwn(policies, edge_id) ? policies[edge_id] : undefined
    if (policy === undefined) {
      yield new SpecError({
        code: "edge_policy_unknown",
        path: formatPath(path),
        rule: "edge.policy-names-an-edge",
        message: `edge_buffer_policies names the edge ${JSON.stringify(edge_id)}, which the graph does not have`,
        hint: suggest(edge_id, Object.keys(policies), "edge")
      })
      continue
    }
    if (policy.strategy === "block" && policy.max_block_time_ms === undefined) {
      yield new SpecError({
        code: "relation",
        path: formatPath([...path, "strategy"]),
        rule: "edge.block-requires-max-block-time",
        message: `edge ${JSON.stringify(edge_id)} blocks without a max_block_time_ms, and could block for ever`,
        hint: "Add max_block_time_ms, such as 200."
      })
    }
    const bounds = [["queue_items", "max_queue_items"], ["queue_ms", "max_queue_ms"]] as const
    for (const [queue, bound] of bounds) {
      const mark = policy.watermarks[queue]
      if (mark === undefined) continue
      yield* watermarkErrors(mark, [...path, "watermarks", queue])
      if (mark.high > policy[bound]) {
        yield new SpecError({
          code: "relation",
          path: formatPath([...path, "watermarks", queue, "high"]),
          rule: "edge.high-at-most-bound",
          message: `the high watermark ${mark.high} of edge ${JSON.stringify(edge_id)} is above its ${bound} ${
            policy[bound]
          }`,
          hint: `Set high to at most ${policy[bound]}, or raise ${bound}.`
        })
      }
    }
  }
}

/** `low ≤ high`: pressure must be able to end once it was reported. */
export function* watermarkErrors({ high, low }: Watermark, path: ReadonlyArray<string>): Generator<SpecError> {
  if (low <= high) return
  yield new SpecError({
    code: "relation",
    path: formatPath([...path, "low"]),
    rule: "watermark.low-at-most-high",
    message: `${formatPath(path)}: low ${low} is above high ${high}`,
    hint: `Set low to at most ${high}.`
  })
}
