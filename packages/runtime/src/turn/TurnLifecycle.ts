import type { TurnTrigger } from "@rspp/contracts/Turn"
import type { SessionGuard } from "../authority/ContractGuard.ts"
import type { SessionBargeIn } from "../cancellation/BargeIn.ts"
import type { SessionCancellation } from "../cancellation/Cancellation.ts"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { Identity } from "../events/Identity.ts"
import type { AheadCall, SessionSpeculation } from "../graph/Speculation.ts"
import type { TurnGraph } from "../graph/TurnGraph.ts"
import type { SessionInvocations } from "../invocation/InvocationLedger.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { LocalAdmission } from "../limits/LocalAdmission.ts"
import type { PlanResolver } from "../plan/PlanResolver.ts"
import type { SnapshotStore } from "../plan/SnapshotStore.ts"
import type { SessionConversation } from "../session/Conversation.ts"
import type { EndCause, Turn, TurnIntent } from "./Turn.ts"
import { isSpeaking, makeTurn } from "./Turn.ts"
import type { TurnArbiter } from "./TurnArbiter.ts"
import { transitionOf } from "./TurnArbiter.ts"

/** Closed turns whose delivery a session still follows. */
export const followedTurns = 4

/** What the lifecycle works with. */
export interface LifecycleParts {
  readonly context: KernelContext
  readonly gateway: SessionGateway
  readonly guard: SessionGuard
  readonly arbiter: TurnArbiter["Service"]
  readonly admission: LocalAdmission["Service"]
  readonly plans: PlanResolver["Service"]
  readonly snapshots: SnapshotStore
  readonly identity: Identity["Service"]
  readonly invocations: SessionInvocations
  readonly cancellation: SessionCancellation
  readonly bargeIn: SessionBargeIn
  readonly conversation: SessionConversation
  readonly speculation: SessionSpeculation
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
  #active: { readonly turn: Turn; readonly reply: TurnGraph } | undefined
  #pending: TurnIntent | undefined
  #ordinal = 0
  #accepted = 0
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
    return this.#active === undefined && this.#pending === undefined && this.#graces.size === 0 &&
      this.#followed.every((turn) => turn.fenced || !turn.fenceRequested)
  }

  /** Turns that were wanted and turns that were accepted, in the whole session. */
  get counts(): { readonly turns: number; readonly accepted: number } {
    return { turns: this.#ordinal, accepted: this.#accepted }
  }

  /** Another placement has had so many turns: ids and quotas go on from there. */
  restore(turns: number, accepted: number): void {
    this.#ordinal = Math.max(this.#ordinal, turns)
    this.#accepted = Math.max(this.#accepted, accepted)
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
    const audible = this.audible
    if (this.#active !== undefined && !supersede) {
      this.#refuse(intent, "defer", "turn_active")
      return
    }
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
    const { bargeIn, context, conversation, gateway } = this.#parts
    this.#active?.reply.closed()
    // It waited for its evidence alone: a pause of it would be taken back while the next turn speaks.
    if (!isSpeaking(turn)) bargeIn.forget(turn)
    gateway.signal(kind, "RK-03", { turn_id: turn.turnId, ...(reason === undefined ? {} : { reason }) })
    this.#move(turn, kind)
    gateway.signal("close", "RK-03", { turn_id: turn.turnId })
    this.#move(turn, "close")
    conversation.agentSaid(turn)
    // Nothing of it is to be heard any more: the caller who speaks now cuts in on the next turn, not on this one.
    if (!isSpeaking(turn)) this.#parts.bargeIn.forget(turn)
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
    const { admission, arbiter, context, conversation, gateway, guard, invocations, plans, snapshots } = this.#parts
    const turnId = this.#parts.identity.turnId(++this.#ordinal)
    this.#transition(turnId, "turn_open_proposed")
    const decision = arbiter.arbitrateOpening({
      snapshots: () => snapshots.verdict(context.now),
      admission: () => {
        const policy = snapshots.get("admission_policy_snapshot")
        return policy === undefined
          ? { ok: false, outcome: "reject", reason: "no_admission_policy" }
          : admission.admitTurn(policy, this.#accepted)
      },
      intentEpoch: intent.epoch,
      epoch: context.epoch,
      authorised: guard.authority.authorised,
      plan: () => plans.resolve({ header: context.header, turnId, epoch: context.epoch, snapshots })
    })
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
    this.#accepted += 1
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
    this.#active = { turn, reply }
    reply.start()
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
