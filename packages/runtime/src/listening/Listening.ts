import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { SessionInvocations } from "../invocation/InvocationLedger.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import { samplesPerMs } from "../ports/AudioFrame.ts"

/** The timers of the prelude. */
export const endpointTimer = "endpoint"
export const utteranceTimer = "utterance_limit"

/** What the caller's speech came to. */
export type Heard =
  | { readonly kind: "speech_started"; readonly onsetMs: number }
  | { readonly kind: "speech_ended"; readonly lastSpeechMs: number }
  /** The caller's turn is over and says something. */
  | { readonly kind: "turn"; readonly handle: PayloadHandle; readonly recognition: string }
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
}

/** The prelude of one session. Each method returns what it came to, if anything. */
export interface SessionListening {
  readonly audio: (sampleIndex: number, samples: number) => void
  readonly edge: (edge: "speech_started" | "speech_ended", sampleIndex: number) => Heard | undefined
  readonly partial: (recognition: string) => void
  readonly final: (recognition: string, pauseId: number, handle: PayloadHandle) => Heard | undefined
  readonly endpoint: () => Heard | undefined
  readonly limit: () => Heard | undefined
  /** Whether the utterance of this call is still open: a final of any other one is late. */
  readonly isOpen: (recognition: string) => boolean
  /** The recogniser failed: the utterance is lost, and that is said. */
  readonly recognitionLost: (recognition: string) => boolean
  /** The caller's audio is over: what was said counts as ended. */
  readonly close: () => string | undefined
  readonly isSpeaking: () => boolean
}

/**
 * Listening (RK-02, the session prelude): turns voice-activity edges and transcripts into proposals of turns.
 *
 * Endpointing counts from the last speech sample, not from when voice activity noticed it. The recogniser is asked for
 * a final text as soon as the caller falls silent (early decode), so that at the endpoint it is usually there. A text
 * that is probably unfinished waits `unfinished_ms` instead of `min_ms`, never longer than `max_ms`.
 *
 * Guarantees: I-LISTEN-ONE each utterance ends in exactly one of a turn proposal, nothing heard, or a recorded loss.
 */
export class Listening extends Context.Service<Listening, {
  readonly open: (options: {
    readonly context: KernelContext
    readonly invocations: SessionInvocations
    readonly recogniserNode: string
  }) => SessionListening
}>()("rspp/Listening") {
  static readonly layer = Layer.succeed(Listening, {
    open: ({ context, invocations, recogniserNode }) => openListening(context, invocations, recogniserNode)
  })
}

const openListening = (
  context: KernelContext,
  invocations: SessionInvocations,
  recogniserNode: string
): SessionListening => {
  const { session_config: config, pipeline } = context.header
  const recogniser = pipeline.provider_bindings["stt"] ?? ""
  // The newest frame maps samples to session time, so that a stall of the media path does not skew positions for ever.
  let newestSample = 0
  let newestMs = 0
  let speaking = false
  let lastSpeechSample = 0
  let ordinal = 0
  let utterance: Utterance | undefined

  const sampleMs = (sample: number) => Math.max(0, Math.round(newestMs - (newestSample - sample) / samplesPerMs))

  const begin = (sampleIndex: number, prefixMs: number): Utterance => {
    const fromSample = Math.max(0, sampleIndex - prefixMs * samplesPerMs)
    const invocation = invocations.start({
      nodeId: recogniserNode,
      modality: "stt",
      provider: recogniser,
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
      cutSample: undefined
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
    current.lastSpeechMs = lastSpeechMs
    current.pauseId += 1
    mark(current, "pause")
    const invocation = invocations.get(current.recognition)
    if (invocation !== undefined) invocations.asked(invocation)
  }

  /** The caller went on past the length limit: what follows is the next utterance. */
  const goOn = (cutSample: number) => {
    const next = begin(cutSample, 0)
    if (speaking) return
    pause(next, Math.min(context.now, sampleMs(lastSpeechSample)))
    context.arm(endpointTimer, Math.max(context.now, next.lastSpeechMs + endpointDelay(undefined)))
  }

  const finish = (current: Utterance): Heard => {
    const handle = current.final
    mark(current, "end")
    context.disarm(endpointTimer)
    context.disarm(utteranceTimer)
    utterance = undefined
    if (current.cutSample !== undefined && lastSpeechSample > current.cutSample) goOn(current.cutSample)
    return handle === undefined || handle.length === 0
      ? { kind: "nothing" }
      : { kind: "turn", handle, recognition: current.recognition }
  }

  const endpointDelay = (handle: PayloadHandle | undefined): number => {
    const { endpointing } = config
    const wanted = handle?.facts?.complete === false ? endpointing.unfinished_ms : endpointing.min_ms
    return Math.min(wanted, endpointing.max_ms)
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
    edge: (edge, sampleIndex) => {
      if (edge === "speech_started") {
        speaking = true
        const current = utterance
        if (current === undefined) begin(sampleIndex, config.voice_activity.prefix_ms)
        else if (!current.speaking) {
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
        return { kind: "speech_started", onsetMs: Math.min(context.now, sampleMs(sampleIndex)) }
      }
      speaking = false
      lastSpeechSample = sampleIndex
      const current = utterance
      if (current !== undefined && current.speaking) {
        pause(current, Math.min(context.now, sampleMs(sampleIndex)))
        context.arm(endpointTimer, Math.max(context.now, current.lastSpeechMs + endpointDelay(undefined)))
      }
      return { kind: "speech_ended", lastSpeechMs: Math.min(context.now, sampleMs(sampleIndex)) }
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
      const due = current.lastSpeechMs + endpointDelay(handle)
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
    close: () => {
      const current = utterance
      if (current === undefined) return undefined
      context.disarm(endpointTimer)
      context.disarm(utteranceTimer)
      invocations.cancel(current.recognition, "session_ended")
      utterance = undefined
      return current.recognition
    }
  }
}
