import type { EventRecord } from "@rspp/contracts/Event"
import type { DecisionOutcome } from "@rspp/contracts/Outcome"
import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { ControlSignal } from "@rspp/contracts/Signal"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import type { InvocationFacts, TimelineHeader } from "@rspp/contracts/Timeline"
import type { TurnState, TurnTrigger } from "@rspp/contracts/Turn"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"

interface Stamped {
  readonly runtime_sequence: number
  readonly runtime_timestamp_ms: number
}

/** What a step puts out: exactly the output records of the timeline. */
export type KernelOutput =
  | { readonly record: "signal"; readonly signal: ControlSignal }
  | { readonly record: "event"; readonly event: EventRecord }
  | { readonly record: "decision"; readonly runtime_sequence: number; readonly decision: DecisionOutcome }
  | (Stamped & { readonly record: "plan"; readonly plan: ResolvedTurnPlan })
  | (Stamped & { readonly record: "invocation"; readonly invocation: InvocationFacts })
  | (Stamped & { readonly record: "command"; readonly command: SessionCommand })
  | (Stamped & {
    readonly record: "transition"
    readonly turn_id: string
    readonly transition: {
      readonly from_state: TurnState
      readonly trigger: TurnTrigger
      readonly to_state: TurnState
      readonly deterministic: true
    }
  })

/**
 * What the kernel's modules share during a step: the input's stamp, the session's one sequence, and the outputs.
 *
 * Invariants: I-SEQ-DENSE every input and output takes the next number of one counter; I-TIME-STAMP time is the stamp
 * of the input, nothing here reads a clock.
 */
export class KernelContext {
  readonly header: TimelineHeader
  /** Stamp of the input that is being applied, ms since session start. */
  now = 0
  /** Sequence of the input that is being applied: the cause of what the step puts out. */
  causeSequence = 0
  /** The session's epoch; 0 until a lease is issued. */
  epoch = 0
  outputs: Array<KernelOutput> = []
  #next = 0
  readonly #timers = new Map<string, { readonly generation: number; readonly due: number }>()
  #generation = 0

  constructor(header: TimelineHeader) {
    this.header = header
  }

  /** Whether the session behaves so: new ones do, recordings of older versions do not. */
  behaves(flag: keyof typeof behaviourFlags): boolean {
    return this.header.behaviour_flags.includes(behaviourFlags[flag])
  }

  /** The number that the next record takes. */
  get nextSequence(): number {
    return this.#next
  }

  takeSequence(): number {
    return this.#next++
  }

  command(command: SessionCommand): void {
    this.outputs.push({
      record: "command",
      runtime_sequence: this.takeSequence(),
      runtime_timestamp_ms: this.now,
      command
    })
  }

  /** Arms the named timer, replacing an earlier one of that name. Fires as an input that carries its generation. */
  arm(timer: string, due: number): void {
    this.disarm(timer)
    const generation = ++this.#generation
    this.#timers.set(timer, { generation, due })
    this.command({ type: "arm_timer", timer, generation, due_ms: Math.max(0, Math.ceil(due)) })
  }

  disarm(timer: string): void {
    const armed = this.#timers.get(timer)
    if (armed === undefined) return
    this.#timers.delete(timer)
    this.command({ type: "disarm_timer", timer, generation: armed.generation })
  }

  /** The names of all timers that are armed. */
  armed(): Iterable<string> {
    return this.#timers.keys()
  }

  isArmed(timer: string): boolean {
    return this.#timers.has(timer)
  }

  /** True when this firing is of the timer as it is armed now; a firing of an older generation is ignored (I-TIMER-GEN). */
  fired(timer: string, generation: number): boolean {
    if (this.#timers.get(timer)?.generation !== generation) return false
    this.#timers.delete(timer)
    return true
  }
}
