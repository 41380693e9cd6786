import * as Schema from "effect/Schema"
import { PayloadClass } from "./Event.ts"
import { Id, RuleVersion, SchemaVersion, Sha256Hex } from "./Identity.ts"
import { InvocationFacts } from "./Invocation.ts"
import { Natural } from "./Quantity.ts"
import { type Rule, ruleCheck } from "./Rule.ts"
import { SignalScope } from "./Signal.ts"
import { Milliseconds } from "./Time.ts"
import { OrderingMarkers, RecordingLevel, SnapshotProvenance } from "./TurnPlan.ts"

export const redactionActions = ["allow", "mask", "hash", "drop", "tokenize"] as const
export const RedactionAction = Schema.Literals(redactionActions)
export type RedactionAction = typeof RedactionAction.Type

/** How many payloads of a class met which redaction. */
export const PayloadDecision = Schema.Struct({ payload_class: PayloadClass, action: RedactionAction, count: Natural })
export type PayloadDecision = typeof PayloadDecision.Type

/** A cancel, from acceptance to the fence. A time that was not observed is absent. */
export const CancelFacts = Schema.Struct({
  scope: SignalScope,
  accepted_ms: Milliseconds,
  sent_ms: Schema.optionalKey(Milliseconds),
  acknowledged_ms: Schema.optionalKey(Milliseconds),
  fenced_ms: Schema.optionalKey(Milliseconds),
  late_outputs_dropped: Natural
})
export type CancelFacts = typeof CancelFacts.Type

export const terminalRules: ReadonlyArray<Rule> = [{
  id: "evidence.abort-requires-reason",
  when: [{ field: "kind", in: ["abort"] }],
  then: { require: ["reason"] },
  message: "an abort carries its reason"
}]

export const Terminal = Schema.Struct({
  kind: Schema.Literals(["commit", "abort"]),
  reason: Schema.optionalKey(Id)
}).check(ruleCheck(terminalRules))
export type Terminal = typeof Terminal.Type

/**
 * Baseline evidence of an accepted turn (CONTRACT section 7): kept at every recording level, made only from events that
 * the recorder received. A turn that lacks any required field is incomplete, and the completeness gate fails.
 */
export const BaselineEvidence = Schema.Struct({
  or02_evidence_schema_version: SchemaVersion,
  session_id: Id,
  turn_id: Id,
  pipeline_version: Id,
  plan_id: Id,
  plan_hash: Sha256Hex,
  execution_profile: Id,
  epoch_at_open: Natural,
  epoch_at_terminal: Natural,
  admission: Schema.Struct({ outcome_kind: Schema.Literal("admit"), reason: Id, event_id: Id }),
  snapshot_provenance: SnapshotProvenance,
  determinism: Schema.Struct({
    seed: Natural,
    merge_rule_id: Id,
    merge_rule_version: RuleVersion,
    ordering_markers: OrderingMarkers,
    nondeterministic_input_refs: Schema.Array(Id)
  }),
  times: Schema.Struct({
    proposed_ms: Milliseconds,
    open_ms: Milliseconds,
    first_output_ms: Schema.optionalKey(Milliseconds),
    terminal_ms: Milliseconds,
    close_ms: Milliseconds
  }),
  terminal: Terminal,
  cancel: Schema.optionalKey(CancelFacts),
  invocations: Schema.Array(InvocationFacts),
  payload_decisions: Schema.Array(PayloadDecision),
  /** The lowest recording level that was in force between the turn's opening and its close; absent in older recordings. */
  recording_level: Schema.optionalKey(RecordingLevel),
  migration_markers: Schema.Array(Id)
}).annotate({ identifier: "BaselineEvidence" })
export type BaselineEvidence = typeof BaselineEvidence.Type

/** What arrived after a turn's evidence: acknowledgements, late outputs and invocations; sealed when the cancellation grace ends. */
export const EvidenceSupplement = Schema.Struct({
  or02_evidence_schema_version: SchemaVersion,
  session_id: Id,
  turn_id: Id,
  sealed_ms: Milliseconds,
  cancel: Schema.optionalKey(CancelFacts),
  invocations: Schema.Array(InvocationFacts)
}).annotate({ identifier: "EvidenceSupplement" })
export type EvidenceSupplement = typeof EvidenceSupplement.Type
