import type { InvocationFacts } from "@rspp/contracts/Invocation"
import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { ControlSignal } from "@rspp/contracts/Signal"
import type { InputRecord, TimelineRecord } from "@rspp/contracts/Timeline"
import type { TurnTrigger } from "@rspp/contracts/Turn"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import { endpointTimer, utteranceTimer } from "@rspp/runtime/listening/Listening"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { SpeechClock } from "./SpeechClock.ts"
import type { PathCall, RefusedOutcome, TurnPath, TurnTimes } from "./TurnPath.ts"
import { stagesOf } from "./TurnPath.ts"

/** Turns that are followed at once: one or two is usual; past it the oldest is told as it is. */
export const maxFollowedTurns = 16

/** Intents that may wait to become a turn; the kernel holds two. */
const maxIntents = 8

/** Provider calls whose turn is not known (yet) that are remembered; a session runs a few at a time. */
const maxCalls = 256

/** Signals that end the happy path when they come before the first output of a turn. */
export const troubleSignals: ReadonlySet<ControlSignal["signal"]> = new Set([
  "provider_error",
  "provider_switch",
  "fallback",
  "degrade",
  "budget_exhausted",
  "shed",
  "discontinuity",
  "reconnecting",
  "disconnected",
  "stall",
  "stale_epoch_reject",
  "deauthorized_drain"
])

interface Call extends PathCall {
  turn: Draft | undefined
  /** What came before the call was a turn's: of work ahead, the first of each; of a recogniser, the last pause. */
  tokenMs: number | undefined
  segmentMs: number | undefined
  speechEndMs: number | undefined
}

interface Intent {
  readonly atMs: number
  readonly spoken: boolean
  readonly recognition: Call | undefined
  readonly speechEndMs: number | undefined
  readonly endpointMs: number | undefined
  readonly endpointDueMs: number | undefined
  readonly finalMs: number | undefined
}

interface Draft {
  readonly turnId: string
  intent: Intent | undefined
  readonly transitionMs: number
  outcome: TurnPath["outcome"]
  reason: string | undefined
  openMs: number | undefined
  tokenMs: number | undefined
  segmentMs: number | undefined
  chunkMs: number | undefined
  outputMs: number | undefined
  playbackMs: number | undefined
  cancelMs: number | undefined
  fencedMs: number | undefined
  terminalMs: number | undefined
  closeMs: number | undefined
  trouble: string | undefined
  heldFromMs: number | undefined
  readonly held: Array<readonly [number, number]>
  readonly calls: Array<Call>
  /** Of these, those that have not ended. */
  running: number
  readonly invocations: Array<InvocationFacts>
  /** Sentences of which speech was handed to egress, and those whose playback is over. */
  segments: number
  played: number
  sealed: boolean
}

/**
 * The critical path of each turn of one session, from its records: a fold that is fed in the order of `runtime_sequence`.
 *
 * Use it live ({@link criticalPathObserver}) or over a timeline ({@link criticalPaths}): both give the same. `done` is
 * called once for each turn that was proposed, when nothing more can come of it: a refused turn at once, any other when
 * its supplement was sealed and its speech has been played or cut, and the rest by {@link CriticalPath.end}.
 *
 * It reads no evidence, and so no claim of the recorder: only inputs, signals, commands, transitions and the facts of calls.
 * For a frame of audio it allocates nothing.
 *
 * Guarantees: I-PATH-SUM the stages of a turn add up to the time from its origin to its last event, and the parts of a stage
 * to the stage; I-PATH-BOUND what it holds does not grow with the session.
 */
export class CriticalPath {
  readonly #done: (path: TurnPath) => void
  readonly #clock = new SpeechClock()
  readonly #turns = new Map<string, Draft>()
  readonly #calls = new Map<string, Call>()
  readonly #intents: Array<Intent> = []
  /** The input that is being applied; of a timer, which one. */
  #cause = ""
  #speechEndMs: number | undefined
  #endpointMs: number | undefined
  #endpointDueMs: number | undefined
  #finalMs: number | undefined

  constructor(done: (path: TurnPath) => void) {
    this.#done = done
  }

  /** A frame of the caller came in. */
  audio(firstSample: number, arrivedMs: number): void {
    this.#clock.frame(firstSample, arrivedMs)
  }

  /** Any record of a timeline; those that tell nothing of the path are passed over. */
  record(record: TimelineRecord): void {
    switch (record.record) {
      case "audio":
        return this.#clock.run(
          record.first_sample_index,
          record.count,
          record.first_timestamp_ms,
          record.jitter
        )
      case "input":
        return this.input(record)
      case "signal":
      case "event":
      case "transition":
      case "command":
      case "invocation":
        return this.output(record)
      default:
        return
    }
  }

  input({ input, runtime_timestamp_ms: now }: InputRecord): void {
    this.#cause = input.type === "timer" ? input.timer : input.type
    switch (input.type) {
      case "voice_activity":
        this.#endpointMs = undefined
        this.#endpointDueMs = undefined
        if (input.edge === "speech_ended") {
          const spokenMs = this.#clock.at(input.sample_index)
          this.#speechEndMs = spokenMs === undefined ? undefined : Math.min(now, spokenMs)
        }
        return
      case "timer":
        if (input.timer === endpointTimer) this.#endpointMs = now
        return
      case "transcript":
        if (input.finality === "final") this.#finalMs = now
        return
      case "text_delta":
        return this.#token(this.#calls.get(input.provider_invocation_id), now)
      case "segment":
        return this.#segment(this.#calls.get(input.provider_invocation_id), now)
      case "voice_chunk":
        return this.#chunk(this.#calls.get(input.provider_invocation_id), now)
      case "node_item": {
        const call = this.#calls.get(input.provider_invocation_id)
        if (input.payload_kind === "text") this.#token(call, now)
        else if (input.payload_kind === "segment") this.#segment(call, now)
        else if (input.payload_kind === "voice") this.#chunk(call, now)
        return
      }
      case "playback_started": {
        const turn = this.#turns.get(input.turn_id)
        if (turn !== undefined) turn.playbackMs ??= now
        return
      }
      case "playback_completed": {
        const turn = this.#turns.get(input.turn_id)
        if (turn === undefined) return
        turn.played++
        return this.#settle(turn)
      }
      case "egress_fenced": {
        const turn = this.#turns.get(input.turn_id)
        if (turn === undefined) return
        turn.fencedMs ??= now
        return this.#settle(turn)
      }
      default:
        return
    }
  }

  output(output: KernelOutput): void {
    switch (output.record) {
      case "signal":
        return this.#signal(output.signal)
      case "transition":
        return this.#transition(output.turn_id, output.transition.trigger, output.runtime_timestamp_ms)
      case "command":
        return this.#command(output.command, output.runtime_timestamp_ms)
      case "event": {
        const { lane, late_after_cancel, payload_class, provider_invocation_id, reason, turn_id } = output.event
        const turn = turn_id === undefined ? undefined : this.#turns.get(turn_id)
        if (turn === undefined) return
        if (reason === "speculation_promoted") {
          const call = provider_invocation_id === undefined ? undefined : this.#calls.get(provider_invocation_id)
          if (call !== undefined) adopt(turn, call)
        } else if (lane === "DataLane" && payload_class === "audio_raw" && late_after_cancel !== true) {
          turn.outputMs ??= output.event.runtime_timestamp_ms
          turn.segments++
        }
        return
      }
      case "invocation":
        return this.#ended(output.invocation, output.runtime_timestamp_ms)
      default:
        return
    }
  }

  /** The session is over: what is left is told as far as it went. */
  end(): void {
    for (const turn of this.#turns.values()) this.#done(pathOf(turn))
    this.#turns.clear()
    this.#calls.clear()
  }

  #signal(signal: ControlSignal): void {
    const { reason, runtime_timestamp_ms: now, scope, signal: name, turn_id } = signal
    if (name === "turn_open_proposed") return this.#proposed(signal)
    const turn = turn_id === undefined ? undefined : this.#turns.get(turn_id)
    if (troubleSignals.has(name)) {
      const told = this.#told(signal)
      if (turn !== undefined) troubled(turn, told)
      else if (turn_id === undefined) { for (const open of this.#turns.values()) troubled(open, told) }
    }
    if (name === "cancel" && scope !== "node" && scope !== "provider_invocation") {
      if (turn !== undefined) turn.cancelMs ??= now
      else if (turn_id === undefined) {
        for (const open of this.#turns.values()) if (isOpen(open)) open.cancelMs ??= now
      }
      return
    }
    if (turn === undefined) return
    switch (name) {
      case "turn_open":
        turn.openMs ??= now
        return
      case "commit":
      case "abort":
        // The first one counts; that there is one only is another's to check.
        if (turn.terminalMs !== undefined) return
        turn.outcome = name === "commit" ? "committed" : "aborted"
        turn.reason = reason
        turn.terminalMs = now
        if (name === "abort" && reason !== "cancelled") troubled(turn, `abort (${reason})`)
        return
      case "close":
        turn.closeMs ??= now
        return
      case "reject":
      case "defer":
      case "stale_epoch_reject":
      case "deauthorized_drain":
        if (turn.openMs !== undefined) return
        turn.outcome = name
        turn.reason = reason
        return
      default:
        return
    }
  }

  #told({ provider_invocation_id, reason, signal }: ControlSignal): string {
    const modality = this.#calls.get(provider_invocation_id ?? "")?.modality
    const about = [modality, reason].filter((part) => part !== undefined).join(" ")
    return about === "" ? signal : `${signal} (${about})`
  }

  #proposed({ provider_invocation_id, runtime_timestamp_ms: atMs }: ControlSignal): void {
    const recognition = this.#calls.get(provider_invocation_id ?? "")
    const spoken = provider_invocation_id !== undefined
    // A recogniser that tells where the pause was knows better than the last edge, which may be of what follows.
    const own = recognition?.speechEndMs !== undefined ? recognition : undefined
    this.#intents.push({
      atMs,
      spoken,
      recognition,
      speechEndMs: !spoken ? undefined : own === undefined ? this.#speechEndMs : own.speechEndMs,
      endpointMs: spoken ? this.#endpointMs : undefined,
      endpointDueMs: spoken ? this.#endpointDueMs : undefined,
      finalMs: spoken ? this.#finalMs : undefined
    })
    if (this.#intents.length > maxIntents) this.#intents.shift()
  }

  #transition(turnId: string, trigger: TurnTrigger, atMs: number): void {
    if (trigger === "turn_open_proposed") {
      this.#turns.set(turnId, draftOf(turnId, this.#intents.at(-1), atMs))
      if (this.#turns.size <= maxFollowedTurns) return
      for (const oldest of this.#turns.values()) return this.#finish(oldest)
      return
    }
    const turn = this.#turns.get(turnId)
    if (trigger === "turn_open") {
      this.#intents.length = 0
      const recognition = turn?.intent?.recognition
      if (recognition !== undefined) recognition.turn = turn
      return
    }
    if (turn === undefined || trigger === "commit" || trigger === "abort" || trigger === "close") return
    // Refused: what made way for a newer intent is the older one, everything else the newest.
    const waited = trigger === "reject" && (turn.reason === "superseded" || turn.reason === "session_ended")
    turn.intent = (waited ? this.#intents.shift() : this.#intents.pop()) ?? turn.intent
    if (turn.outcome === "open") turn.outcome = trigger satisfies RefusedOutcome
    this.#finish(turn)
  }

  #command(command: SessionCommand, now: number): void {
    switch (command.type) {
      case "start_invocation": {
        const call: Call = {
          modality: command.modality,
          startedMs: now,
          endedMs: undefined,
          failed: false,
          turn: undefined,
          tokenMs: undefined,
          segmentMs: undefined,
          speechEndMs: undefined
        }
        this.#calls.set(command.provider_invocation_id, call)
        const turn = command.turn_id === undefined ? undefined : this.#turns.get(command.turn_id)
        if (turn !== undefined) adopt(turn, call)
        if (this.#calls.size <= maxCalls) return
        for (const oldest of this.#calls.keys()) return void this.#calls.delete(oldest)
        return
      }
      case "mark_utterance": {
        const call = this.#calls.get(command.provider_invocation_id)
        if (call === undefined || command.mark === "end") return
        call.speechEndMs = command.mark === "resume" ? undefined : this.#pausedMs(now)
        return
      }
      case "arm_timer":
        if (command.timer === endpointTimer) this.#endpointDueMs = command.due_ms
        return
      case "pause_output": {
        const turn = this.#turns.get(command.turn_id)
        if (turn !== undefined) turn.heldFromMs ??= now
        return
      }
      case "resume_output": {
        const turn = this.#turns.get(command.turn_id)
        if (turn?.heldFromMs === undefined) return
        if (turn.playbackMs === undefined) turn.held.push([turn.heldFromMs, now])
        turn.heldFromMs = undefined
        return
      }
      case "seal_supplement": {
        const turn = this.#turns.get(command.turn_id)
        if (turn === undefined) return
        turn.sealed = true
        return this.#settle(turn)
      }
      default:
        return
    }
  }

  /** Where the speech before a pause ended: at the sample that voice activity named, or with what ends it otherwise. */
  #pausedMs(now: number): number | undefined {
    const ended = this.#cause === "push_to_talk" || this.#cause === "audio_ended" || this.#cause === utteranceTimer
    return ended ? now : this.#speechEndMs
  }

  #token(call: Call | undefined, now: number): void {
    if (call === undefined) return
    call.tokenMs ??= now
    if (call.turn !== undefined && !isCut(call.turn)) call.turn.tokenMs ??= now
  }

  #segment(call: Call | undefined, now: number): void {
    if (call === undefined) return
    call.segmentMs ??= now
    if (call.turn !== undefined && !isCut(call.turn)) call.turn.segmentMs ??= now
  }

  #chunk(call: Call | undefined, now: number): void {
    if (call?.turn !== undefined && !isCut(call.turn)) call.turn.chunkMs ??= now
  }

  #ended(facts: InvocationFacts, now: number): void {
    const call = this.#calls.get(facts.provider_invocation_id)
    this.#calls.delete(facts.provider_invocation_id)
    const failed = facts.outcome_class !== "success" && facts.outcome_class !== "cancelled"
    if (call !== undefined) {
      call.endedMs = now
      call.failed = failed
      if (call.turn !== undefined && call.modality !== "stt") call.turn.running--
    }
    const turn = call?.turn ?? this.#turns.get(facts.turn_id ?? "")
    if (turn === undefined) return
    turn.invocations.push(facts)
    if (failed && facts.modality !== "stt") troubled(turn, `call failed (${facts.modality} ${facts.outcome_class})`)
    this.#settle(turn)
  }

  /** Told when nothing more can come of it. */
  #settle(turn: Draft): void {
    if (turn.sealed && turn.running === 0 && (turn.fencedMs !== undefined || turn.played >= turn.segments)) {
      this.#finish(turn)
    }
  }

  #finish(turn: Draft): void {
    this.#turns.delete(turn.turnId)
    this.#done(pathOf(turn))
  }
}

const draftOf = (turnId: string, intent: Intent | undefined, transitionMs: number): Draft => ({
  turnId,
  intent,
  transitionMs,
  outcome: "open",
  reason: undefined,
  openMs: undefined,
  tokenMs: undefined,
  segmentMs: undefined,
  chunkMs: undefined,
  outputMs: undefined,
  playbackMs: undefined,
  cancelMs: undefined,
  fencedMs: undefined,
  terminalMs: undefined,
  closeMs: undefined,
  trouble: undefined,
  heldFromMs: undefined,
  held: [],
  calls: [],
  running: 0,
  invocations: [],
  segments: 0,
  played: 0,
  sealed: false
})

const isOpen = ({ closeMs, openMs }: Draft): boolean => openMs !== undefined && closeMs === undefined

/** What still comes of its calls is late, and nobody waits for it. */
const isCut = ({ cancelMs, fencedMs, terminalMs }: Draft): boolean =>
  cancelMs !== undefined || fencedMs !== undefined || terminalMs !== undefined

/** A call is the turn's from now on, with what has come of it. */
const adopt = (turn: Draft, call: Call): void => {
  call.turn = turn
  turn.calls.push(call)
  if (call.endedMs === undefined) turn.running++
  turn.tokenMs ??= call.tokenMs
  turn.segmentMs ??= call.segmentMs
}

/** What comes after the first output, or after the end of the turn, did not delay that output. */
const troubled = (turn: Draft, what: string): void => {
  if (turn.openMs === undefined || turn.outputMs !== undefined || turn.closeMs !== undefined) return
  turn.trouble ??= what
}

const timesOf = (turn: Draft): TurnTimes => {
  const { intent } = turn
  const times: { -readonly [T in keyof TurnTimes]: TurnTimes[T] } = {}
  const put = (name: keyof TurnTimes, ms: number | undefined): void => {
    if (ms !== undefined) times[name] = ms
  }
  put("speech_end_ms", intent?.speechEndMs)
  put("endpoint_ms", intent?.endpointMs)
  put("final_ms", intent?.finalMs)
  put("proposed_ms", intent?.atMs ?? turn.transitionMs)
  put("open_ms", turn.openMs)
  put("first_token_ms", turn.tokenMs)
  put("first_segment_ms", turn.segmentMs)
  put("first_chunk_ms", turn.chunkMs)
  put("first_output_ms", turn.outputMs)
  put("playback_ms", turn.playbackMs)
  put("cancel_ms", turn.cancelMs)
  put("fenced_ms", turn.fencedMs)
  put("terminal_ms", turn.terminalMs)
  put("close_ms", turn.closeMs)
  return times
}

const pathOf = (turn: Draft): TurnPath => {
  const { calls, held, intent, invocations, outcome, playbackMs, reason, trouble, turnId } = turn
  const at = timesOf(turn)
  const originMs = at.speech_end_ms ?? at.proposed_ms
  return {
    turn_id: turnId,
    spoken: intent?.spoken === true,
    outcome,
    ...(reason === undefined ? {} : { reason }),
    at,
    stages: stagesOf({ at, calls, held, endpointDueMs: intent?.endpointDueMs }),
    ...(playbackMs === undefined || originMs === undefined ? {} : { response_ms: Math.round(playbackMs - originMs) }),
    ...(trouble === undefined ? {} : { trouble }),
    invocations
  }
}

/** The critical path of every turn that a timeline proposed, in the order of the proposals. Pure. */
export const criticalPaths = (records: ReadonlyArray<TimelineRecord>): ReadonlyArray<TurnPath> => {
  const paths = new Map<string, TurnPath | undefined>()
  const fold = new CriticalPath((path) => {
    paths.set(path.turn_id, path)
  })
  for (const record of records) {
    if (record.record === "transition" && record.transition.trigger === "turn_open_proposed") {
      paths.set(record.turn_id, undefined)
    }
    fold.record(record)
  }
  fold.end()
  return [...paths.values()].filter((path) => path !== undefined)
}

/** Watches a live session and tells the critical path of each of its turns. What `done` throws is its own trouble: it must not. */
export const criticalPathObserver = (done: (path: TurnPath) => void): SessionObserver => {
  const fold = new CriticalPath(done)
  return {
    audio: (sampleIndex, _samples, nowMs) => fold.audio(sampleIndex, nowMs),
    input: (record) => fold.input(record),
    outputs: (outputs) => {
      for (const output of outputs) fold.output(output)
    },
    closed: () => fold.end()
  }
}
