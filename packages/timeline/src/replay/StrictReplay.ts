import type { EndRecord, InputRecord, TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import type { ReplayDivergence } from "./DivergenceClassifier.ts"
import { classify, divergenceOf } from "./DivergenceClassifier.ts"
import { sameJson } from "./JsonDifference.ts"
import { Reexecution } from "./Reexecution.ts"
import { identityOf } from "./RecordIdentity.ts"
import type { TimerTable } from "./TimerTable.ts"

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
 * A step is an input and all that came out of it; only one step is held at a time. It ends at the first difference.
 * Telemetry that is missing in the recording is no difference: the recorder drops it first, by contract; it is counted.
 */
export class StrictReplay {
  readonly execution: Reexecution
  readonly #records: ReadonlyArray<TimelineRecord>
  readonly #timers: TimerTables | undefined
  readonly #recorded: Array<TimelineRecord> = []
  #step = { sequence: 0, atMs: 0 }
  #next = 0
  #resumeAt = 0
  #lastMs = 0
  /** Output records that were compared and are the same. */
  compared = 0
  /** Frames and other inputs that were fed. */
  fed = 0
  /** Telemetry events that the replay has and the recording does not. */
  missingTelemetry = 0
  divergence: ReplayDivergence | undefined
  /** The outputs of the step that differed. */
  diverged: { readonly recorded: ReadonlyArray<TimelineRecord>; readonly replayed: ReadonlyArray<TimelineRecord> } = {
    recorded: [],
    replayed: []
  }

  constructor(
    kernels: SessionKernel["Service"],
    header: TimelineHeader,
    records: ReadonlyArray<TimelineRecord>,
    timers?: TimerTables
  ) {
    this.execution = new Reexecution(kernels, header)
    this.#records = records
    this.#timers = timers
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
    const end = this.fed + this.compared + units
    while (this.divergence === undefined && this.fed + this.compared < end) {
      const record = this.#records[this.#next]
      this.#resumeAt = this.#next
      if (record === undefined) {
        // Torn, or never closed: what came out of the last step may not all have been written.
        this.#settle("prefix")
        return true
      }
      this.#next++
      this.#take(record)
    }
    return this.divergence !== undefined
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
    if (this.divergence !== undefined) return false
    const next = this.execution.kernel.nextSequence()
    if (sequence === next) return true
    const { what } = identityOf(record)
    const missing = sequence > next ? ": records are missing before it" : ""
    const message = `${what} has number ${sequence} in the recording, the replay is at ${next}${missing}`
    this.divergence = divergenceOf("ORDERING_DIVERGENCE", message, this.#step, record)
    return false
  }

  #end(record: EndRecord): void {
    if (this.divergence !== undefined) return
    // What the end counts is what was written; the rest comes out of the replay.
    const expected = this.execution.end({ ...record, records: this.#next })
    const { last_sequence, runtime_timestamp_ms } = expected
    if (sameJson(record, expected)) return
    const message =
      `the recording says that it ends after number ${record.last_sequence} at ${record.runtime_timestamp_ms}` +
      ` ms and ${record.records} records, it ends after number ${last_sequence} at ${runtime_timestamp_ms} ms and ` +
      `${expected.records} records`
    this.divergence = divergenceOf("ORDERING_DIVERGENCE", message, this.#step, record, expected)
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
      this.divergence = divergenceOf("OUTCOME_DIVERGENCE", message, this.#step, record)
      this.#resumeAt = this.#next
    }
  }

  /** Compares the outputs of the step that is over. `prefix`: the recording may lack the last of them. */
  #settle(extent: "whole" | "prefix" = "whole"): void {
    if (this.divergence !== undefined) return
    const replayed = this.execution.takeOutputs()
    const recorded = this.#recorded
    let left = 0
    let right = 0
    while (left < recorded.length || right < replayed.length) {
      const a = recorded[left]
      const b = replayed[right]
      if (a === undefined && extent === "prefix") break
      if (a === undefined || b === undefined || !sameJson(a, b)) {
        if (b !== undefined && this.#isDroppedTelemetry(a, b)) {
          this.missingTelemetry++
          right++
          continue
        }
        this.#diverge(left, right, replayed)
        return
      }
      left++
      right++
      this.compared++
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

  #diverge(recordedAt: number, replayedAt: number, replayed: ReadonlyArray<TimelineRecord>): void {
    const recorded = [...this.#recorded]
    this.diverged = { recorded, replayed }
    const later = this.#records.slice(this.#next - 1, this.#next - 1 + lookAhead)
      .filter((record) => record.record !== "input" && record.record !== "audio")
    this.divergence = classify({ recorded, replayed, recordedAt, replayedAt, later, step: this.#step })
    if (this.#timers !== undefined) {
      for (const record of recorded) this.#timers.recorded.apply(record)
      for (const record of replayed) this.#timers.replayed.apply(record)
    }
  }
}
