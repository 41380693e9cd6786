import { layer as controlPlaneFeed } from "@rspp/cli/ControlPlaneFeed"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import type { Recorder } from "@rspp/runtime/ports/Recorder"
import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import type { Transport } from "@rspp/runtime/ports/Transport"
import { Session } from "@rspp/runtime/session/Session"
import { Effect, Layer, Stream } from "effect"
import * as Scripted from "@rspp/providers/scripted/ScriptedProviders"
import * as ScriptedVoiceActivity from "@rspp/providers/scripted/ScriptedVoiceActivity"

/** A sound of one pitch: scripted voice activity takes it for speech, and codecs leave it as it is. */
export const tone = (hz: number, ms: number, peak = 8000, from = 0): Int16Array =>
  Int16Array.from({ length: ms * 16 }, (_, i) => Math.round(peak * Math.sin((2 * Math.PI * hz * (from + i)) / 16_000)))

/** A voice that can be heard behind a codec: a hum of 250 Hz, 40 ms a character, in chunks of 100 ms. */
const hum = (chunkMs: number) =>
  Layer.succeed(TextToSpeech, {
    descriptor: { provider_id: "scripted/tts", modality: "tts" },
    synthesise: (text) =>
      Stream.range(0, Math.max(0, Math.round((text.length * 40) / 100) - 1)).pipe(
        Stream.mapEffect((chunk) => Effect.as(Effect.sleep(chunkMs), tone(250, 100, 6000, chunk * 1600)))
      )
  })

/** How long scripted providers take, ms. */
export interface ProviderTimes {
  readonly recogniserMs: number
  readonly modelMs: number
  readonly voiceMs: number
}

/** A session in a room, with scripted providers; what is missing is the room and a recorder. */
export const roomSession = (
  spec: NormalizedSpec,
  call: { readonly heard: ReadonlyArray<string>; readonly replies: ReadonlyArray<string> },
  { modelMs, recogniserMs, voiceMs }: ProviderTimes
): Layer.Layer<Session, never, Recorder | Transport> =>
  Session.layer.pipe(
    Layer.provide(ProviderManager.layerNoDeps),
    Layer.provide([
      Scripted.recogniser(call.heard, recogniserMs),
      Scripted.model(call.replies, modelMs, modelMs),
      hum(voiceMs),
      Scripted.segmenter,
      ScriptedVoiceActivity.layer,
      controlPlaneFeed(spec).pipe(
        Layer.provide([ControlPlane.layerMemory(), LeaseAuthority.layerMemory()]),
        Layer.provide(LeaseTokens.layerSeeded(7))
      )
    ])
  )
