import type { Attributes, Context as TraceContext, Link, Span, SpanContext, Tracer } from "@opentelemetry/api"
import { context, trace } from "@opentelemetry/api"
import type { ControlSignal } from "@rspp/contracts/Signal"
import type { InputRecord, TimelineHeader } from "@rspp/contracts/Timeline"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionCorrelations, SessionIds } from "./Correlation.ts"
import { Correlations, idsOf, turnSpan } from "./Correlation.ts"
import { ModelNames } from "./GenAi.ts"
import type { ModelName } from "./GenAi.ts"
import { reasonCode } from "./Reason.ts"
import type { SpanMaker } from "./TurnTrace.ts"
import { attributesOf, invocationSpan, TurnTrace } from "./TurnTrace.ts"

/** Name of the tracer under which an SDK sees the spans. */
export const tracerName = "rspp"

/** Turns whose spans are open at once; one or two is usual, past it the oldest is ended. */
export const maxOpenTurns = 16

/** Sessions whose last span is remembered, for those who go on with them in this process. */
export const maxEndedSessions = 256

/** The spans of sessions that are over here, by session id; the newest {@link maxEndedSessions}. */
export const EndedSessions = Context.Reference<Map<string, SpanContext>>("rspp/EndedSessions", {
  defaultValue: () => new Map()
})

export interface TracerOptions {
  readonly modelOf: (providerId: string) => ModelName | undefined
  /** Told of the session's trace, for those who log. */
  readonly correlations: SessionCorrelations
  readonly ended: Map<string, SpanContext>
}

/**
 * Telemetry (OR-01): spans of live sessions, through whatever OpenTelemetry SDK the program has registered.
 *
 * `observer` watches one session and makes the spans session → turn → node → provider call from its records, at the
 * times of the records. A turn begins with the speech that it answers and ends with its terminal; its attributes hold
 * the plan's hash, the outcome and the latencies, its events the cut, the fence and the first output. Each turn links to the
 * one before it, and a session that goes on here to what it was in this process before. Every span has the ids of session,
 * tenant and pipeline version, those below the session the turn's and the epoch. Model calls follow the `gen_ai`
 * conventions. Words never appear, and of reasons only codes.
 *
 * Guarantees: I-TRACE-BOUND what it holds of a session does not grow with the session; I-TRACE-SILENT it never throws at
 * the session; without an SDK, or when the session is not sampled, it does nothing after the first call.
 */
export class SessionTracer extends Context.Service<SessionTracer, {
  /** An observer for one session. */
  readonly observer: () => SessionObserver
}>()("rspp/SessionTracer") {
  static readonly layer = Layer.effect(
    SessionTracer,
    Effect.gen(function*() {
      const options = { modelOf: yield* ModelNames, correlations: yield* Correlations, ended: yield* EndedSessions }
      return { observer: () => SessionTracer.observerOf(trace.getTracer(tracerName), options) }
    })
  )

  /** An observer that makes its spans with this tracer, whatever SDK the program has registered. */
  static readonly observerOf = (tracer: Tracer, options: Partial<TracerOptions> = {}): SessionObserver =>
    new TracingObserver(tracer, options)

  static readonly layerNoop = Layer.succeed(SessionTracer, { observer: () => ({}) })
}

/** Signals that are events of the turn that they name, or of the session. */
const told: ReadonlySet<ControlSignal["signal"]> = new Set([
  "barge_in",
  "stop",
  "budget_warning",
  "budget_exhausted",
  "degrade",
  "fallback",
  "discontinuity",
  "shed",
  "provider_error",
  "circuit_event",
  "provider_switch",
  "lease_issued",
  "lease_rotated",
  "migration_start",
  "migration_finish",
  "session_handoff",
  "reject",
  "defer",
  "stale_epoch_reject",
  "deauthorized_drain",
  "connected",
  "reconnecting",
  "disconnected",
  "ended",
  "stall",
  "playback_completed",
  "playback_cancelled",
  "recording_level_downgraded"
])

interface OpenCall {
  readonly turnId: string | undefined
  readonly startedMs: number
}

class TracingObserver implements SessionObserver {
  readonly #tracer: Tracer
  readonly #options: Partial<TracerOptions>
  #ids: SessionIds | undefined
  #sessionId = ""
  /** The turn that was opened last, for the next to link to. */
  #previous: Link | undefined
  readonly #turns = new Map<string, TurnTrace>()
  /** Calls that have not ended: as many as run at the same time. */
  readonly #calls = new Map<string, OpenCall>()
  #maker: SpanMaker | undefined
  #session: Span | undefined
  #context: TraceContext = context.active()
  #plan: ResolvedTurnPlan | undefined
  #proposal: { readonly atMs: number; readonly recognition: string | undefined } | undefined
  #nowMs = 0
  #opened = 0
  #refused = 0

  constructor(tracer: Tracer, options: Partial<TracerOptions>) {
    this.#tracer = tracer
    this.#options = options
  }

  opened = (header: TimelineHeader): void => {
    this.#quietly(() => {
      const startMs = header.wall_clock_start_ms
      const maker: SpanMaker = {
        tracer: this.#tracer,
        modelOf: this.#options.modelOf ?? (() => undefined),
        ids: {
          "session.id": header.session_id,
          "rspp.tenant.id": header.tenant_id,
          "rspp.pipeline.version": header.pipeline_version
        },
        // As seconds and nanoseconds: a number might be taken for time since the process started.
        timeOf: (sessionMs) => {
          const ms = startMs + sessionMs
          return [Math.floor(ms / 1000), (ms % 1000) * 1_000_000]
        }
      }
      const span = this.#tracer.startSpan("session", {
        startTime: maker.timeOf(0),
        attributes: {
          ...maker.ids,
          "rspp.pipeline.id": header.pipeline.pipeline_id,
          "rspp.execution_profile": header.pipeline.execution_profile,
          "rspp.clock": header.clock,
          "rspp.recording_level": header.recording_level,
          "rspp.session_config_hash": header.session_config_hash
        }
      })
      if (!span.isRecording()) return
      this.#maker = maker
      this.#session = span
      this.#context = trace.setSpan(context.active(), span)
      this.#sessionId = header.session_id
      const { correlations } = this.#options
      if (correlations === undefined) return
      const { spanId, traceId } = span.spanContext()
      this.#ids = idsOf(correlations, header.session_id)
      this.#ids.traceId = traceId
      this.#ids.sessionSpanId = spanId
    })
  }

  input = (record: InputRecord): void => {
    if (this.#session === undefined) return
    this.#nowMs = record.runtime_timestamp_ms
    const { input } = record
    if (input.type === "egress_fenced") {
      this.#quietly(() => this.#turns.get(input.turn_id)?.fenced(this.#nowMs, input.dropped_samples))
    } else if (input.type === "session_resumed") {
      const before = this.#options.ended?.get(this.#sessionId)
      if (before === undefined) return
      this.#quietly(() => this.#session?.addLink({ context: before, attributes: { "rspp.link": "resumed_session" } }))
    }
  }

  outputs = (outputs: ReadonlyArray<KernelOutput>): void => {
    if (this.#session === undefined || outputs.length === 0) return
    this.#quietly(() => {
      for (const output of outputs) this.#output(output)
    })
  }

  closed = (): void => {
    this.#quietly(() => {
      const session = this.#session
      this.#session = undefined
      for (const turn of this.#turns.values()) turn.end(this.#nowMs)
      this.#turns.clear()
      session?.setAttributes({ "rspp.session.turns": this.#opened, "rspp.session.turns_refused": this.#refused })
      session?.end(this.#maker?.timeOf(this.#nowMs))
      if (session !== undefined) this.#remember(session.spanContext())
    })
  }

  /** Whatever a tracing SDK throws is its own trouble: the session goes on, untraced. */
  #quietly(act: () => void): void {
    try {
      act()
    } catch {
      this.#session = undefined
    }
  }

  #remember(context: SpanContext): void {
    const { correlations, ended } = this.#options
    correlations?.delete(this.#sessionId)
    if (ended === undefined) return
    ended.delete(this.#sessionId)
    ended.set(this.#sessionId, context)
    if (ended.size <= maxEndedSessions) return
    for (const oldest of ended.keys()) return void ended.delete(oldest)
  }

  #output(output: KernelOutput): void {
    switch (output.record) {
      case "signal":
        return this.#signal(output.signal)
      case "plan":
        this.#plan = output.plan
        return
      case "event": {
        // A call that had been started ahead of its turn is the turn's from now on.
        const { provider_invocation_id = "", reason, turn_id } = output.event
        if (reason !== "speculation_promoted") return
        const call = this.#calls.get(provider_invocation_id)
        const turn = this.#turn(turn_id)
        if (call === undefined || turn === undefined) return
        this.#calls.set(provider_invocation_id, { ...call, turnId: turn_id })
        turn.live++
        turn.node(output.event.node_id ?? "", call.startedMs)
        return
      }
      case "command": {
        const { command } = output
        if (command.type === "start_invocation") {
          const startedMs = output.runtime_timestamp_ms
          this.#calls.set(command.provider_invocation_id, { turnId: command.turn_id, startedMs })
          const turn = this.#turn(command.turn_id)
          if (turn === undefined) return
          turn.live++
          turn.node(command.node_id, startedMs)
        } else if (command.type === "enqueue_output") {
          this.#turn(command.turn_id)?.firstOutput(output.runtime_timestamp_ms)
        } else if (command.type === "seal_supplement") {
          const turn = this.#turn(command.turn_id)
          if (turn === undefined) return
          turn.sealed = true
          this.#finish(turn)
        }
        return
      }
      case "invocation": {
        const { invocation } = output
        const call = this.#calls.get(invocation.provider_invocation_id)
        this.#calls.delete(invocation.provider_invocation_id)
        const turn = this.#turn(invocation.turn_id)
        if (turn === undefined) {
          if (this.#maker !== undefined) invocationSpan(this.#maker, this.#context, invocation)
          return
        }
        turn.invocation(invocation)
        // A recogniser's call was started before its turn was, and so was not counted.
        if (call?.turnId !== undefined) turn.live--
        this.#finish(turn)
        return
      }
      default:
        return
    }
  }

  #turn(turnId: string | undefined): TurnTrace | undefined {
    return turnId === undefined ? undefined : this.#turns.get(turnId)
  }

  #signal(signal: ControlSignal): void {
    const { reason, runtime_timestamp_ms: atMs, signal: name, turn_id } = signal
    const turn = this.#turn(turn_id)
    const code = reason === undefined ? undefined : reasonCode(reason)
    switch (name) {
      case "turn_open_proposed":
        this.#proposal = { atMs, recognition: signal.provider_invocation_id }
        return
      case "turn_open":
        return this.#open(signal)
      case "commit":
      case "abort":
        return turn?.terminal(name, reason, atMs)
      case "close":
        turn?.closed()
        return
      case "cancel": {
        const attributes = attributesOf({ "rspp.reason": code, "rspp.scope": signal.scope })
        if (turn === undefined) this.#event(name, atMs, attributes)
        else turn.cancelAccepted(atMs, attributes)
        return
      }
      case "playback_started":
        return turn?.playbackStarted(atMs)
      default: {
        if (!told.has(name)) return
        if (signal.emitted_by === "RK-25" && (name === "reject" || name === "defer")) this.#refused++
        const attributes = attributesOf({
          "rspp.reason": code,
          "rspp.turn.id": turn === undefined ? turn_id : undefined,
          "rspp.edge.id": signal.edge_id,
          "rspp.invocation.id": signal.provider_invocation_id
        })
        if (turn === undefined) this.#event(name, atMs, attributes)
        else turn.event(name, atMs, attributes)
      }
    }
  }

  #event(name: string, atMs: number, attributes: Attributes): void {
    this.#session?.addEvent(name, attributes, this.#maker?.timeOf(atMs))
  }

  #open({ authority_epoch, runtime_timestamp_ms: openMs, turn_id: turnId }: ControlSignal): void {
    if (turnId === undefined || this.#maker === undefined) return
    const proposedMs = this.#proposal?.atMs ?? openMs
    const recognition = this.#calls.get(this.#proposal?.recognition ?? "")
    const plan = this.#plan?.turn_id === turnId ? this.#plan : undefined
    const turn = new TurnTrace(this.#maker, this.#context, {
      turnId,
      startMs: recognition?.startedMs ?? proposedMs,
      proposedMs,
      openMs,
      epoch: authority_epoch,
      previous: this.#previous,
      attributes: attributesOf({
        "rspp.plan.hash": plan?.plan_hash,
        "rspp.plan.execution_profile": plan?.execution_profile
      })
    })
    this.#previous = {
      context: turn.spanContext,
      attributes: { "rspp.link": "previous_turn", "rspp.turn.id": turnId }
    }
    if (this.#ids !== undefined) turnSpan(this.#ids, turnId, turn.spanContext.spanId)
    this.#opened++
    this.#proposal = undefined
    this.#turns.set(turnId, turn)
    if (this.#turns.size > maxOpenTurns) {
      for (const oldest of this.#turns.values()) {
        oldest.end(this.#nowMs)
        this.#turns.delete(oldest.turnId)
        break
      }
    }
  }

  #finish(turn: TurnTrace): void {
    if (!turn.isDone) return
    turn.end(this.#nowMs)
    this.#turns.delete(turn.turnId)
  }
}
