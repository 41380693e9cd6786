import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import { completeSessionConfig } from "@rspp/contracts/SessionConfig"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { Turn } from "../turn/Turn.ts"

export const bargeInTimer = "barge_in"
export const falseAlarmTimer = "false_alarm"

/** Barge-in of one session. */
export interface SessionBargeIn {
  /** The caller speaks while `target` may still be heard: its output is paused at once. */
  readonly speechStarted: (target: Turn | undefined, onsetMs: number) => void
  /** The caller has fallen silent. The turn that is to be cancelled now, when the speech was long enough. */
  readonly speechEnded: (lastSpeechMs: number) => Turn | undefined
  /** The turn that is to be cancelled now, when the caller's speech has passed the threshold. */
  readonly thresholdPassed: () => Turn | undefined
  /** What the caller is saying, as far as it was recognised. The turn that is to be cancelled now that this is known. */
  readonly words: (handle: PayloadHandle) => Turn | undefined
  /** Nobody can tell any more what the caller says: the duration decides alone. The turn that is to be cancelled now. */
  readonly unheard: () => Turn | undefined
  /** Why something that was said over the agent's speech takes no turn; undefined when it takes one. */
  readonly passedOver: (handle: PayloadHandle) => "backchannel" | "too_few_words" | undefined
  /** It was a false alarm: output goes on where it stopped. */
  readonly falseAlarm: () => void
  /** The turn was fenced or has ended: there is nothing to pause or resume any more. */
  readonly forget: (turn: Turn) => void
  /** The session ends. */
  readonly close: () => void
}

/**
 * Barge-in (RK-16, soft cancel): the caller's speech pauses output at once and becomes a cancel when it is known to have
 * lasted `barge_in.min_ms`, from its first to its last sample. That is known when it has ended, or when it goes on for so
 * long that an end would have been noticed (`voice_activity.min_silence_ms` later); nothing plays meanwhile. A false
 * alarm resumes where output stopped, at the latest `barge_in.false_alarm_ms` after the caller fell silent.
 *
 * With `barge_in.min_words`, or words in `barge_in.backchannel`, the words count as well: the cut waits until so many
 * words of the utterance were recognised, and more than signs of attention. Speech over the agent that ends with less
 * than that takes no turn. When the recogniser is lost while the caller speaks, the duration decides alone.
 *
 * Guarantees: I-BARGE-ORDER pause, resume and cancel are ordered by the sequencer; nothing that was cleared returns
 * after a fence.
 */
export class BargeIn extends Context.Service<BargeIn, {
  /** `tell`: the turn's nodes that are at work may want to know. */
  readonly open: (
    context: KernelContext,
    gateway: SessionGateway,
    tell: (turn: Turn, notice: "barge_in" | "false_alarm") => void
  ) => SessionBargeIn
}>()("rspp/BargeIn") {
  static readonly layer = Layer.succeed(BargeIn, {
    open: (context, gateway, tell) => {
      const { barge_in: config } = completeSessionConfig(context.header.session_config)
      // Silence is noticed this much after it began: until then speech may have ended without anybody knowing.
      const noticeMs = context.header.session_config.voice_activity.min_silence_ms
      const wordsCount = config.min_words > 0 || config.backchannel.length > 0
      let target: Turn | undefined
      let speechOnsetMs = 0
      /** The speech has lasted `min_ms`. */
      let longEnough = false
      /** It said enough, or nobody can tell what it says. */
      let saidEnough = !wordsCount
      /** The utterance is lost: what is said next is another one, whose words count again. */
      let lost = false
      const forget = () => {
        target = undefined
        context.disarm(bargeInTimer)
        context.disarm(falseAlarmTimer)
      }
      const passedOver = (handle: PayloadHandle) => {
        if (config.backchannel.length > 0 && handle.facts?.backchannel === true) return "backchannel"
        return (handle.facts?.words ?? 0) < config.min_words ? "too_few_words" : undefined
      }
      const cut = () => longEnough && saidEnough ? target : undefined
      return {
        passedOver,
        speechStarted: (turn, onsetMs) => {
          if (!config.enabled) return
          if (target === undefined) {
            if (turn === undefined) return
            target = turn
            saidEnough = !wordsCount
            lost = false
            turn.paused = true
            context.command({ type: "pause_output", turn_id: turn.turnId })
            gateway.signal("barge_in", "RK-16", { turn_id: turn.turnId, reason: "speech_started" })
            tell(turn, "barge_in")
          }
          if (lost) saidEnough = !wordsCount
          lost = false
          longEnough = false
          context.disarm(falseAlarmTimer)
          speechOnsetMs = onsetMs
          const longEnoughMs = onsetMs + config.min_ms
          context.arm(bargeInTimer, longEnoughMs <= context.now ? context.now : longEnoughMs + noticeMs)
        },
        speechEnded: (lastSpeechMs) => {
          if (target === undefined) return undefined
          context.disarm(bargeInTimer)
          if (lastSpeechMs - speechOnsetMs >= config.min_ms) longEnough = true
          const turn = cut()
          if (turn === undefined) context.arm(falseAlarmTimer, context.now + config.false_alarm_ms)
          return turn
        },
        thresholdPassed: () => {
          longEnough = true
          return cut()
        },
        words: (handle) => {
          // A recogniser may take words back; until there are more again, it did not hear them.
          if (wordsCount) saidEnough = handle.length > 0 && passedOver(handle) === undefined
          return cut()
        },
        unheard: () => {
          saidEnough = true
          lost = true
          return cut()
        },
        falseAlarm: () => {
          const turn = target
          if (turn === undefined) return
          forget()
          turn.paused = false
          gateway.signal("barge_in", "RK-16", { turn_id: turn.turnId, reason: "false_alarm" })
          context.command({ type: "resume_output", turn_id: turn.turnId })
          tell(turn, "false_alarm")
        },
        forget: (turn) => {
          if (target === turn) forget()
        },
        close: forget
      }
    }
  })
}
