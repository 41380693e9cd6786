import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { SignalName } from "@rspp/contracts/Signal"
import type { InputRecord, TimelineRecord } from "@rspp/contracts/Timeline"
import type { Reexecution } from "./Reexecution.ts"
import type { Silence } from "./RecordedAnswers.ts"
import { RecordedAnswers } from "./RecordedAnswers.ts"
import { identityOf } from "./RecordIdentity.ts"
import type { TimerTables } from "./StrictReplay.ts"
import type { Milestone, WhatIfEffects } from "./WhatIfEffects.ts"
import { effectsOf } from "./WhatIfEffects.ts"

/** Something that would have happened at another time, or only on one side. */
export interface WhatIfChange {
  /** `signal turn_open` and the like. */
  readonly what: string
  readonly turn_id?: string
  readonly recorded_ms?: number
  readonly replayed_ms?: number
}

/** What can be said of a session under other settings, beyond the first difference. */
export interface WhatIfOutlook {
  /** Signals that come at another time, or on one side only, as far as is known; at most {@link maxChanges}. */
  readonly changes: ReadonlyArray<WhatIfChange>
  /** What that comes to, by turn and in total. */
  readonly effects: WhatIfEffects
  /** From here on the recording has no answers; absent when it had one for everything. */
  readonly unknown_beyond?: { readonly runtime_timestamp_ms: number; readonly reason: string }
}

export const maxChanges = 64

/** Signals of which a user wants to know that they would have come at another time. */
const milestones: ReadonlySet<string> = new Set<SignalName>([
  "turn_open_proposed",
  "turn_open",
  "commit",
  "abort",
  "reject",
  "defer",
  "barge_in",
  "cancel",
  "provider_error",
  "provider_switch",
  "budget_warning",
  "budget_exhausted",
  "drop_notice"
])

export const isMilestone = (record: TimelineRecord): boolean =>
  record.record === "signal" && milestones.has(record.signal.signal)

const reasonOf = (record: TimelineRecord): Pick<Milestone, "reason"> =>
  record.record === "signal" && record.signal.reason !== undefined ? { reason: record.signal.reason } : {}

/**
 * Goes on behind the first difference of a what-if replay, for as long as the recording has an answer to everything that
 * the kernel asks for.
 *
 * What comes from elsewhere, such as the caller, comes as it was recorded. A timer that is due when the recording has it due
 * fires as it did there, any other fires at its due time. What was asked for is answered as long afterwards as in the
 * recording, whenever it is asked ({@link RecordedAnswers}); an answer to something that was not asked for here is left out.
 */
export class WhatIf {
  readonly #execution: Reexecution
  readonly #records: ReadonlyArray<TimelineRecord>
  readonly #timers: TimerTables
  readonly #answers: RecordedAnswers
  readonly #recorded: Array<Milestone> = []
  readonly #replayed: Array<Milestone> = []
  #next: number
  #nowMs: number
  #unknown: Silence | undefined

  /** `position`: index of the first record behind the step that differed; its outputs are `recorded` and `replayed`. */
  constructor(options: {
    readonly execution: Reexecution
    readonly records: ReadonlyArray<TimelineRecord>
    readonly timers: TimerTables
    readonly position: number
    readonly recorded: ReadonlyArray<TimelineRecord>
    readonly replayed: ReadonlyArray<TimelineRecord>
  }) {
    const { execution, position, records, recorded, replayed, timers } = options
    this.#execution = execution
    this.#records = records
    this.#timers = timers
    this.#next = position
    this.#nowMs = execution.nowMs
    const step = records.findLastIndex(({ record }, at) => at < position && (record === "input" || record === "audio"))
    this.#answers = new RecordedAnswers(records, step + 1, position)
    for (const record of recorded) this.#recall(record)
    for (let at = position; at < records.length; at++) this.#recall(records[at])
    for (const record of replayed) this.#observe(record)
  }

  /** Goes on for about `units` records and frames. True when nothing more can be said. */
  run(units: number): boolean {
    for (let done = 0; done < units;) {
      if (this.#isOver()) return true
      const at = this.#next++
      const record = this.#records[at]
      if (record === undefined) {
        this.#finish()
        return true
      }
      if (record.record === "audio") {
        done += this.#execution.audio(record, (atMs) => this.#until(atMs, at))
      } else if (record.record === "input") {
        done++
        if (this.#until(record.runtime_timestamp_ms, at) && !this.#answers.isAnswer(at)) this.#input(record)
      } else {
        done++
        this.#timers.recorded.apply(record)
      }
    }
    return false
  }

  outlook(): WhatIfOutlook {
    const unknown = this.#unknown
    const end = unknown === undefined
      ? Number.POSITIVE_INFINITY
      : unknown.atMs + (unknown.counted ? 1 : 0)
    const changes: Array<WhatIfChange> = []
    const key = ({ turnId, what }: Milestone) => `${what}|${turnId ?? ""}`
    const open = new Map<string, Array<Milestone>>()
    for (const milestone of this.#recorded) {
      const list = open.get(key(milestone))
      if (list === undefined) open.set(key(milestone), [milestone])
      else list.push(milestone)
    }
    const change = (one: Milestone, recorded: number | undefined, replayed: number | undefined): void => {
      if (changes.length >= maxChanges) return
      changes.push({
        what: one.what,
        ...(one.turnId === undefined ? {} : { turn_id: one.turnId }),
        ...(recorded === undefined ? {} : { recorded_ms: recorded }),
        ...(replayed === undefined ? {} : { replayed_ms: replayed })
      })
    }
    for (const milestone of this.#replayed) {
      const recorded = open.get(key(milestone))?.shift()
      if (recorded?.atMs !== milestone.atMs) change(milestone, recorded?.atMs, milestone.atMs)
    }
    for (const left of open.values()) {
      // What the recording has at the very end of what is known may still come.
      for (const milestone of left) if (milestone.atMs < end) change(milestone, milestone.atMs, undefined)
    }
    const effects = effectsOf({
      recorded: this.#recorded,
      replayed: this.#replayed,
      speechMs: this.#records.flatMap((record) =>
        record.record === "input" && record.input.type === "voice_activity" && record.input.edge === "speech_started"
          ? [record.runtime_timestamp_ms]
          : []
      ),
      endMs: end
    })
    if (unknown === undefined) return { changes, effects }
    return { changes, effects, unknown_beyond: { runtime_timestamp_ms: unknown.atMs, reason: unknown.reason } }
  }

  #isOver(): boolean {
    return this.#unknown !== undefined || this.#execution.kernel.hasEnded()
  }

  /** The recording is over: what is still to be answered is answered, if it was closed. */
  #finish(): void {
    const lastMs = this.#answers.agenda.lastMs
    if (lastMs !== undefined && this.#records.at(-1)?.record === "end") this.#until(lastMs, Number.POSITIVE_INFINITY)
    if (this.#isOver() || lastMs === undefined) return
    this.#beyond(this.#nowMs, "the recording ends here, and the session would have gone on")
  }

  #recall(record: TimelineRecord | undefined): void {
    if (record === undefined || !isMilestone(record)) return
    const { atMs = 0, turnId, what } = identityOf(record)
    this.#recorded.push({ what, turnId, atMs, ...reasonOf(record) })
  }

  /** The replay's side: what happens in it and what it asks for. */
  #observe(record: TimelineRecord): void {
    if (isMilestone(record)) {
      const { atMs = this.#nowMs, turnId, what } = identityOf(record)
      this.#replayed.push({ what, turnId, atMs, ...reasonOf(record) })
    } else if (record.record === "command") {
      this.#answers.ask(record, record.runtime_timestamp_ms)
      this.#unknown ??= this.#answers.silence
    }
  }

  #beyond(atMs: number, reason: string): void {
    this.#unknown ??= { atMs, reason, counted: false }
  }

  /**
   * Lets time pass up to the record with this place: timers that are due by then fire, and answers that are due come.
   * False when nothing more is known.
   */
  #until(atMs: number, index: number): boolean {
    const { recorded, replayed } = this.#timers
    while (!this.#isOver()) {
      const answer = this.#answers.agenda.next(atMs, index)
      const byMs = answer?.atMs ?? atMs
      const due = replayed.next(byMs, ({ dueMs, timer }) => recorded.get(timer)?.dueMs !== dueMs)
      if (!this.#answers.knowsUntil(due?.dueMs ?? byMs)) {
        this.#unknown = this.#answers.silence
        return false
      }
      if (due !== undefined) {
        replayed.fired(due.timer)
        const { generation, timer } = due
        this.#step({ type: "timer", timer, generation }, "ControlLane", Math.max(due.dueMs, this.#nowMs))
      } else if (answer !== undefined) {
        this.#step(this.#answers.deliver(answer), answer.record.lane, Math.max(answer.atMs, this.#nowMs))
      } else break
    }
    this.#nowMs = Math.max(this.#nowMs, atMs)
    return !this.#isOver()
  }

  #input({ input, lane, runtime_timestamp_ms }: InputRecord): void {
    if (input.type !== "timer") return this.#step(input, lane, runtime_timestamp_ms)
    const { recorded, replayed } = this.#timers
    const [own, theirs] = [replayed.get(input.timer), recorded.get(input.timer)]
    recorded.fired(input.timer)
    // Due at the same time on both sides, so it fires as it did; otherwise it fires, or fired, by itself.
    if (own === undefined || own.dueMs !== theirs?.dueMs) return
    replayed.fired(input.timer)
    this.#step({ ...input, generation: own.generation }, lane, runtime_timestamp_ms)
  }

  #step(input: SessionInput, lane: InputRecord["lane"], atMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, atMs)
    const runtime_sequence = this.#execution.kernel.nextSequence()
    try {
      const record: InputRecord = { record: "input", runtime_sequence, runtime_timestamp_ms: this.#nowMs, lane, input }
      for (const output of this.#execution.input(record)) {
        this.#timers.replayed.apply(output)
        this.#observe(output)
      }
    } catch (cause) {
      this.#beyond(this.#nowMs, cause instanceof Error ? cause.message : String(cause))
    }
    this.#execution.takeOutputs()
  }
}
