import type { PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { Invocation } from "../invocation/InvocationLedger.ts"
import type { Failure, Recovery } from "./NodeRun.ts"
import { EdgesRun, goesOn } from "./NodeRun.ts"
import { spareFor, takeOver } from "./Recovery.ts"
import type { Spare } from "./Recovery.ts"
import type { TurnNode } from "./SessionGraph.ts"
import type { TurnWork } from "./TurnWork.ts"

/**
 * A language model in a turn. It is asked once, when all of its edges have ended, with everything that they brought and
 * the conversation before it; with nothing it is not asked at all.
 */
export class ModelRun extends EdgesRun {
  readonly #asked: Array<PayloadHandle> = []
  #call: Invocation | undefined
  /** The name of its work, stable across attempts: one that was begun before the turn keeps the name that it had. */
  #name: string

  constructor(of: TurnNode, work: TurnWork) {
    super(of, work)
    this.#name = work.workName(of)
  }

  pump(): boolean {
    if (this.isOver || this.#call !== undefined) return false
    for (const edge of this.into) {
      for (let item = edge.take(); item !== undefined; item = edge.take()) this.#asked.push(item.handle)
      edge.watch(false)
    }
    if (this.into.some((edge) => !edge.isOver)) return false
    if (this.#asked.length === 0) this.finish()
    else if (!this.#goOn()) this.#start({ provider: this.work.provider(this.of), attempts: 1 })
    return true
  }

  gave(invocation: Invocation, kind: PayloadKind, handle: PayloadHandle): void {
    if (this.#call !== invocation) return
    this.work.invocations.resulted(invocation)
    this.#give(kind, handle, invocation.id)
  }

  ended(invocation: Invocation): void {
    for (const edge of this.out) edge.producerEnded(invocation.id)
    this.finish()
  }

  failed(invocation: Invocation, failure: Failure): Recovery {
    const { outcome } = failure
    // What was said cannot be taken back, so nobody can say it anew.
    const silent = invocation.firstResultMs === undefined
    for (const edge of this.out) edge.producerEnded(invocation.id)
    if (silent) {
      const spare = spareFor(this.work, invocation, failure)
      if (spare !== undefined) {
        this.again(invocation, spare.afterMs, () => this.#start(spare))
        return goesOn
      }
      if (takeOver(this.work, this.of, invocation, outcome, this.#asked) !== undefined) {
        this.finish()
        return goesOn
      }
    }
    if (!silent && outcome === "timeout" && this.#mayStopHere(invocation)) return goesOn
    return { goesOn: false, reason: "provider_failure" }
  }

  override abandon(reason: string): void {
    this.work.invocations.cancel(this.#call?.id, reason)
    super.abandon(reason)
  }

  /** A model that stalls after it began: the reply ends with what was said, where the plan allows `degrade`. */
  #mayStopHere(invocation: Invocation): boolean {
    const { context, gateway, turn } = this.work
    if (!context.behaves("limits") || !turn.plan.allowed_adaptive_actions.includes("degrade")) return false
    gateway.signal("degrade", "RK-17", {
      turn_id: turn.turnId,
      provider_invocation_id: invocation.id,
      node_id: this.of.node.node_id,
      reason: "reply_cut_short"
    })
    this.finish()
    return true
  }

  /** Takes over what was begun before the turn was open. */
  #goOn(): boolean {
    const ahead = this.work.adopt(this)
    if (ahead === undefined) return false
    const { invocation } = ahead
    this.#name = ahead.work
    this.#call = invocation
    // What has ended already cannot be held.
    for (const { handle, kind } of ahead.items) this.#give(kind, handle, ahead.ended ? undefined : invocation.id)
    if (ahead.ended) this.ended(invocation)
    return true
  }

  #give(kind: PayloadKind, handle: PayloadHandle, producer: string | undefined): void {
    if (kind !== (this.of.givesSentences ? "segment" : "text")) return
    for (const edge of this.out) edge.offer({ handle }, producer)
  }

  #start({ attempts, firstStartedMs, provider }: Spare): void {
    const { conversation } = this.work
    this.#call = this.work.call(this, {
      modality: "llm",
      provider,
      work: this.#name,
      attempts,
      ...(firstStartedMs === undefined ? {} : { firstStartedMs }),
      conversation: conversation.lines(this.#asked),
      ...(this.of.givesSentences ? {} : { emits: "text" as const })
    })
  }
}
