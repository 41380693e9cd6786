import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { BaselineEvidence, CancelFacts, EvidenceSupplement } from "@rspp/contracts/Evidence"
import type { InvocationFacts } from "@rspp/contracts/Invocation"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

/** What the records say of one turn. */
interface Told {
  readonly proposedMs: number | undefined
  plan: ResolvedTurnPlan | undefined
  admission: { readonly outcome_kind: string; readonly reason: string; readonly event_id: string } | undefined
  open: { readonly ms: number; readonly epoch: number | undefined } | undefined
  firstOutputMs: number | undefined
  terminal: { readonly kind: string; readonly reason?: string } | undefined
  terminalMs: number | undefined
  terminalEpoch: number | undefined
  closeMs: number | undefined
  cancel: { readonly scope: string; readonly acceptedMs: number; readonly at: number } | undefined
  cancelSentMs: number | undefined
  /** Calls that were told to stop and have not said that they did; and when the last one did that has. */
  readonly unacknowledged: Set<string>
  lastAckMs: number | undefined
  fencedMs: number | undefined
  rejected: number
  /** Late outputs of the calls that have ended. */
  late: number
  readonly ended: Array<InvocationFacts>
  readonly running: Set<string>
  readonly classes: Set<string>
  readonly migrations: Array<string>
  /** What evidence and supplement must be compared with, as of the close. */
  readonly evidence: Array<BaselineEvidence>
  readonly supplements: Array<EvidenceSupplement>
  endedAtClose: number
  lateAtClose: number
  acknowledgedAtClose: number | undefined
  sealed: boolean
  endedAtSeal: number
}

const widths = ["provider_invocation", "node", "turn", "session"]
const migrations = new Set(["lease_rotated", "migration_start", "migration_finish", "session_handoff"])

/** What a turn's evidence must say, field by field. */
const expectedOf = (turn_id: string, told: Told, header: TimelineHeader): Readonly<Record<string, unknown>> => {
  const { plan } = told
  return {
    session_id: header.session_id,
    turn_id,
    pipeline_version: plan?.pipeline_version,
    plan_hash: plan?.plan_hash,
    execution_profile: plan?.execution_profile,
    epoch_at_open: told.open?.epoch,
    epoch_at_terminal: told.terminalEpoch,
    admission: told.admission,
    snapshot_provenance: plan?.snapshot_provenance,
    determinism: plan === undefined ? undefined : {
      seed: plan.determinism.seed,
      merge_rule_id: plan.determinism.merge_rule_id,
      merge_rule_version: plan.determinism.merge_rule_version,
      ordering_markers: plan.determinism.ordering_markers,
      nondeterministic_input_refs: plan.determinism.nondeterministic_inputs.map(({ evidence_ref }) => evidence_ref)
    },
    times: {
      proposed_ms: told.proposedMs,
      open_ms: told.open?.ms,
      first_output_ms: told.firstOutputMs,
      terminal_ms: told.terminalMs,
      close_ms: told.closeMs
    },
    terminal: told.terminal,
    invocations: told.ended.slice(0, told.endedAtClose),
    migration_markers: told.migrations
  }
}

/** A cancel is acknowledged when every call that was told to stop has said that it did. */
const acknowledgedOf = ({ lastAckMs, unacknowledged }: Told): number | undefined =>
  unacknowledged.size === 0 ? lastAckMs : undefined

const cancelOf = (told: Told, late: number, acknowledgedMs: number | undefined): Readonly<Record<string, unknown>> => ({
  scope: told.cancel?.scope,
  accepted_ms: told.cancel?.acceptedMs,
  sent_ms: told.cancelSentMs,
  acknowledged_ms: acknowledgedMs,
  fenced_ms: told.fencedMs,
  late_outputs_dropped: late
})

const text = (value: unknown): string => canonicalJson(value ?? null)

export const evidenceComplete: Checker = {
  id: "C10",
  holds: ["I-EVIDENCE-RECEIVED", "I-GROUP"],
  sentence:
    "Each accepted turn has baseline evidence, once, before its terminal, and every field of it is what the records say; what came later is in one supplement.",
  check: (header, records) => {
    const findings = new Findings("C10", records)
    const turns = new Map<string, Told>()
    const owners = new Map<string, string>()
    let prelude = new Set<string>()
    /** When the intents that wait for their turn were proposed, oldest first. */
    let intents: Array<number> = []

    const begin = (turn_id: string) => {
      turns.set(turn_id, {
        proposedMs: intents.at(-1),
        plan: undefined,
        admission: undefined,
        open: undefined,
        firstOutputMs: undefined,
        terminal: undefined,
        terminalMs: undefined,
        terminalEpoch: undefined,
        closeMs: undefined,
        cancel: undefined,
        cancelSentMs: undefined,
        unacknowledged: new Set(),
        lastAckMs: undefined,
        fencedMs: undefined,
        rejected: 0,
        late: 0,
        ended: [],
        running: new Set(),
        classes: prelude,
        migrations: [],
        evidence: [],
        supplements: [],
        endedAtClose: 0,
        lateAtClose: 0,
        acknowledgedAtClose: undefined,
        sealed: false,
        endedAtSeal: 0
      })
      prelude = new Set()
    }
    const input = ({ input: taken, runtime_timestamp_ms: now }: Extract<TimelineRecord, { record: "input" }>) => {
      if ("handle" in taken) {
        const owner = "provider_invocation_id" in taken ? owners.get(taken.provider_invocation_id) : undefined
        const told = owner === undefined ? undefined : turns.get(owner)
        if (told === undefined) prelude.add(taken.handle.payload_class)
        else if (told.terminal === undefined) told.classes.add(taken.handle.payload_class)
      } else if (taken.type === "egress_fenced") {
        const told = turns.get(taken.turn_id)
        if (told !== undefined) told.fencedMs ??= now
      } else if (taken.type === "output_rejected") {
        const told = turns.get(taken.turn_id)
        if (told !== undefined && !told.sealed) told.rejected++
      }
    }
    const signal = ({ signal: told }: Extract<TimelineRecord, { record: "signal" }>, index: number) => {
      const { authority_epoch, event_id, reason, runtime_timestamp_ms: now, scope = "turn", signal: name, turn_id } =
        told
      if (name === "turn_open_proposed") intents.push(now)
      if (migrations.has(name)) {
        for (const turn of turns.values()) if (turn.closeMs === undefined) turn.migrations.push(`${name}:${event_id}`)
      }
      const turn = turn_id === undefined ? undefined : turns.get(turn_id)
      if (turn === undefined) return
      switch (name) {
        case "turn_open":
          turn.open ??= { ms: now, epoch: authority_epoch }
          break
        case "cancel":
          if (turn.cancel !== undefined && widths.indexOf(turn.cancel.scope) >= widths.indexOf(scope)) break
          if (turn.sealed) break
          turn.cancel = { scope, acceptedMs: now, at: index }
          turn.cancelSentMs = undefined
          turn.unacknowledged.clear()
          turn.lastAckMs = undefined
          break
        case "commit":
        case "abort":
          turn.terminal ??= reason === undefined ? { kind: name } : { kind: name, reason }
          turn.terminalMs ??= now
          turn.terminalEpoch ??= authority_epoch
          break
        case "close":
          turn.closeMs ??= now
          turn.endedAtClose = turn.ended.length
          turn.lateAtClose = turn.late + turn.rejected
          turn.acknowledgedAtClose = acknowledgedOf(turn)
          judge(turn_id ?? "", turn, index)
          break
        default:
          break
      }
    }
    const judge = (turn_id: string, told: Told, index: number) => {
      const { evidence: [evidence, second] } = told
      if (evidence === undefined) return findings.broken(`${turn_id} closes without evidence`, index, turn_id)
      if (second !== undefined) findings.broken(`${turn_id} has evidence twice`, index, turn_id)
      for (const [field, expected] of Object.entries(expectedOf(turn_id, told, header))) {
        const said = text((evidence as unknown as Readonly<Record<string, unknown>>)[field])
        if (said !== text(expected)) {
          findings.broken(`${field} of ${turn_id}'s evidence is ${said}, and was ${text(expected)}`, index, turn_id)
        }
      }
      if (told.cancel === undefined && evidence.cancel !== undefined) {
        findings.broken(`${turn_id} had no cancel`, index, turn_id)
      }
      if (told.cancel !== undefined) {
        cancelled(turn_id, told, evidence.cancel, [told.lateAtClose, told.acknowledgedAtClose], index)
      }
      if (evidence.terminal.reason === "cancelled" && evidence.cancel?.fenced_ms === undefined) {
        findings.broken(`the cancel of ${turn_id} has no fence in its evidence`, index, turn_id)
      }
      const decided = new Set(evidence.payload_decisions.map(({ payload_class }) => payload_class as string))
      for (const kind of told.classes) {
        if (!decided.has(kind)) {
          findings.broken(`what became of ${kind} is not in ${turn_id}'s evidence`, index, turn_id)
        }
      }
    }
    const cancelled = (
      turn_id: string,
      told: Told,
      said: CancelFacts | undefined,
      [late, acknowledgedMs]: readonly [number, number | undefined],
      index: number
    ) => {
      if (said === undefined) return findings.broken(`${turn_id}'s evidence has no cancel`, index, turn_id)
      const expected = text(cancelOf(told, late, acknowledgedMs))
      if (text(said) !== expected) {
        findings.broken(`the cancel of ${turn_id}'s evidence is ${text(said)}, and was ${expected}`, index, turn_id)
      }
    }
    const seal = (told: Told) => {
      if (told.sealed) return
      told.sealed = true
      told.endedAtSeal = told.ended.length
    }

    let index = -1
    for (const record of records) {
      index++
      switch (record.record) {
        case "input":
          input(record)
          break
        case "audio":
          prelude.add("audio_raw")
          break
        case "signal":
          signal(record, index)
          break
        case "transition":
          if (record.transition.from_state === "Idle") begin(record.turn_id)
          else if (record.transition.trigger === "turn_open") intents = []
          else if (record.transition.to_state === "Idle") {
            // A newer intent makes the one that waits give way; everything else turns away the newest itself.
            if (record.transition.trigger === "reject") intents.shift()
            else intents.pop()
            const classes = turns.get(record.turn_id)?.classes
            turns.delete(record.turn_id)
            if (classes !== undefined && intents.length > 0) { for (const kind of classes) prelude.add(kind) }
          }
          break
        case "plan": {
          const told = turns.get(record.plan.turn_id)
          if (told !== undefined) told.plan ??= record.plan
          break
        }
        case "decision": {
          const { event_id, outcome_kind, reason, turn_id } = record.decision
          const told = turn_id === undefined ? undefined : turns.get(turn_id)
          if (told !== undefined && outcome_kind === "admit") told.admission ??= { outcome_kind, reason, event_id }
          break
        }
        case "event": {
          const { lane, late_after_cancel, payload_class, reason, runtime_timestamp_ms, turn_id } = record.event
          if (reason === "speculation_promoted" && turn_id !== undefined) {
            owners.set(record.event.provider_invocation_id ?? "", turn_id)
          }
          const told = turn_id === undefined ? undefined : turns.get(turn_id)
          if (
            told === undefined || lane !== "DataLane" || payload_class !== "audio_raw" || late_after_cancel === true
          ) break
          told.firstOutputMs ??= runtime_timestamp_ms
          break
        }
        case "command": {
          const { command, runtime_timestamp_ms: now } = record
          if (command.type === "start_invocation" && command.turn_id !== undefined) {
            owners.set(command.provider_invocation_id, command.turn_id)
            turns.get(command.turn_id)?.running.add(command.provider_invocation_id)
          } else if (command.type === "cancel_invocation") {
            const told = turns.get(owners.get(command.provider_invocation_id) ?? "")
            if (told?.cancel !== undefined) {
              told.cancelSentMs ??= now
              told.unacknowledged.add(command.provider_invocation_id)
            }
          } else if (command.type === "seal_supplement") {
            const told = turns.get(command.turn_id)
            if (told !== undefined) seal(told)
          }
          break
        }
        case "invocation": {
          const { cancel_ack_ms, late_outputs_dropped, provider_invocation_id, turn_id } = record.invocation
          owners.delete(provider_invocation_id)
          const told = turn_id === undefined ? undefined : turns.get(turn_id)
          if (told === undefined || told.sealed) break
          told.running.delete(provider_invocation_id)
          told.ended.push(record.invocation)
          told.late += late_outputs_dropped
          if (told.unacknowledged.delete(provider_invocation_id)) told.lastAckMs = cancel_ack_ms
          break
        }
        case "evidence": {
          const { turn_id } = record.evidence
          const told = turns.get(turn_id)
          if (told === undefined) findings.broken(`evidence of ${turn_id}, which never opened`, index, turn_id)
          else told.evidence.push(record.evidence)
          break
        }
        case "supplement": {
          const { cancel, invocations, turn_id } = record.supplement
          const told = turns.get(turn_id)
          if (told === undefined) {
            findings.broken(`a supplement of ${turn_id}, which never opened`, index, turn_id)
            break
          }
          told.supplements.push(record.supplement)
          if (told.supplements.length > 1) findings.broken(`${turn_id} has two supplements`, index, turn_id)
          const expected = told.ended.slice(told.endedAtClose)
          if (text(invocations) !== text(expected)) {
            findings.broken(`the supplement of ${turn_id} lacks a call`, index, turn_id)
          }
          if (told.cancel !== undefined) {
            cancelled(turn_id, told, cancel, [told.late + told.rejected, acknowledgedOf(told)], index)
          }
          break
        }
        default:
          break
      }
    }
    for (const [turn_id, told] of turns) {
      if (!told.sealed || told.supplements.length > 0) continue
      if (told.endedAtSeal > told.endedAtClose) {
        findings.broken(`${turn_id} has no supplement, and calls ended late`, -1, turn_id)
      }
    }
    return findings.violations
  }
}
