import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { reportUsage } from "@rspp/runtime/ports/ProviderUsage"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { draw } from "../Latency.ts"
import type { RandomStream } from "../RandomStreams.ts"
import { drawCallFaults, slowToCancel } from "./CallFaults.ts"
import type { SimCall } from "./SimCall.ts"
import { connected } from "./SimConnection.ts"
import { wordText } from "./SpeechBook.ts"

const ends = [". ", ". ", ". ", "? ", "! "] as const

/** A reply as its words. Each sentence begins with the number of the reply, so that its voice can be told. */
const replyWords = (
  reply: number,
  sentences: number,
  stream: RandomStream,
  pinned: ReadonlyArray<number> | undefined
): ReadonlyArray<string> => {
  const words: Array<string> = []
  for (let sentence = 0; sentence < sentences; sentence++) {
    words.push(`r${reply} `)
    const count = pinned?.[sentence] ?? stream.between(1, 8)
    for (let i = 1; i <= count; i++) {
      words.push(`${wordText(stream.below(1000))}${i === count ? stream.pick(ends) : " "}`)
    }
  }
  return words
}

/**
 * A language model that streams a made-up reply word by word, with the time to first token and the speed of a real one
 * (see `Latency.ts`), and what goes wrong with real ones.
 */
export const model = (call: SimCall, provider_id: string): LanguageModel["Service"] =>
  LanguageModel.of({
    descriptor: { provider_id, modality: "llm" },
    reply: (messages) => {
      const { scenario, streams, truth } = call
      const reply = truth.nextReply()
      const own = drawCallFaults(call, provider_id)
      const stream = streams.of("provider/llm")
      const pinned = scenario.reply?.sentences
      const sentences = pinned?.length ?? stream.between(1, scenario.replySentences)
      const words = own.empty ? [] : replyWords(reply, sentences, stream, pinned)
      const firstMs = draw(scenario.latencies.llm.firstMs, stream) + own.slowMs
      // Vendors send a few tokens at a time.
      const gapMs = Math.max(1, Math.round(scenario.latencies.llm.perTokenMs * 1.4))
      const read = { input_tokens: messages.reduce((sum, { text }) => sum + text.split(" ").length, 0) }
      let at = 0
      const next = Effect.suspend((): Effect.Effect<ReadonlyArray<string>, ProviderFailure> => {
        if (at === 0 && own.fails !== undefined) return Effect.andThen(Effect.sleep(30), own.fails)
        if (own.truncated !== undefined && at >= own.truncated.after) {
          at = Math.max(1, words.length)
          return Effect.as(own.truncated.how, [])
        }
        const waitMs = at === 0 ? firstMs : own.burst ? 0 : gapMs
        const stallMs = own.stall !== undefined && at === own.stall.after ? own.stall.ms : 0
        const word = words[at]
        at++
        const some = word === undefined ? [] : [word]
        const given = waitMs + stallMs <= 0 ? Effect.succeed(some) : Effect.as(Effect.sleep(waitMs + stallMs), some)
        // What it read is known at once, what it wrote when it has.
        if (at === 1) return Effect.andThen(reportUsage(own.hedged ? { attempts: 1, ...read } : read), given)
        return at < words.length ? given : Effect.tap(given, reportUsage({ output_tokens: words.length }))
      })
      return connected(
        call,
        Stream.flattenIterable(
          Stream.fromEffectRepeat(slowToCancel(own.cancelMs)(next)).pipe(
            Stream.takeUntil(() => at >= Math.max(1, words.length))
          )
        )
      )
    }
  })
