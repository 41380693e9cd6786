import { defineNode } from "@rspp/runtime/nodes/NodeDefinition"
import type { AnyNode } from "@rspp/runtime/nodes/NodeDefinition"
import type { NodeFailure } from "@rspp/runtime/nodes/NodeFailure"
import { blocked, broken } from "@rspp/runtime/nodes/NodeFailure"
import * as Effect from "effect/Effect"
import type { SimCall } from "./SimCall.ts"

/** What happens to one item, drawn when it comes. */
const strike = ({ faults, streams }: SimCall): Effect.Effect<void, NodeFailure> => {
  const stream = streams.of("node/time")
  const usualMs = stream.pick([0, 0, 1, 5, 30, 90])
  if (faults.strikes("node.crash")) {
    const how = faults.stream("node.crash").below(4)
    if (how === 0) return Effect.die(new Error("the node is broken"))
    if (how === 1) return Effect.fail(blocked("the item was refused"))
    if (how === 2) return Effect.andThen(Effect.sleep(usualMs), Effect.fail(broken("the node lost its connection")))
    return Effect.sync(() => {
      throw new Error("the node threw")
    })
  }
  const slowMs = faults.strikes("node.slow") ? faults.stream("node.slow").between(300, 6000) : 0
  const work = usualMs + slowMs === 0 ? Effect.void : Effect.sleep(usualMs + slowMs)
  return faults.strikes("node.ignores_cancel")
    ? Effect.onInterrupt(work, () => Effect.sleep(faults.stream("node.ignores_cancel").between(1, 3000)))
    : work
}

/**
 * The nodes that simulated pipelines name: `sim/filter` hands text on (and sometimes swallows it), `sim/router` labels a
 * transcript, `sim/watch` only looks on. Each takes its time, and each can break.
 */
export const simNodes = (call: SimCall): ReadonlyArray<AnyNode> => [
  defineNode({
    id: "sim/filter",
    inputs: ["transcript", "segment"],
    outputs: ["transcript", "segment"],
    onItem: ({ kind, text }) =>
      Effect.map(strike(call), () => {
        if (call.faults.strikes("node.swallows")) return []
        return [{ kind, text }]
      })
  }),
  defineNode({
    id: "sim/router",
    inputs: ["transcript"],
    outputs: ["transcript"],
    onItem: ({ text }) =>
      Effect.map(strike(call), () => {
        const label = call.streams.of("node/label").pick(["question", "smalltalk", undefined])
        return label === undefined ? [{ text }] : [{ text, label }]
      })
  }),
  defineNode({
    id: "sim/watch",
    inputs: ["transcript", "segment"],
    outputs: [],
    onItem: () => strike(call)
  })
]
