import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { legalTransitions } from "@rspp/contracts/Turn"
import type { TurnState } from "@rspp/contracts/Turn"
import { digest } from "@rspp/runtime/determinism/Digest"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import { frameMs, frameSamples } from "@rspp/runtime/ports/AudioFrame"
import type { CloseReason } from "@rspp/runtime/ports/Recorder"
import { RecordAssembler } from "../recorder/RecordAssembler.ts"
import type { ReplayDivergence } from "./DivergenceClassifier.ts"
import { classify, divergenceOf } from "./DivergenceClassifier.ts"
import { sameJson } from "./JsonDifference.ts"
import { identityOf } from "./RecordIdentity.ts"
import { maxDivergences } from "./StrictReplay.ts"

/** Recorded records that one that was derived is looked for among. */
const lookAhead = 64

/** What is derived from the rest, or kept beside it: it is not fed. */
const isDerived = ({ record }: TimelineRecord) =>
  record === "evidence" || record === "supplement" || record === "payload" || record === "caller_audio" ||
  record === "header" || record === "end"

/**
 * The mode `replay_decisions`: recorded decisions are taken as given, no kernel is executed, and everything that follows
 * from them is derived again and compared.
 *
 * What follows: the lifecycle of each turn (each transition is legal and begins where the one before it ended), the hash of
 * each plan, and what the recorder makes of the records, that is runs of frames, evidence, supplements, groups and the end.
 * So it replays recordings of kernels that this program does not have, and finds evidence that is not what was decided.
 */
export class DecisionReplay {
  readonly #records: ReadonlyArray<TimelineRecord>
  readonly #assembler: RecordAssembler
  readonly #states = new Map<string, TurnState>()
  readonly #divergences: Array<ReplayDivergence> = []
  #next = 0
  /** The recorded record that the next derived one is compared with. */
  #expected = 0
  #step = { sequence: 0, atMs: 0 }
  compared = 0
  fed = 0
  turns = 0
  lastMs = 0
  readonly missingTelemetry = 0

  constructor(header: TimelineHeader, records: ReadonlyArray<TimelineRecord>) {
    this.#records = records
    this.#assembler = new RecordAssembler(header, {
      emit: (emission) => emission.records.forEach((record) => this.#derived(record)),
      appendRequested: () => {}
    })
  }

  get divergences(): ReadonlyArray<ReplayDivergence> {
    return this.#divergences
  }

  /** Goes on for about `units` records and frames. True when there is nothing more to do. */
  run(units: number): boolean {
    for (let done = 0; done < units; done++) {
      const record = this.#records[this.#next]
      if (record === undefined || this.#divergences.length >= maxDivergences) return true
      this.#next++
      done += this.#feed(record)
    }
    return false
  }

  /** Returns how many frames it was. */
  #feed(record: TimelineRecord): number {
    if (record.record === "end") {
      this.#assembler.finish()
      this.#pastEnd(this.#next - 1)
      const { not_captured, reason, runtime_timestamp_ms } = record
      this.lastMs = runtime_timestamp_ms
      const { not_captured: _, ...end } = this.#assembler.end(reason as CloseReason, this.#next)
      const expected = not_captured === undefined ? end : { ...end, not_captured }
      if (!sameJson(record, expected)) {
        const message = "the end is not that of the records before it"
        this.#found(divergenceOf("ORDERING_DIVERGENCE", message, this.#step, record, expected))
      }
      return 0
    }
    if (isDerived(record)) return 0
    const { atMs = this.lastMs, sequence = 0 } = identityOf(record)
    this.#step = { sequence, atMs }
    this.lastMs = Math.max(this.lastMs, atMs)
    if (record.record === "audio") return this.#frames(record)
    if (record.record === "input") {
      this.fed++
      this.#assembler.input(record)
      return 0
    }
    this.#decided(record)
    this.#assembler.outputs([record as KernelOutput])
    return 0
  }

  #frames(run: Extract<TimelineRecord, { readonly record: "audio" }>): number {
    const { count, first_sample_index, first_sequence, jitter } = run
    let at = run.first_timestamp_ms
    for (let frame = 0; frame < count; frame++) {
      if (frame > 0) at += frameMs + (jitter?.[frame - 1] ?? 0)
      this.#assembler.audio(first_sequence + frame, first_sample_index + frame * frameSamples, at)
    }
    this.lastMs = Math.max(this.lastMs, at)
    this.fed += count
    return count
  }

  /** What a decision must be by itself, and after those before it. */
  #decided(record: TimelineRecord): void {
    if (record.record === "plan") {
      const { plan_hash, ...rest } = record.plan
      const hash = digest(rest)
      if (hash !== plan_hash) {
        const replayed: TimelineRecord = { ...record, plan: { ...rest, plan_hash: hash } }
        const message = `plan of ${rest.turn_id}: plan_hash is ${plan_hash}, what the plan says has ${hash}`
        this.#found(divergenceOf("PLAN_DIVERGENCE", message, this.#step, record, replayed))
      }
      return
    }
    if (record.record !== "transition") return
    const { transition: { from_state, to_state, trigger }, turn_id } = record
    const state = this.#states.get(turn_id) ?? "Idle"
    const legal = legalTransitions.some((row) =>
      row.trigger === trigger && row.from_state === from_state && row.to_state === to_state
    )
    if (state !== from_state || !legal) {
      const message = `transition ${trigger} of ${turn_id} goes from ${from_state} to ${to_state}, ` +
        (state === from_state ? "which is not legal" : `but the turn is ${state}`)
      this.#found(divergenceOf("OUTCOME_DIVERGENCE", message, this.#step, record))
    }
    if (trigger === "turn_open") this.turns++
    if (to_state === "Closed" || to_state === "Idle") this.#states.delete(turn_id)
    else this.#states.set(turn_id, to_state)
  }

  /** A record that the recorder makes of what was fed. */
  #derived(record: TimelineRecord): void {
    this.#skipKept()
    const expected = this.#records[this.#expected]
    if (expected !== undefined && sameJson(expected, record)) {
      this.#expected++
      if (this.#divergences.length === 0) this.compared++
      return
    }
    // A file that was never closed may lack the last group: there is nothing to compare with.
    if (expected === undefined || this.#divergences.length >= maxDivergences) return
    const recorded = this.#records.slice(this.#expected, this.#expected + lookAhead).filter((one) => !isKept(one))
    const divergence = classify({
      recorded,
      replayed: [record],
      recordedAt: 0,
      replayedAt: 0,
      later: [],
      step: this.#step
    })
    this.#found(divergence)
    const elsewhere = recorded.findIndex((one) => sameJson(one, record))
    if (elsewhere >= 0) {
      this.#expected = this.#records.indexOf(recorded[elsewhere] ?? record) + 1
    } else if (divergence.recorded === expected) this.#expected++
  }

  /** Recorded records before the end that nothing was derived for. */
  #pastEnd(end: number): void {
    for (;;) {
      this.#skipKept()
      const left = this.#records[this.#expected]
      if (this.#expected >= end || left === undefined) return
      this.#expected++
      const message = `${identityOf(left).what} is in the recording but does not follow from what was decided`
      this.#found(divergenceOf("OUTCOME_DIVERGENCE", message, this.#step, left))
    }
  }

  #skipKept(): void {
    for (;;) {
      const record = this.#records[this.#expected]
      if (record === undefined || !isKept(record)) return
      this.#expected++
    }
  }

  #found(divergence: ReplayDivergence): void {
    if (this.#divergences.length < maxDivergences) this.#divergences.push(divergence)
  }
}

/** Kept beside the session's course: nothing derives it. */
const isKept = ({ record }: TimelineRecord) => record === "payload" || record === "caller_audio" || record === "header"
