import type { PayloadClass } from "@rspp/contracts/Event"
import type {
  BaselineEvidence,
  CancelFacts,
  EvidenceSupplement,
  PayloadDecision,
  RedactionAction
} from "@rspp/contracts/Evidence"
import { schemaVersion } from "@rspp/contracts/Identity"
import type { ControlSignal, SignalName } from "@rspp/contracts/Signal"
import type { InputRecord, InvocationFacts, TimelineHeader } from "@rspp/contracts/Timeline"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import { isLowerLevel, lowerLevel } from "@rspp/contracts/TurnPlan"
import type { RecordingLevel, ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import { redactionFor } from "./Redaction.ts"

/** Closed turns whose supplement is still open; past it the oldest is sealed. One or two is usual. */
export const maxUnsealedTurns = 64

/** Room for the evidence of a turn without invocations, in bytes; and for each invocation. Measured: 2 KB and 0.5 KB. */
export const evidenceBaseBytes = 8 * 1024
export const evidenceInvocationBytes = 1024

interface Cancel {
  readonly scope: CancelFacts["scope"]
  readonly acceptedMs: number
  sentMs: number | undefined
  /** Invocations that were told to stop and have not said that they did. */
  readonly unacknowledged: Set<string>
  lastAckMs: number | undefined
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Classes and what became of them, in the order in which they came first: a handful. */
type Decisions = Array<Mutable<PayloadDecision>>

/** What has arrived about one turn. What has not arrived is absent. */
interface TurnFacts {
  readonly turnId: string
  readonly proposedMs: number | undefined
  admission: BaselineEvidence["admission"] | undefined
  plan: ResolvedTurnPlan | undefined
  openMs: number | undefined
  epochAtOpen: number | undefined
  firstOutputMs: number | undefined
  terminal: BaselineEvidence["terminal"] | undefined
  terminalMs: number | undefined
  epochAtTerminal: number | undefined
  closeMs: number | undefined
  cancel: Cancel | undefined
  fencedMs: number | undefined
  /** Output that egress turned away behind the fence. */
  rejectedOutputs: number
  started: number
  readonly invocations: Array<InvocationFacts>
  readonly decisions: Decisions
  readonly migrations: Array<string>
  /** The lowest level between opening and close, and whether pressure brought it below what the plan allows. */
  level: RecordingLevel | undefined
  lowered: boolean
  /** The cancel as the evidence had it, and how many invocations it named. */
  written: { readonly cancel: CancelFacts | undefined; readonly invocations: number } | undefined
}

const migrationSignals: ReadonlySet<SignalName> = new Set([
  "lease_rotated",
  "migration_start",
  "migration_finish",
  "session_handoff"
])

/** How much of a session a cancel is about. */
const scopeWidth = { provider_invocation: 0, node: 1, turn: 2, session: 3 } as const

/**
 * Collects what a session's records say about each turn and makes evidence from it, and from nothing else.
 *
 * Feed it every input and output in order. Guarantees: I-EVIDENCE-RECEIVED each field comes from a record that arrived,
 * and one that did not arrive is absent, never a default; I-EVIDENCE-SAME the same records give the same evidence; it
 * reads no clock. Payloads before a turn was proposed (caller frames, transcripts, typed text) count for that turn.
 * It keeps nothing of a turn that was not accepted, and nothing after a turn was sealed.
 */
export class EvidenceLedger {
  readonly #header: TimelineHeader
  readonly #turns = new Map<string, TurnFacts>()
  /** The turn of each invocation that runs for one. */
  readonly #owners = new Map<string, string>()
  /** When the intents that have not become a turn were proposed, oldest first. */
  readonly #intents: Array<number> = []
  #prelude: Decisions = []
  /** What header, policy and plan allow, and what pressure leaves of it. */
  #allowed: RecordingLevel
  #limit: RecordingLevel = "L2"
  /** The lower of the two. */
  #level: RecordingLevel

  constructor(header: TimelineHeader) {
    this.#header = header
    this.#allowed = header.recording_level
    this.#level = header.recording_level
  }

  /**
   * The level in force: the header's, lowered by the policy snapshot at once and by the plan from its turn on, and never
   * above the limit that the kernel has set for pressure.
   */
  get level(): RecordingLevel {
    return this.#level
  }

  /** The level of a closed turn that pressure brought below its plan's; `undefined` for any other turn. */
  loweredTo(turnId: string): RecordingLevel | undefined {
    const turn = this.#turns.get(turnId)
    return turn?.lowered === true ? turn.level : undefined
  }

  /** Bytes that the evidence of all turns that are not closed may take (an upper bound). */
  get reservedBytes(): number {
    let bytes = 0
    for (const turn of this.#turns.values()) {
      if (turn.closeMs === undefined) bytes += evidenceBaseBytes + turn.started * evidenceInvocationBytes
    }
    return bytes
  }

  /** Closed turns that wait for their supplement to be sealed, oldest first. */
  get unsealed(): ReadonlyArray<string> {
    return [...this.#turns.values()].filter((turn) => turn.closeMs !== undefined).map((turn) => turn.turnId)
  }

  /** A frame of caller audio arrived. */
  audio(): void {
    this.#decide(this.#prelude, "audio_raw")
  }

  input({ input, runtime_timestamp_ms: now }: InputRecord): void {
    switch (input.type) {
      case "transcript":
      case "typed_text":
        return this.#decide(this.#prelude, input.handle.payload_class)
      case "text_delta":
      case "segment":
      case "node_item":
      case "voice_chunk": {
        const turn = this.#turns.get(this.#owners.get(input.provider_invocation_id) ?? "")
        return this.#decide(turn?.decisions ?? this.#prelude, input.handle.payload_class)
      }
      case "egress_fenced": {
        const turn = this.#turns.get(input.turn_id)
        if (turn !== undefined) turn.fencedMs ??= now
        return
      }
      case "output_rejected": {
        const turn = this.#turns.get(input.turn_id)
        if (turn !== undefined) turn.rejectedOutputs++
        return
      }
      case "snapshot":
        if (input.snapshot.snapshot_kind === "policy_resolution_snapshot") {
          this.#limited(lowerLevel(this.#allowed, input.snapshot.body.max_recording_level), this.#limit)
          this.#levelHolds()
        }
        return
      default:
        return
    }
  }

  output(output: KernelOutput): void {
    switch (output.record) {
      case "signal":
        return this.#signal(output.signal)
      case "transition": {
        const { from_state, to_state, trigger } = output.transition
        if (from_state === "Idle") this.#open(output.turn_id)
        else if (to_state === "Idle") this.#refused(output.turn_id, trigger)
        else if (trigger === "turn_open") this.#intents.length = 0
        return
      }
      case "decision": {
        const { outcome_kind, turn_id, reason, event_id } = output.decision
        const turn = turn_id === undefined ? undefined : this.#turns.get(turn_id)
        if (turn !== undefined && outcome_kind === "admit") turn.admission ??= { outcome_kind, reason, event_id }
        return
      }
      case "plan": {
        const turn = this.#turns.get(output.plan.turn_id)
        if (turn !== undefined) turn.plan = output.plan
        this.#limited(
          lowerLevel(this.#header.recording_level, output.plan.recording_policy.recording_level),
          this.#limit
        )
        return
      }
      case "event": {
        const { turn_id, payload_class, lane, late_after_cancel, reason, runtime_timestamp_ms } = output.event
        if (reason === "speculation_promoted") this.#owned(output.event.provider_invocation_id, turn_id)
        if (
          turn_id === undefined || payload_class !== "audio_raw" || lane !== "DataLane" || late_after_cancel === true
        ) {
          return
        }
        const turn = this.#turns.get(turn_id)
        if (turn !== undefined) turn.firstOutputMs ??= runtime_timestamp_ms
        return
      }
      case "command": {
        const { command } = output
        if (command.type === "start_invocation") this.#owned(command.provider_invocation_id, command.turn_id)
        if (command.type === "cancel_invocation") {
          this.#cancelSent(command.provider_invocation_id, output.runtime_timestamp_ms)
        }
        if (command.type === "limit_recording") {
          this.#limited(this.#allowed, command.level)
          this.#levelHolds()
        }
        return
      }
      case "invocation":
        return this.#ended(output.invocation)
    }
  }

  /** The required facts of a turn that have not arrived so far; `undefined` for a turn that is not known. */
  missing(turnId: string): ReadonlyArray<string> | undefined {
    const turn = this.#turns.get(turnId)
    if (turn === undefined) return undefined
    const required = {
      admission: turn.admission,
      plan_hash: turn.plan,
      "times.proposed_ms": turn.proposedMs,
      "times.open_ms": turn.openMs,
      epoch_at_open: turn.epochAtOpen,
      terminal: turn.terminal,
      "times.terminal_ms": turn.terminalMs,
      epoch_at_terminal: turn.epochAtTerminal,
      "times.close_ms": turn.closeMs
    }
    const missing = Object.entries(required).filter(([, value]) => value === undefined).map(([field]) => field)
    if (turn.cancel === undefined) {
      if (turn.terminal?.reason === "cancelled") missing.push("cancel")
    } else if (turn.fencedMs === undefined && scopeWidth[turn.cancel.scope] >= scopeWidth.turn) {
      missing.push("cancel.fenced_ms")
    }
    return missing
  }

  /** True when all that can be known of an active turn's evidence before its terminal has arrived. */
  isReady(turnId: string): boolean {
    const ahead = ["terminal", "times.terminal_ms", "epoch_at_terminal", "times.close_ms"]
    const missing = this.missing(turnId)
    return missing !== undefined && missing.every((field) => ahead.includes(field))
  }

  /** The evidence of a closed turn, once; `undefined` when a field that the artifact requires has not arrived. */
  evidence(turnId: string): BaselineEvidence | undefined {
    const turn = this.#turns.get(turnId)
    if (turn === undefined || turn.written !== undefined) return undefined
    const { admission, plan, proposedMs, openMs, epochAtOpen, terminal, terminalMs, epochAtTerminal, closeMs } = turn
    if (
      admission === undefined || plan === undefined || proposedMs === undefined || openMs === undefined ||
      epochAtOpen === undefined || terminal === undefined || terminalMs === undefined ||
      epochAtTerminal === undefined || closeMs === undefined
    ) {
      return undefined
    }
    const cancel = cancelFacts(turn)
    turn.written = { cancel, invocations: turn.invocations.length }
    return {
      or02_evidence_schema_version: schemaVersion,
      session_id: this.#header.session_id,
      turn_id: turnId,
      pipeline_version: plan.pipeline_version,
      plan_id: `${plan.graph_definition_ref}#${turnId}`,
      plan_hash: plan.plan_hash,
      execution_profile: plan.execution_profile,
      epoch_at_open: epochAtOpen,
      epoch_at_terminal: epochAtTerminal,
      admission,
      snapshot_provenance: plan.snapshot_provenance,
      determinism: {
        seed: plan.determinism.seed,
        merge_rule_id: plan.determinism.merge_rule_id,
        merge_rule_version: plan.determinism.merge_rule_version,
        ordering_markers: plan.determinism.ordering_markers,
        nondeterministic_input_refs: plan.determinism.nondeterministic_inputs.map((input) => input.evidence_ref)
      },
      times: {
        proposed_ms: proposedMs,
        open_ms: openMs,
        ...(turn.firstOutputMs === undefined ? {} : { first_output_ms: turn.firstOutputMs }),
        terminal_ms: terminalMs,
        close_ms: closeMs
      },
      terminal,
      ...(cancel === undefined ? {} : { cancel }),
      invocations: [...turn.invocations],
      payload_decisions: turn.decisions.map((decision) => ({ ...decision })),
      ...(turn.level === undefined || !this.#header.behaviour_flags.includes(behaviourFlags.levelInEvidence)
        ? {}
        : { recording_level: turn.level }),
      migration_markers: [...turn.migrations]
    }
  }

  /** Ends the book of a closed turn: what arrived after its evidence, or `undefined` when nothing did. */
  seal(turnId: string, sealedMs: number): EvidenceSupplement | undefined {
    const turn = this.#turns.get(turnId)
    if (turn === undefined || turn.closeMs === undefined) return undefined
    this.#turns.delete(turnId)
    for (const [invocation, owner] of this.#owners) {
      if (owner === turnId) this.#owners.delete(invocation)
    }
    const invocations = turn.invocations.slice(turn.written?.invocations ?? 0)
    const cancel = cancelFacts(turn)
    const news = invocations.length > 0 || !sameCancel(cancel, turn.written?.cancel)
    return !news ? undefined : {
      or02_evidence_schema_version: schemaVersion,
      session_id: this.#header.session_id,
      turn_id: turnId,
      sealed_ms: sealedMs,
      ...(cancel === undefined ? {} : { cancel }),
      invocations
    }
  }

  #decide(into: Decisions, payload_class: PayloadClass): void {
    const action: RedactionAction = redactionFor(payload_class, this.#level, this.#header)
    for (const known of into) {
      if (known.payload_class !== payload_class || known.action !== action) continue
      known.count++
      return
    }
    into.push({ payload_class, action, count: 1 })
  }

  #limited(allowed: RecordingLevel, limit: RecordingLevel): void {
    this.#allowed = allowed
    this.#limit = limit
    this.#level = lowerLevel(allowed, limit)
  }

  /** The level is this from now on, as far as open turns are concerned. */
  #levelHolds(): void {
    for (const turn of this.#turns.values()) {
      if (turn.openMs === undefined || turn.closeMs !== undefined) continue
      turn.level = turn.level === undefined ? this.level : lowerLevel(turn.level, this.level)
      turn.lowered ||= isLowerLevel(this.#limit, this.#allowed)
    }
  }

  #open(turnId: string): void {
    this.#turns.set(turnId, {
      turnId,
      proposedMs: this.#intents.at(-1),
      admission: undefined,
      plan: undefined,
      openMs: undefined,
      epochAtOpen: undefined,
      firstOutputMs: undefined,
      terminal: undefined,
      terminalMs: undefined,
      epochAtTerminal: undefined,
      closeMs: undefined,
      cancel: undefined,
      fencedMs: undefined,
      rejectedOutputs: 0,
      started: 0,
      invocations: [],
      decisions: this.#prelude,
      migrations: [],
      level: undefined,
      lowered: false,
      written: undefined
    })
    this.#prelude = []
  }

  /**
   * An intent was turned away: `reject` takes the one that waited, which makes way for the newest; every other outcome
   * meets the newest itself. While another one waits, the payloads that came before count for that.
   */
  #refused(turnId: string, trigger: string): void {
    if (trigger === "reject") this.#intents.shift()
    else this.#intents.pop()
    const decisions = this.#turns.get(turnId)?.decisions
    this.#turns.delete(turnId)
    if (decisions !== undefined && this.#intents.length > 0) this.#prelude = decisions
  }

  #signal(signal: ControlSignal): void {
    const { runtime_timestamp_ms: now, authority_epoch } = signal
    if (signal.signal === "turn_open_proposed") this.#intents.push(now)
    if (signal.signal === "cancel") return this.#cancelled(signal)
    if (migrationSignals.has(signal.signal)) {
      for (const turn of this.#turns.values()) {
        if (turn.closeMs === undefined) turn.migrations.push(`${signal.signal}:${signal.event_id}`)
      }
    }
    const turn = signal.turn_id === undefined ? undefined : this.#turns.get(signal.turn_id)
    if (turn === undefined) return
    if (signal.signal === "turn_open") {
      turn.openMs ??= now
      turn.epochAtOpen ??= authority_epoch
      this.#levelHolds()
    } else if (signal.signal === "commit" || signal.signal === "abort") {
      turn.terminal ??= signal.reason === undefined ? { kind: signal.signal } : {
        kind: signal.signal,
        reason: signal.reason
      }
      turn.terminalMs ??= now
      turn.epochAtTerminal ??= authority_epoch
    } else if (signal.signal === "close") {
      turn.closeMs ??= now
    }
  }

  #cancelled(signal: ControlSignal): void {
    const scope = signal.scope ?? "turn"
    for (const turn of this.#turns.values()) {
      const meant = signal.turn_id === undefined
        ? turn.openMs !== undefined && turn.closeMs === undefined
        : signal.turn_id === turn.turnId
      // A wider cancel takes the place of a narrower one; otherwise the first that was accepted counts.
      if (!meant || (turn.cancel !== undefined && scopeWidth[turn.cancel.scope] >= scopeWidth[scope])) continue
      turn.cancel = {
        scope,
        acceptedMs: signal.runtime_timestamp_ms,
        sentMs: undefined,
        unacknowledged: new Set(),
        lastAckMs: undefined
      }
    }
  }

  /** A call was started for a turn, or became a turn's that had been started before it. */
  #owned(invocationId: string | undefined, turnId: string | undefined): void {
    const turn = turnId === undefined ? undefined : this.#turns.get(turnId)
    if (turn === undefined || invocationId === undefined) return
    turn.started++
    this.#owners.set(invocationId, turn.turnId)
  }

  #cancelSent(invocationId: string, now: number): void {
    const cancel = this.#turns.get(this.#owners.get(invocationId) ?? "")?.cancel
    if (cancel === undefined) return
    cancel.sentMs ??= now
    cancel.unacknowledged.add(invocationId)
  }

  #ended(facts: InvocationFacts): void {
    this.#owners.delete(facts.provider_invocation_id)
    const turn = facts.turn_id === undefined ? undefined : this.#turns.get(facts.turn_id)
    if (turn === undefined) return
    turn.invocations.push(facts)
    const { cancel } = turn
    if (cancel === undefined || facts.cancel_ack_ms === undefined) return
    if (cancel.unacknowledged.delete(facts.provider_invocation_id)) cancel.lastAckMs = facts.cancel_ack_ms
  }
}

/** The cancel of a turn as it stands. It is acknowledged when every invocation that was told to stop has said so. */
const cancelFacts = (turn: TurnFacts): CancelFacts | undefined => {
  const { cancel } = turn
  if (cancel === undefined) return undefined
  const acknowledged = cancel.unacknowledged.size === 0 ? cancel.lastAckMs : undefined
  const late = turn.invocations.reduce((sum, facts) => sum + facts.late_outputs_dropped, turn.rejectedOutputs)
  return {
    scope: cancel.scope,
    accepted_ms: cancel.acceptedMs,
    ...(cancel.sentMs === undefined ? {} : { sent_ms: cancel.sentMs }),
    ...(acknowledged === undefined ? {} : { acknowledged_ms: acknowledged }),
    ...(turn.fencedMs === undefined ? {} : { fenced_ms: turn.fencedMs }),
    late_outputs_dropped: late
  }
}

const sameCancel = (a: CancelFacts | undefined, b: CancelFacts | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined &&
    a.scope === b.scope && a.accepted_ms === b.accepted_ms && a.sent_ms === b.sent_ms &&
    a.acknowledged_ms === b.acknowledged_ms && a.fenced_ms === b.fenced_ms &&
    a.late_outputs_dropped === b.late_outputs_dropped)
