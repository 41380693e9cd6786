import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { ProviderUsage } from "@rspp/runtime/ports/ProviderUsage"
import type { Speech } from "@rspp/runtime/ports/TextToSpeech"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Failures } from "../hosted/Failures.ts"
import { hedged } from "../hosted/Hedge.ts"

/** Longest text of one call, in characters: about five minutes of speech. Segments of a reply stay far below. */
export const maxTextChars = 4_000

/** Most sound of one call, in milliseconds: what goes beyond is not what was asked for. */
export const maxSoundMs = 600_000

/** A piece of a vendor's answer. */
export interface VoicePiece {
  /** 16 kHz mono, in a buffer of their own; may be none. */
  readonly samples: Int16Array
  /** How many UTF-16 units of the text have been spoken by the end of these samples; undefined when it is not known. */
  readonly saidChars?: number
}

/** Whether there is anything to say in a text; a vendor is not asked, and not paid, for what is not. */
const hasWords = (text: string): boolean => /[\p{L}\p{N}]/u.test(text)

/** What the port gives for a piece. */
const toPort = ({ saidChars, samples }: VoicePiece): Speech =>
  saidChars === undefined ? samples : { samples, spokenChars: saidChars }

/**
 * One call of `synthesise`: nothing for a text without words, `blocked` for one that is too long, else what `ask` gives,
 * with its use reported (characters each time that the vendor is asked, sound as it comes). `hedgeAfterMs`: see
 * {@link hedged}.
 */
export const voiceCall = (
  text: string,
  failures: Failures,
  ask: (text: string) => Stream.Stream<VoicePiece, ProviderFailure>,
  hedgeAfterMs?: number
): Stream.Stream<Speech, ProviderFailure> => {
  if (!hasWords(text)) return Stream.empty
  if (text.length > maxTextChars) {
    return Stream.fail(
      failures.of("blocked", false, `a segment of ${text.length} characters is longer than ${maxTextChars}`)
    )
  }
  const tooMuch = failures.of("infrastructure_failure", false, `more than ${maxSoundMs} ms of sound came for a segment`)
  return Stream.unwrap(
    Effect.map(ProviderUsage, (usage) => {
      let samples = 0
      let reportedMs = 0
      const sound = Stream.suspend(() => {
        usage.report({ characters: text.length })
        return Stream.filter(ask(text), (piece) => piece.samples.length > 0)
      })
      return hedged(hedgeAfterMs, sound).pipe(
        Stream.mapEffect((piece) => {
          samples += piece.samples.length
          const ms = Math.floor(samples / samplesPerMs)
          if (ms > maxSoundMs) return Effect.fail(tooMuch)
          usage.report({ audio_ms: ms - reportedMs })
          reportedMs = ms
          return Effect.succeed(toPort(piece))
        })
      )
    })
  )
}
