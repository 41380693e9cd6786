import * as Schema from "effect/Schema"
import { Id } from "./Identity.ts"
import type { ModuleCode } from "./Module.ts"
import { Natural } from "./Quantity.ts"
import { type Rule, ruleCheck } from "./Rule.ts"
import { Milliseconds } from "./Time.ts"

export const outcomePhases = ["pre_turn", "scheduling_point", "active_turn"] as const
export const OutcomePhase = Schema.Literals(outcomePhases)
export type OutcomePhase = typeof OutcomePhase.Type

export const schedulingScopes = ["edge_enqueue", "edge_dequeue", "node_dispatch"] as const
export const outcomeScopes = ["tenant", "session", "turn", ...schedulingScopes] as const
export const OutcomeScope = Schema.Literals(outcomeScopes)
export type OutcomeScope = typeof OutcomeScope.Type

export const outcomeEmitters = ["RK-24", "RK-25", "CP-05"] as const satisfies ReadonlyArray<ModuleCode>
export const OutcomeEmitter = Schema.Literals(outcomeEmitters)
export type OutcomeEmitter = typeof OutcomeEmitter.Type

/** Scopes that each phase allows, for every outcome. */
export const scopesByPhase = {
  pre_turn: ["tenant", "session", "turn"],
  scheduling_point: schedulingScopes,
  active_turn: ["turn", ...schedulingScopes]
} as const satisfies Record<OutcomePhase, ReadonlyArray<OutcomeScope>>

interface OutcomeRow {
  readonly emitters: ReadonlyArray<OutcomeEmitter>
  /** Phases in which the outcome may occur, each with its scopes where they are fewer than the phase allows. */
  readonly phases: Partial<Record<OutcomePhase, ReadonlyArray<OutcomeScope>>>
  readonly requires: ReadonlyArray<string>
}

const admission: OutcomeRow = { emitters: ["RK-25", "CP-05"], phases: scopesByPhase, requires: [] }

/** The outcome table (CONTRACT section 6). The rules of the `decision_outcome` artifact are computed from it. */
export const outcomeTable = {
  admit: admission,
  reject: admission,
  defer: admission,
  shed: { emitters: ["RK-25"], phases: { scheduling_point: schedulingScopes }, requires: [] },
  stale_epoch_reject: {
    emitters: ["RK-24"],
    phases: { pre_turn: ["session", "turn"], scheduling_point: schedulingScopes },
    requires: ["authority_epoch"]
  },
  deauthorized_drain: {
    emitters: ["RK-24"],
    phases: { pre_turn: ["session", "turn"], active_turn: ["turn"] },
    requires: ["authority_epoch"]
  }
} as const satisfies Record<string, OutcomeRow>

export type OutcomeKind = keyof typeof outcomeTable
export const outcomeKinds = Object.keys(outcomeTable) as ReadonlyArray<OutcomeKind>
export const OutcomeKind = Schema.Literals(outcomeKinds)

const rowRules = (kind: OutcomeKind, { emitters, phases, requires }: OutcomeRow): ReadonlyArray<Rule> => {
  const ofKind = { field: "outcome_kind", in: [kind] }
  const allowed = outcomePhases.filter((phase) => phases[phase] !== undefined)
  const rules: Array<Rule> = [{
    id: `outcome.${kind}.emitted-by`,
    when: [ofKind],
    then: { field: "emitted_by", in: emitters },
    message: `${kind} is decided by ${emitters.join(" or ")}`
  }]
  if (allowed.length < outcomePhases.length) {
    rules.push({
      id: `outcome.${kind}.phase`,
      when: [ofKind],
      then: { field: "phase", in: allowed },
      message: `${kind} occurs in ${allowed.join(" or ")}`
    })
  }
  for (const phase of allowed) {
    const scopes = phases[phase] ?? []
    if (scopes.length < scopesByPhase[phase].length) {
      rules.push({
        id: `outcome.${kind}.${phase}-scope`,
        when: [ofKind, { field: "phase", in: [phase] }],
        then: { field: "scope", in: scopes },
        message: `${kind} in ${phase} has scope ${scopes.join(" or ")}`
      })
    }
  }
  if (requires.length > 0) {
    rules.push({
      id: `outcome.${kind}.requires`,
      when: [ofKind],
      then: { require: requires },
      message: `${kind} carries ${requires.join(", ")}`
    })
  }
  return rules
}

export const outcomeRules: ReadonlyArray<Rule> = [
  ...outcomeKinds.flatMap((kind) => rowRules(kind, outcomeTable[kind])),
  {
    id: "outcome.cp-05.phase",
    when: [{ field: "emitted_by", in: ["CP-05"] }],
    then: { field: "phase", in: ["pre_turn"] },
    message: "CP-05 decides only before the turn (pre_turn)"
  },
  {
    id: "outcome.cp-05.scope",
    when: [{ field: "emitted_by", in: ["CP-05"] }],
    then: { field: "scope", in: ["tenant", "session"] },
    message: "CP-05 decides with scope tenant or session"
  },
  ...outcomePhases.map((phase): Rule => ({
    id: `outcome.${phase}.scope`,
    when: [{ field: "phase", in: [phase] }],
    then: { field: "scope", in: scopesByPhase[phase] },
    message: `phase ${phase} has scope ${scopesByPhase[phase].join(", ")}`
  })),
  {
    id: "outcome.active-turn-requires-turn-id",
    when: [{ field: "phase", in: ["active_turn"] }],
    then: { require: ["turn_id"] },
    message: "an outcome in an active turn carries turn_id"
  },
  {
    id: "outcome.turn-scope-requires-turn-id",
    when: [{ field: "scope", in: ["turn"] }],
    then: { require: ["turn_id"] },
    message: "an outcome of scope turn carries turn_id"
  }
]

/** A decision of admission or of the contract guard. */
export const DecisionOutcome = Schema.Struct({
  outcome_kind: OutcomeKind,
  phase: OutcomePhase,
  scope: OutcomeScope,
  session_id: Id,
  turn_id: Schema.optionalKey(Id),
  event_id: Id,
  runtime_timestamp_ms: Milliseconds,
  wall_clock_timestamp_ms: Milliseconds,
  timestamp_ms: Schema.optionalKey(Milliseconds),
  emitted_by: OutcomeEmitter,
  authority_epoch: Schema.optionalKey(Natural),
  reason: Id
}).check(ruleCheck(outcomeRules)).annotate({ identifier: "DecisionOutcome" })
export type DecisionOutcome = typeof DecisionOutcome.Type
