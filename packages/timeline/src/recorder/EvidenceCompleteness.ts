import { validate } from "@rspp/contracts/Artifact"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { BaselineEvidence, CancelFacts, EvidenceSupplement } from "@rspp/contracts/Evidence"
import type { ControlSignal } from "@rspp/contracts/Signal"
import type { InvocationFacts, TimelineRecord } from "@rspp/contracts/Timeline"
import { isLowerLevel, lowerLevel } from "@rspp/contracts/TurnPlan"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import { sequenceGaps } from "../format/SequenceGaps.ts"

/** What is wrong with the evidence of one accepted turn. */
export interface TurnCompleteness {
  readonly turn_id: string
  /** Nothing is missing and nothing is contradicted. */
  readonly complete: boolean
  /** Fields that CONTRACT section 7 demands and that neither the evidence nor its supplement has. */
  readonly missing: ReadonlyArray<string>
  /** Fields that say something else than the records do, or something that no record says. */
  readonly contradicted: ReadonlyArray<string>
  /** Facts that came after the supplement was sealed: on record, but no part of the evidence. They do no harm. */
  readonly late: ReadonlyArray<string>
}

interface Placed<T> {
  readonly at: number
  readonly value: T
}

/** What the records of a timeline say about one turn, each with its place. */
interface TurnRecords {
  readonly proposed: Placed<ControlSignal> | undefined
  readonly opens: Array<Placed<ControlSignal>>
  readonly terminals: Array<Placed<ControlSignal>>
  readonly closes: Array<Placed<ControlSignal>>
  readonly cancels: Array<Placed<ControlSignal>>
  readonly migrations: Array<Placed<ControlSignal>>
  readonly evidence: Array<Placed<BaselineEvidence>>
  readonly supplements: Array<Placed<EvidenceSupplement>>
  readonly invocations: Array<Placed<InvocationFacts>>
  readonly records: Array<Placed<TimelineRecord>>
  /** Invocations that were started for the turn. */
  readonly started: Array<string>
  /** The lowest recording level while it was open, and whether pressure brought it below what the plan allows. */
  level: RecordingLevel | undefined
  limited: boolean
}

const migrationSignals = ["lease_rotated", "migration_start", "migration_finish", "session_handoff"]

/**
 * Judges the baseline evidence of every turn that a timeline accepted (those with a `turn_open`), in the order of their
 * opening. It reads only the records, shares no code with the recorder and takes no clock.
 *
 * Besides presence it demands that each fact of the evidence is that of the record it stands for, so that invented
 * evidence does not pass; where records were lost (a gap in the sequence), a fact without its record is let pass. An
 * acknowledgement that never came before the supplement was sealed is not missing; an invocation that never ended is.
 */
export const evidenceCompleteness = (records: ReadonlyArray<TimelineRecord>): ReadonlyArray<TurnCompleteness> => {
  const whole = sequenceGaps(records).length === 0
  return [...collect(records)].filter(([, turn]) => turn.opens.length > 0).map(([id, turn]) => judge(id, turn, whole))
}

const collect = (records: ReadonlyArray<TimelineRecord>): ReadonlyMap<string, TurnRecords> => {
  const turns = new Map<string, TurnRecords>()
  const owners = new Map<string, string>()
  /** Intents that have not become a turn, oldest first. */
  const intents: Array<Placed<ControlSignal>> = []
  const turnOf = (id: string): TurnRecords => {
    const known = turns.get(id)
    if (known !== undefined) return known
    const turn: TurnRecords = {
      proposed: intents.at(-1),
      opens: [],
      terminals: [],
      closes: [],
      cancels: [],
      migrations: [],
      evidence: [],
      supplements: [],
      invocations: [],
      records: [],
      started: [],
      level: undefined,
      limited: false
    }
    turns.set(id, turn)
    return turn
  }
  const open = () => [...turns.values()].filter((turn) => turn.opens.length > 0 && turn.closes.length === 0)
  /** What plan and policy allow, and what pressure leaves of it. */
  let allowed: RecordingLevel = "L2"
  let limit: RecordingLevel = "L2"
  const levelHolds = () => {
    for (const turn of open()) {
      turn.level = lowerLevel(turn.level ?? "L2", lowerLevel(allowed, limit))
      turn.limited ||= isLowerLevel(limit, allowed)
    }
  }
  const signal = (at: number, value: ControlSignal): void => {
    const placed = { at, value }
    const turn = value.turn_id === undefined ? undefined : turnOf(value.turn_id)
    if (value.signal === "turn_open_proposed") intents.push(placed)
    if (value.signal === "turn_open") {
      turn?.opens.push(placed)
      levelHolds()
    }
    if (value.signal === "commit" || value.signal === "abort") turn?.terminals.push(placed)
    if (value.signal === "close") turn?.closes.push(placed)
    if (value.signal === "cancel") {
      for (const meant of turn === undefined ? open() : [turn]) {
        meant.cancels.push(placed)
      }
    }
    if (migrationSignals.includes(value.signal)) { for (const meant of open()) meant.migrations.push(placed) }
  }
  for (const [at, record] of records.entries()) {
    switch (record.record) {
      case "signal":
        signal(at, record.signal)
        break
      case "transition": {
        const { to_state, trigger } = record.transition
        turnOf(record.turn_id)
        if (trigger === "turn_open") intents.length = 0
        // `reject` meets the intent that waited, which makes way for a newer one; every other refusal the newest itself.
        else if (trigger === "reject") intents.shift()
        else if (to_state === "Idle") intents.pop()
        break
      }
      case "plan":
        turnOf(record.plan.turn_id).records.push({ at, value: record })
        allowed = record.plan.recording_policy.recording_level
        break
      case "decision":
        if (record.decision.turn_id !== undefined) turnOf(record.decision.turn_id).records.push({ at, value: record })
        break
      case "event":
        // What had been started ahead of a turn has become the turn's.
        if (record.event.reason === "speculation_promoted" && record.event.turn_id !== undefined) {
          const { provider_invocation_id = "", turn_id } = record.event
          owners.set(provider_invocation_id, turn_id)
          turnOf(turn_id).started.push(provider_invocation_id)
        }
        if (record.event.turn_id !== undefined) turnOf(record.event.turn_id).records.push({ at, value: record })
        break
      case "command": {
        const { command } = record
        if (command.type === "start_invocation" && command.turn_id !== undefined) {
          owners.set(command.provider_invocation_id, command.turn_id)
          turnOf(command.turn_id).started.push(command.provider_invocation_id)
        }
        if (command.type === "cancel_invocation") {
          const owner = owners.get(command.provider_invocation_id)
          if (owner !== undefined) turnOf(owner).records.push({ at, value: record })
        }
        if (command.type === "limit_recording") {
          limit = command.level
          levelHolds()
        }
        if (command.type === "seal_supplement") turnOf(command.turn_id).records.push({ at, value: record })
        break
      }
      case "input": {
        const { input } = record
        if (input.type === "snapshot" && input.snapshot.snapshot_kind === "policy_resolution_snapshot") {
          allowed = lowerLevel(allowed, input.snapshot.body.max_recording_level)
          levelHolds()
        }
        const owner = input.type === "egress_fenced"
          ? input.turn_id
          : input.type === "voice_chunk" || input.type === "text_delta" || input.type === "segment" ||
              input.type === "node_item"
          ? owners.get(input.provider_invocation_id)
          : undefined
        if (owner !== undefined) turnOf(owner).records.push({ at, value: record })
        break
      }
      case "invocation":
        if (record.invocation.turn_id !== undefined) {
          turnOf(record.invocation.turn_id).invocations.push({ at, value: record.invocation })
        }
        break
      case "evidence":
        turnOf(record.evidence.turn_id).evidence.push({ at, value: record.evidence })
        break
      case "supplement":
        turnOf(record.supplement.turn_id).supplements.push({ at, value: record.supplement })
        break
      case "header":
      case "audio":
      case "payload":
      case "caller_audio":
      case "sealed":
      case "removed":
      case "end":
        break
    }
  }
  return turns
}

class Findings {
  readonly missing: Array<string> = []
  readonly contradicted: Array<string> = []
  readonly late: Array<string> = []
  readonly whole: boolean

  constructor(whole: boolean) {
    this.whole = whole
  }

  /** The evidence must say what the record says, and nothing without a record. */
  same(field: string, said: unknown, recorded: unknown): void {
    if (recorded === undefined && said === undefined) return
    if (said === undefined) this.missing.push(field)
    else if (recorded === undefined) this.whole && this.contradicted.push(`${field}: no record says it`)
    else if (canonicalJson(said) !== canonicalJson(recorded)) {
      this.contradicted.push(`${field}: ${canonicalJson(said)}, but the record says ${canonicalJson(recorded)}`)
    }
  }
}

const judge = (turn_id: string, turn: TurnRecords, whole: boolean): TurnCompleteness => {
  const findings = new Findings(whole)
  const { missing, contradicted, late } = findings
  const [terminal, second] = turn.terminals
  const [close] = turn.closes
  if (terminal === undefined) missing.push("terminal")
  if (second !== undefined) contradicted.push(`terminal: there are ${turn.terminals.length}`)
  if (close === undefined) missing.push("close")
  else if (turn.closes.length > 1) contradicted.push(`close: there are ${turn.closes.length}`)
  else if (terminal !== undefined && close.at < terminal.at) contradicted.push("close: it comes before the terminal")
  const [evidence] = turn.evidence
  if (evidence === undefined) missing.push("evidence")
  else if (turn.evidence.length > 1) contradicted.push(`evidence: there are ${turn.evidence.length}`)
  if (evidence !== undefined) {
    const verdict = validate("baseline_evidence", evidence.value)
    if (verdict.ok) {
      compare(turn, verdict.value, findings)
    } else {
      for (const { path, message } of verdict.issues) {
        const field = path.join(".")
        if (at(evidence.value, path) === undefined) missing.push(field)
        else contradicted.push(`${field}: ${message}`)
      }
    }
  }
  return { turn_id, complete: missing.length === 0 && contradicted.length === 0, missing, contradicted, late }
}

const compare = (turn: TurnRecords, evidence: BaselineEvidence, findings: Findings): void => {
  const plan = first(turn, (record) => record.record === "plan" ? record.plan : undefined)
  const admission = first(
    turn,
    (record) => record.record === "decision" && record.decision.outcome_kind === "admit" ? record.decision : undefined
  )
  const output = first(
    turn,
    (record) =>
      record.record === "event" && record.event.lane === "DataLane" && record.event.payload_class === "audio_raw" &&
        record.event.late_after_cancel !== true
        ? record.event
        : undefined
  )
  const open = turn.opens[0]?.value
  const terminal = turn.terminals[0]
  findings.same("plan_hash", evidence.plan_hash, plan?.plan_hash)
  findings.same("snapshot_provenance", evidence.snapshot_provenance, plan?.snapshot_provenance)
  findings.same("execution_profile", evidence.execution_profile, plan?.execution_profile)
  findings.same("determinism.seed", evidence.determinism.seed, plan?.determinism.seed)
  findings.same("admission.event_id", evidence.admission.event_id, admission?.event_id)
  findings.same("epoch_at_open", evidence.epoch_at_open, open?.authority_epoch)
  findings.same("epoch_at_terminal", evidence.epoch_at_terminal, terminal?.value.authority_epoch)
  findings.same("times.proposed_ms", evidence.times.proposed_ms, turn.proposed?.value.runtime_timestamp_ms)
  findings.same("times.open_ms", evidence.times.open_ms, open?.runtime_timestamp_ms)
  findings.same("times.first_output_ms", evidence.times.first_output_ms, output?.runtime_timestamp_ms)
  findings.same("times.terminal_ms", evidence.times.terminal_ms, terminal?.value.runtime_timestamp_ms)
  findings.same("times.close_ms", evidence.times.close_ms, turn.closes[0]?.value.runtime_timestamp_ms)
  findings.same("terminal.kind", evidence.terminal.kind, terminal?.value.signal)
  findings.same("terminal.reason", evidence.terminal.reason, terminal?.value.reason)
  findings.same(
    "migration_markers",
    evidence.migration_markers,
    turn.migrations.map(({ value }) => `${value.signal}:${value.event_id}`)
  )
  // Recordings that were made before do not say it.
  if (evidence.recording_level !== undefined || turn.limited) {
    findings.same("recording_level", evidence.recording_level, turn.level)
  }
  compareInvocations(turn, evidence, findings)
  compareCancel(turn, evidence, findings)
  const classes = new Set(evidence.payload_decisions.map((decision) => decision.payload_class))
  for (const { at, value } of turn.records) {
    if (value.record !== "input" || !("handle" in value.input) || at > (terminal?.at ?? Infinity)) continue
    const { payload_class } = value.input.handle
    if (classes.has(payload_class)) continue
    classes.add(payload_class)
    findings.missing.push(`payload_decisions.${payload_class}`)
  }
}

const compareInvocations = (turn: TurnRecords, evidence: BaselineEvidence, findings: Findings): void => {
  const supplements = turn.supplements.flatMap(({ value }) => value.invocations)
  const told = new Map([...evidence.invocations, ...supplements].map((facts) => [facts.provider_invocation_id, facts]))
  const recorded = new Map(turn.invocations.map((placed) => [placed.value.provider_invocation_id, placed]))
  for (const id of new Set([...turn.started, ...recorded.keys()])) {
    const record = recorded.get(id)
    const facts = told.get(id)
    if (facts === undefined && record !== undefined && isSealedBefore(turn, record.at)) {
      findings.late.push(`invocations.${id}`)
    } else if (facts === undefined) findings.missing.push(`invocations.${id}`)
    else findings.same(`invocations.${id}`, facts, record?.value)
  }
  for (const id of told.keys()) {
    if (!recorded.has(id) && !turn.started.includes(id)) findings.same(`invocations.${id}`, id, undefined)
  }
}

const compareCancel = (turn: TurnRecords, evidence: BaselineEvidence, findings: Findings): void => {
  const closedAt = turn.closes[0]?.at ?? Infinity
  const widest = (cancels: ReadonlyArray<Placed<ControlSignal>>) =>
    cancels.reduce<Placed<ControlSignal> | undefined>(
      (best, cancel) => best === undefined || width(cancel.value) > width(best.value) ? cancel : best,
      undefined
    )
  const during = widest(turn.cancels.filter(({ at }) => at < closedAt))
  findings.same("cancel.accepted_ms", evidence.cancel?.accepted_ms, during?.value.runtime_timestamp_ms)
  if (evidence.terminal.reason === "cancelled" && during === undefined && findings.whole) {
    findings.missing.push("cancel")
  }
  const cancel = during ?? widest(turn.cancels)
  if (cancel === undefined) return
  const said: Partial<CancelFacts> = Object.assign(
    {},
    evidence.cancel,
    ...turn.supplements.map(({ value }) => value.cancel)
  )
  if (said.accepted_ms === undefined) {
    if (isSealedBefore(turn, cancel.at)) findings.late.push("cancel")
    else findings.missing.push("cancel")
    return
  }
  const fence = first(
    turn,
    (record) => record.record === "input" && record.input.type === "egress_fenced" ? record : undefined
  )
  if (fence !== undefined) findings.same("cancel.fenced_ms", said.fenced_ms, fence.runtime_timestamp_ms)
  else if (width(cancel.value) >= width({ scope: "turn" })) findings.missing.push("cancel.fenced_ms")
  const sent = turn.records.flatMap(({ at, value }) =>
    value.record === "command" && value.command.type === "cancel_invocation" && at > cancel.at
      ? [{ ms: value.runtime_timestamp_ms, id: value.command.provider_invocation_id }]
      : []
  )
  findings.same("cancel.sent_ms", said.sent_ms, sent[0]?.ms)
  const acks = sent.map(({ id }) => turn.invocations.find(({ value }) => value.provider_invocation_id === id))
  const lastAck = acks.reduce((last, ack) => Math.max(last, ack?.value.cancel_ack_ms ?? Infinity), 0)
  if (sent.length === 0 || lastAck === Infinity) return
  if (acks.some((ack) => ack !== undefined && isSealedBefore(turn, ack.at))) {
    findings.late.push("cancel.acknowledged_ms")
  } else findings.same("cancel.acknowledged_ms", said.acknowledged_ms, lastAck)
}

const at = (value: unknown, path: ReadonlyArray<string | number>): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Readonly<Record<string | number, unknown>> | undefined)?.[key], value)

const width = ({ scope = "turn" }: Pick<ControlSignal, "scope">): number =>
  ["provider_invocation", "node", "turn", "session"].indexOf(scope)

/** True when the turn's supplement was written, or ordered, before this place. */
const isSealedBefore = (turn: TurnRecords, at: number): boolean =>
  turn.supplements.some((supplement) => supplement.at < at) ||
  turn.records.some((record) =>
    record.at < at && record.value.record === "command" && record.value.command.type === "seal_supplement"
  )

const first = <T>(turn: TurnRecords, pick: (record: TimelineRecord) => T | undefined): T | undefined => {
  for (const { value } of turn.records) {
    const found = pick(value)
    if (found !== undefined) return found
  }
  return undefined
}

/** The turns of a timeline that are not complete, as lines for a person. */
export const formatIncomplete = (turns: ReadonlyArray<TurnCompleteness>): ReadonlyArray<string> =>
  turns.filter((turn) => !turn.complete).map(({ turn_id, missing, contradicted }) =>
    [
      `${turn_id}:`,
      ...(missing.length === 0 ? [] : [`missing ${missing.join(", ")}`]),
      ...(contradicted.length === 0 ? [] : [`contradicted ${contradicted.join("; ")}`])
    ].join(" ")
  )
