import { formatIssue, validate } from "@rspp/contracts/Artifact"
import type { ArtifactKind } from "@rspp/contracts/Artifact"
import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import { legalTransitions } from "@rspp/contracts/Turn"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"

/** Signals that may still name a turn after its terminal (CONTRACT section 4). */
const afterTerminal = new Set([
  "close",
  "playback_started",
  "playback_completed",
  "playback_cancelled",
  "barge_in",
  "cancel",
  "stale_epoch_reject",
  "deauthorized_drain"
])

interface Life {
  state: string
  planned: boolean
  terminal: "commit" | "abort" | undefined
  closed: boolean
  fenceRequested: boolean
  fenceReported: boolean
  sealed: boolean
  evidenceAppended: boolean
  paused: boolean
  /** The strongest cause of its end that was told, by rank. */
  cause: number
  /** That cause is the budget of one path. */
  byPath: boolean
}

/** What a step must bring about, and why. */
interface Due {
  readonly what: "fence" | "reject"
  readonly evidence: SessionInput
}

/** Abort reasons of the causes that are told by a signal of the turn, strongest first (CONTRACT section 4). */
const ranked = ["authority_loss", "cancelled", "turn_budget_exhausted"]
const rankOf = ({ reason, signal }: { readonly reason?: string; readonly signal: string }): number => {
  if (signal === "deauthorized_drain") return 0
  if (signal === "cancel") return 1
  return signal === "budget_exhausted" && (reason === "turn_budget" || reason === "path_budget") ? 2 : ranked.length
}

/**
 * The rules of CONTRACT section 4 and 11 that must hold whatever happens, checked on every record of a session by code
 * that shares nothing with the kernel. Breaking one throws with the law's name.
 */
export class KernelLaws {
  readonly #validate: boolean
  readonly #turns = new Map<string, Life>()
  readonly #timers = new Map<string, number>()
  readonly #live = new Set<string>()
  readonly #cancelled = new Set<string>()
  readonly #eventIds = new Set<string>()
  readonly #delivered = new Set<string>()
  readonly #endedSegments = new Set<string>()
  readonly #endedOutputs = new Set<string>()
  #proposed = 0
  #arbitrated = 0
  #next = 0
  #now = 0
  #generation = 0
  #epoch = 0
  #held = false
  #open: string | undefined
  #ended = false
  #accepted = 0
  readonly #works = new Map<string, { readonly turnId: string; readonly modality: string }>()
  #connection = ""
  /** What the step that is being applied has to bring about. */
  #due: Due | undefined

  constructor(options: { readonly validate: boolean }) {
    this.#validate = options.validate
  }

  /** Turns that were accepted. */
  get accepted(): number {
    return this.#accepted
  }

  get hasEnded(): boolean {
    return this.#ended
  }

  audio(sequence: number, now: number): void {
    this.#take(sequence, now)
  }

  input(sequence: number, now: number, input: SessionInput): void {
    this.#take(sequence, now)
    this.#due = this.#dueOf(input)
    if (this.#validate) {
      check("timeline_record", {
        record: "input",
        runtime_sequence: sequence,
        runtime_timestamp_ms: now,
        lane: "ControlLane",
        input
      })
    }
    switch (input.type) {
      case "timer":
        if (this.#timers.get(input.timer) === input.generation) this.#timers.delete(input.timer)
        return
      case "egress_fenced": {
        const life = this.#turns.get(input.turn_id)
        if (life !== undefined) life.fenceReported = true
        return
      }
      case "evidence_appended": {
        const life = this.#turns.get(input.turn_id)
        if (life !== undefined && input.result === "appended") life.evidenceAppended = true
        return
      }
      case "lease":
        if (input.authority_epoch < this.#epoch) return
        this.#held = input.status !== "revoked" && input.status !== "expired"
        this.#epoch = input.authority_epoch
        return
      default:
        return
    }
  }

  outputs(outputs: ReadonlyArray<KernelOutput>): void {
    const wasEnded = this.#ended
    const open = this.#open
    for (const output of outputs) {
      law(!wasEnded, "nothing comes out after end_session", output)
      this.#output(output)
    }
    const due = this.#due
    this.#due = undefined
    if (wasEnded) return
    if (due?.what === "fence" && open !== undefined) {
      law(this.#life(open).fenceRequested, "a turn that loses its caller is fenced in that step", due.evidence)
    }
    if (due?.what === "reject") {
      const rejected = outputs.some((output) =>
        output.record === "signal" && output.signal.signal === "stale_epoch_reject"
      )
      law(rejected, "what comes under another epoch is rejected", due.evidence)
    }
    for (const output of outputs) {
      if (output.record !== "command" || output.command.type !== "fence_output") continue
      for (const [id, work] of this.#works) {
        if (work.turnId !== output.command.turn_id || work.modality === "stt") continue
        law(this.#cancelled.has(id), "a fence cancels the calls of its turn", { id, ...output.command })
      }
    }
  }

  #dueOf(input: SessionInput): Due | undefined {
    switch (input.type) {
      case "shutdown":
        return { what: "fence", evidence: input }
      case "connection": {
        const repeats = input.state === this.#connection || this.#connection === "ended"
        if (repeats) return undefined
        this.#connection = input.state
        return ["disconnected", "stall", "ended"].includes(input.state) ? { what: "fence", evidence: input } : undefined
      }
      case "transcript":
      case "text_delta":
      case "segment":
      case "voice_chunk": {
        const stale = input.authority_epoch !== undefined && input.authority_epoch !== this.#epoch
        return stale ? { what: "reject", evidence: input } : undefined
      }
      default:
        return undefined
    }
  }

  /** At the end of a session: everything that was opened is closed, and nothing is armed. */
  finished(): void {
    law(this.#ended, "the session ends", [...this.#live])
    law(this.#timers.size === 0, "no armed timer is left", [...this.#timers.keys()])
    law(this.#live.size === 0, "no invocation is left", [...this.#live])
    law(this.#proposed === this.#arbitrated, "each proposal opened or was turned away", this.#proposed)
    for (const [turnId, life] of this.#turns) {
      law(life.state === "Closed" || life.state === "Idle", "each turn is closed or was never opened", turnId)
      law(life.planned === (life.terminal !== undefined), "each accepted turn has a terminal", turnId)
      law(life.planned === life.closed, "each accepted turn has a close", turnId)
      law(life.planned === life.sealed, "each accepted turn has its supplement sealed", turnId)
    }
  }

  #output(output: KernelOutput): void {
    const stamped = output.record === "signal" ? output.signal : output.record === "event" ? output.event : undefined
    if (stamped !== undefined) {
      this.#take(stamped.runtime_sequence, stamped.runtime_timestamp_ms)
      law(!this.#eventIds.has(stamped.event_id), "event ids are unique", stamped.event_id)
      this.#eventIds.add(stamped.event_id)
    } else if (output.record === "decision") {
      this.#take(output.runtime_sequence, output.decision.runtime_timestamp_ms)
    } else if (output.record !== "signal" && output.record !== "event") {
      this.#take(output.runtime_sequence, output.runtime_timestamp_ms)
    }
    if (this.#validate) validateOutput(output)
    switch (output.record) {
      case "plan": {
        const life = this.#life(output.plan.turn_id)
        law(!life.planned, "a turn has one plan", output)
        law(life.state === "Opening", "a plan is made while the turn opens", output)
        law(output.plan.authority_epoch === this.#epoch && this.#held, "a turn opens under the held epoch", output)
        life.planned = true
        this.#accepted += 1
        return
      }
      case "transition":
        return this.#transition(output)
      case "signal":
        return this.#signal(output)
      case "command":
        return this.#command(output.command)
      case "invocation": {
        const { provider_invocation_id: id, ...facts } = output.invocation
        law(this.#live.delete(id), "each invocation ends once", output)
        this.#works.delete(id)
        for (const time of [facts.first_result_ms, facts.cancel_sent_ms, facts.cancel_ack_ms]) {
          law(
            time === undefined || (time >= facts.started_ms && time <= this.#now),
            "times lie within the call",
            output
          )
        }
        law((facts.cancel_sent_ms !== undefined) === this.#cancelled.has(id), "cancel_sent says what was sent", output)
        return
      }
      default:
        return
    }
  }

  #transition(output: Extract<KernelOutput, { readonly record: "transition" }>): void {
    const life = this.#life(output.turn_id)
    const { from_state, to_state, trigger } = output.transition
    law(
      legalTransitions.some((row) =>
        row.from_state === from_state && row.to_state === to_state && row.trigger === trigger
      ),
      "transitions are of the table",
      output
    )
    law(life.state === from_state, "a transition starts where the turn is", output)
    life.state = to_state
    if (trigger === "turn_open_proposed") this.#arbitrated += 1
    if (trigger === "turn_open") {
      law(this.#open === undefined, "at most one turn is open", output)
      law(life.planned, "a turn opens with its plan", output)
      this.#open = output.turn_id
    }
    if (trigger === "close") this.#open = undefined
  }

  #signal(output: Extract<KernelOutput, { readonly record: "signal" }>): void {
    const { event_scope, provider_invocation_id, reason, signal, turn_id } = output.signal
    if (signal === "turn_open_proposed") this.#proposed += 1
    if (turn_id === undefined) return
    const life = this.#life(turn_id)
    const had = life.terminal
    if (had === undefined) {
      const { reason, signal } = output.signal
      const path = signal === "budget_exhausted" && reason === "path_budget"
      // Another path has a budget of its own: what had run out with the one before is no cause any more.
      if (life.byPath && (signal === "provider_switch" || signal === "fallback")) {
        life.cause = ranked.length
        life.byPath = false
      }
      const rank = rankOf(output.signal)
      if (rank < life.cause || (rank === life.cause && !path)) life.byPath = path
      life.cause = Math.min(life.cause, rank)
    }
    switch (signal) {
      case "turn_open":
        law(life.state === "Active" && had === undefined, "turn_open comes with its transition", output)
        return
      case "commit":
      case "abort":
        law(life.planned && had === undefined, "exactly one terminal", output)
        law(life.state === "Active", "a terminal is of an active turn", output)
        if (signal === "commit") {
          law(life.evidenceAppended, "commit waits for its evidence", output)
          law(!life.fenceRequested, "a fenced turn does not commit", output)
        } else {
          law(life.fenceReported, "abort comes after the fence", output)
          const known = ranked.indexOf(reason ?? "")
          law((known === -1 ? ranked.length : known) === life.cause, "the strongest cause prevails", output)
        }
        life.terminal = signal
        return
      case "close":
        law(had !== undefined && !life.closed, "close follows the terminal, once", output)
        life.closed = true
        return
      default:
        if (provider_invocation_id !== undefined && (signal === "output_accepted" || signal.startsWith("playback"))) {
          const report = `${signal.replace(/completed|cancelled/u, "ended")} ${provider_invocation_id}`
          law(!this.#delivered.has(report), "each segment is accepted, starts and ends once", output)
          this.#delivered.add(report)
        }
        law(
          event_scope === "session" || life.planned || signal === "stale_epoch_reject",
          "only accepted turns have signals of turn scope",
          output
        )
        law(had === undefined || life.closed, "close follows its terminal at once", output)
        law(had === undefined || afterTerminal.has(signal), "after the terminal only delivery and diagnostics", output)
    }
  }

  #command(command: SessionCommand): void {
    switch (command.type) {
      case "arm_timer":
        law(command.generation > this.#generation, "timer generations grow", command)
        law(command.due_ms >= this.#now, "a timer is not due in the past", command)
        law(!this.#timers.has(command.timer), "a timer is disarmed before it is armed again", command)
        this.#generation = command.generation
        this.#timers.set(command.timer, command.generation)
        return
      case "disarm_timer":
        law(this.#timers.get(command.timer) === command.generation, "only an armed timer is disarmed", command)
        this.#timers.delete(command.timer)
        return
      case "start_invocation":
        law(!this.#live.has(command.provider_invocation_id), "invocation ids are unique", command)
        this.#live.add(command.provider_invocation_id)
        if (command.turn_id !== undefined) {
          this.#works.set(command.provider_invocation_id, { turnId: command.turn_id, modality: command.modality })
        }
        law(command.authority_epoch === this.#epoch, "work starts under the session's epoch", command)
        if (command.turn_id !== undefined) this.#unfenced(command.turn_id, command)
        return
      case "cancel_invocation":
        law(this.#live.has(command.provider_invocation_id), "only a live invocation is cancelled", command)
        law(!this.#cancelled.has(command.provider_invocation_id), "an invocation is cancelled once", command)
        this.#cancelled.add(command.provider_invocation_id)
        return
      case "enqueue_output":
        law(command.authority_epoch === this.#epoch && this.#held, "output leaves under the held epoch", command)
        law(!this.#endedSegments.has(command.segment_id), "nothing comes after the end of its segment", command)
        this.#unfenced(command.turn_id, command)
        return
      case "end_segment":
        law(!this.#endedSegments.has(command.segment_id), "a segment ends once", command)
        law(!this.#endedOutputs.has(command.turn_id), "no segment ends after the end of all output", command)
        this.#endedSegments.add(command.segment_id)
        this.#unfenced(command.turn_id, command)
        return
      case "end_output":
        law(!this.#endedOutputs.has(command.turn_id), "output ends once", command)
        this.#endedOutputs.add(command.turn_id)
        this.#unfenced(command.turn_id, command)
        return
      case "append_evidence":
        this.#unfenced(command.turn_id, command)
        return
      case "pause_output":
      case "resume_output": {
        const life = this.#unfenced(command.turn_id, command, true)
        law(life.paused === (command.type === "resume_output"), "pause and resume take turns", command)
        life.paused = command.type === "pause_output"
        return
      }
      case "fence_output": {
        const life = this.#life(command.turn_id)
        law(life.planned && !life.fenceRequested, "a turn is fenced once", command)
        life.fenceRequested = true
        return
      }
      case "seal_supplement": {
        const life = this.#life(command.turn_id)
        law(life.closed && !life.sealed, "a supplement is sealed once, after the close", command)
        life.sealed = true
        return
      }
      case "end_session":
        law(!this.#ended, "a session ends once", command)
        law(this.#open === undefined, "no turn is open at the end", command)
        for (const [turnId, life] of this.#turns) {
          law(life.fenceReported || !life.fenceRequested, "the session ends after its fences are reported", turnId)
        }
        this.#ended = true
        return
      default:
        return
    }
  }

  /** The turn exists and has not been fenced; `delivery` may concern it after its terminal. */
  #unfenced(turnId: string, command: SessionCommand, delivery = false): Life {
    const life = this.#life(turnId)
    law(life.planned, "a command is of an accepted turn", command)
    law(!life.fenceRequested, "no output after the fence", command)
    law(delivery || life.terminal === undefined, "no output after the terminal", command)
    return life
  }

  #life(turnId: string): Life {
    const known = this.#turns.get(turnId)
    if (known !== undefined) return known
    const life: Life = {
      state: "Idle",
      planned: false,
      terminal: undefined,
      closed: false,
      fenceRequested: false,
      fenceReported: false,
      sealed: false,
      evidenceAppended: false,
      paused: false,
      cause: ranked.length,
      byPath: false
    }
    this.#turns.set(turnId, life)
    return life
  }

  #take(sequence: number, now: number): void {
    law(sequence === this.#next, "sequences are dense", { sequence, expected: this.#next })
    law(now >= this.#now, "time does not run backwards", { now, before: this.#now })
    this.#next = sequence + 1
    this.#now = now
  }
}

/** A law of the kernel that did not hold. */
export class LawBroken extends Error {
  override readonly name = "LawBroken"
}

const law = (holds: boolean, name: string, evidence: unknown): void => {
  if (!holds) throw new LawBroken(`${name}: ${JSON.stringify(evidence)}`)
}

const check = (kind: ArtifactKind, value: unknown): void => {
  const verdict = validate(kind, value)
  if (verdict.ok) return
  throw new LawBroken(`an invalid ${kind}: ${verdict.issues.map(formatIssue).join("; ")} in ${JSON.stringify(value)}`)
}

/** Each output is a legal record of the timeline, and the artifact inside is valid by its own kind. */
const validateOutput = (output: KernelOutput): void => {
  check("timeline_record", output)
  switch (output.record) {
    case "signal":
      return check("control_signal", output.signal)
    case "event":
      return check("event", output.event)
    case "decision":
      return check("decision_outcome", output.decision)
    case "plan":
      return check("resolved_turn_plan", output.plan)
    case "transition":
      return check("turn_transition", output.transition)
    default:
      return
  }
}
