import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import { measured } from "@rspp/runtime/ports/MeasuredWork"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { sha256Of } from "../internal/Sha256.ts"
import { loadSherpa } from "../internal/Sherpa.ts"
import type { SherpaRecognizer } from "../internal/Sherpa.ts"
import { ProvidersConfig } from "../ProvidersConfig.ts"
import { ProviderUnavailable } from "../ProviderUnavailable.ts"
import { tokensFile } from "./MoonshineTokens.ts"

export const providerId = "embedded/moonshine"

/** Moonshine base is given this much silence before and after the speech: without it words at the edges get lost. */
const paddingSamples = 0.3 * sampleRateHz

/** Audio below this length holds no word; the model cannot take an empty one. */
const minSamples = 0.1 * sampleRateHz

/**
 * Finals and partials that decode at the same time in the whole process. Each takes one thread of Node's pool of four;
 * the rest stays free for files. Finals wait for one another, partials are skipped instead.
 */
const concurrentFinals = 2
const concurrentPartials = 1

/** The model files by name and size, with the SHA-256 of those that were tested. */
export const modelFiles = {
  base: {
    encoder_model: "1dd9ab0a7f987113d30affcba5a068d11c8f90fa0223caa3e491ade431ad9751",
    decoder_model_merged: "cc9f3cd6698a369c6008b41aa60aa3fb3322e7f03c9bdf19d8e6b7200afca4f3"
  },
  tiny: {
    encoder_model: "c6fc4b7bc5af75c0591fd157a1f3829b533d18e9769a888fd95a62e470dd4f4a",
    decoder_model_merged: "eed87831c3a6103534aae7d47a5d485025c659a1323901513961c39fe8a1a367"
  }
} as const

type Size = keyof typeof modelFiles

/** The folder with `base/` and `tiny/`; throws when the package is not installed. The package itself is never imported. */
export const modelFolder = (): string =>
  join(dirname(fileURLToPath(import.meta.resolve("@usefulsensors/moonshine-js"))), "model")

/** The path of one model file. */
export const modelPath = (folder: string, size: Size, file: keyof typeof modelFiles[Size]): string =>
  join(folder, size, "quantized", `${file}.onnx`)

const verify = async (folder: string, size: Size): Promise<void> => {
  for (const [file, expected] of Object.entries(modelFiles[size])) {
    const path = modelPath(folder, size, file as keyof typeof modelFiles[Size])
    const actual = await sha256Of(path)
    if (actual !== expected) throw new Error(`${path} has SHA-256 ${actual}, expected ${expected}`)
  }
}

const load = (folder: string, tokens: string, size: Size): Promise<SherpaRecognizer> =>
  loadSherpa().OfflineRecognizer.createAsync({
    featConfig: { sampleRate: sampleRateHz, featureDim: 80 },
    modelConfig: {
      moonshine: {
        encoder: modelPath(folder, size, "encoder_model"),
        mergedDecoder: modelPath(folder, size, "decoder_model_merged")
      },
      tokens,
      // Two threads are slower on models of this size.
      numThreads: 1,
      debug: 0
    }
  })

const unavailable = (cause: unknown) =>
  new ProviderUnavailable({
    provider_id: providerId,
    message: `The recogniser cannot run: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: "Run npm install; if it says that a SHA-256 differs, remove node_modules first",
    cause
  })

/** The models' folder and the token file, after a check that they are the tested files and that the engine loads. */
export const check = Effect.fnUntraced(function*(folder?: string) {
  const { cacheDir } = yield* ProvidersConfig
  return yield* Effect.tryPromise({
    try: async () => {
      const models = folder ?? modelFolder()
      const [tokens] = await Promise.all([tokensFile(cacheDir), verify(models, "base"), verify(models, "tiny")])
      loadSherpa()
      return { models, tokens }
    },
    catch: unavailable
  })
})

const toFloat = (samples: Int16Array, padding: number): Float32Array => {
  const wave = new Float32Array(samples.length + 2 * padding)
  for (let index = 0; index < samples.length; index++) wave[padding + index] = samples[index]! / 32_768
  return wave
}

/** The two recognisers of a process, and the order in which they work. */
export interface MoonshineDecoder {
  /** The text of 16 kHz samples by the base model; empty when nothing was heard. Measured work. */
  readonly final: (samples: Int16Array) => Effect.Effect<string, ProviderFailure>
  /** The text by the tiny model, or undefined when another partial is being decoded. Measured work. */
  readonly partial: (samples: Int16Array) => Effect.Effect<string | undefined, ProviderFailure>
}

/**
 * Loads Moonshine base and tiny (1–2 s, 200 MB), after checking their files; fails with {@link ProviderUnavailable}.
 *
 * Decoding runs on Node's thread pool and leaves the event loop free. A decode whose fiber is interrupted runs to its
 * end there, and its result is dropped. `folder` is for tests.
 */
export const make = Effect.fnUntraced(function*(folder?: string) {
  const { models, tokens } = yield* check(folder)
  const [base, tiny] = yield* Effect.tryPromise({
    try: () => Promise.all([load(models, tokens, "base"), load(models, tokens, "tiny")]),
    catch: unavailable
  })

  const decode = (recognizer: SherpaRecognizer, samples: Int16Array, padding: number) =>
    Effect.tryPromise({
      try: async () => {
        const stream = recognizer.createStream()
        stream.acceptWaveform({ samples: toFloat(samples, padding), sampleRate: sampleRateHz })
        return (await recognizer.decodeAsync(stream)).text.trim()
      },
      catch: (cause) =>
        new ProviderFailure({
          provider_id: providerId,
          outcome_class: "infrastructure_failure",
          retryable: true,
          message: "The recogniser failed while decoding",
          cause
        })
    })

  const finals = yield* Semaphore.make(concurrentFinals)
  const partials = yield* Semaphore.make(concurrentPartials)
  const decoder: MoonshineDecoder = {
    final: (samples) =>
      samples.length < minSamples
        ? Effect.succeed("")
        : measured(finals.withPermits(1)(decode(base, samples, paddingSamples))),
    partial: (samples) =>
      samples.length < minSamples
        ? Effect.succeed("")
        : Effect.map(
          partials.withPermitsIfAvailable(1)(measured(decode(tiny, samples, 0))),
          (result) => result._tag === "Some" ? result.value : undefined
        )
  }
  return decoder
})
