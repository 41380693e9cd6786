import type { SignalName } from "@rspp/contracts/Signal"
import type { AudioRun, InputRecord, TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { digest } from "@rspp/runtime/determinism/Digest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { frameMs, frameSamples } from "@rspp/runtime/ports/AudioFrame"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { ReplayDivergence } from "./DivergenceClassifier.ts"
import { classify, divergenceOf } from "./DivergenceClassifier.ts"
import { sameJson } from "./JsonDifference.ts"
import { identityOf } from "./RecordIdentity.ts"
import { Reexecution } from "./Reexecution.ts"
import type { ReplayRefused } from "./ReplayMode.ts"
import { allowed, defaultReplayMode, unbroken, understood } from "./ReplayMode.ts"
import { StepAlignment } from "./StepAlignment.ts"

/** The saved cursor is of another recording, or what came out up to it is not what came out then. */
export class CursorMismatch extends Schema.TaggedError<CursorMismatch>()("CursorMismatch", {
  message: Schema.String
}) {}

/** A place in a recording, as plain JSON: enough to stand there again, and to know that it is the same place. */
export const SavedCursor = Schema.Struct({
  cursor_version: Schema.Literal(1),
  session_id: Schema.String,
  /** SHA-256 of the header. */
  header_hash: Schema.String,
  /** The number that the next record gets. */
  next_sequence: Schema.Number,
  /** Records that have come out of the kernel and the recorder. */
  outputs: Schema.Number,
  /** SHA-256 over those records, one after the other. */
  outputs_hash: Schema.String
})
export type SavedCursor = typeof SavedCursor.Type

/** Where a cursor is to stop: behind the next step that gives this number, opens this turn, or sends this signal. */
export type CursorTarget =
  | { readonly sequence: number }
  | { readonly turn: string }
  | { readonly signal: SignalName }

/** One step: an input, or frames of the caller, and what came out of it. */
export interface CursorStep {
  readonly fed: InputRecord | AudioRun | "end"
  readonly outputs: ReadonlyArray<TimelineRecord>
  /** The first difference between those and the recorded ones. */
  readonly divergence?: ReplayDivergence
}

export interface CursorStop {
  /** `end`: the recording has nothing more. */
  readonly why: "reached" | "end" | "paused"
  /** The last step that was taken; absent when there was none. */
  readonly step?: CursorStep
}

interface Timeline {
  readonly header: TimelineHeader
  readonly records: ReadonlyArray<TimelineRecord>
}

const isOutput = ({ record }: TimelineRecord) =>
  record !== "input" && record !== "audio" && record !== "end" && record !== "header" && record !== "payload" &&
  record !== "caller_audio"

/** Steps that are taken before other fibers run. */
const stepsPerTurnOfLoop = 512

/**
 * A hand on a replay: it goes through a recording step by step, stops where it is told, and can be put down and taken up.
 *
 * Every step executes the real kernel on one recorded input, or on frames of the caller, and compares what comes out. A
 * divergence is told and does not stop it. `save` gives plain JSON; a cursor that is resumed from it stands at the same
 * place, and what comes out from there on is the same (it executes the session again up to there: an hour takes half a
 * second). Not for two fibers at one time.
 */
export class ReplayCursor {
  readonly #header: TimelineHeader
  readonly #records: ReadonlyArray<TimelineRecord>
  readonly #execution: Reexecution
  #next = 0
  /** Frames of the run at `next` that were fed. */
  #frames = 0
  #outputs = 0
  #hash = ""
  #pausing = false
  #ended = false

  constructor(kernels: SessionKernel["Service"], { header, records }: Timeline) {
    this.#header = header
    this.#records = records
    this.#execution = new Reexecution(kernels, header)
  }

  /** Stamp of the newest input, ms. */
  get atMs(): number {
    return this.#execution.nowMs
  }

  /** The number that the next record gets. */
  get nextSequence(): number {
    return this.#execution.kernel.nextSequence()
  }

  /** Turns that were opened so far. */
  get turns(): number {
    return this.#execution.turns
  }

  get isAtEnd(): boolean {
    return this.#ended
  }

  /** Takes one step; of a run of frames at most `frames`. Undefined at the end. */
  step(frames = Number.POSITIVE_INFINITY): CursorStep | undefined {
    for (;;) {
      const record = this.#records[this.#next]
      if (record === undefined) {
        this.#ended = true
        return undefined
      }
      if (record.record === "audio") return this.#audio(record, frames)
      this.#next++
      if (record.record === "input") return this.#input(record)
      if (record.record === "end") {
        this.#ended = true
        this.#execution.close()
        return this.#settled("end")
      }
    }
  }

  /** Goes on to the target, to the end, or until {@link pause} is called. Interrupting it leaves the cursor between two steps. */
  runTo(target: CursorTarget): Effect.Effect<CursorStop> {
    return Effect.gen({ self: this }, function*() {
      this.#pausing = false
      let step: CursorStep | undefined
      for (let taken = 1;; taken++) {
        const next = this.step("sequence" in target ? Math.max(1, target.sequence + 1 - this.nextSequence) : undefined)
        if (next === undefined) return stop("end", step)
        step = next
        if (this.#reached(target, step)) return stop("reached", step)
        if (taken % stepsPerTurnOfLoop === 0) yield* Effect.yieldNow
        if (this.#pausing) return stop("paused", step)
      }
    })
  }

  /** Lets a {@link runTo} that is under way stop behind the step that it is at. */
  pause(): void {
    this.#pausing = true
  }

  save(): SavedCursor {
    return {
      cursor_version: 1,
      session_id: this.#header.session_id,
      header_hash: digest(this.#header),
      next_sequence: this.nextSequence,
      outputs: this.#outputs,
      outputs_hash: this.#hash
    }
  }

  /** Goes to where `saved` was made. Fails when that is another recording, or other things came out up to there. */
  restore(saved: SavedCursor): Effect.Effect<void, CursorMismatch> {
    return Effect.gen({ self: this }, function*() {
      if (saved.header_hash !== digest(this.#header)) {
        const message =
          `the cursor is of session ${saved.session_id}, or of another recording of it; this is ${this.#header.session_id}`
        return yield* new CursorMismatch({ message })
      }
      while (this.nextSequence < saved.next_sequence || this.#outputs < saved.outputs) {
        if (this.step(Math.max(1, saved.next_sequence - this.nextSequence)) === undefined) break
      }
      if (
        this.nextSequence !== saved.next_sequence || this.#outputs !== saved.outputs ||
        this.#hash !== saved.outputs_hash
      ) {
        const message =
          `up to record number ${saved.next_sequence} other things came out than when the cursor was saved`
        return yield* new CursorMismatch({ message })
      }
      return undefined
    })
  }

  #reached(target: CursorTarget, { outputs }: CursorStep): boolean {
    if ("sequence" in target) return this.nextSequence > target.sequence
    return outputs.some((record) =>
      record.record === "signal" && ("signal" in target
        ? record.signal.signal === target.signal
        : record.signal.signal === "turn_open" && record.signal.turn_id === target.turn)
    )
  }

  #audio(run: AudioRun, frames: number): CursorStep {
    const part = partOf(run, this.#frames, Math.min(frames, run.count - this.#frames))
    this.#frames += part.count
    this.#execution.audio(part)
    if (this.#frames < run.count) return { fed: part, outputs: [] }
    this.#frames = 0
    this.#next++
    return this.#settled(part)
  }

  #input(record: InputRecord): CursorStep {
    try {
      this.#execution.input(record)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      const message = `the kernel refuses ${identityOf(record).what}: ${why}`
      this.#ended = true
      this.#next = this.#records.length
      return {
        fed: record,
        outputs: [],
        divergence: divergenceOf("OUTCOME_DIVERGENCE", message, stepAt(record), record)
      }
    }
    return this.#settled(record)
  }

  #settled(fed: CursorStep["fed"]): CursorStep {
    const outputs = this.#execution.takeOutputs()
    for (const output of outputs) {
      this.#outputs++
      this.#hash = digest([this.#hash, output])
    }
    const recorded: Array<TimelineRecord> = []
    for (; this.#next < this.#records.length; this.#next++) {
      const record = this.#records[this.#next]
      if (record === undefined || record.record === "input" || record.record === "audio" || record.record === "end") {
        break
      }
      if (isOutput(record)) recorded.push(record)
    }
    const divergence = this.#compare(recorded, outputs, fed)
    return { fed, outputs, ...(divergence === undefined ? {} : { divergence }) }
  }

  #compare(
    recorded: ReadonlyArray<TimelineRecord>,
    replayed: ReadonlyArray<TimelineRecord>,
    fed: CursorStep["fed"]
  ): ReplayDivergence | undefined {
    const torn = this.#next >= this.#records.length && fed !== "end"
    const sides = new StepAlignment(recorded, replayed)
    while (!sides.isDone) {
      const { recorded: a, replayed: b } = sides
      if (a === undefined && torn) return undefined
      if (a !== undefined && b !== undefined && sameJson(a, b)) sides.same()
      // The recorder may drop telemetry.
      else if (b?.record === "event" && b.event.lane === "TelemetryLane") sides.skipReplayed()
      else {
        return classify({
          recorded,
          replayed,
          recordedAt: sides.left,
          replayedAt: sides.right,
          later: [],
          step: fed === "end" ? { sequence: this.nextSequence, atMs: this.atMs } : stepAt(fed)
        })
      }
    }
    return undefined
  }
}

const stop = (why: CursorStop["why"], step: CursorStep | undefined): CursorStop =>
  step === undefined ? { why } : { why, step }

const stepAt = (record: InputRecord | AudioRun) => {
  const { atMs = 0, sequence = 0 } = identityOf(record)
  return { sequence, atMs }
}

/** `count` frames of a run, from frame `from` on, as a run of its own. */
const partOf = (run: AudioRun, from: number, count: number): AudioRun => {
  if (from === 0 && count === run.count) return run
  const late = (frame: number) => run.jitter?.[frame - 1] ?? 0
  let at = run.first_timestamp_ms
  for (let frame = 1; frame <= from; frame++) at += frameMs + late(frame)
  return {
    record: "audio",
    first_sequence: run.first_sequence + from,
    count,
    first_sample_index: run.first_sample_index + from * frameSamples,
    first_timestamp_ms: at,
    ...(run.jitter === undefined ? {} : { jitter: run.jitter.slice(from, from + count - 1) })
  }
}

/** Opens cursors on recordings whose policy allows them to be played back. */
export class ReplayCursors extends Context.Service<ReplayCursors, {
  readonly open: (timeline: Timeline) => Effect.Effect<ReplayCursor, ReplayRefused>
  /** A cursor that stands where `saved` was made. */
  readonly resume: (
    timeline: Timeline,
    saved: SavedCursor
  ) => Effect.Effect<ReplayCursor, ReplayRefused | CursorMismatch>
}>()("rspp/ReplayCursors") {
  static readonly layerNoDeps = Layer.effect(
    ReplayCursors,
    Effect.gen(function*() {
      const kernels = yield* SessionKernel
      const open = Effect.fn("ReplayCursors.open")(function*(timeline: Timeline) {
        yield* allowed(timeline, defaultReplayMode)
        yield* understood(timeline.header)
        yield* unbroken(timeline, defaultReplayMode)
        return new ReplayCursor(kernels, timeline)
      })
      return ReplayCursors.of({
        open,
        resume: Effect.fn("ReplayCursors.resume")(function*(timeline, saved) {
          const cursor = yield* open(timeline)
          yield* cursor.restore(saved)
          return cursor
        })
      })
    })
  )

  /** With the kernel that live sessions run. */
  static readonly layer = ReplayCursors.layerNoDeps.pipe(Layer.provide(SessionKernel.layer))
}
