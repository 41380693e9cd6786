import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import type { RecognitionInput } from "@rspp/runtime/ports/SpeechToText"
import { samplesOf } from "@rspp/runtime/ports/TextToSpeech"
import { Effect, Scope, Stream } from "effect"
import type { Adapter, HostedModality, HostedPorts, HostedSettings } from "@rspp/providers/Adapter"
import type { GivenSettings } from "@rspp/providers/hosted/Instance"
import { makeInstance } from "@rspp/providers/hosted/Instance"
import type { ProtocolServer } from "../../servers/ProtocolServer.ts"
import type { Driven, Output } from "./HostedCase.ts"

/** What the servers answer with, where the answer is words. */
export const usualAnswer = "Good morning. The office is open from nine to five."

/** An adapter in the table: its server, and the settings that it needs besides the address and the key. */
export interface HostedEntry {
  readonly name: string
  readonly modality: HostedModality
  /** Cases that its protocol has no place for, each with the reason. */
  readonly without: Readonly<Record<string, string>>
  /** A server, and a provider that asks it, for as long as the scope. */
  readonly drive: Effect.Effect<Driven, never, Scope.Scope>
}

/** Two seconds of a voice-like tone: a vendor's own voice activity may look at it. */
const utterance: ReadonlyArray<RecognitionInput> = [
  ...Array.from({ length: 100 }, (_, frame): RecognitionInput => ({
    _tag: "Audio",
    samples: Int16Array.from({ length: 320 }, (_, i) => {
      const at = frame * 320 + i
      return Math.round(6000 * Math.sin(at / 20) * (1 + Math.sin(at / 900)))
    })
  })),
  { _tag: "Pause", pauseId: 1 },
  { _tag: "End" }
]

const sentence = "The train to the harbour leaves at ten past four from platform nine."

type Call = (words?: string) => Stream.Stream<Output, ProviderFailure>

const calls: { readonly [M in HostedModality]: (port: HostedPorts[M]) => Call } = {
  stt: (port) => () =>
    Stream.map(
      port.recognise(Stream.fromIterable(utterance), { partialIntervalMs: 200 }),
      ({ _tag, text }): Output => ({ text, partial: _tag === "Partial" })
    ),
  llm: (port) => (words = "When are you open?") =>
    Stream.map(
      port.reply([{ role: "system", text: "Be brief." }, { role: "user", text: words }]),
      (text): Output => ({ text })
    ),
  tts: (port) => (words = sentence) =>
    Stream.map(port.synthesise(words), (speech): Output => ({ samples: samplesOf(speech) }))
}

/** An entry of the table. `server` answers with what `answer` says, where the answer is words. */
export const hostedEntry = <M extends HostedModality, S extends HostedSettings>(entry: {
  readonly adapter: Adapter<M, S>
  readonly server: (answer: () => string) => Effect.Effect<ProtocolServer, never, Scope.Scope>
  readonly settings: GivenSettings
  /** The words that the server was sent with a call; for adapters that send words. */
  readonly wordsAtServer?: (request: unknown) => string
  readonly without?: Readonly<Record<string, string>>
}): HostedEntry => {
  const { adapter, settings, wordsAtServer } = entry
  const { modality } = adapter
  return {
    name: adapter.adapter,
    modality,
    without: entry.without ?? {},
    drive: Effect.gen(function*() {
      let answer = usualAnswer
      const server = yield* entry.server(() => answer)
      const scope = yield* Effect.scope
      const provider = (changed: GivenSettings): Effect.Effect<Driven> =>
        Effect.gen(function*() {
          const given = { base_url: server.baseUrl, api_key: server.key, ...settings, ...changed }
          const port = yield* makeInstance(adapter, `${adapter.adapter}-under-test`, given)
          const call = calls[modality](port)
          return {
            server,
            modality,
            streaming: adapter.capabilities.streaming,
            call: (words?: string) =>
              Stream.suspend(() => {
                answer = words ?? usualAnswer
                return call(words)
              }),
            expected: modality === "tts" ? undefined : usualAnswer,
            withSettings: provider,
            wordsAtServer: (index: number) => {
              const seen = server.calls[index]
              return seen === undefined ? undefined : wordsAtServer?.(seen.request)
            }
          }
        }).pipe(Effect.provideService(Scope.Scope, scope), Effect.orDie)
      return yield* provider({})
    })
  }
}
