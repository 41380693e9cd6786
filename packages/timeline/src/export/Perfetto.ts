import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { frameMs, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { Timeline } from "../format/TimelineDecoder.ts"
import { timeOf } from "@rspp/contracts/TimelineStamp"
import { counterSamples } from "./TraceCounters.ts"

/** Rows of the trace, top to bottom. A row that would overlap itself gets further ones below. */
const rows = ["turns", "caller speech", "stt", "llm", "tts", "external", "agent speech"] as const
type Row = typeof rows[number]

/** Rows under one name: what is more at a time shares the last. */
const maxRowsOfName = 16

/** One event of the Chrome trace format; times are in microseconds. */
type TraceEvent = Readonly<Record<string, unknown>>

interface Slice {
  readonly row: Row
  readonly name: string
  readonly fromMs: number
  readonly toMs: number
  readonly args: Readonly<Record<string, unknown>>
}

const signalsThread = 1
const firstRowThread = 10

/**
 * A timeline in the Chrome trace format, as pieces of one JSON document: open it in ui.perfetto.dev or chrome://tracing.
 *
 * Tracks: signals (instants), turns, the caller's speech, provider invocations per modality, the agent's speech as it was
 * played; counters for audio in and out, the voice queue, running calls and edges that are held back. Times are those of the recording; what was still going on at its end is drawn up to there.
 */
export function* perfettoTrace(timeline: Pick<Timeline, "header" | "records">): Generator<string> {
  const events = traceEvents(timeline)
  yield `{"displayTimeUnit":"ms","otherData":${
    JSON.stringify({ session_id: timeline.header.session_id, pipeline_version: timeline.header.pipeline_version })
  },"traceEvents":[\n`
  let separator = ""
  for (const event of events) {
    yield `${separator}${JSON.stringify(event)}`
    separator = ",\n"
  }
  yield "\n]}\n"
}

function* traceEvents({ header, records }: Pick<Timeline, "header" | "records">): Generator<TraceEvent> {
  yield name("process_name", 0, header.session_id)
  yield name("thread_name", signalsThread, "signals")
  yield sortIndex(signalsThread, 0)
  const ends = new Map<number, number>()
  const slices = [...slicesOf(records)].sort((a, b) => a.fromMs - b.fromMs || b.toMs - a.toMs)
  for (const slice of slices) {
    const thread = threadOf(slice, ends)
    if (!ends.has(thread)) {
      const nth = (thread - firstRowThread) % maxRowsOfName
      yield name("thread_name", thread, nth === 0 ? slice.row : `${slice.row} ${nth + 1}`)
      yield sortIndex(thread, thread)
    }
    ends.set(thread, slice.toMs)
    const duration = Math.max(slice.toMs - slice.fromMs, 0)
    yield {
      ph: "X",
      pid: 1,
      tid: thread,
      name: slice.name,
      ts: slice.fromMs * 1000,
      dur: duration * 1000,
      args: slice.args
    }
  }
  for (const { atMs, track, value } of counterSamples(records)) {
    yield { ph: "C", pid: 1, tid: 0, name: track, ts: atMs * 1000, args: { value } }
  }
  for (const record of records) {
    if (record.record !== "signal") continue
    const { signal, emitted_by, reason, turn_id, runtime_timestamp_ms, runtime_sequence } = record.signal
    yield {
      ph: "i",
      s: "t",
      pid: 1,
      tid: signalsThread,
      name: signal,
      ts: runtime_timestamp_ms * 1000,
      args: { emitted_by, runtime_sequence, ...(turn_id && { turn_id }), ...(reason && { reason }) }
    }
  }
}

const name = (what: string, tid: number, value: string): TraceEvent => ({
  ph: "M",
  pid: 1,
  tid,
  name: what,
  args: { name: value }
})

const sortIndex = (tid: number, sort_index: number): TraceEvent => ({
  ph: "M",
  pid: 1,
  tid,
  name: "thread_sort_index",
  args: { sort_index }
})

/** The first thread of the slice's row that is free when it begins. */
const threadOf = (slice: Slice, ends: ReadonlyMap<number, number>): number => {
  const base = firstRowThread + rows.indexOf(slice.row) * maxRowsOfName
  for (let nth = 0; nth < maxRowsOfName; nth++) {
    if ((ends.get(base + nth) ?? 0) <= slice.fromMs) return base + nth
  }
  return base + maxRowsOfName - 1
}

/** An interval that has begun and not ended. */
interface Begun {
  readonly fromMs: number
  readonly args: Readonly<Record<string, unknown>>
}

function* slicesOf(records: ReadonlyArray<TimelineRecord>): Generator<Slice> {
  const turns = new Map<string, Begun>()
  const playing = new Map<string, Begun>()
  const started = new Map<string, Begun & { readonly row: Row; readonly name: string }>()
  const sampleTime = new SampleTime()
  let speech: Begun | undefined
  let lastMs = 0
  for (const record of records) {
    lastMs = Math.max(lastMs, timeOf(record) ?? 0)
    switch (record.record) {
      case "audio":
        sampleTime.run(record.first_sample_index, record.count, record.first_timestamp_ms)
        break
      case "signal": {
        const { signal, turn_id = "", runtime_timestamp_ms: now, reason } = record.signal
        if (signal === "turn_open") turns.set(turn_id, { fromMs: now, args: { epoch: record.signal.authority_epoch } })
        const turn = turns.get(turn_id)
        if (turn !== undefined && (signal === "commit" || signal === "abort")) {
          turns.delete(turn_id)
          yield { row: "turns", name: `${turn_id} ${signal}`, toMs: now, ...turn, args: { ...turn.args, reason } }
        }
        break
      }
      case "command": {
        const { command } = record
        if (command.type !== "start_invocation") break
        const { modality: row, provider_id: name, provider_invocation_id: id, turn_id } = command
        started.set(id, { fromMs: record.runtime_timestamp_ms, row, name, args: { id, turn_id } })
        break
      }
      case "invocation": {
        const { invocation } = record
        started.delete(invocation.provider_invocation_id)
        yield {
          row: invocation.modality,
          name: `${invocation.provider_id} ${invocation.outcome_class}`,
          fromMs: invocation.started_ms,
          toMs: record.runtime_timestamp_ms,
          args: invocation
        }
        break
      }
      case "input": {
        const { input, runtime_timestamp_ms: now } = record
        if (input.type === "voice_activity") {
          const at = sampleTime.at(input.sample_index) ?? now
          if (input.edge === "speech_started") speech ??= { fromMs: Math.min(at, now), args: {} }
          else if (speech !== undefined) {
            yield { row: "caller speech", name: "speech", toMs: Math.max(at, speech.fromMs), ...speech }
            speech = undefined
          }
        }
        if (input.type === "playback_started") {
          playing.set(input.segment_id, { fromMs: now, args: { turn_id: input.turn_id } })
        }
        if (input.type === "playback_completed" || input.type === "playback_cancelled") {
          const cut = input.type === "playback_cancelled"
          for (const [segment, begun] of playing) {
            if (
              input.segment_id === undefined
                ? begun.args["turn_id"] !== input.turn_id
                : segment !== input.segment_id
            ) {
              continue
            }
            playing.delete(segment)
            yield {
              row: "agent speech",
              name: `${segment}${cut ? " cut" : ""}`,
              toMs: now,
              ...begun,
              args: { ...begun.args, samples: input.samples }
            }
          }
        }
        break
      }
      default:
        break
    }
  }
  for (const [turn, begun] of turns) yield { row: "turns", name: `${turn} open`, toMs: lastMs, ...begun }
  for (const [segment, begun] of playing) yield { row: "agent speech", name: segment, toMs: lastMs, ...begun }
  for (const [, { row, name, ...begun }] of started) yield { row, name: `${name} running`, toMs: lastMs, ...begun }
  if (speech !== undefined) yield { row: "caller speech", name: "speech", toMs: lastMs, ...speech }
}

/** When a sample of the caller was spoken, by the arrival of the run that it is in. A frame arrives when it is over. */
class SampleTime {
  readonly #runs: Array<{ readonly first: number; readonly end: number; readonly ms: number }> = []

  run(first: number, frames: number, firstMs: number): void {
    this.#runs.push({ first, end: first + frames * frameMs * samplesPerMs, ms: Math.max(0, firstMs - frameMs) })
  }

  at(sample: number): number | undefined {
    const run = this.#runs.findLast((known) => known.first <= sample && sample <= known.end)
    return run === undefined ? undefined : run.ms + (sample - run.first) / samplesPerMs
  }
}
