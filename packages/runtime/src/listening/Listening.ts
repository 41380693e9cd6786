import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { CommandOf } from "@rspp/contracts/SessionCommand"
import type { InputOf } from "@rspp/contracts/SessionInput"
import { completeSessionConfig } from "@rspp/contracts/SessionConfig"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { Circuits } from "../invocation/CircuitWatch.ts"
import type { SessionInvocations } from "../invocation/InvocationLedger.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import { samplesPerMs } from "../ports/AudioFrame.ts"
import { Endpointing } from "./Endpointing.ts"

/** The timers of the prelude. */
export const endpointTimer = "endpoint"
export const utteranceTimer = "utterance_limit"

/** What the caller's speech came to. */
export type Heard =
  | { readonly kind: "speech_started"; readonly onsetMs: number }
  | { readonly kind: "speech_ended"; readonly lastSpeechMs: number }
  /** The caller's turn is over and says something. */
  | {
    readonly kind: "turn"
    readonly handle: PayloadHandle
    readonly recognition: string
    /** Some of it was said while the agent spoke. */
    readonly overSpeech: boolean
  }
  /** The caller made a sound, but no words were heard. */
  | { readonly kind: "nothing" }

interface Utterance {
  readonly recognition: string
  readonly startSample: number
  lastSpeechMs: number
  pauseId: number
  speaking: boolean
  /** The endpoint has passed: only the recogniser is waited for. */
  awaiting: boolean
  final: PayloadHandle | undefined
  /** Where the length limit cut it: the next utterance goes on from there. */
  cutSample: number | undefined
  overSpeech: boolean
  /** What is known of the end-of-turn model's answer for this pause. */
  prediction: "not_asked" | "asked" | "none" | number
  /** Until when the endpoint waits for the answer. */
  predictionDueMs: number
}

/** The prelude of one session. Each method returns what it came to, if anything. */
export interface SessionListening {
  readonly audio: (sampleIndex: number, samples: number) => void
  /** `agentSpeaks`: whether speech of the agent may be heard at this moment. */
  readonly edge: (
    edge: "speech_started" | "speech_ended",
    sampleIndex: number,
    agentSpeaks: boolean
  ) => Heard | undefined
  /** The caller's key (push-to-talk). True when it begins or ends an utterance by that. */
  readonly key: (state: "pressed" | "released") => boolean
  /**
   * The caller takes back what it said since the press, and its key is up. Undefined when there was nothing to take back;
   * `recognition` is what was under way, unless that had been lost before.
   */
  readonly takeBack: () => { readonly recognition: string | undefined } | undefined
  /** The agent is heard: what the caller says next does not go on with what it said before. */
  readonly answered: () => void
  readonly predicted: (input: InputOf<"turn_prediction">) => void
  readonly partial: (recognition: string) => void
  readonly final: (recognition: string, pauseId: number, handle: PayloadHandle) => Heard | undefined
  readonly endpoint: () => Heard | undefined
  /** The utterance has reached `recognition.max_utterance_ms`: it is cut, which is told. */
  readonly limit: () => Heard | undefined
  /** Whether the utterance of this call is still open: a final of any other one is late. */
  readonly isOpen: (recognition: string) => boolean
  /** The recogniser failed: the utterance is lost, and that is said. */
  readonly recognitionLost: (recognition: string) => boolean
  /** The caller's audio is over: what was said counts as ended. */
  readonly close: () => string | undefined
  readonly isSpeaking: () => boolean
  /** An utterance is under way, or its text is waited for. */
  readonly isBusy: () => boolean
}

/**
 * Listening (RK-02, the session prelude): turns voice-activity edges and transcripts into proposals of turns.
 *
 * Endpointing counts from the last speech sample, not from when voice activity noticed it; how long it waits is the rule
 * of {@link Endpointing}. The recogniser is asked for a final text as soon as the caller falls silent (early decode), so
 * that at the endpoint it is usually there. Where `end_of_turn` is enabled the model is asked as soon as there is a final
 * text, and the endpoint waits for its answer up to `end_of_turn.timeout_ms`, never past `endpointing.max_ms`.
 *
 * With `turn_detection: push_to_talk` the caller's key alone begins and ends utterances: from the press, without a prefix,
 * to the release; then the turn is proposed as soon as the text is there. Voice activity does nothing. What was said since
 * the press can be taken back until then, which is a recorded loss.
 *
 * What was learned or predicted is told: a telemetry event `endpoint_<reason>` with the delay in ms as its `amount`
 * (absent: 0) comes before each proposal of a session with dynamic endpointing or an end-of-turn model.
 *
 * Guarantees: I-LISTEN-ONE each utterance ends in exactly one of a turn proposal, nothing heard, or a recorded loss.
 */
export class Listening extends Context.Service<Listening, {
  readonly open: (options: ListeningOptions) => SessionListening
}>()("rspp/Listening") {
  static readonly layer = Layer.succeed(Listening, { open: (options) => openListening(options) })
}

interface ListeningOptions {
  readonly context: KernelContext
  readonly gateway: SessionGateway
  readonly invocations: SessionInvocations
  readonly circuits: Circuits
  readonly recogniserNode: string
  /** The conversation so far, for the end-of-turn model. */
  readonly conversation: () => CommandOf<"predict_turn">["conversation"]
}

const openListening = (options: ListeningOptions): SessionListening => {
  const { circuits, context, gateway, invocations, recogniserNode } = options
  const { pipeline } = context.header
  const config = completeSessionConfig(context.header.session_config)
  const byKey = config.turn_detection === "push_to_talk"
  const tellsDelay = config.endpointing.mode === "dynamic" || config.end_of_turn.enabled
  const endpointing = new Endpointing(config)
  const recogniser = pipeline.provider_bindings["stt"] ?? ""
  const standIn = pipeline.provider_bindings["stt.fallback"]
  /** Whoever is bound, or its stand-in while its circuit is open; with none, it goes on: nobody else would listen. */
  const recogniserNow = (): string => {
    if (standIn === undefined || !context.behaves("trials") || circuits.stateOf(recogniser) !== "open") {
      return recogniser
    }
    return circuits.stateOf(standIn) === "open" ? recogniser : standIn
  }
  // The newest frame maps samples to session time, so that a stall of the media path does not skew positions for ever.
  let newestSample = 0
  let newestMs = 0
  let speaking = false
  let lastSpeechSample = 0
  let ordinal = 0
  let utterance: Utterance | undefined
  /** Where the last turn's speech ended, while nobody has answered it. */
  let unansweredMs: number | undefined

  const sampleMs = (sample: number) => Math.max(0, Math.round(newestMs - (newestSample - sample) / samplesPerMs))

  const begin = (sampleIndex: number, prefixMs: number): Utterance => {
    const fromSample = Math.max(0, sampleIndex - prefixMs * samplesPerMs)
    const invocation = invocations.start({
      nodeId: recogniserNode,
      modality: "stt",
      provider: recogniserNow(),
      work: `utterance_${++ordinal}`,
      fromSample
    })
    const begun: Utterance = {
      recognition: invocation.id,
      startSample: sampleIndex,
      lastSpeechMs: context.now,
      pauseId: 0,
      speaking: true,
      awaiting: false,
      final: undefined,
      cutSample: undefined,
      overSpeech: false,
      prediction: "not_asked",
      predictionDueMs: 0
    }
    utterance = begun
    context.arm(utteranceTimer, context.now + config.recognition.max_utterance_ms)
    return begun
  }

  const mark = (current: Utterance, kind: "pause" | "resume" | "end") =>
    context.command({
      type: "mark_utterance",
      provider_invocation_id: current.recognition,
      mark: kind,
      ...(kind === "pause" ? { pause_id: current.pauseId } : {})
    })

  const pause = (current: Utterance, lastSpeechMs: number) => {
    current.speaking = false
    current.awaiting = false
    current.final = undefined
    current.prediction = "not_asked"
    current.lastSpeechMs = lastSpeechMs
    current.pauseId += 1
    mark(current, "pause")
    const invocation = invocations.get(current.recognition)
    if (invocation !== undefined) invocations.asked(invocation)
  }

  const resume = (current: Utterance) => {
    current.speaking = true
    current.awaiting = false
    current.final = undefined
    current.cutSample = undefined
    context.disarm(endpointTimer)
    // Past its length already: it is cut here, and what follows is the next utterance.
    if (!context.isArmed(utteranceTimer)) context.arm(utteranceTimer, context.now)
    const invocation = invocations.get(current.recognition)
    if (invocation !== undefined) invocations.resulted(invocation, false)
    mark(current, "resume")
  }

  const delayOf = ({ final, prediction }: Utterance) =>
    endpointing.delay(final, typeof prediction === "number" ? prediction : undefined)

  /** When the endpoint of the pause is, as far as is known now. */
  const endpointMs = (current: Utterance): number => {
    const due = current.lastSpeechMs + delayOf(current).ms
    return current.prediction === "asked" ? Math.max(due, current.predictionDueMs) : due
  }

  /** The caller went on past the length limit: what follows is the next utterance. */
  const goOn = (cutSample: number) => {
    const next = begin(cutSample, 0)
    if (speaking) return
    pause(next, Math.min(context.now, sampleMs(lastSpeechSample)))
    context.arm(endpointTimer, Math.max(context.now, endpointMs(next)))
  }

  const finish = (current: Utterance): Heard => {
    const handle = current.final
    if (current.prediction === "asked") tell(current, "turn_prediction_missing")
    if (tellsDelay && current.cutSample === undefined) {
      const { ms, reason } = delayOf(current)
      tell(current, `endpoint_${reason}`, ms)
    }
    mark(current, "end")
    context.disarm(endpointTimer)
    context.disarm(utteranceTimer)
    utterance = undefined
    if (current.cutSample !== undefined && lastSpeechSample > current.cutSample) goOn(current.cutSample)
    if (handle === undefined || handle.length === 0) return { kind: "nothing" }
    unansweredMs = current.lastSpeechMs
    return { kind: "turn", handle, recognition: current.recognition, overSpeech: current.overSpeech }
  }

  const tell = (current: Utterance, reason: string, amount = 0) =>
    gateway.event({
      lane: "DataLane",
      payload_class: "metadata",
      provider_invocation_id: current.recognition,
      reason,
      ...(amount > 0 ? { amount } : {})
    })

  /** Asks the end-of-turn model about this pause, once. */
  const ask = (current: Utterance, handle: PayloadHandle) => {
    current.prediction = "asked"
    current.predictionDueMs = Math.min(
      context.now + config.end_of_turn.timeout_ms,
      current.lastSpeechMs + config.endpointing.max_ms
    )
    context.command({
      type: "predict_turn",
      provider_invocation_id: current.recognition,
      pause_id: current.pauseId,
      timeout_ms: config.end_of_turn.timeout_ms,
      conversation: [
        ...options.conversation(),
        { role: "user", parts: [{ handle_id: handle.id, chars: handle.length }] }
      ]
    })
  }

  /** Nobody waits for the utterance any more. */
  const drop = (reason: string): string | undefined => {
    const current = utterance
    if (current === undefined) return undefined
    context.disarm(endpointTimer)
    context.disarm(utteranceTimer)
    invocations.cancel(current.recognition, reason)
    utterance = undefined
    return current.recognition
  }

  return {
    audio: (sampleIndex, samples) => {
      newestSample = sampleIndex + samples
      // A frame arrives when its last sample has been spoken.
      newestMs = context.now
      if (speaking) lastSpeechSample = newestSample
    },
    isSpeaking: () => speaking,
    isOpen: (recognition) => utterance?.recognition === recognition,
    isBusy: () => utterance !== undefined,
    answered: () => {
      unansweredMs = undefined
    },
    edge: (edge, sampleIndex, agentSpeaks) => {
      if (byKey) return undefined
      if (edge === "speech_started") {
        speaking = true
        const onsetMs = Math.min(context.now, sampleMs(sampleIndex))
        const current = utterance
        if (current === undefined) {
          // The turn was proposed too early, as it turns out: this pause was one within what the caller says.
          if (unansweredMs !== undefined) endpointing.paused(Math.max(0, onsetMs - unansweredMs))
          begin(sampleIndex, config.voice_activity.prefix_ms).overSpeech = agentSpeaks
        } else if (!current.speaking) {
          endpointing.paused(Math.max(0, onsetMs - current.lastSpeechMs))
          current.overSpeech ||= agentSpeaks
          resume(current)
        }
        unansweredMs = undefined
        return { kind: "speech_started", onsetMs }
      }
      speaking = false
      lastSpeechSample = sampleIndex
      const current = utterance
      if (current !== undefined && current.speaking) {
        pause(current, Math.min(context.now, sampleMs(sampleIndex)))
        context.arm(endpointTimer, Math.max(context.now, endpointMs(current)))
      }
      return { kind: "speech_ended", lastSpeechMs: Math.min(context.now, sampleMs(sampleIndex)) }
    },
    key: (state) => {
      const pressed = state === "pressed"
      if (!byKey || pressed === speaking) return false
      speaking = pressed
      const current = utterance
      if (pressed) {
        if (current === undefined) begin(newestSample, 0)
        else resume(current)
        return true
      }
      lastSpeechSample = newestSample
      if (current !== undefined && current.speaking) {
        pause(current, context.now)
        context.arm(endpointTimer, context.now)
      }
      return true
    },
    predicted: (input) => {
      const current = utterance
      // The caller went on meanwhile, or the endpoint has passed: the answer is of no use any more.
      if (current?.recognition !== input.provider_invocation_id || input.pause_id !== current.pauseId) return
      if (current.prediction !== "asked") return
      current.prediction = input.percent ?? "none"
      if (input.percent === undefined) tell(current, `turn_prediction_failed: ${input.reason ?? "unknown"}`)
      context.arm(endpointTimer, Math.max(context.now, endpointMs(current)))
    },
    partial: (recognition) => {
      const invocation = invocations.get(recognition)
      if (invocation !== undefined) invocations.resulted(invocation, true)
    },
    final: (recognition, pauseId, handle) => {
      const current = utterance
      if (current === undefined || current.recognition !== recognition) return undefined
      if (current.speaking || pauseId !== current.pauseId) return undefined
      const invocation = invocations.get(recognition)
      if (invocation !== undefined) invocations.resulted(invocation)
      current.final = handle
      const asks = config.end_of_turn.enabled && !byKey && handle.length > 0 && current.cutSample === undefined
      if (asks && current.prediction === "not_asked") ask(current, handle)
      const due = endpointMs(current)
      if (current.awaiting && due <= context.now) return finish(current)
      current.awaiting = false
      context.arm(endpointTimer, Math.max(context.now, due))
      return undefined
    },
    endpoint: () => {
      const current = utterance
      if (current === undefined || current.speaking) return undefined
      if (current.final !== undefined) return finish(current)
      current.awaiting = true
      return undefined
    },
    limit: () => {
      const current = utterance
      if (current === undefined || !current.speaking) return undefined
      if (context.behaves("turnTaking")) tell(current, "utterance_limit", config.recognition.max_utterance_ms)
      pause(current, context.now)
      current.cutSample = newestSample
      current.awaiting = true
      return undefined
    },
    recognitionLost: (recognition) => {
      if (utterance?.recognition !== recognition) return false
      context.disarm(endpointTimer)
      context.disarm(utteranceTimer)
      utterance = undefined
      return true
    },
    takeBack: () => {
      if (!byKey || (!speaking && utterance === undefined)) return undefined
      speaking = false
      return { recognition: drop("taken_back") }
    },
    close: () => drop("session_ended")
  }
}
