import { afterAll, assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, ManagedRuntime, Stream } from "effect"
import { mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as RuleAgent from "@rspp/providers/llm/RuleAgent"
import { ProvidersConfig } from "@rspp/providers/ProvidersConfig"
import { Segmenter } from "@rspp/providers/Segmenter"
import * as MoonshineDecoder from "@rspp/providers/stt/MoonshineDecoder"
import * as MoonshineSpeechToText from "@rspp/providers/stt/MoonshineSpeechToText"
import * as FliteTextToSpeech from "@rspp/providers/tts/FliteTextToSpeech"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import { samplesOf, TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import { audio, speechToTextConformance } from "./conformance/SpeechToText.ts"
import { concat, noise, readRecording, tone, transcripts } from "./support/Wav.ts"
import { wordErrors, wordsOf } from "./support/WordErrors.ts"

// Loaded once for the file: it takes seconds.
const loaded = ManagedRuntime.make(MoonshineSpeechToText.layer)
const moonshine = Layer.effectContext(loaded.contextEffect)
afterAll(() => loaded.dispose())

speechToTextConformance({
  name: "Moonshine",
  layer: moonshine,
  speech: readRecording("goforward.wav"),
  word: /forward/iu,
  partials: true
})

/** The final text of some audio. */
const hear = Effect.fnUntraced(function*(samples: Int16Array) {
  const stt = yield* SpeechToText
  const results = yield* Stream.runCollect(
    stt.recognise(Stream.fromIterable([...audio(samples), { _tag: "End" }]), { partialIntervalMs: 60_000 })
  )
  const last = results.at(-1)
  return last?._tag === "Final" ? last : yield* Effect.die(new Error("no final"))
})

const embedded = Layer.mergeAll(moonshine, FliteTextToSpeech.layer, RuleAgent.layer)

layer(embedded, { excludeTestServices: true, timeout: "1 minute" })("embedded speech", (it) => {
  it.effect(
    "hears all recordings with at most 20 % word errors, and each prompt gets its reply",
    () =>
      Effect.gen(function*() {
        const agent = yield* LanguageModel
        const openings: Record<string, RegExp> = {
          "goforward.wav": /^Okay, I will go forward (?:ten|10) met/u,
          "something.wav": /^All right\. Where should I go/u,
          "vm-savefolder.wav": /^There are a few good places/u,
          "conf-getpin.wav": /conference number/u,
          "demo-thanks.wav": /^Goodbye/u,
          "librivox-0880.wav": /kind thing to say/u
        }
        let errors = 0
        let words = 0
        for (const [name, transcript] of Object.entries(transcripts)) {
          const { text } = yield* hear(readRecording(name))
          errors += wordErrors(wordsOf(transcript), wordsOf(text))
          words += wordsOf(transcript).length
          const reply = (yield* Stream.runCollect(agent.reply([{ role: "user", text }]))).join("")
          assert.match(reply, openings[name] ?? /^I heard you say this\. .+ Please tell me more about it\.$/u)
        }
        assert.isAtMost(errors / words, 0.2, `${errors} errors in ${words} words`)
      }),
    40_000
  )

  it.effect("speaks every reply so that it is understood, with at most 10 % word errors", () =>
    Effect.gen(function*() {
      const tts = yield* TextToSpeech
      const rules = yield* RuleAgent.check.pipe(Effect.provide(ProvidersConfig.layer))
      const values: Record<string, string> = {
        direction: "forward",
        distance: "ten",
        unit: "meters",
        text: "He was a young man."
      }
      const replies = [rules.otherwise, rules.nothingHeard, ...rules.rules].flatMap((rule) => rule.replies)
        .map((reply) => reply.replace(/\{(\w+)\}/gu, (_, name: string) => values[name]!))
      let errors = 0
      let words = 0
      let longest = 0
      for (const reply of replies) {
        const segmenter = new Segmenter()
        const voice: Array<Int16Array> = []
        let samples = 0
        let heard = ""
        const flush = Effect.gen(function*() {
          if (voice.length > 0) heard += ` ${(yield* hear(concat(...voice.splice(0)))).text}`
        })
        for (const segment of [...segmenter.push(reply), segmenter.flush()]) {
          const spoken = concat(...(yield* Stream.runCollect(Stream.map(tts.synthesise(segment ?? ""), samplesOf))))
          // The recogniser takes 20 s at a time.
          if (concat(...voice, spoken).length > 18 * 16_000) yield* flush
          voice.push(spoken)
          samples += spoken.length
        }
        yield* flush
        const wrong = wordErrors(wordsOf(reply), wordsOf(heard))
        assert.isAtMost(wrong / wordsOf(reply).length, 0.1, `${reply} | ${heard}`)
        errors += wrong
        words += wordsOf(reply).length
        longest = Math.max(longest, samples)
      }
      assert.isAtMost(errors / words, 0.05)
      // The reply that a caller can cut in the demonstration.
      assert.isAtLeast(longest / 16_000, 15)
    }), 60_000)

  it.effect("invents nothing from noise and tones", () =>
    Effect.gen(function*() {
      for (const sound of [noise(2_000, 2_000), tone(2_000, 440, 8_000)]) {
        assert.strictEqual((yield* hear(sound)).text, "")
      }
    }))

  it.effect("keeps at most 20 s, and the event loop free while it decodes them", () =>
    Effect.gen(function*() {
      const long = concat(...Object.keys(transcripts).map(readRecording), readRecording("goforward.wav"))
      assert.isAbove(long.length / 16, MoonshineSpeechToText.maxUtteranceMs + 2_000)
      const delay = monitorEventLoopDelay({ resolution: 5 })
      const startedMs = performance.now()
      delay.enable()
      const { text } = yield* hear(long)
      delay.disable()
      // Nearly all of this time is one decode of 20 s; on the main thread it would show as one delay as long as that.
      assert.isBelow(delay.max / 1e6, (performance.now() - startedMs) / 2)
      assert.notMatch(text, /forward/iu)
      assert.match(text, /./u)
    }), 20_000)

  it.effect("makes one recogniser of the process serve several callers", () =>
    Effect.gen(function*() {
      const texts = yield* Effect.all(
        ["goforward.wav", "something.wav", "conf-getpin.wav"].map((name) => hear(readRecording(name))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(texts.map(({ text }) => /forward|somewhere|conference/iu.exec(text)?.[0]), [
        "forward",
        "somewhere",
        "conference"
      ])
    }))
})

describe("Moonshine's files", () => {
  it.live("are checked: a different one is refused by name before it is used", () =>
    Effect.gen(function*() {
      const folder = mkdtempSync(join(tmpdir(), "rspp-models-"))
      const installed = MoonshineDecoder.modelFolder()
      for (const size of ["base", "tiny"]) {
        mkdirSync(join(folder, size, "quantized"), { recursive: true })
        for (const file of readdirSync(join(installed, size, "quantized"))) {
          const path = join(folder, size, "quantized", file)
          if (size === "tiny" && file.startsWith("encoder")) writeFileSync(path, "not a model")
          else symlinkSync(join(installed, size, "quantized", file), path)
        }
      }
      const error = yield* Effect.flip(
        MoonshineDecoder.make(folder).pipe(Effect.provide(ProvidersConfig.layer), Effect.scoped)
      )
      assert.match(error.message, /tiny\/quantized\/encoder_model\.onnx has SHA-256 [0-9a-f]{64}, expected c6fc4b/u)
      assert.match(error.remedy, /npm install/u)
    }))
})
