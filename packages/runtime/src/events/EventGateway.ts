import type { Lane, PayloadClass } from "@rspp/contracts/Event"
import type { DecisionOutcome } from "@rspp/contracts/Outcome"
import type { SignalName, SignalEmitter } from "@rspp/contracts/Signal"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { KernelContext } from "../kernel/KernelContext.ts"
import { Identity } from "./Identity.ts"
import { LaneGovernor } from "./LaneGovernor.ts"
import * as Effect from "effect/Effect"

/** What a signal says besides its name; the envelope is filled in by the gateway. */
export interface SignalFields {
  readonly turn_id?: string
  /** `turn` when a turn id is given and nothing else is said. */
  readonly event_scope?: "session" | "turn"
  readonly reason?: string
  readonly scope?: "session" | "turn" | "node" | "provider_invocation"
  readonly node_id?: string
  readonly edge_id?: string
  readonly provider_invocation_id?: string
  readonly target_lane?: Lane
  readonly amount?: number
  readonly seq_range?: { readonly start: number; readonly end: number }
  readonly sync_domain?: string
  readonly discontinuity_id?: string
  readonly authority_epoch?: number
  readonly idempotency_key?: string
}

/** A DataLane or TelemetryLane event: a payload handle that moved, without its bytes. */
export interface EventFields {
  readonly turn_id?: string
  readonly lane: "DataLane" | "TelemetryLane"
  readonly payload_class: PayloadClass
  readonly node_id?: string
  readonly edge_id?: string
  readonly provider_invocation_id?: string
  readonly media_time?: { readonly sample_index: number }
  readonly late_after_cancel?: boolean
  readonly reason?: string
  /** At least 1. */
  readonly amount?: number
  readonly merge_group_id?: string
  readonly merged_from_event_ids?: ReadonlyArray<string>
}

/** A decision, without what the gateway knows. */
export type DecisionFields = Omit<
  DecisionOutcome,
  "session_id" | "event_id" | "runtime_timestamp_ms" | "wall_clock_timestamp_ms"
>

/** The gateway of one session. */
export interface SessionGateway {
  /** Emits a control signal and returns its event id. Control is never lost. */
  readonly signal: (name: SignalName, emittedBy: SignalEmitter, fields?: SignalFields) => string
  /** Emits an event and returns its id; that of its cause, where telemetry is lost for pressure. */
  readonly event: (fields: EventFields) => string
  readonly decision: (fields: DecisionFields) => string
  /** Pressure on the control and the telemetry lane. */
  readonly governor: LaneGovernor
}

/**
 * Event gateway (RK-05): the one place where envelopes are made, so that every event of a session carries its
 * identity, its place in the sequence, its epoch and its payload class.
 *
 * Guarantees: I-SEQ-DENSE; ids are derived from the sequence, so that the same inputs give the same ids.
 */
export class EventGateway extends Context.Service<EventGateway, {
  readonly open: (context: KernelContext) => SessionGateway
}>()("rspp/EventGateway") {
  static readonly layerNoDeps = Layer.effect(
    EventGateway,
    Effect.gen(function*() {
      const identity = yield* Identity
      return EventGateway.of({ open: (context) => openGateway(context, identity.eventId) })
    })
  )
  static readonly layer = EventGateway.layerNoDeps.pipe(Layer.provideMerge(Identity.layer))
}

const none: SignalFields = {}

const openGateway = (context: KernelContext, eventId: (sequence: number) => string): SessionGateway => {
  const { header } = context
  // What all have in common comes first, as one literal: what is spread after it costs little then.
  const emit: SessionGateway["signal"] = (name, emittedBy, fields = none) => {
    const sequence = context.takeSequence()
    const event_id = eventId(sequence)
    context.outputs.push({
      record: "signal",
      signal: {
        schema_version: "v1.0",
        session_id: header.session_id,
        pipeline_version: header.pipeline_version,
        event_id,
        causal_parent_id: eventId(context.causeSequence),
        lane: "ControlLane",
        transport_sequence: null,
        runtime_sequence: sequence,
        runtime_timestamp_ms: context.now,
        wall_clock_timestamp_ms: header.wall_clock_start_ms + context.now,
        payload_class: "metadata",
        authority_epoch: context.epoch,
        event_scope: fields.turn_id === undefined ? "session" : "turn",
        signal: name,
        emitted_by: emittedBy,
        ...fields
      }
    })
    return event_id
  }
  const governor = new LaneGovernor(context, emit)
  return {
    governor,
    signal: (name, emittedBy, fields) => {
      const id = emit(name, emittedBy, fields)
      governor.control()
      return id
    },
    event: (fields) => {
      if (fields.lane === "TelemetryLane" && !governor.telemetry(fields.edge_id)) return eventId(context.causeSequence)
      const sequence = context.takeSequence()
      const event_id = eventId(sequence)
      context.outputs.push({
        record: "event",
        event: {
          schema_version: "v1.0",
          session_id: header.session_id,
          pipeline_version: header.pipeline_version,
          event_id,
          causal_parent_id: eventId(context.causeSequence),
          transport_sequence: null,
          runtime_sequence: sequence,
          runtime_timestamp_ms: context.now,
          wall_clock_timestamp_ms: header.wall_clock_start_ms + context.now,
          authority_epoch: context.epoch,
          event_scope: fields.turn_id === undefined ? "session" : "turn",
          ...fields
        }
      })
      return event_id
    },
    decision: (fields) => {
      const sequence = context.takeSequence()
      context.outputs.push({
        record: "decision",
        runtime_sequence: sequence,
        decision: {
          session_id: header.session_id,
          event_id: eventId(sequence),
          runtime_timestamp_ms: context.now,
          wall_clock_timestamp_ms: header.wall_clock_start_ms + context.now,
          ...fields
        }
      })
      return eventId(sequence)
    }
  }
}
