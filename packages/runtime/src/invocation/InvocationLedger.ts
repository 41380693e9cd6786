import type { Modality } from "@rspp/contracts/Invocation"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { InvocationFacts } from "@rspp/contracts/Timeline"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Mutable } from "effect/Types"
import { Identity } from "../events/Identity.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { SessionBudgets } from "../limits/Budget.ts"

type StartCommand = Extract<SessionCommand, { readonly type: "start_invocation" }>
type EndInput = Extract<SessionInput, { readonly type: "invocation_ended" }>
/** What was decided after a failed invocation. */
export type RetryDecision = "none" | "retry" | "provider_switch" | "fallback"

/** One provider call as the kernel knows it. */
export interface Invocation {
  readonly id: string
  readonly nodeId: string
  readonly modality: Modality
  readonly provider: string
  readonly key: string
  readonly epoch: number
  readonly startedMs: number
  /** When the first attempt at its work began: with the call itself, where that is the first. */
  readonly firstStartedMs: number
  readonly attempts: number
  turnId: string | undefined
  firstResultMs: number | undefined
  /** When the final result was asked for: the start, or the pause for a recogniser. */
  askedMs: number
  settledMs: number | undefined
  cancelSentMs: number | undefined
  cancelReason: string | undefined
  lateOutputs: number
  /** What was decided when it failed; set before its end is reported. */
  decision: RetryDecision
}

export interface StartOptions {
  readonly nodeId: string
  readonly modality: Modality
  readonly provider: string
  /** Names the work: stable across attempts. */
  readonly work: string
  readonly attempts?: number
  /** Of a later attempt: when the first one began. */
  readonly firstStartedMs?: number
  readonly turnId?: string
  readonly softMs?: number
  readonly segmentId?: string
  readonly fromSample?: number
  readonly text?: PayloadHandle
  readonly conversation?: StartCommand["conversation"]
  readonly emits?: StartCommand["emits"]
  /** See `start_invocation`. */
  readonly fairnessKey?: string | undefined
}

/** Whoever follows what becomes of the invocations of one session. */
export interface InvocationWatch {
  readonly started: (invocation: Invocation) => void
  readonly ended: (facts: InvocationFacts) => void
}

/** The invocations of one session. */
export interface SessionInvocations {
  readonly start: (options: StartOptions) => Invocation
  readonly get: (id: string) => Invocation | undefined
  /** A result of the invocation came in. An interim one (a partial transcript) does not settle the budget. */
  readonly resulted: (invocation: Invocation, interim?: boolean) => void
  /** A final text was asked for: the first-result budget runs from here. */
  readonly asked: (invocation: Invocation) => void
  readonly cancel: (id: string | undefined, reason: string) => void
  /** The session ends: whatever has not ended by itself is cancelled. */
  readonly cancelAll: (reason: string) => void
  /** It has given everything: no budget of it runs any more. Its facts go on record later. */
  readonly settled: (invocation: Invocation) => void
  /** The port says (at `atMs`, now by default) that the invocation is over: its facts go on record, once. */
  readonly ended: (input: EndInput, atMs?: number) => Invocation | undefined
  /** Ordinals that were given out; `from`: go on after this one. */
  readonly ordinal: (from?: number) => number
  /** Invocations that have not ended. */
  readonly live: () => number
  readonly ofTurn: (turnId: string) => ReadonlyArray<Invocation>
}

/**
 * Provider invocation (RK-11), the kernel's side: identity, first-result budget, cancel and outcome of each provider
 * call. The port's side runs each as one fiber; cancelling interrupts it.
 *
 * Guarantees: I-INV-ONCE each invocation ends once and its facts are recorded once; I-INV-CANCEL a cancel is sent at
 * most once, and everything after it is late.
 */
export class InvocationLedger extends Context.Service<InvocationLedger, {
  readonly open: (context: KernelContext, budgets: SessionBudgets, watch?: InvocationWatch) => SessionInvocations
}>()("rspp/InvocationLedger") {
  static readonly layerNoDeps = Layer.effect(
    InvocationLedger,
    Effect.gen(function*() {
      const identity = yield* Identity
      return InvocationLedger.of({ open: (context, budgets, watch) => openLedger(context, budgets, identity, watch) })
    })
  )
  static readonly layer = InvocationLedger.layerNoDeps.pipe(Layer.provide(Identity.layer))
}

const openLedger = (
  context: KernelContext,
  budgets: SessionBudgets,
  identity: Identity["Service"],
  watch?: InvocationWatch
): SessionInvocations => {
  const live = new Map<string, Invocation>()
  const { header } = context
  let ordinal = 0
  const cancel = (id: string | undefined, reason: string) => {
    const invocation = id === undefined ? undefined : live.get(id)
    if (invocation === undefined || invocation.cancelSentMs !== undefined) return
    invocation.cancelSentMs = context.now
    invocation.cancelReason = reason
    budgets.invocationSettled(invocation.id)
    context.command({ type: "cancel_invocation", provider_invocation_id: invocation.id, reason })
  }
  const capMs = (provider: string) => header.provider_caps[provider] ?? header.pipeline.provider_first_result_ms
  return {
    get: (id) => live.get(id),
    ofTurn: (turnId) => [...live.values()].filter((invocation) => invocation.turnId === turnId),
    start: (options) => {
      const id = identity.invocationId(++ordinal)
      const key = identity.invocationKey(header.session_id, options.work)
      const invocation: Invocation = {
        id,
        nodeId: options.nodeId,
        modality: options.modality,
        provider: options.provider,
        key,
        epoch: context.epoch,
        startedMs: context.now,
        firstStartedMs: options.firstStartedMs ?? context.now,
        attempts: options.attempts ?? 1,
        turnId: options.turnId,
        firstResultMs: undefined,
        askedMs: context.now,
        settledMs: undefined,
        cancelSentMs: undefined,
        cancelReason: undefined,
        lateOutputs: 0,
        decision: "none"
      }
      live.set(id, invocation)
      const command: Mutable<StartCommand> = {
        type: "start_invocation",
        provider_invocation_id: id,
        node_id: options.nodeId,
        modality: options.modality,
        provider_id: options.provider,
        authority_epoch: context.epoch,
        idempotency_key: key,
        cap_ms: capMs(options.provider)
      }
      if (options.turnId !== undefined) command.turn_id = options.turnId
      if (options.segmentId !== undefined) command.segment_id = options.segmentId
      if (options.fromSample !== undefined) command.from_sample = options.fromSample
      if (options.text !== undefined) command.text = options.text
      if (options.conversation !== undefined) command.conversation = options.conversation
      if (options.emits !== undefined) command.emits = options.emits
      if (options.fairnessKey !== undefined) command.fairness_key = options.fairnessKey
      context.command(command)
      watch?.started(invocation)
      // A recogniser is asked for its final only when the caller falls silent.
      if (options.modality !== "stt") budgets.invocationStarted(id, capMs(options.provider), options.softMs)
      return invocation
    },
    asked: (invocation) => {
      invocation.askedMs = context.now
      budgets.invocationStarted(invocation.id, capMs(invocation.provider), undefined)
    },
    resulted: (invocation, interim = false) => {
      if (invocation.firstResultMs === undefined) invocation.firstResultMs = context.now
      if (interim) return
      invocation.settledMs = context.now
      // A recogniser and a node have a limit for each piece of their work; these two stream.
      budgets.invocationResulted(invocation.id, invocation.modality === "llm" || invocation.modality === "tts")
    },
    cancel,
    cancelAll: (reason) => {
      for (const id of live.keys()) cancel(id, reason)
    },
    ordinal: (from) => ordinal = Math.max(ordinal, from ?? 0),
    live: () => live.size,
    settled: (invocation) => budgets.invocationSettled(invocation.id),
    ended: (input, atMs = context.now) => {
      const invocation = live.get(input.provider_invocation_id)
      if (invocation === undefined) return undefined
      live.delete(invocation.id)
      budgets.invocationSettled(invocation.id)
      const timedOut = invocation.cancelReason === "timeout"
      const reason = input.reason ?? invocation.cancelReason
      const firstMs = context.behaves("totalOverAttempts") ? invocation.firstStartedMs : invocation.startedMs
      const facts: Mutable<InvocationFacts> = {
        provider_invocation_id: invocation.id,
        node_id: invocation.nodeId,
        modality: invocation.modality,
        provider_id: invocation.provider,
        idempotency_key: invocation.key,
        authority_epoch: invocation.epoch,
        outcome_class: timedOut ? "timeout" : input.outcome_class,
        retryable: input.retryable || timedOut,
        retry_decision: invocation.decision,
        // What its adapter asked besides, hedged or again, is part of the same call.
        attempts: invocation.attempts + input.attempts - 1,
        started_ms: invocation.startedMs,
        late_outputs_dropped: invocation.lateOutputs + input.late_outputs,
        final_latency_ms: Math.max(0, (invocation.settledMs ?? atMs) - invocation.askedMs),
        total_latency_ms: atMs - firstMs
      }
      if (firstMs !== invocation.startedMs) facts.first_started_ms = firstMs
      if (invocation.turnId !== undefined) facts.turn_id = invocation.turnId
      if (invocation.firstResultMs !== undefined) facts.first_result_ms = invocation.firstResultMs
      if (invocation.cancelSentMs !== undefined) {
        facts.cancel_sent_ms = invocation.cancelSentMs
        facts.cancel_ack_ms = context.now
      }
      if (reason !== undefined) facts.reason = reason
      if (input.usage !== undefined) facts.usage = input.usage
      context.outputs.push({
        record: "invocation",
        runtime_sequence: context.takeSequence(),
        runtime_timestamp_ms: context.now,
        invocation: facts
      })
      watch?.ended(facts)
      return invocation
    }
  }
}
