import type { BaselineEvidence, EvidenceSupplement } from "@rspp/contracts/Evidence"
import type { InvocationFacts } from "@rspp/contracts/Invocation"
import type { CommandOf, SessionCommandType } from "@rspp/contracts/SessionCommand"
import type { InputOf, SessionInputType } from "@rspp/contracts/SessionInput"
import type { ControlSignal } from "@rspp/contracts/Signal"
import type { DecisionRecord, TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { FaultKind } from "@rspp/simulation/Faults"
import type { SessionResult } from "@rspp/simulation/Run"

type Signal = ControlSignal["signal"]

/** Something of a timeline with its place in it and its time. */
export type Placed<A> = A & { readonly at: number; readonly ms: number }

/** What one timeline tells, for the assertions of a scenario. It reads records and nothing else. */
export class Told {
  readonly header: TimelineHeader
  readonly records: ReadonlyArray<TimelineRecord>
  /** How often each fault struck. */
  readonly struck: ReadonlyMap<FaultKind, number>
  /** When each event of the script happened, in ms of the world. */
  readonly happened: ReadonlyArray<number | undefined>
  readonly #signals: ReadonlyArray<Placed<ControlSignal>>

  constructor({ happened, header, records, struck }: SessionResult) {
    if (header === undefined) throw new Error("the session has no timeline")
    this.header = header
    this.records = records
    this.struck = struck
    this.happened = happened
    this.#signals = records.flatMap((record, at) =>
      record.record === "signal" ? [{ ...record.signal, at, ms: record.signal.runtime_timestamp_ms }] : []
    )
  }

  /** The signals of these names, in order; of one turn, when it is named. */
  signals(names: Signal | ReadonlyArray<Signal>, turn?: string): ReadonlyArray<Placed<ControlSignal>> {
    const wanted: ReadonlyArray<string> = typeof names === "string" ? [names] : names
    return this.#signals.filter(({ signal, turn_id }) =>
      wanted.includes(signal) && (turn === undefined || turn_id === turn)
    )
  }

  /** The same as words: `abort(cancelled)`. */
  words(names: ReadonlyArray<Signal>, turn?: string): ReadonlyArray<string> {
    return this.signals(names, turn).map(({ reason, signal }) => reason === undefined ? signal : `${signal}(${reason})`)
  }

  inputs<T extends SessionInputType>(type: T): ReadonlyArray<Placed<InputOf<T>>> {
    return this.records.flatMap((record, at) =>
      record.record === "input" && record.input.type === type
        ? [{ ...record.input as InputOf<T>, at, ms: record.runtime_timestamp_ms }]
        : []
    )
  }

  commands<T extends SessionCommandType>(type: T): ReadonlyArray<Placed<CommandOf<T>>> {
    return this.records.flatMap((record, at) =>
      record.record === "command" && record.command.type === type
        ? [{ ...record.command as CommandOf<T>, at, ms: record.runtime_timestamp_ms }]
        : []
    )
  }

  decisions(kind: DecisionRecord["decision"]["outcome_kind"]): ReadonlyArray<DecisionRecord["decision"]> {
    return this.records.flatMap((record) =>
      record.record === "decision" && record.decision.outcome_kind === kind ? [record.decision] : []
    )
  }

  /** Reasons of the telemetry events, such as `late_dropped`, with the turn that each is about. */
  events(reason: string): ReadonlyArray<{ readonly turn: string | undefined; readonly late: boolean }> {
    return this.records.flatMap((record) =>
      record.record === "event" && record.event.reason === reason
        ? [{ turn: record.event.turn_id, late: record.event.late_after_cancel === true }]
        : []
    )
  }

  get invocations(): ReadonlyArray<Placed<InvocationFacts>> {
    return this.records.flatMap((record, at) =>
      record.record === "invocation" ? [{ ...record.invocation, at, ms: record.runtime_timestamp_ms }] : []
    )
  }

  /** The turns that opened, in order. */
  get turns(): ReadonlyArray<string> {
    return this.signals("turn_open").flatMap(({ turn_id }) => turn_id === undefined ? [] : [turn_id])
  }

  /** How a turn ended: `commit`, or the reason of its abort. A turn without a terminal is none. */
  terminal(turn: string | undefined): string {
    const all = this.signals(["commit", "abort"], turn ?? "")
    return all.map(({ reason, signal }) => signal === "commit" ? "commit" : reason ?? "").join(" and ") || "none"
  }

  evidence(turn: string | undefined): BaselineEvidence {
    for (const record of this.records) {
      if (record.record === "evidence" && record.evidence.turn_id === turn) return record.evidence
    }
    throw new Error(`no evidence of ${String(turn)}`)
  }

  supplement(turn: string | undefined): EvidenceSupplement | undefined {
    for (const record of this.records) {
      if (record.record === "supplement" && record.supplement.turn_id === turn) return record.supplement
    }
    return undefined
  }

  /** Segments of a turn: what of each was handed to egress, and how its playback ended. */
  segments(turn: string | undefined): ReadonlyArray<{
    readonly segment: string
    readonly enqueued: number
    readonly accepted: number | undefined
    readonly completed: number | undefined
    readonly cancelled: number | undefined
  }> {
    const chunks = new Map(this.inputs("voice_chunk").map(({ handle }) => [handle.id, handle.length]))
    const all = new Map<string, number>()
    for (const { handle_id, segment_id, turn_id } of this.commands("enqueue_output")) {
      if (turn_id === turn) all.set(segment_id, (all.get(segment_id) ?? 0) + (chunks.get(handle_id) ?? 0))
    }
    const samplesOf = (type: "output_accepted" | "playback_completed" | "playback_cancelled", segment: string) =>
      this.inputs(type).find(({ segment_id }) => segment_id === segment)?.samples
    return [...all].map(([segment, enqueued]) => ({
      segment,
      enqueued,
      accepted: samplesOf("output_accepted", segment),
      completed: samplesOf("playback_completed", segment),
      cancelled: samplesOf("playback_cancelled", segment)
    }))
  }

  /** The reason of the end of the timeline. */
  get end(): string | undefined {
    const last = this.records.at(-1)
    return last?.record === "end" ? last.reason : undefined
  }
}
