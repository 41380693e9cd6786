import type { PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { RememberedMessage } from "@rspp/contracts/SessionCommand"
import type { InputOf, SessionInput } from "@rspp/contracts/SessionInput"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionGuard } from "../authority/ContractGuard.ts"
import { ContractGuard } from "../authority/ContractGuard.ts"
import { BargeIn, bargeInTimer, falseAlarmTimer } from "../cancellation/BargeIn.ts"
import type { SessionBargeIn } from "../cancellation/BargeIn.ts"
import { Cancellation } from "../cancellation/Cancellation.ts"
import type { SessionConnection } from "../connection/Connection.ts"
import { Connection } from "../connection/Connection.ts"
import type { SessionDelivery } from "../connection/Delivery.ts"
import { Delivery } from "../connection/Delivery.ts"
import type { SessionGateway } from "../events/EventGateway.ts"
import { EventGateway } from "../events/EventGateway.ts"
import type { SeenKeys } from "../events/Identity.ts"
import { Identity } from "../events/Identity.ts"
import type { EdgeSync } from "../flow/SyncIntegrity.ts"
import { SyncIntegrity } from "../flow/SyncIntegrity.ts"
import { GraphExecutor } from "../graph/GraphExecutor.ts"
import type { SessionSpeculation } from "../graph/Speculation.ts"
import { Speculation } from "../graph/Speculation.ts"
import type { Failure } from "../graph/NodeRun.ts"
import type { TurnGraph } from "../graph/TurnGraph.ts"
import { CircuitWatch } from "../invocation/CircuitWatch.ts"
import type { Invocation, SessionInvocations } from "../invocation/InvocationLedger.ts"
import { InvocationLedger } from "../invocation/InvocationLedger.ts"
import type { SessionBudgets } from "../limits/Budget.ts"
import { Budget } from "../limits/Budget.ts"
import type { SessionAdmission } from "../limits/LocalAdmission.ts"
import { LocalAdmission } from "../limits/LocalAdmission.ts"
import { RecordingLimit } from "../limits/RecordingLimit.ts"
import type { Heard, SessionListening } from "../listening/Listening.ts"
import type { SessionIdleUser } from "../listening/IdleUser.ts"
import { IdleUser, idleTimer } from "../listening/IdleUser.ts"
import { endpointTimer, Listening, utteranceTimer } from "../listening/Listening.ts"
import { PlanResolver } from "../plan/PlanResolver.ts"
import { SnapshotStore } from "../plan/SnapshotStore.ts"
import type { SessionConversation } from "../session/Conversation.ts"
import { Conversation } from "../session/Conversation.ts"
import type { Turn } from "../turn/Turn.ts"
import { isSpeaking } from "../turn/Turn.ts"
import { TurnArbiter } from "../turn/TurnArbiter.ts"
import { TurnLifecycle } from "../turn/TurnLifecycle.ts"
import type { KernelOutput } from "./KernelContext.ts"
import { KernelContext } from "./KernelContext.ts"

/** One session's kernel: deterministic, synchronous, without a clock. */
export interface KernelSession {
  /** A frame of caller audio. Returns its sequence. Allocates nothing. */
  readonly audio: (sampleIndex: number, samples: number, nowMs: number) => number
  /**
   * Applies one input. `sequence` is the number that it took; what it brought about follows with the next numbers.
   * The outputs are the caller's to keep.
   */
  readonly step: (input: SessionInput, nowMs: number) => {
    readonly sequence: number
    readonly outputs: ReadonlyArray<KernelOutput>
  }
  /** The number that the next record will take. */
  readonly nextSequence: () => number
  /** True once `end_session` was commanded: nothing more comes out. */
  readonly hasEnded: () => boolean
  readonly activeTurn: () => Turn | undefined
  /** What outlives this runtime: asked for when `keep_state` was commanded. */
  readonly durable: () => KernelState
}

/** Session-durable state as the kernel knows it: without words. */
export interface KernelState {
  readonly authority_epoch: number
  readonly turns: number
  readonly invocations: number
  readonly accepted_turns: number
  readonly conversation: ReadonlyArray<RememberedMessage>
}

/**
 * The session kernel: every input of a session goes through `step`, and everything that a session does comes out of it.
 *
 * It composes the runtime's modules and owns no rule of its own beyond which module an input concerns. The live session,
 * replay and simulation all run this one kernel.
 *
 * Guarantees: I-SEQ-DENSE; I-TIME-STAMP; I-KERNEL-PURE the same header and inputs give the same outputs, byte for byte.
 */
export class SessionKernel extends Context.Service<SessionKernel, {
  readonly open: (header: TimelineHeader) => KernelSession
}>()("rspp/SessionKernel") {
  static readonly layerNoDeps = Layer.effect(
    SessionKernel,
    Effect.gen(function*() {
      const gateways = yield* EventGateway
      const identity = yield* Identity
      const guards = yield* ContractGuard
      const budgets = yield* Budget
      const ledger = yield* InvocationLedger
      const cancellation = yield* Cancellation
      const bargeIn = yield* BargeIn
      const listening = yield* Listening
      const idleUser = yield* IdleUser
      const connection = yield* Connection
      const delivery = yield* Delivery
      const conversations = yield* Conversation
      const graphs = yield* GraphExecutor
      const speculation = yield* Speculation
      const syncs = yield* SyncIntegrity
      const arbiter = yield* TurnArbiter
      const admission = yield* LocalAdmission
      const plans = yield* PlanResolver
      return SessionKernel.of({
        open: (header) => {
          const context = new KernelContext(header)
          const gateway = gateways.open(context)
          const guard = guards.open(context, gateway)
          const budget = budgets.open(context, gateway)
          const snapshots = new SnapshotStore(header)
          const circuits = new CircuitWatch(context, gateway, snapshots)
          const invocations = ledger.open(context, budget, circuits)
          const cancel = cancellation.open({ context, gateway, invocations })
          const barge = bargeIn.open(context, gateway, (turn, notice) => {
            if (turns.active === turn) turns.reply?.notify(notice)
          })
          const conversation = conversations.open(context)
          const graph = graphs.open(header.pipeline.graph)
          const admitted = admission.open(context)
          const ahead = speculation.open({ context, gateway, graph, invocations, conversation, circuits })
          const recording = new RecordingLimit(context, gateway)
          const turns = new TurnLifecycle({
            context,
            gateway,
            guard,
            arbiter,
            admission: admitted,
            plans,
            snapshots,
            circuits,
            identity,
            invocations,
            cancellation: cancel,
            bargeIn: barge,
            conversation,
            speculation: ahead,
            recording,
            run: (turn, begun) =>
              graphs.run(turn, { context, gateway, graph, invocations, budgets: budget, conversation, circuits }, begun)
          })
          return new Kernel({
            context,
            gateway,
            guard,
            budgets: budget,
            invocations,
            bargeIn: barge,
            listening: listening.open({
              context,
              gateway,
              invocations,
              circuits,
              recogniserNode: graph.nodeId("speech_to_text"),
              conversation: conversation.lines
            }),
            idle: idleUser.open(context, gateway),
            connection: connection.open(gateway),
            delivery: delivery.open(context, gateway, conversation),
            snapshots,
            admission: admitted,
            circuits,
            sync: syncs.open({ context, gateway, policies: header.pipeline.edge_buffer_policies }),
            turns,
            conversation,
            speculation: ahead,
            recording,
            keys: identity.openKeys()
          })
        }
      })
    })
  )

  /** The kernel with all of its modules, each of which can be asked for. */
  static readonly layer = SessionKernel.layerNoDeps.pipe(
    Layer.provideMerge(Layer.mergeAll(
      EventGateway.layer,
      Identity.layer,
      ContractGuard.layer,
      Budget.layer,
      InvocationLedger.layer,
      Cancellation.layer,
      BargeIn.layer,
      Listening.layer,
      IdleUser.layer,
      Connection.layer,
      Delivery.layer,
      Conversation.layer,
      GraphExecutor.layer,
      Speculation.layer,
      TurnArbiter.layer,
      LocalAdmission.layer,
      PlanResolver.layer
    ))
  )
}

type Chunk = InputOf<"text_delta" | "segment" | "voice_chunk" | "node_item">

/** What a call gave, by the kind of payload. */
const kindOf = (input: Chunk): PayloadKind => {
  switch (input.type) {
    case "text_delta":
      return "text"
    case "segment":
      return "segment"
    case "voice_chunk":
      return "voice"
    case "node_item":
      return input.payload_kind
  }
}

/** How the names of timers begin that are a turn's graph's own. */
const graphTimers = ["block:", "select:", "retry:"]

/** The reason that a turn ends with when this call leaves no way on. */
const failureOf = (invocation: Invocation): string =>
  invocation.modality === "external" ? "node_timeout_or_failure" : "provider_failure"

interface KernelModules {
  readonly context: KernelContext
  readonly gateway: SessionGateway
  readonly guard: SessionGuard
  readonly budgets: SessionBudgets
  readonly invocations: SessionInvocations
  readonly bargeIn: SessionBargeIn
  readonly listening: SessionListening
  readonly idle: SessionIdleUser
  readonly connection: SessionConnection
  readonly delivery: SessionDelivery
  readonly snapshots: SnapshotStore
  readonly admission: SessionAdmission
  readonly circuits: CircuitWatch
  readonly sync: EdgeSync
  readonly turns: TurnLifecycle
  readonly conversation: SessionConversation
  readonly speculation: SessionSpeculation
  readonly recording: RecordingLimit
  readonly keys: SeenKeys
}

class Kernel implements KernelSession {
  readonly #m: KernelModules
  /** Version of the conversation that was last asked to be kept. */
  #kept = 0
  #over = false
  #ended = false
  #endReason = "over"

  constructor(modules: KernelModules) {
    this.#m = modules
  }

  nextSequence = (): number => this.#m.context.nextSequence

  hasEnded = (): boolean => this.#ended

  activeTurn = (): Turn | undefined => this.#m.turns.active

  audio = (sampleIndex: number, samples: number, nowMs: number): number => {
    const { context, listening } = this.#m
    context.now = nowMs
    listening.audio(sampleIndex, samples)
    return context.takeSequence()
  }

  step = (input: SessionInput, nowMs: number) => {
    const { context, guard } = this.#m
    context.now = nowMs
    const sequence = context.takeSequence()
    context.causeSequence = sequence
    context.outputs = []
    if (!this.#ended) {
      this.#apply(input)
      // After it: what is told carries the epoch that is now in force.
      this.#m.gateway.governor.tick()
      this.#settle()
    }
    const { outputs } = context
    guard.check(outputs)
    return { sequence, outputs }
  }

  #apply(input: SessionInput): void {
    const { bargeIn, connection, context, delivery, guard, idle, keys, listening, snapshots, speculation, turns } =
      this.#m
    switch (input.type) {
      case "session_started":
        return
      case "session_resumed":
        this.#resume(input)
        return
      case "snapshot":
        snapshots.accept(input.snapshot, context.now)
        this.#m.circuits.look()
        this.#m.recording.snapshotCame(input.snapshot)
        if (!this.#over) this.#m.admission.policyCame(snapshots.get("admission_policy_snapshot"))
        return
      case "session_reserved":
        this.#m.admission.sessionAnswered(input.granted)
        if (!input.granted && !this.#over) this.#turnAway(input.reason ?? "session_refused")
        return
      case "turn_reserved":
        turns.reserved(input.reservation_id, input.granted, input.reason ?? "tenant_quota")
        return
      case "dispatch_shed":
        this.#dispatchShed(input)
        return
      case "lease":
        if (guard.authority.apply(input) === "lost") {
          speculation.withdraw("authority_lost")
          turns.authorityLost()
        }
        return
      case "connection": {
        const effect = connection.change(input.state)
        if (effect === "over") this.#finish("transport_ended")
        else if (effect === "lost") turns.end({ kind: "disconnect", reason: "transport_disconnect_or_stall" })
        return
      }
      case "shutdown": {
        const audible = turns.audible
        if (audible !== undefined) turns.cancel(audible, "session", "shutdown")
        this.#finish("shutdown")
        return
      }
      case "audio_ended":
        // Who has no microphone any more has let go of its key.
        listening.key("released")
        return
      case "voice_activity":
        // The caller has gone: a detector that is still at work has nothing more to say.
        if (this.#over || this.#isStale(input)) return
        this.#heard(listening.edge(input.edge, input.sample_index, this.#agentSpeaks), input)
        return
      case "push_to_talk":
        this.#key(input)
        return
      case "turn_prediction":
        listening.predicted(input)
        return
      case "transcript":
        this.#transcript(input)
        return
      case "text_delta":
      case "segment":
      case "voice_chunk":
      case "node_item":
        this.#chunk(input)
        return
      case "item_done":
        this.#itemDone(input)
        return
      case "invocation_ended":
        this.#invocationEnded(input)
        return
      case "timer":
        this.#timer(input)
        return
      case "cancel_requested":
        if (!this.#isStale(input) && keys.firstTime(input.idempotency_key && `cancel/${input.idempotency_key}`)) {
          this.#cancel(input)
        }
        return
      case "typed_text":
        if (keys.firstTime(`text/${input.idempotency_key ?? input.handle.id}`)) {
          idle.active()
          this.#propose(input.handle, undefined, input.authority_epoch, true)
        }
        return
      case "output_accepted":
      case "playback_started":
      case "playback_completed":
      case "playback_cancelled": {
        const turn = turns.find(input.turn_id)
        if (turn === undefined) return
        delivery.report(turn, input)
        if (input.type === "playback_started") listening.answered()
        if (turn !== turns.active && !isSpeaking(turn)) bargeIn.forget(turn)
        turns.checkComplete()
        return
      }
      case "output_rejected":
        if (input.reason === "stale_epoch") {
          guard.authority.rejectStale({
            scope: "edge_dequeue",
            reason: "output_of_another_epoch",
            epoch: input.authority_epoch,
            turn_id: input.turn_id
          })
        } else if (input.reason === "lease_expired" && input.authority_epoch === context.epoch) {
          guard.authority.lose()
          turns.authorityLost()
        }
        return
      case "egress_dequeued":
        if (turns.active?.turnId === input.turn_id && turns.active.ending === undefined) {
          turns.reply?.dequeued(input.items, input.samples)
          turns.checkComplete()
        }
        return
      case "egress_fenced":
        turns.fenced(input.turn_id)
        return
      case "egress_paused":
        return
      case "evidence_appended":
        turns.evidence(input.turn_id, input.result)
        return
      case "recording_pressure":
        this.#m.recording.pressed(input, turns.active?.turnId)
        return
      case "media_loss":
        this.#mediaLoss(input)
        return
    }
  }

  #heard(heard: Heard | undefined, input: SessionInput): void {
    if (heard === undefined) return
    const { bargeIn, idle, speculation, turns } = this.#m
    switch (heard.kind) {
      case "speech_started":
        speculation.withdraw("caller_went_on")
        idle.active()
        bargeIn.speechStarted(turns.audible, heard.onsetMs)
        return
      case "speech_ended": {
        const turn = bargeIn.speechEnded(heard.lastSpeechMs)
        if (turn !== undefined) turns.cancel(turn, "turn", "barge_in")
        return
      }
      case "nothing":
        speculation.withdraw("no_words")
        bargeIn.falseAlarm()
        return
      case "turn":
        if (heard.overSpeech && this.#passesOver(heard.handle, heard.recognition)) return
        this.#propose(heard.handle, heard.recognition, this.#epochOf(heard.recognition, input), this.#bargeInEnabled)
    }
  }

  /**
   * The epoch that an utterance came in under: that of what completed it, or else, when a timer did, that of its
   * recogniser. Words of an epoch that is over are turned away (T3), not healed by the timer.
   */
  #epochOf(recognition: string, input: SessionInput): number | undefined {
    return input.authority_epoch ?? this.#m.invocations.get(recognition)?.epoch
  }

  /** Whether the caller may be hearing speech of the agent. */
  get #agentSpeaks(): boolean {
    const { audible } = this.#m.turns
    return audible !== undefined && isSpeaking(audible)
  }

  /** A cut, if there is one. */
  #cut(turn: Turn | undefined): void {
    if (turn !== undefined) this.#m.turns.cancel(turn, "turn", "barge_in")
  }

  /** What was said over the agent's speech and takes no turn is told, and the agent goes on. */
  #passesOver(handle: PayloadHandle, recognition: string): boolean {
    const { bargeIn, gateway, speculation } = this.#m
    const reason = bargeIn.passedOver(handle)
    if (reason === undefined) return false
    gateway.event({
      lane: "DataLane",
      payload_class: "metadata",
      provider_invocation_id: recognition,
      reason: `passed_over: ${reason}`
    })
    speculation.withdraw("passed_over")
    bargeIn.falseAlarm()
    return true
  }

  /** The caller's key: a press cuts at once what may be heard. */
  #key({ state }: InputOf<"push_to_talk">): void {
    const { gateway, idle, listening, speculation, turns } = this.#m
    if (this.#over) return
    const pressed = state === "pressed"
    const taken = state === "cancelled" ? listening.takeBack() : undefined
    if (state === "cancelled" ? taken === undefined : !listening.key(state)) {
      gateway.event({
        lane: "TelemetryLane",
        payload_class: "metadata",
        reason: `push_to_talk_ignored: ${state}`
      })
      return
    }
    idle.active()
    if (taken !== undefined) speculation.withdraw("taken_back")
    if (taken?.recognition !== undefined) this.#unanswered(taken.recognition, "taken_back")
    if (pressed) speculation.withdraw("caller_went_on")
    if (pressed && this.#bargeInEnabled) this.#cut(turns.audible)
  }

  /** Nobody can tell any more what the caller says: while it speaks on, voice activity alone decides about the cut. */
  #unheard(): void {
    const { bargeIn, listening } = this.#m
    if (listening.isSpeaking()) this.#cut(bargeIn.unheard())
    else bargeIn.falseAlarm()
  }

  get #bargeInEnabled(): boolean {
    return this.#m.context.header.session_config.barge_in.enabled
  }

  #propose(
    handle: PayloadHandle,
    recognition: string | undefined,
    epoch: number | undefined,
    supersede: boolean
  ): void {
    const { context, turns } = this.#m
    turns.propose({
      handle,
      // Where a transport carries no epoch, ingress adds the session's own.
      epoch: epoch ?? context.epoch,
      proposedMs: context.now,
      ...(recognition === undefined ? {} : { recognition })
    }, supersede)
  }

  #transcript(input: InputOf<"transcript">): void {
    const { bargeIn, invocations, listening, speculation, turns } = this.#m
    const invocation = invocations.get(input.provider_invocation_id)
    if (this.#isStale(input)) return
    if (
      invocation === undefined || invocation.cancelSentMs !== undefined ||
      (input.finality === "final" && !listening.isOpen(invocation.id))
    ) {
      const counts = input.finality === "final" ||
        (invocation?.cancelSentMs !== undefined && this.#m.context.behaves("lateInterims"))
      if (counts && this.#late(input, invocation)) {
        this.#propose(input.handle, undefined, input.authority_epoch, true)
      }
      return
    }
    if (listening.isOpen(invocation.id)) this.#cut(bargeIn.words(input.handle))
    if (input.finality === "partial") {
      listening.partial(input.provider_invocation_id)
      return
    }
    const heard = listening.final(invocation.id, input.pause_id ?? 0, input.handle)
    if (heard !== undefined) return this.#heard(heard, input)
    // The words are there, and the endpoint has not passed: a model may begin.
    const waits = !listening.isSpeaking() && listening.isOpen(invocation.id) && input.handle.length > 0
    if (waits && turns.audible === undefined) speculation.begin(input.handle)
  }

  #chunk(input: Chunk): void {
    const { invocations, speculation, turns } = this.#m
    if (this.#isStale(input)) return
    const invocation = invocations.get(input.provider_invocation_id)
    if (invocation !== undefined && invocation.cancelSentMs === undefined && speculation.owns(invocation)) {
      speculation.gave(invocation, kindOf(input), input.handle)
      return
    }
    const reply = this.#replyOf(invocation)
    if (reply === undefined || invocation === undefined || !reply.gave(invocation, kindOf(input), input.handle)) {
      this.#late(input, invocation)
      return
    }
    turns.checkComplete()
  }

  #itemDone(input: InputOf<"item_done">): void {
    const { invocations, turns } = this.#m
    if (this.#isStale(input)) return
    const invocation = invocations.get(input.provider_invocation_id)
    const reply = this.#replyOf(invocation)
    if (reply === undefined || invocation === undefined) return
    reply.did(invocation)
    turns.checkComplete()
  }

  /** The graph at work that a call works for; undefined when its turn is over or ending, or the call was cancelled. */
  #replyOf(invocation: Invocation | undefined): TurnGraph | undefined {
    const { active, reply } = this.#m.turns
    if (invocation === undefined || invocation.cancelSentMs !== undefined || active === undefined) return undefined
    return invocation.turnId === active.turnId && active.ending === undefined ? reply : undefined
  }

  /** T12 at ingress. */
  #isStale(
    input: Chunk | InputOf<"transcript" | "item_done" | "voice_activity" | "cancel_requested">
  ): boolean {
    const { context, guard, invocations } = this.#m
    if (input.authority_epoch === undefined || input.authority_epoch === context.epoch) return false
    const id = input.type === "voice_activity" ? undefined : input.provider_invocation_id
    const invocation = id === undefined ? undefined : invocations.get(id)
    if (invocation !== undefined && input.type !== "cancel_requested") invocation.lateOutputs += 1
    guard.authority.rejectStale({
      scope: "edge_enqueue",
      reason: "input_of_another_epoch",
      epoch: input.authority_epoch,
      ...(id === undefined ? {} : { provider_invocation_id: id }),
      ...(invocation?.turnId === undefined ? {} : { turn_id: invocation.turnId })
    })
    return true
  }

  /** T11: it came too late for its turn. True when the session's policy makes a new intent of it. */
  #late(
    input: Chunk | InputOf<"transcript">,
    invocation: Invocation | undefined
  ): boolean {
    const { context, gateway } = this.#m
    const policy = context.header.session_config.late_event_policy
    if (invocation !== undefined) invocation.lateOutputs += 1
    const words = input.type === "transcript" && input.finality === "final" && input.handle.length > 0
    const remap = policy === "remap" && words
    const turnId = invocation?.turnId
    const kind = input.type === "transcript" ? "transcript" : kindOf(input)
    const edge = context.behaves("limits")
      ? context.header.pipeline.graph.edges.find((candidate) =>
        candidate.from_node_id === invocation?.nodeId && candidate.payload_kind === kind
      )
      : undefined
    gateway.event({
      lane: "TelemetryLane",
      payload_class: "metadata",
      ...(edge === undefined ? {} : { edge_id: edge.edge_id }),
      provider_invocation_id: input.provider_invocation_id,
      reason: remap ? "late_remapped" : policy === "diagnostics" ? "late_diagnostic" : "late_dropped",
      ...(turnId === undefined ? {} : { turn_id: turnId, late_after_cancel: invocation?.cancelSentMs !== undefined })
    })
    return remap
  }

  #invocationEnded(input: InputOf<"invocation_ended">): void {
    const { gateway, invocations, listening, speculation, turns } = this.#m
    const invocation = invocations.get(input.provider_invocation_id)
    if (invocation === undefined) return
    const cancelled = invocation.cancelSentMs !== undefined
    const failed = !cancelled && input.outcome_class !== "success"
    if (!failed && !cancelled && speculation.owns(invocation)) {
      speculation.ended(invocation, input)
      return
    }
    // A call that had failed by itself before the cancel reached it: one more cause of an end that is under way.
    const failedFirst = cancelled && invocation.cancelReason !== "timeout" && invocation.modality !== "stt" &&
      input.outcome_class !== "success" && input.outcome_class !== "cancelled"
    const { active, reply } = turns
    const own = active !== undefined && reply !== undefined && invocation.turnId === active.turnId
    const concerned = own && active.ending === undefined
    if (failedFirst && own && active.ending !== undefined) {
      if (invocation.modality !== "external") {
        gateway.signal("provider_error", "RK-11", {
          turn_id: active.turnId,
          provider_invocation_id: invocation.id,
          reason: input.outcome_class
        })
      }
      turns.end({ kind: "failure", reason: failureOf(invocation) })
    }
    if (failed) {
      const ranOut = concerned && invocation.modality === "external" && input.outcome_class === "timeout"
      if (ranOut && this.#m.context.behaves("limits")) {
        // Its host keeps the same time and was the first to notice.
        gateway.signal("budget_exhausted", "RK-17", {
          reason: "node_budget",
          node_id: invocation.nodeId,
          provider_invocation_id: invocation.id
        })
      }
      this.#failed(invocation, {
        outcome: input.outcome_class,
        retryable: input.retryable,
        ...(input.retry_after_ms === undefined ? {} : { retryAfterMs: input.retry_after_ms })
      })
    } else if (!cancelled && invocation.modality === "stt" && listening.recognitionLost(invocation.id)) {
      // It ended without a final text for the utterance that is open: nothing was heard.
      this.#unheard()
      gateway.signal("provider_error", "RK-11", { reason: "no_final", provider_invocation_id: invocation.id })
    }
    invocations.ended(input)
    if (failed || cancelled || !concerned) return
    reply.ended(invocation)
    turns.checkComplete()
  }

  /** A provider call did not do what it should, or not in time. */
  #failed(invocation: Invocation, failure: Failure): void {
    const { gateway, listening, speculation, turns } = this.#m
    if (speculation.owns(invocation)) {
      speculation.failed(invocation)
      return
    }
    if (invocation.modality === "stt") {
      gateway.signal("provider_error", "RK-11", { reason: failure.outcome, provider_invocation_id: invocation.id })
      if (listening.recognitionLost(invocation.id)) this.#unheard()
      return
    }
    const { active, reply } = turns
    if (active === undefined || reply === undefined || invocation.turnId !== active.turnId) return
    if (active.ending !== undefined) return
    const reason = reply.failed(invocation, failure)
    if (reason !== undefined) turns.end({ kind: "failure", reason })
    turns.checkComplete()
  }

  #timer(input: InputOf<"timer">): void {
    const { bargeIn, budgets, context, invocations, listening, turns } = this.#m
    if (!context.fired(input.timer, input.generation)) return
    switch (input.timer) {
      case endpointTimer:
        this.#heard(listening.endpoint(), input)
        return
      case utteranceTimer:
        this.#heard(listening.limit(), input)
        return
      case bargeInTimer: {
        const turn = bargeIn.thresholdPassed()
        if (turn !== undefined) turns.cancel(turn, "turn", "barge_in")
        return
      }
      case falseAlarmTimer:
        bargeIn.falseAlarm()
        return
      case idleTimer:
        if (!this.#m.idle.expired()) return
        this.#endReason = "idle"
        this.#finish("idle")
        return
    }
    if (input.timer.startsWith("grace:")) {
      turns.graceEnded(input.timer.slice("grace:".length))
      return
    }
    if (graphTimers.some((prefix) => input.timer.startsWith(prefix))) {
      turns.reply?.timer(input.timer)
      turns.checkComplete()
      return
    }
    const verdict = budgets.expired(input.timer)
    switch (verdict.kind) {
      case "exhausted":
        if (turns.active?.turnId !== verdict.turnId) return
        if (verdict.budget === "path" && this.#otherPath()) return
        turns.end({ kind: "budget", reason: "turn_budget_exhausted" })
        return
      case "edge_late":
        if (turns.active?.turnId !== verdict.turnId || turns.active.ending !== undefined) return
        turns.reply?.edgeLate(verdict.edgeId)
        turns.checkComplete()
        return
      case "call_late": {
        const invocation = invocations.get(verdict.invocation)
        if (invocation === undefined) return
        invocations.cancel(invocation.id, "timeout")
        this.#failed(invocation, { outcome: "timeout", retryable: true })
        return
      }
      case "warned":
        if (verdict.invocation !== undefined) turns.reply?.notify("budget_warning", verdict.invocation)
        return
      case "none":
        return
    }
  }

  /** The path in use is too slow: whether another is at work now. */
  #otherPath(): boolean {
    const { context, turns } = this.#m
    if (!context.behaves("limits") || turns.active?.ending !== undefined || turns.reply === undefined) return false
    const found = turns.reply.otherPath()
    if (found) turns.checkComplete()
    return found
  }

  #cancel(input: InputOf<"cancel_requested">): void {
    const { gateway, invocations, turns } = this.#m
    switch (input.scope) {
      case "session":
      case "turn": {
        const target = turns.active ?? turns.audible
        const turn = input.turn_id === undefined ? target : turns.find(input.turn_id)
        if (turn !== undefined && turn === target) turns.cancel(turn, input.scope, input.reason)
        return
      }
      case "node":
      case "provider_invocation": {
        const active = turns.active
        const concerned = active === undefined ?
          [] :
          invocations.ofTurn(active.turnId).filter((invocation) =>
            input.scope === "node"
              ? invocation.nodeId === input.node_id
              : invocation.id === input.provider_invocation_id
          )
        for (const invocation of concerned) {
          gateway.signal("cancel", "RK-16", {
            scope: input.scope,
            reason: input.reason,
            provider_invocation_id: invocation.id,
            node_id: invocation.nodeId,
            ...(invocation.turnId === undefined ? {} : { turn_id: invocation.turnId })
          })
          invocations.cancel(invocation.id, input.reason)
        }
        // The turn cannot go on without what was cancelled.
        if (concerned.length > 0 && active !== undefined) turns.end({ kind: "cancel", reason: "cancelled" })
      }
    }
  }

  #mediaLoss(input: InputOf<"media_loss">): void {
    const { gateway, sync } = this.#m
    gateway.signal("drop_notice", "RK-12", {
      edge_id: input.edge_id,
      target_lane: "DataLane",
      reason: "ingress_full",
      seq_range: { start: input.first, end: input.last }
    })
    const frames = `frames_${input.first}`
    sync.lost(input.edge_id, { event: frames, sync: frames, custom: frames }, "ingress_full")
  }

  /** F8: what another placement had settled is settled here too. */
  #resume(input: InputOf<"session_resumed">): void {
    const { conversation, guard, invocations, keys, turns } = this.#m
    guard.authority.resume(input.authority_epoch ?? 0)
    invocations.ordinal(input.invocations)
    turns.restore(input.turns, input.accepted_turns)
    keys.restore(input.idempotency_keys)
    conversation.restore(input.conversation)
    this.#kept = conversation.version()
  }

  /** What outlives this runtime, as it is after the last step. */
  durable = (): KernelState => {
    const { context, conversation, invocations, turns } = this.#m
    return {
      authority_epoch: context.epoch,
      turns: turns.counts.turns,
      invocations: invocations.ordinal(),
      accepted_turns: turns.counts.accepted,
      conversation: conversation.remembered()
    }
  }

  /** The pool had no room for a call: it is shed before its node is dispatched (F1). Its end follows. */
  #dispatchShed(input: InputOf<"dispatch_shed">): void {
    const { circuits, gateway, invocations } = this.#m
    const invocation = invocations.get(input.provider_invocation_id)
    if (invocation === undefined) return
    circuits.shed(invocation.id)
    if (invocation.cancelSentMs !== undefined) return
    const turn = invocation.turnId === undefined ? {} : { turn_id: invocation.turnId }
    gateway.signal("shed", "RK-25", {
      ...turn,
      reason: input.reason,
      node_id: invocation.nodeId,
      provider_invocation_id: invocation.id
    })
    gateway.decision({
      outcome_kind: "shed",
      phase: "scheduling_point",
      scope: "node_dispatch",
      emitted_by: "RK-25",
      reason: input.reason,
      ...turn
    })
  }

  /** The session has no place among those of its tenant: it ends before it has begun. */
  #turnAway(reason: string): void {
    const { gateway } = this.#m
    gateway.signal("reject", "RK-25", { event_scope: "session", reason })
    gateway.decision({ outcome_kind: "reject", phase: "pre_turn", scope: "tenant", emitted_by: "RK-25", reason })
    this.#endReason = reason
    this.#finish(reason)
  }

  /** The caller is gone, or the program stops: what is open ends, and then the session. */
  #finish(reason: string): void {
    const { bargeIn, idle, invocations, listening, speculation, turns } = this.#m
    this.#over = true
    speculation.withdraw("session_ended")
    idle.waiting(false)
    bargeIn.close()
    turns.close()
    const open = listening.close()
    // The session waits for the end of each call: none may wait for a marker that was lost.
    invocations.cancelAll("session_ended")
    if (open !== undefined) this.#unanswered(open, reason)
  }

  /** An utterance that was under way and becomes no turn ends in one recorded outcome. */
  #unanswered(recognition: string, reason: string): void {
    const { gateway } = this.#m
    gateway.signal("reject", "RK-25", { event_scope: "session", reason, provider_invocation_id: recognition })
    gateway.decision({
      outcome_kind: "reject",
      phase: "pre_turn",
      scope: "session",
      emitted_by: "RK-25",
      reason
    })
  }

  #settle(): void {
    const version = this.#m.conversation.version()
    if (this.#m.context.behaves("durableState") && version !== this.#kept) {
      this.#kept = version
      this.#m.context.command({ type: "keep_state", revision: version })
    }
    const { connection, context, idle, invocations, listening, turns } = this.#m
    if (idle.enabled && !this.#over) {
      idle.waiting(
        connection.state() === "connected" && turns.active === undefined && turns.audible === undefined &&
          !listening.isBusy() && !listening.isSpeaking()
      )
    }
    if (!this.#over || this.#ended || !turns.isSettled || invocations.live() > 0) return
    this.#ended = true
    this.#m.gateway.governor.close()
    context.command({ type: "end_session", reason: this.#endReason })
  }
}
