import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { TurnFlow } from "../flow/FlowControl.ts"
import type { Invocation, SessionInvocations } from "../invocation/InvocationLedger.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { SessionBudgets } from "../limits/Budget.ts"
import { samplesPerMs } from "../ports/AudioFrame.ts"
import type { SessionConversation } from "../session/Conversation.ts"
import type { Segment, Turn } from "../turn/Turn.ts"
import type { SessionGraph } from "./GraphExecutor.ts"

/** Attempts that a `retry` may make of one piece of work, the first one included. */
export const maxAttempts = 2

/** Room that a sentence takes on the segment edge. */
interface Place {
  readonly items: number
  readonly bytes: number
}
const noPlace: Place = { items: 0, bytes: 0 }

/** What the reply of a turn needs of the session. */
export interface ReplyParts {
  readonly context: KernelContext
  readonly gateway: SessionGateway
  readonly graph: SessionGraph
  readonly invocations: SessionInvocations
  readonly budgets: SessionBudgets
  readonly conversation: SessionConversation
  readonly identity: { readonly segmentId: (turnId: string, ordinal: number) => string }
}

/**
 * The graph of one turn at work: transcript → model → sentences → voice → egress. Each stage streams into the next;
 * sentences are spoken one after the other, ahead of playback as far as the voice edge has room.
 *
 * Guarantees: I-SEG-OWNER a chunk belongs to the segment and turn of its invocation for ever; I-EDGE-BOUND what waits
 * on an edge stays within the plan's bounds, and what is lost has a notice.
 */
export class ReplyExecution {
  readonly turn: Turn
  readonly #parts: ReplyParts
  readonly #flow: TurnFlow
  readonly #segmentEdge: string
  readonly #voiceEdge: string
  readonly #transcriptEdge: string
  /** Sentences and chunks that the edges had no room for; their producers are held, so these stay few. */
  readonly #blockedSegments: Array<PayloadHandle> = []
  readonly #blockedChunks: Array<{ readonly segment: Segment; readonly handle: PayloadHandle }> = []
  /** What each waiting sentence takes of the segment edge, to be given back when it goes on. */
  readonly #places = new Map<string, Place>()
  #ordinal = 0
  #sampleIndex = 0
  #mute = false

  constructor(turn: Turn, parts: ReplyParts, flow: TurnFlow) {
    this.turn = turn
    this.#parts = parts
    this.#flow = flow
    this.#transcriptEdge = parts.graph.edgeInto("language_model", "transcript")
    this.#segmentEdge = parts.graph.edgeInto("text_to_speech", "segment")
    this.#voiceEdge = parts.graph.edgeInto("audio_output", "voice")
  }

  start(): void {
    const { gateway, budgets } = this.#parts
    const { turn } = this
    gateway.event({
      turn_id: turn.turnId,
      lane: "DataLane",
      payload_class: turn.userHandle.payload_class,
      edge_id: this.#transcriptEdge,
      node_id: this.#parts.graph.nodeId("language_model")
    })
    budgets.turnOpened(turn.plan)
    this.#startModel(this.#provider("llm"), 1)
  }

  modelSaid(invocation: Invocation): void {
    if (this.turn.model === invocation.id) this.#parts.invocations.resulted(invocation)
  }

  sentence(invocation: Invocation, handle: PayloadHandle): void {
    const { turn } = this
    if (turn.model !== invocation.id) return
    this.#parts.invocations.resulted(invocation)
    if (this.#blockedSegments.length > 0) {
      // Behind the one that waits: a shorter sentence must not overtake it.
      this.#blockedSegments.push(handle)
      return
    }
    switch (this.#flow.offer(this.#segmentEdge, handle.length, 0, turn.model)) {
      case "accepted":
        this.#addSegment(handle, { items: 1, bytes: handle.length })
        break
      case "merge":
        this.#addSegment(handle, { items: 0, bytes: handle.length })
        break
      case "replace":
        for (const lost of this.turn.segments.splice(turn.nextSegment)) this.#lost(lost.handle, "latest_only")
        this.#addSegment(handle, { items: 1, bytes: handle.length })
        break
      case "drop":
        this.#lost(handle, "edge_full")
        break
      case "block": {
        this.#blockedSegments.push(handle)
        const timer = this.#blockTimer
        const bound = this.#flow.policy(this.#segmentEdge).max_block_time_ms ?? 0
        if (!this.#parts.context.isArmed(timer)) this.#parts.context.arm(timer, this.#parts.context.now + bound)
      }
    }
    this.pump()
  }

  /** The bounded block is over and there is still no room: shed by the plan's rule. */
  blockExpired(): void {
    const { gateway } = this.#parts
    const { turn } = this
    const strategy = turn.plan.flow_control.shedding_strategy_by_lane.DataLane
    const about = { reason: `block_time:${strategy}`, turn_id: turn.turnId } as const
    gateway.signal("shed", "RK-25", { ...about, edge_id: this.#segmentEdge })
    gateway.decision({
      outcome_kind: "shed",
      phase: "scheduling_point",
      scope: "edge_enqueue",
      emitted_by: "RK-25",
      ...about
    })
    const blocked = this.#blockedSegments.splice(0)
    switch (strategy) {
      case "merge":
        // Joined to the sentence before: it takes no place of its own on the edge.
        for (const handle of blocked) this.#addSegment(handle, noPlace)
        break
      case "latest_only": {
        const last = blocked.pop()
        for (const handle of blocked) this.#lost(handle, "latest_only")
        if (last !== undefined) this.#addSegment(last, noPlace)
        break
      }
      case "degrade":
      case "fallback":
        gateway.signal(strategy, "RK-13", { turn_id: turn.turnId, reason: "edge_pressure" })
        for (const handle of blocked) this.#lost(handle, "edge_full")
        break
      case "drop":
        for (const handle of blocked) this.#lost(handle, "edge_full")
    }
    this.#flow.relieve(this.#segmentEdge, turn.modelDone ? undefined : turn.model)
    this.pump()
  }

  modelDone(): void {
    this.turn.modelDone = true
    this.pump()
  }

  voice(invocation: Invocation, handle: PayloadHandle): void {
    const segment = this.turn.segments.find((candidate) => candidate.invocation === invocation.id)
    if (segment === undefined) return
    this.#parts.invocations.resulted(invocation)
    if (this.#blockedChunks.length > 0) {
      this.#blockedChunks.push({ segment, handle })
      return
    }
    const ms = Math.ceil(handle.length / samplesPerMs)
    // What waits on the voice edge is with egress, in order: nothing there can be replaced.
    switch (this.#flow.offer(this.#voiceEdge, handle.length * 2, ms, invocation.id, true)) {
      case "accepted":
      case "merge":
        this.#enqueue(segment, handle)
        if (this.#flow.isHeld(this.#voiceEdge)) {
          this.#parts.budgets.edgeServed(this.turn.turnId, this.#segmentEdge)
        }
        return
      case "block":
        // Speech is held, never shed: its producer is paused until playback has made room.
        this.#blockedChunks.push({ segment, handle })
        return
      case "replace":
      case "drop":
        this.#lost(handle, "edge_full", this.#voiceEdge)
    }
  }

  /** All chunks of the segment's invocation have come. */
  synthesised(invocation: Invocation): void {
    const segment = this.turn.segments.find((candidate) => candidate.invocation === invocation.id)
    if (segment === undefined) return
    segment.synthesised = true
    this.turn.synthesis = undefined
    if (!this.#blockedChunks.some((chunk) => chunk.segment === segment)) this.#endSegment(segment)
    this.pump()
  }

  /** Egress has passed chunks on: there is room on the voice edge again. */
  dequeued(items: number, samples: number): void {
    const ms = Math.ceil(samples / samplesPerMs)
    this.#flow.take(this.#voiceEdge, items, samples * 2, ms, this.turn.synthesis)
    while (this.#blockedChunks.length > 0) {
      const [{ handle, segment }] = this.#blockedChunks as [{ segment: Segment; handle: PayloadHandle }]
      const length = Math.ceil(handle.length / samplesPerMs)
      if (this.#flow.offer(this.#voiceEdge, handle.length * 2, length, this.turn.synthesis, true) !== "accepted") break
      this.#blockedChunks.shift()
      this.#enqueue(segment, handle)
      if (segment.synthesised && !this.#blockedChunks.some((chunk) => chunk.segment === segment)) {
        this.#endSegment(segment)
      }
    }
    if (this.#blockedChunks.length === 0) this.#flow.relieve(this.#voiceEdge, this.turn.synthesis)
    this.pump()
  }

  /** A provider call failed or ran out of time: what the plan allows. False: there is no legal way on. */
  recover(invocation: Invocation, outcome: string, retryable: boolean): boolean {
    const { gateway } = this.#parts
    const { turn } = this
    const about = { turn_id: turn.turnId, provider_invocation_id: invocation.id } as const
    gateway.signal("provider_error", "RK-11", { ...about, reason: outcome })
    const allowed = turn.plan.allowed_adaptive_actions
    const segment = turn.segments.find((candidate) => candidate.invocation === invocation.id)
    const silent = invocation.modality === "tts"
      ? segment?.samples === 0 && !this.#blockedChunks.some((chunk) => chunk.segment === segment)
      : invocation.firstResultMs === undefined
    const restart = (provider: string, attempts: number) =>
      invocation.modality === "llm"
        ? this.#startModel(provider, attempts)
        : segment !== undefined && this.#startVoice(segment, provider, attempts)
    if (silent && retryable && allowed.includes("retry") && invocation.attempts < maxAttempts) {
      invocation.decision = "retry"
      restart(invocation.provider, invocation.attempts + 1)
      return true
    }
    const spare = turn.plan.provider_bindings[`${invocation.modality}.fallback`]
    const action = (["provider_switch", "fallback"] as const).find((candidate) => allowed.includes(candidate))
    if (silent && action !== undefined && spare !== undefined && spare !== invocation.provider) {
      invocation.decision = action
      if (action === "provider_switch") gateway.signal("provider_switch", "RK-11", { ...about, reason: outcome })
      else gateway.signal("fallback", "RK-17", { ...about, reason: outcome })
      restart(spare, 1)
      return true
    }
    if (invocation.modality === "tts" && segment !== undefined && allowed.includes("degrade")) {
      if (!this.#mute) gateway.signal("degrade", "RK-17", { ...about, reason: "speech_unavailable" })
      this.#mute = true
      this.synthesised(invocation)
      return true
    }
    return false
  }

  /** Starts what can start, and says when no more output will come. */
  pump(): void {
    const { context, budgets } = this.#parts
    const { turn } = this
    if (turn.ending !== undefined || turn.outputEnded || turn.synthesis !== undefined) return
    this.#unblock()
    const segment = turn.segments[turn.nextSegment]
    if (segment !== undefined) {
      if (this.#blockedChunks.length > 0 || this.#flow.isHeld(this.#voiceEdge)) {
        // Waiting for playback is no delay of the edge: speech is held on purpose.
        budgets.edgeServed(turn.turnId, this.#segmentEdge)
        return
      }
      turn.nextSegment += 1
      budgets.edgeServed(turn.turnId, this.#segmentEdge)
      const place = this.#places.get(segment.segmentId) ?? noPlace
      this.#places.delete(segment.segmentId)
      this.#flow.take(this.#segmentEdge, place.items, place.bytes, 0, turn.modelDone ? undefined : turn.model)
      if (this.#mute) {
        segment.synthesised = true
        this.#endSegment(segment)
        this.pump()
        return
      }
      this.#startVoice(segment, this.#provider("tts"), 1)
      // After it, also in the recording: what was held takes a place that is seen to be free.
      this.#unblock()
      if (turn.segments[turn.nextSegment] !== undefined) {
        const bound = this.#flow.policy(this.#segmentEdge).max_latency_contribution_ms
        budgets.edgeWaiting(
          turn.turnId,
          this.#segmentEdge,
          Math.min(turn.plan.budgets.edge_budget_ms_default, bound)
        )
      }
      return
    }
    if (turn.modelDone && this.#blockedSegments.length === 0 && this.#blockedChunks.length === 0) {
      turn.outputEnded = true
      budgets.turnSettled(turn.turnId)
      context.command({ type: "end_output", turn_id: turn.turnId })
    }
  }

  /** The terminal has come: nothing of the turn can run out any more. */
  closed(): void {
    this.#parts.budgets.turnSettled(this.turn.turnId)
  }

  /** The turn is ending: nothing of it waits any more. Its envelope runs on, for the precedence of causes. */
  stop(): void {
    const { budgets, context } = this.#parts
    budgets.edgeServed(this.turn.turnId, this.#segmentEdge)
    context.disarm(this.#blockTimer)
    this.#blockedSegments.length = 0
    this.#blockedChunks.length = 0
  }

  get #blockTimer(): string {
    return `block:${this.turn.turnId}`
  }

  #provider(modality: "llm" | "tts"): string {
    return this.turn.plan.provider_bindings[modality] ?? ""
  }

  #unblock(): void {
    while (this.#blockedSegments.length > 0) {
      const [handle] = this.#blockedSegments as [PayloadHandle]
      const producer = this.turn.modelDone ? undefined : this.turn.model
      if (this.#flow.offer(this.#segmentEdge, handle.length, 0, producer) !== "accepted") return
      this.#blockedSegments.shift()
      this.#addSegment(handle, { items: 1, bytes: handle.length })
    }
    this.#parts.context.disarm(this.#blockTimer)
    this.#flow.relieve(this.#segmentEdge, this.turn.modelDone ? undefined : this.turn.model)
  }

  #addSegment(handle: PayloadHandle, place: Place): void {
    const { gateway, identity } = this.#parts
    const segmentId = identity.segmentId(this.turn.turnId, ++this.#ordinal)
    this.#places.set(segmentId, place)
    this.turn.segments.push({
      segmentId,
      handle,
      invocation: undefined,
      synthesised: false,
      samples: 0,
      accepted: false,
      playbackStarted: false,
      playbackEnded: false,
      heardSamples: 0
    })
    gateway.event({
      turn_id: this.turn.turnId,
      lane: "DataLane",
      payload_class: handle.payload_class,
      edge_id: this.#segmentEdge,
      ...(this.turn.model === undefined ? {} : { provider_invocation_id: this.turn.model })
    })
  }

  #startModel(provider: string, attempts: number): void {
    const { conversation, graph, invocations } = this.#parts
    const { turn } = this
    turn.model = invocations.start({
      nodeId: graph.nodeId("language_model"),
      modality: "llm",
      provider,
      work: `${turn.turnId}/reply`,
      attempts,
      turnId: turn.turnId,
      softMs: turn.plan.budgets.node_budget_ms_default,
      conversation: conversation.lines()
    }).id
  }

  #startVoice(segment: Segment, provider: string, attempts: number): void {
    const { graph, invocations } = this.#parts
    const { turn } = this
    const invocation = invocations.start({
      nodeId: graph.nodeId("text_to_speech"),
      modality: "tts",
      provider,
      work: segment.segmentId,
      attempts,
      turnId: turn.turnId,
      segmentId: segment.segmentId,
      softMs: turn.plan.budgets.node_budget_ms_default,
      text: segment.handle
    })
    segment.invocation = invocation.id
    turn.synthesis = invocation.id
  }

  #enqueue(segment: Segment, handle: PayloadHandle): void {
    const { context, gateway, budgets } = this.#parts
    const { turn } = this
    if (turn.firstOutputMs === undefined) {
      turn.firstOutputMs = context.now
      budgets.turnSettled(turn.turnId)
    }
    // One event a segment: its place in the turn's speech. The chunks themselves are commands.
    if (segment.samples === 0) {
      gateway.event({
        turn_id: turn.turnId,
        lane: "DataLane",
        payload_class: "audio_raw",
        edge_id: this.#voiceEdge,
        media_time: { sample_index: this.#sampleIndex },
        ...(segment.invocation === undefined ? {} : { provider_invocation_id: segment.invocation })
      })
    }
    this.#sampleIndex += handle.length
    segment.samples += handle.length
    context.command({
      type: "enqueue_output",
      turn_id: turn.turnId,
      segment_id: segment.segmentId,
      handle_id: handle.id,
      authority_epoch: turn.epoch
    })
  }

  #endSegment(segment: Segment): void {
    this.#parts.context.command({
      type: "end_segment",
      turn_id: this.turn.turnId,
      segment_id: segment.segmentId
    })
  }

  #lost(handle: PayloadHandle, reason: string, edge = this.#segmentEdge): void {
    const { context, gateway } = this.#parts
    gateway.signal("drop_notice", "RK-12", {
      turn_id: this.turn.turnId,
      edge_id: edge,
      target_lane: "DataLane",
      reason: `${reason}:${handle.id}`,
      seq_range: { start: context.causeSequence, end: context.causeSequence }
    })
  }
}
