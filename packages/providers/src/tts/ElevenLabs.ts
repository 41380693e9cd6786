import * as Schema from "effect/Schema"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import type { Failures } from "../hosted/Failures.ts"
import { detailOf } from "../hosted/Failures.ts"
import { hedgeSetting } from "../hosted/Hedge.ts"
import { byDefault, hostedSettings, number, text } from "../hosted/Settings.ts"

/**
 * What both ways to ElevenLabs can be told.
 *
 * - `voice`: the id of a voice; by default the one of ElevenLabs' own examples.
 * - `language`: a language to speak, as ISO 639-1, for models that take one; by default the text's.
 * - `stability`, `similarity_boost`, `speed`: how it speaks; by default the voice's own.
 */
export const elevenLabsSettings = {
  ...hostedSettings({ base_url: "https://api.elevenlabs.io" }),
  ...hedgeSetting,
  model: byDefault(text, "eleven_flash_v2_5"),
  voice: byDefault(text, "JBFqnCBsd6RMkjVDRZzb"),
  language: Schema.optionalKey(text),
  stability: Schema.optionalKey(number(0, 1)),
  similarity_boost: Schema.optionalKey(number(0, 1)),
  speed: Schema.optionalKey(number(0.7, 1.2))
}

/** Where the settings come from in the environment. */
export const elevenLabsEnvironment = {
  api_key: "ELEVENLABS_API_KEY",
  voice: "ELEVENLABS_VOICE_ID",
  model: "ELEVENLABS_MODEL"
} as const

interface VoiceSettings {
  readonly stability?: number
  readonly similarity_boost?: number
  readonly speed?: number
}

/** The voice's settings as ElevenLabs wants them; undefined where all are the voice's own. */
export const voiceSettings = ({ similarity_boost, speed, stability }: VoiceSettings): VoiceSettings | undefined => {
  const given = {
    ...(stability === undefined ? {} : { stability }),
    ...(similarity_boost === undefined ? {} : { similarity_boost }),
    ...(speed === undefined ? {} : { speed })
  }
  return Object.keys(given).length === 0 ? undefined : given
}

/** What ElevenLabs says over a socket when it does not go on: its name of the error, or the reason of the close. */
export const elevenLabsFailure = (why: string, failures: Failures): ProviderFailure => {
  const said = `ElevenLabs said ${detailOf(why)}`
  if (/quota|api_key|api key|unauthori[sz]ed|permission|payment|subscription/iu.test(why)) {
    return failures.of("blocked", false, `${said}: check its key and its credit`)
  }
  if (/max_active|concurrent|simultaneous|too_many|rate_limit|busy|overloaded/iu.test(why)) {
    return failures.of("overload", true, said)
  }
  const isAskedWrong = /not_found|does_not_exist|invalid|unsupported|not_supported|limit_exceeded/iu.test(why)
  return failures.of("infrastructure_failure", !isAskedWrong, said)
}
