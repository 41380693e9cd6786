import type { PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { Invocation } from "../invocation/InvocationLedger.ts"
import type { EdgeRun, WaitingItem } from "./EdgeRun.ts"
import { firstToArrive } from "./EdgeRun.ts"
import type { Failure, Recovery } from "./NodeRun.ts"
import { EdgesRun, goesOn } from "./NodeRun.ts"
import { takeOver } from "./Recovery.ts"

/**
 * A node whose work is done outside of the kernel: a custom node, a text filter, a segmenter that has no model of its
 * own. It gets one item at a time, and the next when it is done; it is started by the first and told when no more come.
 *
 * When it fails, its fallback edges take over what it had not done; or, if it is `optional` and the plan allows
 * `degrade`, its items go on unchanged; or the turn ends with `node_timeout_or_failure` (F2).
 */
export class ExternalRun extends EdgesRun {
  #call: Invocation | undefined
  #current: { readonly item: WaitingItem; readonly kind: PayloadKind } | undefined
  #told = false
  /** Once it has failed: where its items go instead. */
  #instead: ReadonlyArray<EdgeRun> | undefined

  pump(): boolean {
    if (this.isOver || this.#current !== undefined || this.#told) return false
    const next = firstToArrive(this.into)
    if (next === undefined) {
      for (const edge of this.into) edge.watch(false)
      if (this.into.some((edge) => !edge.isOver)) return false
      if (this.#call === undefined || this.#instead !== undefined) {
        this.finish()
        return true
      }
      this.#told = true
      this.work.invocations.asked(this.#call)
      this.work.context.command({ type: "end_items", provider_invocation_id: this.#call.id })
      return true
    }
    if (this.out.some((edge) => edge.isFull)) {
      for (const edge of this.into) edge.watch(true)
      return false
    }
    const item = next.take()
    if (item === undefined) return false
    next.served()
    if (this.#instead !== undefined) {
      this.#goRound(item.handle, next.edge.payload_kind)
      return true
    }
    const kind = next.edge.payload_kind
    this.#current = { item, kind }
    if (this.#call === undefined) {
      this.#call = this.work.call(this, {
        modality: "external",
        provider: this.work.provider(this.of),
        work: this.work.workName(this.of)
      })
    } else this.work.invocations.asked(this.#call)
    this.work.context.command({
      type: "push_item",
      provider_invocation_id: this.#call.id,
      edge_id: next.edge.edge_id,
      payload_kind: kind,
      handle: item.handle
    })
    for (const edge of this.into) edge.watch(false)
    return true
  }

  gave(invocation: Invocation, kind: PayloadKind, handle: PayloadHandle): void {
    for (const edge of this.out) {
      if (edge.edge.payload_kind === kind) edge.offer({ handle }, invocation.id)
    }
  }

  did(invocation: Invocation): void {
    this.work.invocations.resulted(invocation)
    this.#current = undefined
  }

  ended(invocation: Invocation): void {
    for (const edge of this.out) edge.producerEnded(invocation.id)
    if (this.#told || this.into.every((edge) => edge.isOver)) {
      this.finish()
      return
    }
    // It wants no more: what still comes is not for it, and nothing of it is missing.
    for (const edge of this.into) edge.close("node_ended")
    this.finish()
  }

  failed(invocation: Invocation, { outcome }: Failure): Recovery {
    const { gateway, turn } = this.work
    for (const edge of this.out) edge.producerEnded(invocation.id)
    const current = this.#current
    this.#current = undefined
    this.#told = false
    const undone = current === undefined ? [] : [current.item.handle]
    this.#instead = takeOver(this.work, this.of, invocation, outcome, undone)
    if (this.#instead !== undefined) return goesOn
    if (this.of.node.optional === true && turn.plan.allowed_adaptive_actions.includes("degrade")) {
      gateway.signal("degrade", "RK-17", {
        turn_id: turn.turnId,
        provider_invocation_id: invocation.id,
        node_id: this.of.node.node_id,
        reason: `node_passed_by:${outcome}`
      })
      this.#instead = this.out
      if (current !== undefined) this.#goRound(current.item.handle, current.kind)
      return goesOn
    }
    return { goesOn: false, reason: "node_timeout_or_failure" }
  }

  override abandon(reason: string): void {
    this.work.invocations.cancel(this.#call?.id, reason)
    this.#current = undefined
    super.abandon(reason)
  }

  #goRound(handle: PayloadHandle, kind: PayloadKind): void {
    for (const edge of this.#instead ?? []) if (edge.edge.payload_kind === kind) edge.offer({ handle }, undefined)
  }
}
