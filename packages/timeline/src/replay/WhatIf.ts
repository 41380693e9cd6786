import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { SignalName } from "@rspp/contracts/Signal"
import type { InputRecord, TimelineRecord } from "@rspp/contracts/Timeline"
import type { Reexecution } from "./Reexecution.ts"
import { bareText, identityOf } from "./RecordIdentity.ts"
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

/** Commands that someone answers: asked at another time, or for something else, the recording has no answer to them. */
const asks: ReadonlySet<SessionCommand["type"]> = new Set([
  "start_invocation",
  "mark_utterance",
  "predict_turn",
  "cancel_invocation",
  "pause_invocation",
  "resume_invocation",
  "enqueue_output",
  "end_segment",
  "pause_output",
  "resume_output",
  "fence_output",
  "append_evidence"
])

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

/** What a command's answers are filed under; {@link answersTo} files the answers. */
const answerOf = (command: SessionCommand): string => {
  switch (command.type) {
    case "mark_utterance":
      return command.mark === "end" ? `end:${command.provider_invocation_id}` : `call:${command.provider_invocation_id}`
    case "predict_turn":
      return `prediction:${command.provider_invocation_id}:${command.pause_id}`
    case "cancel_invocation":
      return `end:${command.provider_invocation_id}`
    case "append_evidence":
      return `evidence:${command.turn_id}`
    default:
      if ("provider_invocation_id" in command) return `call:${command.provider_invocation_id}`
      return "turn_id" in command ? `output:${command.turn_id}` : ""
  }
}

/** The commands that an input answers. */
const answersTo = (input: SessionInput): ReadonlyArray<string> => {
  switch (input.type) {
    case "transcript":
    case "text_delta":
    case "segment":
    case "voice_chunk":
      return [`call:${input.provider_invocation_id}`]
    case "turn_prediction":
      return [`prediction:${input.provider_invocation_id}:${input.pause_id}`]
    case "invocation_ended":
      return [`call:${input.provider_invocation_id}`, `end:${input.provider_invocation_id}`]
    case "evidence_appended":
      return [`evidence:${input.turn_id}`]
    case "output_accepted":
    case "output_rejected":
    case "playback_started":
    case "playback_completed":
    case "playback_cancelled":
    case "egress_dequeued":
    case "egress_fenced":
    case "egress_paused":
      return [`output:${input.turn_id}`]
    default:
      return []
  }
}

const isAsk = (record: TimelineRecord): boolean => record.record === "command" && asks.has(record.command.type)
const askKey = (record: TimelineRecord, atMs: number): string => `${bareText(record)}@${atMs}`
const isMilestone = (record: TimelineRecord): boolean =>
  record.record === "signal" && milestones.has(record.signal.signal)

const reasonOf = (record: TimelineRecord): Pick<Milestone, "reason"> =>
  record.record === "signal" && record.signal.reason !== undefined ? { reason: record.signal.reason } : {}

/**
 * Goes on behind the first difference of a what-if replay, for as long as the recording has an answer to everything that
 * the kernel asks for.
 *
 * Inputs stay as they were recorded, with two exceptions. A timer that is due when the recording has it due fires as it
 * did there, any other fires at its due time. And an answer to something that was not asked for here is left out.
 */
export class WhatIf {
  readonly #execution: Reexecution
  readonly #records: ReadonlyArray<TimelineRecord>
  readonly #timers: TimerTables
  /** What the recording asks for behind the difference, and at what time: how often, less what was asked for here. */
  readonly #asked = new Map<string, number>()
  /** Answers that nothing here has asked for. */
  readonly #unasked = new Set<string>()
  readonly #recorded: Array<Milestone> = []
  readonly #replayed: Array<Milestone> = []
  readonly #startMs: number
  #next: number
  #nowMs: number
  /** `counted`: what the recording says at that very moment was looked at. */
  #unknown: { readonly runtime_timestamp_ms: number; readonly reason: string; readonly counted: boolean } | undefined

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
    this.#startMs = execution.nowMs
    this.#nowMs = this.#startMs
    for (const record of recorded) this.#recall(record)
    for (let at = position; at < records.length; at++) this.#recall(records[at] as TimelineRecord)
    for (const record of replayed) this.#observe(record)
    for (const record of recorded) this.#pass(record)
  }

  /** Goes on for about `units` records and frames. True when nothing more can be said. */
  run(units: number): boolean {
    for (let done = 0; done < units;) {
      const record = this.#records[this.#next]
      if (record === undefined || this.#unknown !== undefined) return true
      this.#next++
      if (record.record === "audio") {
        done += this.#execution.audio(record, (atMs) => this.#until(atMs))
      } else if (record.record === "input") {
        done++
        if (this.#until(record.runtime_timestamp_ms)) this.#input(record)
      } else {
        done++
        this.#timers.recorded.apply(record)
        this.#pass(record)
      }
    }
    return false
  }

  outlook(): WhatIfOutlook {
    const unknown = this.#unknown
    const end = unknown === undefined
      ? Number.POSITIVE_INFINITY
      : unknown.runtime_timestamp_ms + (unknown.counted ? 1 : 0)
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
    const { reason, runtime_timestamp_ms } = unknown
    return { changes, effects, unknown_beyond: { runtime_timestamp_ms, reason } }
  }

  /** The recording's side: what it asks for and when it says what. */
  #recall(record: TimelineRecord): void {
    if (!isAsk(record) && !isMilestone(record)) return
    const { atMs = 0, turnId, what } = identityOf(record)
    if (isMilestone(record)) {
      this.#recorded.push({ what, turnId, atMs, ...reasonOf(record) })
      return
    }
    const key = askKey(record, atMs)
    this.#asked.set(key, (this.#asked.get(key) ?? 0) + 1)
  }

  /**
   * The recording asked for this. If the replay has not, the answers mean nothing here; and when something that goes on
   * here was stopped or held there, nobody knows how it would have gone on.
   */
  #pass(record: TimelineRecord): void {
    if (record.record !== "command" || !isAsk(record)) return
    const { command, runtime_timestamp_ms } = record
    const key = askKey(record, runtime_timestamp_ms)
    const left = this.#asked.get(key) ?? 0
    if (left === 0) return
    this.#asked.set(key, left - 1)
    if (this.#isUnderWay(command)) {
      const { what } = identityOf(record)
      const reason = `${what} is in the recording but not asked for here; how it goes on without that is not recorded`
      this.#unknown ??= { runtime_timestamp_ms, reason, counted: true }
    }
    this.#unasked.add(answerOf(command))
  }

  /** True when a command is about a call or a turn's output that goes on here. */
  #isUnderWay(command: SessionCommand): boolean {
    switch (command.type) {
      case "mark_utterance":
        return command.mark !== "end" && this.#execution.liveCalls.has(command.provider_invocation_id)
      case "cancel_invocation":
      case "pause_invocation":
      case "resume_invocation":
        return this.#execution.liveCalls.has(command.provider_invocation_id)
      case "enqueue_output":
      case "end_segment":
      case "pause_output":
      case "resume_output":
      case "fence_output":
        return this.#execution.recentTurns.includes(command.turn_id)
      default:
        return false
    }
  }

  /** The replay's side, which must not ask for anything else. */
  #observe(record: TimelineRecord): void {
    if (!isAsk(record) && !isMilestone(record)) return
    const { atMs = this.#nowMs, turnId, what } = identityOf(record)
    if (isMilestone(record)) {
      this.#replayed.push({ what, turnId, atMs, ...reasonOf(record) })
      return
    }
    const key = askKey(record, atMs)
    const left = this.#asked.get(key) ?? 0
    if (left > 0) this.#asked.set(key, left - 1)
    else this.#beyond(atMs, `${what} is not what the recording asked for at this time, so it has no answer`)
  }

  #beyond(runtime_timestamp_ms: number, reason: string): void {
    this.#unknown ??= { runtime_timestamp_ms, reason, counted: false }
  }

  /** Lets time pass up to `atMs`: timers that are due by then fire. False when nothing more is known. */
  #until(atMs: number): boolean {
    const { recorded, replayed } = this.#timers
    while (this.#unknown === undefined) {
      const due = replayed.next(atMs, ({ dueMs, timer }) => recorded.get(timer)?.dueMs !== dueMs)
      if (due === undefined) break
      replayed.fired(due.timer)
      this.#step({
        record: "input",
        runtime_sequence: this.#execution.kernel.nextSequence(),
        runtime_timestamp_ms: Math.max(due.dueMs, this.#nowMs),
        lane: "ControlLane",
        input: { type: "timer", timer: due.timer, generation: due.generation }
      })
    }
    this.#nowMs = Math.max(this.#nowMs, atMs)
    return this.#unknown === undefined
  }

  #input(record: InputRecord): void {
    const { input } = record
    if (input.type !== "timer") {
      if (!answersTo(input).some((answer) => this.#unasked.has(answer))) this.#step(record)
      return
    }
    const { recorded, replayed } = this.#timers
    const [own, theirs] = [replayed.get(input.timer), recorded.get(input.timer)]
    recorded.fired(input.timer)
    // Due at the same time on both sides, so it fires as it did; otherwise it fires, or fired, by itself.
    if (own === undefined || own.dueMs !== theirs?.dueMs) return
    replayed.fired(input.timer)
    this.#step({ ...record, input: { ...input, generation: own.generation } })
  }

  #step(record: InputRecord): void {
    this.#nowMs = Math.max(this.#nowMs, record.runtime_timestamp_ms)
    try {
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
