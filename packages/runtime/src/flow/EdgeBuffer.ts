import type { BufferStrategy, EdgeBufferPolicy } from "@rspp/contracts/TurnPlan"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { InvariantBroken } from "../authority/InvariantBroken.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"

/**
 * What an edge did with an item that was offered: `accepted`, or, when it is full, what its strategy says:
 * `block` the producer waits, `drop` the item is lost, `replace` it takes the place of what waits,
 * `merge` it joins the item before it and takes no place of its own.
 */
export type Offer = "accepted" | "block" | "drop" | "replace" | "merge"

/** What an edge does with data: how the plan handles its data lane. Recordings of before went by `strategy` alone. */
export const strategyOf = (policy: EdgeBufferPolicy, context: Pick<KernelContext, "behaves">): BufferStrategy =>
  context.behaves("limits") ? policy.lane_handling.DataLane : policy.strategy

/** How full an edge is. `ms` is media time for audio, and 0 for text. */
export interface Fill {
  readonly items: number
  readonly bytes: number
  readonly ms: number
}

/** Dies with I-EDGE-BOUND when an edge holds more than its policy allows. */
export const assertBounded = (edgeId: string, { bytes, items, ms }: Fill, policy: EdgeBufferPolicy): void => {
  if (items <= policy.max_queue_items && bytes <= policy.max_queue_bytes && ms <= policy.max_queue_ms) return
  throw new InvariantBroken("I-EDGE-BOUND", `${edgeId} holds ${items} items, ${bytes} bytes, ${ms} ms`)
}

/**
 * The books of one edge (RK-12): counts what waits on it and says what happens to the next item.
 *
 * Guarantees: I-EDGE-BOUND items, bytes and milliseconds never pass the policy's bounds. It holds no payload: the items
 * themselves wait at the port that will consume them.
 */
export class EdgeAccount {
  readonly edgeId: string
  readonly policy: EdgeBufferPolicy
  readonly strategy: BufferStrategy
  #items = 0
  #bytes = 0
  #ms = 0
  #offered = 0

  /** `strategy`: see `strategyOf`; that of the data lane by default. */
  constructor(
    edgeId: string,
    policy: EdgeBufferPolicy,
    strategy: BufferStrategy = policy.lane_handling.DataLane
  ) {
    this.edgeId = edgeId
    this.policy = policy
    this.strategy = strategy
  }

  get fill(): Fill {
    return { items: this.#items, bytes: this.#bytes, ms: this.#ms }
  }

  /** `fixed`: what waits has been handed on already, so that nothing can take its place; what has no room is dropped. */
  offer(bytes: number, ms: number, fixed = false): Offer {
    this.#offered += 1
    const { policy } = this
    const fits = this.#items + 1 <= policy.max_queue_items && this.#bytes + bytes <= policy.max_queue_bytes &&
      this.#ms + ms <= policy.max_queue_ms
    if (fits) {
      this.#add(1, bytes, ms)
      return "accepted"
    }
    // What would not fit on the empty edge can never be taken: waiting for room would be for ever.
    if (bytes > policy.max_queue_bytes || ms > policy.max_queue_ms) return "drop"
    switch (this.strategy) {
      case "block":
        return "block"
      case "drop":
        return "drop"
      case "sample":
        // Under pressure every second item is kept, in place of what waits.
        return this.#offered % 2 === 0 && !fixed ? this.#replace(bytes, ms) : "drop"
      case "latest_only":
        return fixed ? "drop" : this.#replace(bytes, ms)
      case "merge": {
        if (this.#bytes + bytes > policy.max_queue_bytes || this.#ms + ms > policy.max_queue_ms) return "drop"
        this.#add(0, bytes, ms)
        return "merge"
      }
    }
  }

  take(items: number, bytes: number, ms: number): void {
    this.#items = Math.max(0, this.#items - items)
    this.#bytes = Math.max(0, this.#bytes - bytes)
    this.#ms = Math.max(0, this.#ms - ms)
  }

  #add(items: number, bytes: number, ms: number): void {
    this.#items += items
    this.#bytes += bytes
    this.#ms += ms
    assertBounded(this.edgeId, this.fill, this.policy)
  }

  #replace(bytes: number, ms: number): Offer {
    this.#items = 1
    this.#bytes = bytes
    this.#ms = ms
    return "replace"
  }
}

/** Edge buffers (RK-12): opens the account of an edge under the policy that the plan froze. */
export class EdgeBuffer extends Context.Service<EdgeBuffer, {
  readonly open: (edgeId: string, policy: EdgeBufferPolicy, strategy?: BufferStrategy) => EdgeAccount
}>()("rspp/EdgeBuffer") {
  static readonly layer = Layer.succeed(EdgeBuffer, {
    open: (edgeId, policy, strategy) => new EdgeAccount(edgeId, policy, strategy)
  })
}
