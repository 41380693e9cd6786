import type { GraphEdge } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { SyncIds } from "../flow/SyncIntegrity.ts"
import { strategyOf } from "../flow/EdgeBuffer.ts"
import { groupOf } from "../flow/SyncIntegrity.ts"
import { samplesPerMs } from "../ports/AudioFrame.ts"
import type { Segment } from "../turn/Turn.ts"
import { passes } from "./EdgeCondition.ts"
import type { TurnWork } from "./TurnWork.ts"

/** One payload on its way through the graph of a turn. */
export interface Item {
  readonly handle: PayloadHandle
  /** Speech belongs to a sentence; `end` says that no more of it comes, and carries nothing. */
  readonly segment?: Segment
  readonly end?: boolean
}

/** Room that an item takes of its edge. */
interface Place {
  readonly items: number
  readonly bytes: number
  readonly ms: number
}
const noPlace: Place = { items: 0, bytes: 0, ms: 0 }

/** An item that waits on an edge. */
export interface WaitingItem extends Item {
  /** The event that told of it; merges name it. */
  readonly event: string | undefined
  /** Place in the order in which items came to the edges of this turn. */
  readonly arrival: number
}

const placeOf = ({ end, handle }: Item): Place => {
  if (end === true) return noPlace
  return handle.payload_class === "audio_raw"
    ? { items: 1, bytes: handle.length * 2, ms: Math.ceil(handle.length / samplesPerMs) }
    : { items: 1, bytes: handle.length, ms: 0 }
}

/** By what a sync group may be named. */
export const syncIdsOf = ({ handle, segment }: Item): SyncIds => ({
  event: handle.id,
  sync: segment?.handle.id ?? handle.id,
  custom: handle.facts?.label ?? handle.id
})

/** Strategies that lose what has waited for too long. The others hold their producer instead. */
const forgetful: ReadonlySet<string> = new Set(["drop", "sample", "latest_only"])

/**
 * One edge of the graph at work for one turn: what waits on it, what found no room, and what its policy does about that.
 *
 * Guarantees: I-EDGE-BOUND what waits stays within the plan's bounds, and its producer is held while something found no
 * room; I-EDGE-ORDER items leave in the order in which they came; what is lost has a `drop_notice`.
 */
export class EdgeRun {
  readonly edge: GraphEdge
  readonly #work: TurnWork
  #waiting: Array<WaitingItem & { readonly place: Place; readonly sinceMs: number }> = []
  readonly #blocked: Array<Item> = []
  /** What waits here is with egress, in order: nothing can take its place. */
  readonly #fixed: boolean
  #producer: string | undefined
  #ended = false
  #closed = false
  /** Until when its consumer could take nothing because of what comes after it: that is no delay of this edge. */
  #heldMs = 0
  /** What has waited for too long is lost. */
  readonly #forgetful: boolean
  /** Its items belong to groups that are lost together. */
  readonly #grouped: boolean
  /** The edge's budget runs; its block timer does. */
  #watched = false
  #blocking = false

  constructor(edge: GraphEdge, work: TurnWork) {
    this.edge = edge
    this.#work = work
    this.#fixed = edge.to_node_id === work.graph.nodeId("audio_output")
    this.#forgetful = forgetful.has(strategyOf(work.flow.policy(edge.edge_id), work.context))
    const policy = work.turn.plan.edge_buffer_policies[edge.edge_id]?.sync_drop_policy?.policy
    this.#grouped = policy === "atomic_drop"
  }

  /** Nothing waits and nothing more will come. */
  get isOver(): boolean {
    return this.#closed || (this.#ended && this.#waiting.length === 0 && this.#blocked.length === 0)
  }

  /** It has no room, or is past its high mark: who can wait should. */
  get isFull(): boolean {
    return this.#blocked.length > 0 || this.#work.flow.isHeld(this.edge.edge_id)
  }

  get head(): WaitingItem | undefined {
    this.#unblock()
    this.#forgetOld()
    return this.#waiting[0]
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** `producer`: the invocation that is held while there is no room. */
  offer(item: Item, producer: string | undefined): void {
    if (this.#closed || this.#ended) return
    if (item.end !== true) {
      if (!passes(this.edge.condition, item.handle)) return
      if (this.#grouped && this.#work.sync.isDoomed(this.edge.edge_id, syncIdsOf(item))) {
        this.#work.lost(item, "sync_group", this.edge.edge_id)
        return
      }
    }
    this.#producer = producer
    if (this.#blocked.length > 0) {
      // Behind the one that waits: a shorter one must not overtake it.
      this.#blocked.push(item)
      return
    }
    const place = placeOf(item)
    if (place === noPlace) {
      this.#add(item, noPlace)
      return
    }
    const { edge_id } = this.edge
    const { context, flow } = this.#work
    switch (flow.offer(edge_id, place.bytes, place.ms, producer, this.#fixed)) {
      case "accepted":
        this.#add(item, place)
        return
      case "merge":
        this.#add(item, { ...place, items: 0 }, this.#waiting.at(-1)?.event)
        return
      case "replace":
        for (const lost of this.#waiting.splice(0)) this.#work.lost(lost, "latest_only", edge_id)
        this.#add(item, place)
        return
      case "drop":
        this.#work.lost(item, "edge_full", edge_id)
        return
      case "block": {
        this.#blocked.push(item)
        // Speech is held, never shed.
        if (this.edge.payload_kind === "voice") return
        if (this.#blocking) return
        this.#blocking = true
        context.arm(this.blockTimer, context.now + (flow.policy(edge_id).max_block_time_ms ?? 0))
      }
    }
  }

  /** No more will come. */
  end(): void {
    this.#ended = true
  }

  take(): WaitingItem | undefined {
    this.#unblock()
    this.#forgetOld()
    const first = this.#waiting.shift()
    if (first === undefined) return undefined
    this.#passed(first)
    // What was held comes after the consumer has begun (see `watch`), so that it takes a place that is seen to be free.
    const { bytes, items, ms } = first.place
    this.#work.flow.take(this.edge.edge_id, items, bytes, ms, this.#producer)
    return first
  }

  /** Hands on the first that waits, which goes on taking its place: its consumer says when it is gone, by `release`. */
  pass(): WaitingItem | undefined {
    const first = this.#waiting.shift()
    if (first !== undefined) this.#passed(first)
    return first
  }

  /** What waits of this group is lost with the rest of it. */
  dropGroup(key: string): void {
    const { edge_id } = this.edge
    const policies = this.#work.turn.plan.edge_buffer_policies
    const isOf = (item: Item) => item.end !== true && groupOf(policies, edge_id, syncIdsOf(item)) === key
    const lost = this.#waiting.filter(isOf)
    this.#waiting = this.#waiting.filter((item) => !isOf(item))
    const blocked = this.#blocked.filter(isOf)
    for (const item of blocked) this.#blocked.splice(this.#blocked.indexOf(item), 1)
    for (const item of [...lost, ...blocked]) this.#work.lost(item, "sync_group", edge_id)
    for (const { place } of lost) this.#release(place)
  }

  /** What was handed on is gone. */
  release(items: number, bytes: number, ms: number): void {
    this.#release({ items, bytes, ms })
  }

  /**
   * What waits could be taken but for what comes after its consumer (`held`), or waits for the consumer itself: then the
   * edge's budget runs.
   */
  watch(held: boolean): void {
    this.#unblock()
    const { budgets, context, flow, turn } = this.#work
    const { edge_id } = this.edge
    if (held) this.#heldMs = context.now
    if (held || this.#waiting.length === 0) {
      this.served()
      return
    }
    this.#watched = true
    const { max_latency_contribution_ms } = flow.policy(edge_id)
    budgets.edgeWaiting(turn.turnId, edge_id, turn.plan.budgets.edge_budget_ms_default, max_latency_contribution_ms)
  }

  /**
   * What waits has waited for as long as the edge may add to the turn's latency. Where the plan allows `degrade`, what
   * is too late is shed before it is taken; otherwise it goes on waiting. Speech is held, never shed.
   */
  late(): void {
    const { context, flow, gateway, turn } = this.#work
    const { edge_id, payload_kind } = this.edge
    if (payload_kind === "voice" || !turn.plan.allowed_adaptive_actions.includes("degrade")) return
    const bound = flow.policy(edge_id).max_latency_contribution_ms
    const isLate = ({ end, sinceMs }: { readonly end?: boolean; readonly sinceMs: number }) =>
      end !== true && context.now - Math.max(sinceMs, this.#heldMs) >= bound
    const lost = this.#waiting.filter(isLate)
    if (lost.length === 0) {
      // Another has come to the head since then: its time begins anew.
      this.served()
      return
    }
    gateway.signal("degrade", "RK-17", { turn_id: turn.turnId, edge_id, reason: "edge_latency" })
    this.#tellShed("edge_dequeue", "edge_latency")
    this.#waiting = this.#waiting.filter((item) => !isLate(item))
    this.served()
    for (const item of lost) this.#work.lost(item, "too_late", edge_id)
    for (const { place } of lost) this.#release(place)
  }

  served(): void {
    if (!this.#watched) return
    this.#watched = false
    this.#work.budgets.edgeServed(this.#work.turn.turnId, this.edge.edge_id)
  }

  /** The producer has ended: there is nobody to be held any more. */
  producerEnded(producer: string): void {
    if (this.#producer === producer) this.#producer = undefined
  }

  get blockTimer(): string {
    return `block:${this.#work.turn.turnId}:${this.edge.edge_id}`
  }

  /** The bounded block is over and there is still no room: shed by the plan's rule. */
  blockExpired(): void {
    this.#blocking = false
    const { gateway, turn } = this.#work
    const { edge_id } = this.edge
    const strategy = turn.plan.flow_control.shedding_strategy_by_lane.DataLane
    this.#tellShed("edge_enqueue", `block_time:${strategy}`)
    const blocked = this.#blocked.splice(0)
    switch (strategy) {
      case "merge":
        // Joined to the one before: it takes no place of its own on the edge.
        for (const item of blocked) this.#add(item, noPlace, this.#waiting.at(-1)?.event)
        break
      case "latest_only": {
        const last = blocked.pop()
        for (const item of blocked) this.#work.lost(item, "latest_only", edge_id)
        if (last !== undefined) this.#add(last, noPlace)
        break
      }
      case "degrade":
      case "fallback":
        gateway.signal(strategy, "RK-13", { turn_id: turn.turnId, reason: "edge_pressure" })
        for (const item of blocked) this.#work.lost(item, "edge_full", edge_id)
        break
      case "drop":
        for (const item of blocked) this.#work.lost(item, "edge_full", edge_id)
    }
    this.#work.flow.relieve(edge_id, this.#producer)
  }

  /** Nothing of it is wanted any more. What waits is lost, and that is said unless the whole turn is over. */
  close(reason?: string): void {
    if (reason !== undefined) {
      for (const item of [...this.#waiting, ...this.#blocked]) {
        if (item.end !== true) this.#work.lost(item, reason, this.edge.edge_id)
      }
    }
    this.#closed = true
    this.#waiting = []
    this.#blocked.length = 0
    this.#stopBlocking()
    this.served()
  }

  #tellShed(scope: "edge_enqueue" | "edge_dequeue", reason: string): void {
    const { gateway, turn } = this.#work
    const about = { reason, turn_id: turn.turnId } as const
    gateway.signal("shed", "RK-25", { ...about, edge_id: this.edge.edge_id })
    gateway.decision({
      outcome_kind: "shed",
      phase: "scheduling_point",
      scope,
      emitted_by: "RK-25",
      ...about
    })
  }

  #unblock(): void {
    const { flow } = this.#work
    const { edge_id } = this.edge
    while (this.#blocked.length > 0) {
      const [item] = this.#blocked as [Item]
      const place = placeOf(item)
      const { bytes, ms } = place
      if (place !== noPlace && flow.offer(edge_id, bytes, ms, this.#producer, this.#fixed) !== "accepted") return
      this.#blocked.shift()
      this.#add(item, place)
    }
    this.#stopBlocking()
    flow.relieve(edge_id, this.#producer)
  }

  #passed(item: Item): void {
    if (this.#grouped && item.end !== true) this.#work.sync.passed(this.edge.edge_id, syncIdsOf(item))
  }

  #stopBlocking(): void {
    if (!this.#blocking) return
    this.#blocking = false
    this.#work.context.disarm(this.blockTimer)
  }

  #forgetOld(): void {
    if (!this.#forgetful || this.#waiting.length === 0) return
    const { context, flow } = this.#work
    const { edge_id } = this.edge
    const policy = flow.policy(edge_id)
    for (let shed = false;;) {
      const first = this.#waiting[0]
      if (first === undefined || first.end === true) return
      if (context.now - Math.max(first.sinceMs, this.#heldMs) <= policy.max_queue_ms) return
      if (!shed && context.behaves("limits")) this.#tellShed("edge_dequeue", "queue_age")
      shed = true
      this.#waiting.shift()
      this.#release(first.place)
      this.#work.lost(first, "too_old", edge_id)
    }
  }

  #release(place: Place): void {
    const { flow } = this.#work
    flow.take(this.edge.edge_id, place.items, place.bytes, place.ms, this.#producer)
    this.#unblock()
  }

  #add(item: Item, place: Place, joins?: string): void {
    const { context } = this.#work
    const event = this.#work.tell(this.edge, item, this.#producer, joins)
    this.#waiting.push({ place, event, sinceMs: context.now, arrival: this.#work.nextArrival(), ...item })
  }
}

/** The edge whose head came first. */
export const firstToArrive = (edges: ReadonlyArray<EdgeRun>): EdgeRun | undefined => {
  let best: EdgeRun | undefined
  let arrival = Number.POSITIVE_INFINITY
  for (const edge of edges) {
    const head = edge.head
    if (head === undefined || head.arrival >= arrival) continue
    best = edge
    arrival = head.arrival
  }
  return best
}
