import type { PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { Invocation } from "../invocation/InvocationLedger.ts"
import type { Segment } from "../turn/Turn.ts"
import type { EdgeRun } from "./EdgeRun.ts"
import { firstToArrive } from "./EdgeRun.ts"
import type { Failure, Recovery } from "./NodeRun.ts"
import { EdgesRun, goesOn } from "./NodeRun.ts"
import { spareFor, takeOver } from "./Recovery.ts"
import type { Spare } from "./Recovery.ts"

/** The sentence that is being spoken, and by which call. */
interface Speaking {
  readonly segment: Segment
  readonly call: Invocation
  /** Whether any of it has come. */
  begun: boolean
}

/**
 * A voice in a turn: speaks the sentences that its edges bring, one after the other, ahead of playback as far as the
 * edges after it have room.
 *
 * Guarantees: I-SEG-OWNER a chunk belongs to the segment and turn of its invocation for ever.
 */
export class VoiceRun extends EdgesRun {
  #speaking: Speaking | undefined
  /** Speech is not to be had: sentences go by unspoken. */
  #mute = false
  /** Once another node does the rest of the work: the edges to it. */
  #handedOver: ReadonlyArray<EdgeRun> | undefined

  pump(): boolean {
    if (this.isOver) return false
    if (this.#speaking !== undefined) {
      // A sentence that waits for the one before it waits for this voice; but not while playback holds the voice itself.
      if (this.work.context.behaves("limits")) {
        const held = this.out.some((edge) => edge.isFull)
        for (const edge of this.into) edge.watch(held)
      }
      return false
    }
    const next = firstToArrive(this.into)
    if (next === undefined) {
      for (const edge of this.into) edge.watch(false)
      if (this.into.some((edge) => !edge.isOver)) return false
      this.finish()
      return true
    }
    if (this.#handedOver !== undefined) {
      this.#forward(next)
      return true
    }
    if (this.out.some((edge) => edge.isFull)) {
      // Waiting for playback is no delay of the edge: speech is held on purpose.
      for (const edge of this.into) edge.watch(true)
      return false
    }
    const item = next.take()
    if (item === undefined) return false
    next.served()
    const segment = this.work.newSegment(item.handle)
    if (this.#mute) {
      this.#ended(segment)
      return true
    }
    this.#speak(segment, { provider: this.work.provider(this.of), attempts: 1 })
    for (const edge of this.into) edge.watch(false)
    return true
  }

  gave(invocation: Invocation, kind: PayloadKind, handle: PayloadHandle): void {
    const speaking = this.#speaking
    if (speaking?.call !== invocation || kind !== "voice") return
    this.work.invocations.resulted(invocation)
    speaking.begun = true
    for (const edge of this.out) edge.offer({ handle, segment: speaking.segment }, invocation.id)
    if (this.out.some((edge) => edge.isFull)) { for (const edge of this.into) edge.watch(true) }
  }

  ended(invocation: Invocation): void {
    const speaking = this.#speaking
    if (speaking?.call !== invocation) return
    this.#done(speaking)
  }

  failed(invocation: Invocation, failure: Failure): Recovery {
    const { outcome } = failure
    const speaking = this.#speaking
    if (speaking?.call !== invocation) return goesOn
    const { gateway, turn } = this.work
    const { segment } = speaking
    if (!speaking.begun) {
      const spare = spareFor(this.work, invocation, failure)
      if (spare !== undefined) {
        this.again(invocation, spare.afterMs, () => this.#speak(segment, spare))
        return goesOn
      }
      this.#handedOver = takeOver(this.work, this.of, invocation, outcome, [segment.handle])
      if (this.#handedOver !== undefined) {
        this.#speaking = undefined
        return goesOn
      }
    }
    if (turn.plan.allowed_adaptive_actions.includes("degrade")) {
      const about = {
        turn_id: turn.turnId,
        provider_invocation_id: invocation.id,
        reason: "speech_unavailable"
      } as const
      if (!this.#mute) gateway.signal("degrade", "RK-17", about)
      this.#mute = true
      this.#done(speaking)
      return goesOn
    }
    return { goesOn: false, reason: "provider_failure" }
  }

  override abandon(reason: string): void {
    this.work.invocations.cancel(this.#speaking?.call.id, reason)
    this.#speaking = undefined
    super.abandon(reason)
  }

  #speak(segment: Segment, { attempts, firstStartedMs, provider }: Spare): void {
    const call = this.work.call(this, {
      modality: "tts",
      provider,
      work: segment.segmentId,
      attempts,
      ...(firstStartedMs === undefined ? {} : { firstStartedMs }),
      segmentId: segment.segmentId,
      text: segment.handle
    })
    segment.invocation = call.id
    this.#speaking = { segment, call, begun: false }
  }

  #done({ call, segment }: Speaking): void {
    this.#speaking = undefined
    for (const edge of this.out) edge.producerEnded(call.id)
    this.#ended(segment)
  }

  #ended(segment: Segment): void {
    for (const edge of this.out) edge.offer({ handle: segment.handle, segment, end: true }, undefined)
  }

  /** What still comes goes where the failed sentence went. */
  #forward(from: EdgeRun): void {
    const item = from.take()
    if (item === undefined) return
    for (const edge of this.#handedOver ?? []) edge.offer({ handle: item.handle }, undefined)
  }
}
