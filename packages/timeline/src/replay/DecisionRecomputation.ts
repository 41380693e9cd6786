import type { SignalName } from "@rspp/contracts/Signal"
import type { InputRecord, TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { digest } from "@rspp/runtime/determinism/Digest"
import type { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import type { ReplayDivergence } from "./DivergenceClassifier.ts"
import { classify, divergenceOf } from "./DivergenceClassifier.ts"
import { differencesOf } from "./JsonDifference.ts"
import { identityOf, isPlace } from "./RecordIdentity.ts"
import { Reexecution } from "./Reexecution.ts"
import { StepAlignment } from "./StepAlignment.ts"
import { maxDivergences } from "./StrictReplay.ts"
import { TimerTable } from "./TimerTable.ts"

/** Signals that say what was decided about a session or turn; the others report what happened. */
const decidingSignals: ReadonlySet<string> = new Set<SignalName>([
  "turn_open_proposed",
  "turn_open",
  "commit",
  "abort",
  "close",
  "barge_in",
  "stop",
  "cancel",
  "budget_warning",
  "budget_exhausted",
  "degrade",
  "fallback",
  "provider_switch",
  "circuit_event",
  "admit",
  "reject",
  "defer",
  "shed",
  "stale_epoch_reject",
  "deauthorized_drain",
  "recording_level_downgraded"
])

/** Admission and other outcomes, plans, steps of a turn's life, and the signals that announce them. */
const isDecision = (record: TimelineRecord): boolean =>
  record.record === "decision" || record.record === "plan" || record.record === "transition" ||
  (record.record === "signal" && decidingSignals.has(record.signal.signal))

/**
 * The mode `recompute_decisions`: the kernel decides again, from the recorded snapshots and inputs, and only what it
 * decides is compared: what, why, about which turn, with which plan, and when.
 *
 * Events, commands, calls and evidence are not compared, nor is the place of a decision in the sequence, and a timer
 * counts by its name. So a kernel that asks for other things, or tells more, but decides the same passes here and not in
 * `playback_recorded_provider_outputs`. Each recorded snapshot is held to the hash that it came with, which nothing else
 * looks at.
 */
export class DecisionRecomputation {
  readonly #execution: Reexecution
  readonly #records: ReadonlyArray<TimelineRecord>
  readonly #timers = new TimerTable()
  readonly #divergences: Array<ReplayDivergence> = []
  readonly #recorded: Array<TimelineRecord> = []
  #next = 0
  #over = false
  #step = { sequence: 0, atMs: 0 }
  compared = 0
  fed = 0
  readonly missingTelemetry = 0

  constructor(kernels: SessionKernel["Service"], header: TimelineHeader, records: ReadonlyArray<TimelineRecord>) {
    this.#execution = new Reexecution(kernels, header)
    this.#records = records
    const hash = digest(header.session_config)
    if (hash !== header.session_config_hash) {
      const message = `session_config_hash is ${header.session_config_hash}, the recorded config has ${hash}`
      this.#found(divergenceOf("PLAN_DIVERGENCE", message, this.#step))
    }
  }

  get divergences(): ReadonlyArray<ReplayDivergence> {
    return this.#divergences
  }

  get turns(): number {
    return this.#execution.turns
  }

  get lastMs(): number {
    return this.#execution.nowMs
  }

  /** Goes on for about `units` records and frames. True when there is nothing more to do. */
  run(units: number): boolean {
    for (let done = 0; done < units && !this.#over; done++) {
      const record = this.#records[this.#next++]
      if (record === undefined) {
        this.#settle("prefix")
        this.#over = true
      } else if (record.record === "audio") {
        this.#settle()
        const frames = this.#over ? 0 : this.#execution.audio(record)
        this.fed += frames
        done += frames
      } else if (record.record === "input") {
        this.#settle()
        if (!this.#over) this.#input(record)
      } else if (record.record === "end") {
        this.#settle()
        this.#over = true
      } else if (isDecision(record)) this.#recorded.push(record)
    }
    return this.#over
  }

  #input(record: InputRecord): void {
    const { input, runtime_sequence, runtime_timestamp_ms } = record
    this.#step = { sequence: runtime_sequence, atMs: runtime_timestamp_ms }
    this.fed++
    if (input.type === "snapshot") this.#snapshot(record)
    // A generation is the number of an arming: another kernel may have armed more often.
    const own = input.type === "timer" ? this.#timers.get(input.timer) : undefined
    if (input.type === "timer") this.#timers.fired(input.timer)
    try {
      this.#execution.input(
        own === undefined || input.type !== "timer"
          ? record
          : { ...record, input: { ...input, generation: own.generation } }
      )
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      const message = `the kernel refuses ${identityOf(record).what}: ${why}`
      this.#found(divergenceOf("OUTCOME_DIVERGENCE", message, this.#step, record))
      this.#over = true
    }
  }

  #snapshot(record: InputRecord): void {
    if (record.input.type !== "snapshot") return
    const { body, content_hash, snapshot_id } = record.input.snapshot
    const hash = digest(body)
    if (hash === content_hash) return
    const message = `snapshot ${snapshot_id}: content_hash is ${content_hash}, what the snapshot says has ${hash}`
    this.#found(divergenceOf("PLAN_DIVERGENCE", message, this.#step, record))
  }

  /** Compares the decisions of the step that is over. `prefix`: the recording may lack the last of them. */
  #settle(extent: "whole" | "prefix" = "whole"): void {
    const outputs = this.#execution.takeOutputs()
    for (const output of outputs) this.#timers.apply(output)
    const replayed = outputs.filter(isDecision)
    const recorded = this.#recorded
    const sides = new StepAlignment(recorded, replayed)
    while (!this.#over && !sides.isDone) {
      const a = sides.recorded
      const b = sides.replayed
      if (a === undefined && extent === "prefix") break
      if (a !== undefined && b !== undefined && same(a, b)) {
        sides.same()
        if (this.#divergences.length === 0) this.compared++
        continue
      }
      const divergence = classify({
        recorded,
        replayed,
        recordedAt: sides.left,
        replayedAt: sides.right,
        later: [],
        step: this.#step,
        ignored: isPlace
      })
      this.#found(divergence)
      sides.differ(divergence)
    }
    recorded.length = 0
  }

  #found(divergence: ReplayDivergence): void {
    this.#divergences.push(divergence)
    if (this.#divergences.length >= maxDivergences) this.#over = true
  }
}

const same = (a: TimelineRecord, b: TimelineRecord): boolean =>
  identityOf(a).what === identityOf(b).what && differencesOf(a, b).every(({ path }) => isPlace(path))
