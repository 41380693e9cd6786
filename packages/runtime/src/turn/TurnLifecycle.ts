import type { TurnTrigger } from "@rspp/contracts/Turn"
import type { SessionGuard } from "../authority/ContractGuard.ts"
import type { SessionBargeIn } from "../cancellation/BargeIn.ts"
import type { SessionCancellation } from "../cancellation/Cancellation.ts"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { Identity } from "../events/Identity.ts"
import type { AheadCall, SessionSpeculation } from "../graph/Speculation.ts"
import type { TurnGraph } from "../graph/TurnGraph.ts"
import type { Circuits } from "../invocation/CircuitWatch.ts"
import type { SessionInvocations } from "../invocation/InvocationLedger.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { SessionAdmission } from "../limits/LocalAdmission.ts"
import type { RecordingLimit } from "../limits/RecordingLimit.ts"
import type { PlanResolver } from "../plan/PlanResolver.ts"
import type { SnapshotStore } from "../plan/SnapshotStore.ts"
import type { SessionConversation } from "../session/Conversation.ts"
import type { EndCause, Turn, TurnIntent } from "./Turn.ts"
import { isSpeaking, makeTurn } from "./Turn.ts"
import type { OpeningDecision, TurnArbiter } from "./TurnArbiter.ts"
import { transitionOf } from "./TurnArbiter.ts"

/** Closed turns whose delivery a session still follows. */
export const followedTurns = 4

/** What the lifecycle works with. */
export interface LifecycleParts {
  readonly context: KernelContext
  readonly gateway: SessionGateway
  readonly guard: SessionGuard
  readonly arbiter: TurnArbiter["Service"]
  readonly admission: SessionAdmission
  readonly plans: PlanResolver["Service"]
  readonly snapshots: SnapshotStore
  readonly circuits: Circuits
  readonly identity: Identity["Service"]
  readonly invocations: SessionInvocations
  readonly cancellation: SessionCancellation
  readonly bargeIn: SessionBargeIn
  readonly conversation: SessionConversation
  readonly speculation: SessionSpeculation
  readonly recording: RecordingLimit
  readonly run: (turn: Turn, ahead: ReadonlyMap<string, AheadCall>) => TurnGraph
}

/**
 * The turns of one session: rows T1 to T9 of CONTRACT section 4 as they happen.
 *
 * Guarantees: I-TURN-ONE at most one turn is open; I-TURN-TERMINAL exactly one terminal per accepted turn, then
 * `close`; I-FENCE-FIRST an abort comes after egress has reported the fence; I-EVIDENCE-FIRST a commit comes after its
 * evidence was appended.
 */
export class TurnLifecycle {
  readonly #parts: LifecycleParts
  readonly #followed: Array<Turn> = []
  readonly #graces = new Set<string>()
  #active: { readonly turn: Turn; readonly reply: TurnGraph; readonly reservation: string | undefined } | undefined
  #pending: TurnIntent | undefined
  /** An intent for which a part of what the tenant's sessions share is being reserved. */
  #asking: { readonly intent: TurnIntent; readonly supersede: boolean; readonly reservation: string } | undefined
  #ordinal = 0
  #reservations = 0
  #closed = false

  constructor(parts: LifecycleParts) {
    this.#parts = parts
  }

  get active(): Turn | undefined {
    return this.#active?.turn
  }

  get reply(): TurnGraph | undefined {
    return this.#active?.reply
  }

  /** Nothing is open, nothing waits to open, every fence is reported and every supplement sealed. */
  get isSettled(): boolean {
    return this.#active === undefined && this.#pending === undefined && this.#asking === undefined &&
      this.#graces.size === 0 &&
      this.#followed.every((turn) => turn.fenced || !turn.fenceRequested)
  }

  /** Turns that were wanted and turns that were accepted, in the whole session. */
  get counts(): { readonly turns: number; readonly accepted: number } {
    return { turns: this.#ordinal, accepted: this.#parts.admission.accepted() }
  }

  /** Another placement has had so many turns: ids and quotas go on from there. */
  restore(turns: number, accepted: number): void {
    this.#ordinal = Math.max(this.#ordinal, turns)
    this.#parts.admission.accepted(accepted)
  }

  find(turnId: string): Turn | undefined {
    if (this.#active?.turn.turnId === turnId) return this.#active.turn
    return this.#followed.find((turn) => turn.turnId === turnId)
  }

  /** The turn whose speech the caller may be hearing, or that is about to speak. */
  get audible(): Turn | undefined {
    if (this.#active !== undefined && !this.#active.turn.fenceRequested) return this.#active.turn
    return this.#followed.findLast((turn) => isSpeaking(turn))
  }

  /** T1: a turn is wanted. An open turn makes way for it first. */
  propose(intent: TurnIntent, supersede: boolean): void {
    const { gateway } = this.#parts
    gateway.signal("turn_open_proposed", "RK-02", {
      event_scope: "session",
      ...(intent.recognition === undefined ? {} : { provider_invocation_id: intent.recognition })
    })
    if (this.#closed) {
      this.#refuse(intent, "reject", "session_ended")
      return
    }
    if (intent.epoch !== this.#parts.context.epoch) {
      // Arbitration turns it away, so nothing has to make way for it.
      this.#open(intent)
      return
    }
    if (this.#active !== undefined && !supersede) {
      this.#refuse(intent, "defer", "turn_active")
      return
    }
    if (this.#isHopeless(intent)) {
      // Arbitration turns it away now, and nothing has to make way for it.
      this.#open(intent)
      return
    }
    const limits = this.#parts.admission.tenantLimits(this.#admissionPolicy)
    if (limits === undefined) {
      this.#makeWay(intent)
      return
    }
    // Reserved before it is accepted, and before anything makes way for it (I-ADMIT-RESERVE).
    if (this.#asking !== undefined) this.#refuse(this.#asking.intent, "reject", "superseded")
    const reservation = `reservation_${++this.#reservations}`
    this.#asking = { intent, supersede, reservation }
    this.#parts.context.command({ type: "reserve_turn", reservation_id: reservation, ...limits })
  }

  /** What was asked of the tenant's share is granted or not. */
  reserved(reservation: string, granted: boolean, reason: string): void {
    const asking = this.#asking
    if (asking?.reservation !== reservation) {
      // Nobody waits for it any more.
      if (granted) this.#release(reservation)
      return
    }
    this.#asking = undefined
    if (!granted) {
      this.#refuse(asking.intent, this.#admissionPolicy?.body.over_quota ?? "reject", reason)
      return
    }
    const intent = { ...asking.intent, reservation }
    if (this.#active !== undefined && !asking.supersede) this.#refuse(intent, "defer", "turn_active")
    else if (intent.epoch !== this.#parts.context.epoch || this.#isHopeless(intent)) this.#open(intent)
    else this.#makeWay(intent)
  }

  get #admissionPolicy() {
    return this.#parts.snapshots.get("admission_policy_snapshot")
  }

  /** Whether arbitration would turn it away as things stand, while something else would have to make way for it. */
  #isHopeless(intent: TurnIntent): boolean {
    if (this.audible === undefined && this.#active === undefined) return false
    if (!this.#parts.context.behaves("limits")) return false
    return this.#arbitrate(intent, this.#parts.identity.turnId(this.#ordinal + 1)).row !== "T5"
  }

  #release(reservation: string | undefined): void {
    if (reservation === undefined) return
    this.#parts.context.command({ type: "release_turn", reservation_id: reservation })
  }

  /** The open turn makes way for this intent, which opens when it has. */
  #makeWay(intent: TurnIntent): void {
    const { audible } = this
    if (audible !== undefined) this.cancel(audible, "turn", "superseded")
    if (this.#active === undefined) {
      this.#open(intent)
      return
    }
    if (this.#pending !== undefined) this.#refuse(this.#pending, "reject", "superseded")
    this.#pending = intent
  }

  /** T8; and what still plays of a closed turn falls silent, so that another epoch's voice is the only one. */
  authorityLost(): void {
    const { bargeIn, cancellation } = this.#parts
    this.end({ kind: "authority", reason: "authority_loss" })
    for (const turn of this.#followed) {
      if (!isSpeaking(turn)) continue
      bargeIn.forget(turn)
      cancellation.fence(turn, "authority_loss")
    }
  }

  /** T7, or a cut of what is still playing after the commit. */
  cancel(turn: Turn, scope: "session" | "turn", reason: string): void {
    const { bargeIn, cancellation } = this.#parts
    if (!cancellation.accept(turn, scope, reason)) return
    bargeIn.forget(turn)
    if (turn === this.#active?.turn) this.end({ kind: "cancel", reason: "cancelled" })
  }

  /** T7 to T10: the open turn ends without a commit. The strongest cause that comes before the terminal prevails. */
  end(cause: EndCause): void {
    const active = this.#active
    if (active === undefined) return
    const { arbiter, bargeIn, cancellation, context, gateway } = this.#parts
    const { turn } = active
    const before = turn.ending
    turn.ending = arbiter.prevailing(before, cause)
    if (turn.ending.kind === "authority" && before?.kind !== "authority") {
      const about = { turn_id: turn.turnId, authority_epoch: context.epoch, reason: "authority_lost" } as const
      gateway.signal("deauthorized_drain", "RK-24", about)
      gateway.decision({
        outcome_kind: "deauthorized_drain",
        phase: "active_turn",
        scope: "turn",
        emitted_by: "RK-24",
        ...about
      })
    }
    if (before !== undefined) return
    active.reply.stop()
    bargeIn.forget(turn)
    cancellation.fence(turn, turn.ending.reason)
    if (turn.fenced) this.#abort(active.turn)
  }

  /** The session is over: what is open ends, and nothing opens any more. */
  close(): void {
    this.#closed = true
    const pending = this.#pending
    this.#pending = undefined
    if (pending !== undefined) this.#refuse(pending, "reject", "session_ended")
    const asking = this.#asking
    this.#asking = undefined
    if (asking !== undefined) this.#refuse(asking.intent, "reject", "session_ended")
    this.end({ kind: "disconnect", reason: "transport_disconnect_or_stall" })
  }

  /** Egress has put up the fence. */
  fenced(turnId: string): void {
    const turn = this.find(turnId)
    if (turn === undefined || turn.fenced || !turn.fenceRequested) return
    turn.fenced = true
    if (turn === this.#active?.turn && turn.ending !== undefined) this.#abort(turn)
  }

  /** Looks whether generation is complete: then its evidence is to be appended (T6, first half). */
  checkComplete(): void {
    const turn = this.#active?.turn
    if (turn === undefined || turn.ending !== undefined || turn.evidenceRequested) return
    if (!turn.outputEnded || turn.segments.some((segment) => !segment.accepted)) return
    turn.evidenceRequested = true
    this.#parts.context.command({ type: "append_evidence", turn_id: turn.turnId })
  }

  /** T6, second half, or T9. */
  evidence(turnId: string, result: "appended" | "refused"): void {
    const turn = this.#active?.turn
    if (turn === undefined || turn.turnId !== turnId || !turn.evidenceRequested) return
    if (result === "refused") {
      this.end({ kind: "failure", reason: "recording_evidence_unavailable" })
      return
    }
    if (turn.ending !== undefined) return
    this.#active?.reply.stop()
    this.#terminal(turn, "commit")
  }

  /** The cancellation grace of a turn is over: its supplement is sealed. */
  graceEnded(turnId: string): void {
    if (this.#graces.delete(turnId)) this.#parts.context.command({ type: "seal_supplement", turn_id: turnId })
  }

  #abort(turn: Turn): void {
    this.#terminal(turn, "abort", turn.ending?.reason)
  }

  #terminal(turn: Turn, kind: "commit" | "abort", reason?: string): void {
    const { bargeIn, context, conversation, gateway, recording } = this.#parts
    this.#active?.reply.closed()
    gateway.signal(kind, "RK-03", { turn_id: turn.turnId, ...(reason === undefined ? {} : { reason }) })
    this.#move(turn, kind)
    gateway.signal("close", "RK-03", { turn_id: turn.turnId })
    this.#move(turn, "close")
    recording.boundary()
    conversation.agentSaid(turn)
    // Nothing of it is to be heard any more: the caller who speaks now cuts in on the next turn, not on this one.
    if (!isSpeaking(turn)) bargeIn.forget(turn)
    this.#release(this.#active?.reservation)
    this.#active = undefined
    this.#followed.push(turn)
    if (this.#followed.length > followedTurns) this.#followed.shift()
    this.#graces.add(turn.turnId)
    context.arm(`grace:${turn.turnId}`, context.now + context.header.pipeline.cancellation_grace_ms)
    const pending = this.#pending
    this.#pending = undefined
    if (pending !== undefined) this.#open(pending)
  }

  #open(intent: TurnIntent): void {
    const { admission, context, conversation, gateway, invocations, recording } = this.#parts
    const turnId = this.#parts.identity.turnId(++this.#ordinal)
    this.#transition(turnId, "turn_open_proposed")
    const decision = this.#arbitrate(intent, turnId)
    if (decision.row !== "T5") {
      this.#refused(turnId, decision.trigger, decision.reason, intent)
      return
    }
    gateway.decision({
      outcome_kind: "admit",
      phase: "pre_turn",
      scope: "turn",
      turn_id: turnId,
      emitted_by: "RK-25",
      reason: "within_quota"
    })
    admission.opened(this.#admissionPolicy)
    recording.boundary()
    recording.planned(decision.plan.recording_policy.recording_level)
    context.outputs.push({
      record: "plan",
      runtime_sequence: context.takeSequence(),
      runtime_timestamp_ms: context.now,
      plan: decision.plan
    })
    const turn = makeTurn({
      turnId,
      epoch: context.epoch,
      plan: decision.plan,
      openMs: context.now,
      userHandle: intent.handle
    })
    this.#transition(turnId, "turn_open")
    gateway.signal("turn_open", "RK-03", { turn_id: turnId })
    const recognition = intent.recognition === undefined ? undefined : invocations.get(intent.recognition)
    if (recognition !== undefined) recognition.turnId = turnId
    const ahead = this.#parts.speculation.promote(turn, intent.handle)
    conversation.userSaid(intent.handle)
    const reply = this.#parts.run(turn, ahead)
    this.#active = { turn, reply, reservation: intent.reservation }
    reply.start()
  }

  #arbitrate(intent: TurnIntent, turnId: string): OpeningDecision {
    const { admission, arbiter, circuits, context, guard, plans, snapshots } = this.#parts
    return arbiter.arbitrateOpening({
      snapshots: () => snapshots.verdict(context.now),
      admission: () => {
        const policy = this.#admissionPolicy
        return policy === undefined
          ? { ok: false, outcome: "reject", reason: "no_admission_policy" }
          : admission.verdict(policy)
      },
      intentEpoch: intent.epoch,
      epoch: context.epoch,
      authorised: guard.authority.authorised,
      plan: () => plans.resolve({ header: context.header, turnId, epoch: context.epoch, snapshots, circuits })
    })
  }

  /** An intent that is turned away without arbitration, as its own turn that never opened. */
  #refuse(intent: TurnIntent, outcome: "reject" | "defer", reason: string): void {
    const turnId = this.#parts.identity.turnId(++this.#ordinal)
    this.#transition(turnId, "turn_open_proposed")
    this.#refused(turnId, outcome, reason, intent)
  }

  #refused(
    turnId: string,
    trigger: "reject" | "defer" | "stale_epoch_reject" | "deauthorized_drain",
    reason: string,
    intent: TurnIntent
  ): void {
    const { context, gateway, speculation } = this.#parts
    speculation.withdraw("refused")
    this.#release(intent.reservation)
    const epoch = trigger === "stale_epoch_reject" ? intent.epoch : context.epoch
    const guarded = trigger === "stale_epoch_reject" || trigger === "deauthorized_drain"
    gateway.signal(trigger, guarded ? "RK-24" : "RK-25", {
      event_scope: "session",
      turn_id: turnId,
      reason,
      ...(guarded ? { authority_epoch: epoch } : {})
    })
    gateway.decision({
      outcome_kind: trigger,
      phase: "pre_turn",
      scope: "turn",
      turn_id: turnId,
      emitted_by: guarded ? "RK-24" : "RK-25",
      reason,
      ...(guarded ? { authority_epoch: epoch } : {})
    })
    this.#transition(turnId, trigger)
  }

  #move(turn: Turn, trigger: TurnTrigger): void {
    this.#transition(turn.turnId, trigger)
    turn.state = this.#parts.arbiter.next(turn.state, trigger)
  }

  #transition(turnId: string, trigger: TurnTrigger): void {
    const { context } = this.#parts
    const { from_state, to_state } = transitionOf(trigger)
    context.outputs.push({
      record: "transition",
      runtime_sequence: context.takeSequence(),
      runtime_timestamp_ms: context.now,
      turn_id: turnId,
      transition: { from_state, trigger, to_state, deterministic: true }
    })
  }
}
