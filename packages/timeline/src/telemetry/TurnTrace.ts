import type { Attributes, Context, HrTime, Link, Span, SpanContext, Tracer } from "@opentelemetry/api"
import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api"
import { endedMsOf } from "@rspp/contracts/Invocation"
import type { InvocationFacts } from "@rspp/contracts/Timeline"
import { genAiAttributes } from "./GenAi.ts"
import type { ModelName } from "./GenAi.ts"
import { reasonCode } from "./Reason.ts"

/** Makes spans at the times of records: session time on the wall clock of the header. */
export interface SpanMaker {
  readonly tracer: Tracer
  readonly timeOf: (sessionMs: number) => HrTime
  /** What every span of the session can be found by: session, tenant, pipeline version. */
  readonly ids: Readonly<Record<"session.id" | "rspp.tenant.id" | "rspp.pipeline.version", string>>
  /** The vendor and the model behind a provider's id, where that is known. */
  readonly modelOf: (providerId: string) => ModelName | undefined
}

interface NodeTrace {
  readonly span: Span
  readonly context: Context
  lastEndMs: number
  failed: boolean
}

/** Attributes whose value is `undefined` are left out. */
export const attributesOf = (
  values: Readonly<Record<string, string | number | boolean | undefined>>
): Attributes => {
  const attributes: Attributes = {}
  for (const [key, value] of Object.entries(values)) if (value !== undefined) attributes[key] = value
  return attributes
}

const isFailure = ({ outcome_class }: InvocationFacts) => outcome_class !== "success" && outcome_class !== "cancelled"

/** The span of a provider call that has ended, below `parent`. */
export const invocationSpan = (maker: SpanMaker, parent: Context, facts: InvocationFacts): void => {
  const { timeOf } = maker
  const span = maker.tracer.startSpan(`${facts.modality} ${facts.provider_id}`, {
    kind: SpanKind.CLIENT,
    startTime: timeOf(facts.started_ms),
    attributes: attributesOf({
      ...maker.ids,
      ...genAiAttributes(facts, maker.modelOf(facts.provider_id)),
      "gen_ai.conversation.id": facts.modality === "llm" ? maker.ids["session.id"] : undefined,
      "rspp.turn.id": facts.turn_id,
      "rspp.node.id": facts.node_id,
      "rspp.invocation.id": facts.provider_invocation_id,
      "rspp.invocation.idempotency_key": facts.idempotency_key,
      "rspp.invocation.attempts": facts.attempts,
      "rspp.invocation.outcome_class": facts.outcome_class,
      "rspp.invocation.retryable": facts.retryable,
      "rspp.invocation.retry_decision": facts.retry_decision,
      "rspp.invocation.late_outputs_dropped": facts.late_outputs_dropped,
      "rspp.invocation.final_latency_ms": facts.final_latency_ms,
      "rspp.modality": facts.modality,
      "rspp.provider.id": facts.provider_id,
      "rspp.authority_epoch": facts.authority_epoch,
      "rspp.usage.input_tokens": facts.usage?.input_tokens,
      "rspp.usage.output_tokens": facts.usage?.output_tokens,
      "rspp.usage.characters": facts.usage?.characters,
      "rspp.usage.audio_ms": facts.usage?.audio_ms,
      "error.type": isFailure(facts) ? facts.outcome_class : undefined
    })
  }, parent)
  if (facts.first_result_ms !== undefined) span.addEvent("first_result", timeOf(facts.first_result_ms))
  if (facts.cancel_sent_ms !== undefined) span.addEvent("cancel_sent", timeOf(facts.cancel_sent_ms))
  if (isFailure(facts)) {
    // The vendor's own words may be the caller's.
    span.setStatus({ code: SpanStatusCode.ERROR, message: facts.outcome_class })
  }
  span.end(timeOf(endedMsOf(facts)))
}

/** What is known of a turn when it opens. */
export interface TurnOpening {
  readonly turnId: string
  readonly startMs: number
  readonly proposedMs: number
  readonly openMs: number
  readonly attributes: Attributes
  /** Found by every span of the turn, besides what all of the session have. */
  readonly epoch: number
  /** The turn before it. */
  readonly previous: Link | undefined
}

/** The span of one turn, with those of its nodes below it. */
export class TurnTrace {
  readonly turnId: string
  readonly #maker: SpanMaker
  readonly #span: Span
  readonly #context: Context
  readonly #openMs: number
  readonly #epoch: number
  readonly #nodes = new Map<string, NodeTrace>()
  #firstOutputMs: number | undefined
  #cancelMs: number | undefined
  #fencedMs: number | undefined
  #playing = false
  #terminalMs: number | undefined
  #closed = false
  /** Calls that were started and have not ended. */
  live = 0
  /** The turn's supplement was sealed: nothing more is waited for but its calls. */
  sealed = false

  constructor(maker: SpanMaker, session: Context, opening: TurnOpening) {
    this.#maker = maker
    this.turnId = opening.turnId
    this.#openMs = opening.openMs
    this.#epoch = opening.epoch
    this.#span = maker.tracer.startSpan("turn", {
      startTime: maker.timeOf(opening.startMs),
      attributes: {
        ...maker.ids,
        ...opening.attributes,
        "rspp.turn.id": opening.turnId,
        "rspp.authority_epoch": opening.epoch,
        "rspp.turn.open_latency_ms": opening.openMs - opening.proposedMs
      },
      links: opening.previous === undefined ? [] : [opening.previous]
    }, session)
    this.#context = trace.setSpan(session, this.#span)
    this.event("turn_open_proposed", opening.proposedMs)
    this.event("turn_open", opening.openMs)
  }

  /** True when the spans can be ended: the turn is over and so are its calls. */
  get isDone(): boolean {
    return this.#closed && this.sealed && this.live === 0
  }

  /** What a link to this turn leads to. */
  get spanContext(): SpanContext {
    return this.#span.spanContext()
  }

  event(name: string, atMs: number, attributes: Attributes = {}): void {
    this.#span.addEvent(name, attributes, this.#maker.timeOf(atMs))
  }

  /** The span of a node, from the start of its first call. */
  node(nodeId: string, startMs: number): NodeTrace {
    const known = this.#nodes.get(nodeId)
    if (known !== undefined) return known
    const span = this.#maker.tracer.startSpan(`node ${nodeId}`, {
      startTime: this.#maker.timeOf(startMs),
      attributes: {
        ...this.#maker.ids,
        "rspp.node.id": nodeId,
        "rspp.turn.id": this.turnId,
        "rspp.authority_epoch": this.#epoch
      }
    }, this.#context)
    const node = { span, context: trace.setSpan(this.#context, span), lastEndMs: startMs, failed: false }
    this.#nodes.set(nodeId, node)
    return node
  }

  /** A call of the turn has ended. */
  invocation(facts: InvocationFacts): void {
    const node = this.node(facts.node_id, facts.started_ms)
    invocationSpan(this.#maker, node.context, facts)
    node.lastEndMs = Math.max(node.lastEndMs, endedMsOf(facts))
    // What was tried again, and went well, is no failure of the node.
    node.failed = isFailure(facts) && facts.retry_decision === "none"
  }

  firstOutput(atMs: number): void {
    if (this.#firstOutputMs !== undefined) return
    this.#firstOutputMs = atMs
    this.event("first_output", atMs)
    this.#span.setAttribute("rspp.turn.first_output_latency_ms", atMs - this.#openMs)
  }

  playbackStarted(atMs: number): void {
    this.event("playback_started", atMs)
    if (this.#playing) return
    this.#playing = true
    this.#span.setAttribute("rspp.turn.playback_latency_ms", atMs - this.#openMs)
  }

  cancelAccepted(atMs: number, attributes: Attributes): void {
    this.#cancelMs ??= atMs
    this.event("cancel", atMs, attributes)
  }

  fenced(atMs: number, droppedSamples: number): void {
    if (this.#fencedMs !== undefined) return
    this.#fencedMs = atMs
    this.event("fence", atMs, { "rspp.dropped_samples": droppedSamples })
    if (this.#cancelMs !== undefined) {
      this.#span.setAttribute("rspp.turn.cancel_to_fence_ms", atMs - this.#cancelMs)
    }
  }

  /** A cancelled turn is what the caller wanted; any other abort is an error. */
  terminal(kind: "commit" | "abort", reason: string | undefined, atMs: number): void {
    this.#terminalMs = atMs
    this.#span.setAttribute("rspp.turn.outcome", kind)
    if (reason === undefined) return
    const code = reasonCode(reason)
    this.#span.setAttribute("rspp.turn.abort_reason", code)
    if (reason !== "cancelled") this.#span.setStatus({ code: SpanStatusCode.ERROR, message: code })
  }

  closed(): void {
    this.#closed = true
  }

  /** Ends the spans: the turn at its terminal, or at `nowMs` when it has none. */
  end(nowMs: number): void {
    const { timeOf } = this.#maker
    for (const { failed, lastEndMs, span } of this.#nodes.values()) {
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end(timeOf(lastEndMs))
    }
    this.#span.end(timeOf(this.#terminalMs ?? nowMs))
  }
}
