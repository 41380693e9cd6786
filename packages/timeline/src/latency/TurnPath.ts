import type { InvocationFacts } from "@rspp/contracts/Invocation"
import { pathStages } from "@rspp/contracts/ReplayExpectation"
import type { PathStage } from "@rspp/contracts/ReplayExpectation"

/**
 * The stages of an answer, in order. Each begins where the one before it ended and ends with its own event:
 *
 * - `endpointing`: the caller's last sample of speech → the turn is proposed. Absent where nothing was spoken.
 * - `open`: proposed → `turn_open`.
 * - `model_first_token`: → the first words of a language model (or of a custom node in its place).
 * - `first_segment`: → the first sentence that can be spoken.
 * - `voice_first_chunk`: → the first chunk of speech from a voice.
 * - `egress`: → the first output on the data lane: speech is handed to egress.
 * - `playback`: → egress has written to the transport, and playback has started.
 *
 * A stage whose event did not happen is absent, and its time is part of the next stage that did. Work that was done ahead
 * of the turn takes no time on the path. So the stages of a turn add up to the time from its origin to its last event.
 */
export type { PathStage } from "@rspp/contracts/ReplayExpectation"
export { pathStages } from "@rspp/contracts/ReplayExpectation"

/** How a stage's time was spent, in ms; the four add up to `ms`. */
export interface StageTime {
  readonly ms: number
  /** RSPP itself: deciding, queueing, timers that fired late. */
  readonly kernel_ms: number
  /** A provider (or custom node) was at work and was waited for. */
  readonly provider_ms: number
  /** Waiting by design: the silence that ends a turn, the pause before a call is tried again, output held for a caller who speaks. */
  readonly waiting_ms: number
  /** Egress and the transport: from the audio that they were given to their word that playback has started. */
  readonly transport_ms: number
}

/** When things happened to a turn, ms of session time; what did not happen is absent. Only `speech_end_ms` may have a fraction. */
export interface TurnTimes {
  /** The caller's last sample of speech. */
  readonly speech_end_ms?: number
  /** The timer that ended the caller's pause. */
  readonly endpoint_ms?: number
  /** The recogniser's final text. */
  readonly final_ms?: number
  readonly proposed_ms?: number
  readonly open_ms?: number
  readonly first_token_ms?: number
  readonly first_segment_ms?: number
  readonly first_chunk_ms?: number
  /** The first output on the data lane: speech is handed to egress. */
  readonly first_output_ms?: number
  readonly playback_ms?: number
  /** The first cancel that was accepted for the turn as a whole, and the fence. */
  readonly cancel_ms?: number
  readonly fenced_ms?: number
  readonly terminal_ms?: number
  readonly close_ms?: number
}

export type RefusedOutcome = "reject" | "defer" | "stale_epoch_reject" | "deauthorized_drain"

/** The critical path of one turn that was proposed. */
export interface TurnPath {
  readonly turn_id: string
  /** The caller spoke: false for typed text. */
  readonly spoken: boolean
  /** `open`: it has no ending (yet). */
  readonly outcome: "committed" | "aborted" | "open" | RefusedOutcome
  readonly reason?: string
  readonly at: TurnTimes
  readonly stages: { readonly [S in PathStage]?: StageTime }
  /** From the caller's last sample (from the proposal where nothing was spoken) to `playback_started`. */
  readonly response_ms?: number
  /**
   * What went wrong between `turn_open` and the first output (or the terminal, where there was none): a signal
   * with its reason, `abort (REASON)`, or `call failed (MODALITY OUTCOME)`. Absent on the happy path.
   */
  readonly trouble?: string
  /** Provider calls of the turn that have ended, in the order of their ends. */
  readonly invocations: ReadonlyArray<InvocationFacts>
}

/** A call that was made for a turn. */
export interface PathCall {
  readonly modality: InvocationFacts["modality"]
  readonly startedMs: number
  endedMs: number | undefined
  failed: boolean
}

/** What the stages are made of. */
export interface PathFacts {
  readonly at: TurnTimes
  /** When the timer of the last pause was due. */
  readonly endpointDueMs: number | undefined
  readonly calls: ReadonlyArray<PathCall>
  /** Stretches in which output was held because the caller spoke. */
  readonly held: ReadonlyArray<readonly [fromMs: number, toMs: number]>
}

type Stretch = readonly [fromMs: number, toMs: number]

/** How much of `from … to` the stretches cover. */
const covered = (stretches: ReadonlyArray<Stretch>, from: number, to: number): number => {
  let sum = 0
  let reached = from
  for (const [begin, end] of stretches.toSorted((a, b) => a[0] - b[0])) {
    const start = Math.max(begin, reached)
    const stop = Math.min(end, to)
    if (stop <= start) continue
    sum += stop - start
    reached = stop
  }
  return sum
}

const working: { readonly [S in PathStage]?: ReadonlySet<PathCall["modality"]> } = {
  model_first_token: new Set(["llm", "external"]),
  first_segment: new Set(["llm", "external"]),
  voice_first_chunk: new Set(["tts", "external"])
}

/** Time in which none of these calls ran, because the one that had failed was to be tried again only later. */
const pauses = (calls: ReadonlyArray<PathCall>): ReadonlyArray<Stretch> =>
  calls.flatMap((call): ReadonlyArray<Stretch> => {
    const { endedMs } = call
    if (endedMs === undefined || !call.failed) return []
    const next = calls.find(({ startedMs }, at) => startedMs >= endedMs && at > calls.indexOf(call))
    return next === undefined ? [] : [[endedMs, next.startedMs]]
  })

/** The stages that a turn has reached. Pure; made once a turn, not per record. */
export const stagesOf = ({ at, calls, endpointDueMs, held }: PathFacts): TurnPath["stages"] => {
  const stages: { [S in PathStage]?: StageTime } = {}
  let from = at.speech_end_ms ?? at.proposed_ms
  if (from === undefined) return stages
  const ends: { readonly [S in PathStage]: number | undefined } = {
    endpointing: at.speech_end_ms === undefined ? undefined : at.proposed_ms,
    open: at.open_ms,
    model_first_token: at.first_token_ms,
    first_segment: at.first_segment_ms,
    voice_first_chunk: at.first_chunk_ms,
    egress: at.first_output_ms,
    playback: at.playback_ms
  }
  for (const stage of pathStages) {
    const end = ends[stage]
    if (end === undefined) continue
    const to = Math.max(from, end)
    stages[stage] = stage === "endpointing"
      ? endpointing(from, to, at, endpointDueMs)
      : stretch(stage, from, to, calls, held)
    from = to
  }
  return stages
}

const stretch = (
  stage: PathStage,
  from: number,
  to: number,
  calls: PathFacts["calls"],
  held: PathFacts["held"]
): StageTime => {
  const ms = Math.round(to - from)
  const modalities = working[stage]
  if (modalities === undefined) {
    const waiting = stage === "egress" || stage === "playback" ? covered(held, from, to) : 0
    const rest = ms - waiting
    return {
      ms,
      kernel_ms: stage === "playback" ? 0 : rest,
      provider_ms: 0,
      waiting_ms: waiting,
      transport_ms: stage === "playback" ? rest : 0
    }
  }
  const own = calls.filter(({ modality }) => modalities.has(modality))
  const runs = own.map(({ endedMs, startedMs }): Stretch => [startedMs, endedMs ?? Infinity])
  const provider = covered(runs, from, to)
  const waiting = covered([...runs, ...pauses(own)], from, to) - provider
  return { ms, kernel_ms: ms - provider - waiting, provider_ms: provider, waiting_ms: waiting, transport_ms: 0 }
}

/**
 * The silence is waited for until the endpoint was due, then the recogniser if its text was not there; the rest (a timer
 * that fired late, too) is the kernel's.
 */
const endpointing = (from: number, to: number, at: TurnTimes, dueMs: number | undefined): StageTime => {
  const ms = Math.round(to - from)
  const firedMs = Math.min(Math.max(at.endpoint_ms ?? from, from), to)
  const waited = Math.round(Math.max(0, Math.min(dueMs ?? firedMs, firedMs) - from))
  const provider = Math.max(0, Math.min(at.final_ms ?? firedMs, to) - firedMs)
  const known = Math.min(ms, waited)
  const given = Math.min(ms - known, Math.round(provider))
  return { ms, kernel_ms: ms - known - given, provider_ms: given, waiting_ms: known, transport_ms: 0 }
}

/** The kernel's own time on the path of a turn, ms; undefined when the turn reached no stage. */
export const kernelTime = ({ stages }: TurnPath): number | undefined => {
  const times = Object.values(stages)
  return times.length === 0 ? undefined : times.reduce((sum, { kernel_ms }) => sum + kernel_ms, 0)
}

/** The latencies of a turn that the gates of CONTRACT section 9 are about, ms; what was not measured is absent. */
export interface TurnLatencies {
  /** Proposed → `turn_open`. */
  readonly turn_open_ms?: number
  /** `turn_open` → first output on the data lane. */
  readonly first_output_ms?: number
  /** Cancel accepted → egress fenced. */
  readonly cancel_fence_ms?: number
  /** The caller's last sample of speech → playback started; only where the caller spoke. */
  readonly response_ms?: number
}

const between = (from: number | undefined, to: number | undefined): number | undefined =>
  from === undefined || to === undefined ? undefined : Math.max(0, Math.round(to - from))

export const turnLatencies = ({ at, response_ms, spoken }: TurnPath): TurnLatencies => {
  const open = between(at.proposed_ms, at.open_ms)
  const output = between(at.open_ms, at.first_output_ms)
  const cancel = between(at.cancel_ms, at.fenced_ms)
  return {
    ...(open === undefined ? {} : { turn_open_ms: open }),
    ...(output === undefined ? {} : { first_output_ms: output }),
    ...(cancel === undefined ? {} : { cancel_fence_ms: cancel }),
    ...(response_ms === undefined || !spoken || at.speech_end_ms === undefined ? {} : { response_ms })
  }
}
