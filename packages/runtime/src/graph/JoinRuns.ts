import type { EdgeRun } from "./EdgeRun.ts"
import { firstToArrive } from "./EdgeRun.ts"
import { EdgesRun } from "./NodeRun.ts"

/** What nodes share that hand items on and do nothing else. */
abstract class PassingRun extends EdgesRun {
  /** Hands one item on when there is room. */
  protected hand(from: EdgeRun): boolean {
    const held = this.out.some((edge) => edge.isFull)
    if (held) {
      from.watch(true)
      return false
    }
    const item = from.take()
    if (item === undefined) return false
    from.served()
    for (const edge of this.out) {
      edge.offer({
        handle: item.handle,
        ...(item.segment === undefined ? {} : { segment: item.segment }),
        ...(item.end === undefined ? {} : { end: item.end })
      }, undefined)
    }
    return true
  }
}

/**
 * A merge (fan-in): what its edges bring, in the order in which it came, which is the recorded order (merge rule
 * `control-first-arrival`). Each item that it hands on names, by an event, what it was merged from.
 */
export class MergeRun extends PassingRun {
  pump(): boolean {
    if (this.isOver) return false
    const next = firstToArrive(this.into)
    if (next === undefined) {
      if (this.into.some((edge) => !edge.isOver)) return false
      this.finish()
      return true
    }
    const { event, handle } = next.head ?? {}
    if (!this.hand(next)) return false
    if (event !== undefined && handle !== undefined) {
      this.work.gateway.event({
        turn_id: this.work.turn.turnId,
        lane: "DataLane",
        payload_class: handle.payload_class,
        node_id: this.of.node.node_id,
        edge_id: next.edge.edge_id,
        merge_group_id: `merge_${this.work.turn.turnId}_${this.of.node.node_id}`,
        merged_from_event_ids: [event],
        reason: "merged"
      })
    }
    return true
  }
}

/**
 * A select (fan-in by condition): takes one of its edges, for the whole turn, by the rule of its node; the others are
 * closed, and the work that was only for them is cancelled. The choice is told.
 */
export class SelectRun extends PassingRun {
  #chosen: EdgeRun | undefined

  pump(): boolean {
    if (this.isOver) return false
    this.#chosen ??= this.#choose()
    const chosen = this.#chosen
    if (chosen === undefined) {
      if (this.into.some((edge) => !edge.isOver)) return false
      this.finish()
      return true
    }
    if (chosen.head !== undefined) return this.hand(chosen)
    if (!chosen.isOver) return false
    this.finish()
    return true
  }

  /** Nobody who is preferred is waited for any longer. */
  override due(): void {
    if (this.#chosen !== undefined || this.isOver) return
    const best = this.#ordered().find((edge) => edge.head !== undefined)
    if (best !== undefined) this.#chosen = this.#take(best, "waited_long_enough")
  }

  /**
   * The work behind one of its edges has failed. True: another edge may still deliver, so the turn goes on without this
   * one.
   */
  doWithout(edgeId: string): boolean {
    const failed = this.into.find(({ edge }) => edge.edge_id === edgeId)
    if (failed === undefined || this.isOver || this.#chosen === failed) return false
    const others = this.into.filter((edge) => edge !== failed)
    if (this.#chosen === undefined && others.every((edge) => edge.isOver)) return false
    failed.close("branch_failed")
    this.work.abandon([failed.edge], "branch_failed")
    return true
  }

  #choose(): EdgeRun | undefined {
    const { context } = this.work
    const first = firstToArrive(this.into)
    if (first === undefined) return undefined
    if (this.of.node.select?.rule !== "preferred") return this.#take(first, "first")
    for (const edge of this.#ordered()) {
      if (edge.head !== undefined) return this.#take(edge, "preferred")
      if (!edge.isOver) break
    }
    if (!context.isArmed(this.#timer)) context.arm(this.#timer, context.now + (this.of.node.select.wait_ms ?? 0))
    return undefined
  }

  #take(edge: EdgeRun, reason: string): EdgeRun {
    const { context, gateway, turn } = this.work
    context.disarm(this.#timer)
    gateway.event({
      turn_id: turn.turnId,
      lane: "DataLane",
      payload_class: "metadata",
      node_id: this.of.node.node_id,
      edge_id: edge.edge.edge_id,
      reason: `selected:${reason}`
    })
    const lost = this.into.filter((other) => other !== edge)
    for (const other of lost) other.close("not_selected")
    this.work.abandon(lost.map((other) => other.edge), "not_selected")
    return edge
  }

  /** As the node prefers them; those that it does not name come last, in the order of their ids. */
  #ordered(): ReadonlyArray<EdgeRun> {
    const order = this.of.node.select?.order ?? []
    const rank = (edge: EdgeRun) => {
      const at = order.indexOf(edge.edge.edge_id)
      return at < 0 ? order.length : at
    }
    return [...this.into].sort((a, b) => rank(a) - rank(b))
  }

  get #timer(): string {
    return `select:${this.work.turn.turnId}:${this.of.node.node_id}`
  }

  override abandon(reason: string): void {
    this.work.context.disarm(this.#timer)
    super.abandon(reason)
  }
}

/** A transcript sink: whoever shows or keeps what is said gets it, and nobody waits for that. */
export class SinkRun extends PassingRun {
  pump(): boolean {
    if (this.isOver) return false
    let moved = false
    for (let next = firstToArrive(this.into); next !== undefined; next = firstToArrive(this.into)) {
      const item = next.take()
      if (item === undefined) break
      next.served()
      moved = true
      this.work.context.command({
        type: "write_transcript",
        turn_id: this.work.turn.turnId,
        node_id: this.of.node.node_id,
        role: next.edge.payload_kind === "transcript" ? "user" : "assistant",
        handle: item.handle
      })
    }
    if (!this.into.every((edge) => edge.isOver)) return moved
    this.finish()
    return true
  }
}
