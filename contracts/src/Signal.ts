import * as Schema from "effect/Schema"
import { envelopeFields, envelopeRules, type EventScope } from "./Event.ts"
import type { ModuleCode } from "./Module.ts"
import { Natural } from "./Quantity.ts"
import { type Rule, ruleCheck } from "./Rule.ts"

/** Modules that may emit a control signal. */
export const signalEmitters = [
  "RK-02",
  "RK-03",
  "RK-06",
  "RK-11",
  "RK-12",
  "RK-13",
  "RK-14",
  "RK-15",
  "RK-16",
  "RK-17",
  "RK-22",
  "RK-23",
  "RK-24",
  "RK-25",
  "OR-02",
  "CP-05",
  "CP-07",
  "CP-08"
] as const satisfies ReadonlyArray<ModuleCode>
export const SignalEmitter = Schema.Literals(signalEmitters)
export type SignalEmitter = typeof SignalEmitter.Type

interface RegistryRow {
  readonly emitters: ReadonlyArray<SignalEmitter>
  /** The only `event_scope` that the signal may have; absent means either. */
  readonly event_scope?: EventScope
  /** Envelope fields that the signal must carry besides those that every control signal carries. */
  readonly requires: ReadonlyArray<string>
}

const row = (
  emitters: ReadonlyArray<SignalEmitter>,
  requires: ReadonlyArray<string> = [],
  event_scope?: EventScope
): RegistryRow => event_scope === undefined ? { emitters, requires } : { emitters, requires, event_scope }

const lifecycle = row(["RK-03"], ["turn_id"], "turn")
const cut = row(["RK-06", "RK-16"])
const budget = row(["RK-17"], ["reason"])
const adaptation = row(["RK-13", "RK-17"], ["reason"])
const provider = row(["RK-11"], ["reason"])
const authority = row(["CP-07", "CP-08"], ["authority_epoch"])
const admission = row(["RK-25", "CP-05"], ["reason"], "session")
const guard = row(["RK-24"], ["authority_epoch", "reason"])
const connection = row(["RK-23"])
const playout = row(["RK-22", "RK-23"], ["turn_id"], "turn")

/**
 * The ControlLane signal registry (CONTRACT section 3): who may emit each signal, and what it must carry.
 *
 * No other signal exists. The rules of the `control_signal` artifact are computed from this table.
 */
export const signalRegistry = {
  turn_open_proposed: row(["RK-02"], [], "session"),
  turn_open: lifecycle,
  commit: lifecycle,
  abort: row(["RK-03"], ["turn_id", "reason"], "turn"),
  close: lifecycle,
  barge_in: cut,
  stop: cut,
  cancel: row(["RK-06", "RK-16"], ["scope"]),
  watermark: row(["RK-13"], ["edge_id", "target_lane", "reason"]),
  budget_warning: budget,
  budget_exhausted: budget,
  degrade: adaptation,
  fallback: adaptation,
  discontinuity: row(["RK-15"], ["sync_domain", "discontinuity_id", "reason"]),
  drop_notice: row(["RK-12", "RK-13"], ["edge_id", "target_lane", "reason", "seq_range"]),
  flow_xoff: row(["RK-14"], ["edge_id", "target_lane", "reason"]),
  flow_xon: row(["RK-14"], ["edge_id", "target_lane"]),
  credit_grant: row(["RK-14"], ["edge_id", "target_lane", "amount"]),
  provider_error: provider,
  circuit_event: provider,
  provider_switch: provider,
  lease_issued: authority,
  lease_rotated: authority,
  migration_start: authority,
  migration_finish: authority,
  session_handoff: authority,
  admit: admission,
  reject: admission,
  defer: admission,
  shed: row(["RK-25"], ["reason"]),
  stale_epoch_reject: guard,
  deauthorized_drain: guard,
  connected: connection,
  reconnecting: connection,
  disconnected: connection,
  ended: connection,
  silence: connection,
  stall: connection,
  output_accepted: playout,
  playback_started: playout,
  playback_completed: playout,
  playback_cancelled: playout,
  recording_level_downgraded: row(["OR-02"], ["reason"])
} as const satisfies Record<string, RegistryRow>

export type SignalName = keyof typeof signalRegistry
export const signalNames = Object.keys(signalRegistry) as ReadonlyArray<SignalName>
export const SignalName = Schema.Literals(signalNames)

/** What a cancel, or another signal that carries `scope`, is about. */
export const signalScopes = ["session", "turn", "node", "provider_invocation"] as const
export const SignalScope = Schema.Literals(signalScopes)
export type SignalScope = typeof SignalScope.Type

const registryRules = (signal: SignalName, { emitters, event_scope, requires }: RegistryRow): ReadonlyArray<Rule> => {
  const when = [{ field: "signal", in: [signal] }]
  const rules: Array<Rule> = [{
    id: `signal.${signal}.emitted-by`,
    when,
    then: { field: "emitted_by", in: emitters },
    message: `${signal} is emitted by ${emitters.join(" or ")}`
  }]
  if (event_scope !== undefined) {
    rules.push({
      id: `signal.${signal}.event-scope`,
      when,
      then: { field: "event_scope", in: [event_scope] },
      message: `${signal} has event_scope ${event_scope}`
    })
  }
  if (requires.length > 0) {
    rules.push({
      id: `signal.${signal}.requires`,
      when,
      then: { require: requires },
      message: `${signal} carries ${requires.join(", ")}`
    })
  }
  return rules
}

export const signalRules: ReadonlyArray<Rule> = [
  ...envelopeRules,
  ...signalNames.flatMap((signal) => registryRules(signal, signalRegistry[signal]))
]

/** A control signal: an event of the ControlLane. */
export const ControlSignal = Schema.Struct({
  ...envelopeFields,
  lane: Schema.Literal("ControlLane"),
  signal: SignalName,
  emitted_by: SignalEmitter,
  authority_epoch: Natural,
  payload_class: Schema.Literal("metadata"),
  scope: Schema.optionalKey(SignalScope)
}).check(ruleCheck(signalRules)).annotate({ identifier: "ControlSignal" })
export type ControlSignal = typeof ControlSignal.Type
