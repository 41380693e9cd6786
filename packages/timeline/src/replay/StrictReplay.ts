import { repairedReason } from "../format/TimelineRepair.ts"
import type { EndRecord, InputRecord, TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import type { ReplayDivergence } from "./DivergenceClassifier.ts"
import { classify, divergenceOf } from "./DivergenceClassifier.ts"
import { sameJson } from "./JsonDifference.ts"
import { Reexecution } from "./Reexecution.ts"
import { identityOf } from "./RecordIdentity.ts"
import { StepAlignment } from "./StepAlignment.ts"
import type { TimerTable } from "./TimerTable.ts"

/** Divergences of one recording that are listed; a replay that finds more stops there. */
export const maxDivergences = 64

/** Records behind a difference that are looked at to tell a moved record from a missing one. */
const lookAhead = 256

/** Timers as the replay and as the recording have them; kept only for a what-if replay. */
export interface TimerTables {
  readonly replayed: TimerTable
  readonly recorded: TimerTable
}

/**
 * Executes the recorded inputs again and compares, step by step, every output record with the recorded one.
 *
 * A step is an input and all that came out of it; only one step is held at a time. It ends at the first difference, or
 * after `limit` of them: what comes out of the kernel depends on inputs alone, so that it goes on behind a difference as
 * long as the recorded inputs have their places. Telemetry that is missing in the recording is no difference: the recorder
 * drops it first, by contract; it is counted.
 */
export class StrictReplay {
  readonly execution: Reexecution
  readonly #records: ReadonlyArray<TimelineRecord>
  readonly #timers: TimerTables | undefined
  readonly #limit: number
  readonly #divergences: Array<ReplayDivergence> = []
  readonly #recorded: Array<TimelineRecord> = []
  #step = { sequence: 0, atMs: 0 }
  #next = 0
  #resumeAt = 0
  #lastMs = 0
  /** Nothing more can be compared. */
  #over = false
  /** Output records that were compared and are the same, up to the first difference. */
  compared = 0
  /** Frames and other inputs that were fed. */
  fed = 0
  /** Telemetry events that the replay has and the recording does not. */
  missingTelemetry = 0
  /** The outputs of the first step that differed. */
  diverged: { readonly recorded: ReadonlyArray<TimelineRecord>; readonly replayed: ReadonlyArray<TimelineRecord> } = {
    recorded: [],
    replayed: []
  }

  constructor(
    kernels: SessionKernel["Service"],
    header: TimelineHeader,
    records: ReadonlyArray<TimelineRecord>,
    timers?: TimerTables,
    limit = 1
  ) {
    this.execution = new Reexecution(kernels, header)
    this.#records = records
    this.#timers = timers
    this.#limit = limit
  }

  /** What differs, in the order in which it was found. */
  get divergences(): ReadonlyArray<ReplayDivergence> {
    return this.#divergences
  }

  /** The first difference. */
  get divergence(): ReplayDivergence | undefined {
    return this.#divergences[0]
  }

  /** Index of the first record behind the step that differed. */
  get resumeAt(): number {
    return this.#resumeAt
  }

  /** Stamp of the last record that was looked at, ms. */
  get lastMs(): number {
    return Math.max(this.#lastMs, this.execution.nowMs)
  }

  /** Goes on until about `units` more frames and records are done. True when there is nothing more to do. */
  run(units: number): boolean {
    for (let done = 0; !this.#over && done < units; done++) {
      const fed = this.fed
      const record = this.#records[this.#next]
      if (this.#divergences.length === 0) this.#resumeAt = this.#next
      if (record === undefined) {
        // Torn, or never closed: what came out of the last step may not all have been written.
        this.#settle("prefix")
        this.#over = true
        break
      }
      this.#next++
      this.#take(record)
      done += Math.max(0, this.fed - fed - 1)
    }
    return this.#over
  }

  #found(divergence: ReplayDivergence, fatal = false): void {
    if (this.#divergences.length >= this.#limit) return
    this.#divergences.push(divergence)
    if (fatal || this.#divergences.length >= this.#limit) this.#over = true
  }

  #take(record: TimelineRecord): void {
    switch (record.record) {
      case "audio":
        this.#settle()
        if (this.#hasPlace(record.first_sequence, record)) this.fed += this.execution.audio(record)
        return
      case "input":
        this.#settle()
        if (this.#hasPlace(record.runtime_sequence, record)) this.#input(record)
        return
      case "end":
        // A recording that was repaired was cut off: what came out of its last step may not all have been written.
        if (record.reason === repairedReason) {
          this.#settle("prefix")
          this.#over = true
          return
        }
        this.#settle()
        this.execution.close()
        this.#settle()
        this.#end(record)
        return
      case "header":
      case "payload":
      case "caller_audio":
      case "sealed":
      case "removed":
        return
      default:
        this.#recorded.push(record)
    }
  }

  /** The kernel must hand out the number that the record has. */
  #hasPlace(sequence: number, record: TimelineRecord): boolean {
    if (this.#over) return false
    const next = this.execution.kernel.nextSequence()
    if (sequence === next) return true
    const { what } = identityOf(record)
    const missing = sequence > next ? ": records are missing before it" : ""
    const message = `${what} has number ${sequence} in the recording, the replay is at ${next}${missing}`
    this.#found(divergenceOf("ORDERING_DIVERGENCE", message, this.#step, record), true)
    return false
  }

  #end(record: EndRecord): void {
    if (this.#over) return
    // What the end counts is what was written; the rest comes out of the replay.
    const expected = this.execution.end({ ...record, records: this.#next })
    const { last_sequence, runtime_timestamp_ms } = expected
    if (sameJson(record, expected)) return
    const message =
      `the recording says that it ends after number ${record.last_sequence} at ${record.runtime_timestamp_ms}` +
      ` ms and ${record.records} records, it ends after number ${last_sequence} at ${runtime_timestamp_ms} ms and ` +
      `${expected.records} records`
    this.#found(divergenceOf("ORDERING_DIVERGENCE", message, this.#step, record, expected))
  }

  #input(record: InputRecord): void {
    this.#step = { sequence: record.runtime_sequence, atMs: record.runtime_timestamp_ms }
    this.fed++
    if (this.#timers !== undefined && record.input.type === "timer") {
      this.#timers.replayed.fired(record.input.timer)
      this.#timers.recorded.fired(record.input.timer)
    }
    try {
      this.execution.input(record)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      const message = `the kernel refuses ${identityOf(record).what}: ${why}`
      if (this.#divergences.length === 0) this.#resumeAt = this.#next
      this.#found(divergenceOf("OUTCOME_DIVERGENCE", message, this.#step, record), true)
    }
  }

  /** Compares the outputs of the step that is over. `prefix`: the recording may lack the last of them. */
  #settle(extent: "whole" | "prefix" = "whole"): void {
    if (this.#over) return
    const replayed = this.execution.takeOutputs()
    const recorded = this.#recorded
    const sides = new StepAlignment(recorded, replayed)
    while (!sides.isDone) {
      const a = sides.recorded
      const b = sides.replayed
      if (a === undefined && extent === "prefix") break
      if (a !== undefined && b !== undefined && sameJson(a, b)) {
        sides.same()
        if (this.#divergences.length === 0) this.compared++
      } else if (b !== undefined && this.#isDroppedTelemetry(a, b)) {
        this.missingTelemetry++
        sides.skipReplayed()
      } else {
        sides.differ(this.#diverge(sides, replayed))
        if (this.#over) return
      }
    }
    const last = recorded.at(-1)
    if (last !== undefined) this.#lastMs = identityOf(last).atMs ?? this.#lastMs
    if (this.#timers !== undefined) {
      for (const record of recorded) this.#timers.recorded.apply(record)
      for (const record of replayed) this.#timers.replayed.apply(record)
    }
    recorded.length = 0
  }

  #isDroppedTelemetry(recorded: TimelineRecord | undefined, replayed: TimelineRecord): boolean {
    if (replayed.record !== "event" || replayed.event.lane !== "TelemetryLane") return false
    const next = recorded ?? this.#records[this.#next - 1]
    const sequence = next === undefined ? undefined : identityOf(next).sequence
    return sequence !== undefined && sequence > replayed.event.runtime_sequence
  }

  #diverge({ left, right }: StepAlignment, replayed: ReadonlyArray<TimelineRecord>): ReplayDivergence {
    const recorded = [...this.#recorded]
    const later = this.#records.slice(this.#next - 1, this.#next - 1 + lookAhead)
      .filter((record) => record.record !== "input" && record.record !== "audio")
    const divergence = classify({ recorded, replayed, recordedAt: left, replayedAt: right, later, step: this.#step })
    if (this.#divergences.length === 0) this.diverged = { recorded, replayed }
    this.#found(divergence)
    if (this.#over && this.#timers !== undefined) {
      for (const record of recorded) this.#timers.recorded.apply(record)
      for (const record of replayed) this.#timers.replayed.apply(record)
    }
    return divergence
  }
}
