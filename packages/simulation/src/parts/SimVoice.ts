import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { reportUsage } from "@rspp/runtime/ports/ProviderUsage"
import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { draw } from "../Latency.ts"
import { drawCallFaults, slowToCancel } from "./CallFaults.ts"
import type { SimCall } from "./SimCall.ts"
import { connected } from "./SimConnection.ts"
import { replyOfText, soundOfReply } from "./Truth.ts"

/** Time that a character takes to say, in ms: about 160 words a minute. */
const msPerCharacter = 65

/**
 * A voice: speaks a text in chunks, the first after the time to first audio of a real one (see `Latency.ts`), the others
 * two to ten times faster than they play. Its samples say which reply they speak.
 */
export const voice = (call: SimCall, provider_id: string): TextToSpeech["Service"] =>
  TextToSpeech.of({
    descriptor: { provider_id, modality: "tts" },
    synthesise: (text) => {
      const { scenario, streams } = call
      const own = drawCallFaults(call, provider_id)
      const stream = streams.of("provider/tts")
      const sound = soundOfReply(replyOfText(text))
      const chunkMs = scenario.reply?.chunkMs ?? stream.pick([20, 40, 100, 100, 200, 2000])
      const factor = scenario.reply?.factor ?? stream.between(10, 50) / 100
      const firstMs = draw(scenario.latencies.tts.firstMs, stream) + own.slowMs
      let leftMs = own.empty ? 0 : Math.max(60, text.length * msPerCharacter)
      let given = 0
      const next = Effect.suspend((): Effect.Effect<ReadonlyArray<Int16Array>, ProviderFailure> => {
        if (given === 0 && own.fails !== undefined) return Effect.andThen(Effect.sleep(30), own.fails)
        if (own.truncated !== undefined && given >= own.truncated.after) {
          leftMs = 0
          return Effect.as(own.truncated.how, [])
        }
        const waitMs = given === 0 ? firstMs : own.burst ? 0 : chunkMs * factor
        const stallMs = own.stall !== undefined && given === own.stall.after ? own.stall.ms : 0
        const ms = Math.min(chunkMs, leftMs)
        leftMs -= ms
        given++
        const chunks = ms <= 0 ? [] : [new Int16Array(Math.round(ms * samplesPerMs)).fill(sound)]
        const spoken = waitMs + stallMs <= 0
          ? Effect.succeed(chunks)
          : Effect.as(Effect.sleep(waitMs + stallMs), chunks)
        return given === 1 ? Effect.andThen(reportUsage({ characters: text.length }), spoken) : spoken
      })
      return connected(
        call,
        Stream.flattenIterable(
          Stream.fromEffectRepeat(slowToCancel(own.cancelMs)(next)).pipe(Stream.takeUntil(() => leftMs <= 0))
        )
      )
    }
  })
