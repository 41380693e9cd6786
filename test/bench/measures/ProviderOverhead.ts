import type { Adapter, HostedModality, HostedPorts, HostedSettings } from "@rspp/providers/Adapter"
import { makeInstance } from "@rspp/providers/hosted/Instance"
import { adapter as anthropic } from "@rspp/providers/llm/AnthropicLanguageModel"
import { adapter as gemini } from "@rspp/providers/llm/GeminiLanguageModel"
import { adapter as openAi } from "@rspp/providers/llm/OpenAiCompatibleLanguageModel"
import { adapter as assemblyAi } from "@rspp/providers/stt/AssemblyAiSpeechToText"
import { adapter as deepgram } from "@rspp/providers/stt/DeepgramSpeechToText"
import { adapter as transcriptions } from "@rspp/providers/stt/OpenAiTranscriptions"
import { anthropicServer } from "@rspp/providers/test/servers/AnthropicServer"
import { assemblyAiServer } from "@rspp/providers/test/servers/AssemblyAiServer"
import { cartesiaServer } from "@rspp/providers/test/servers/CartesiaServer"
import { deepgramServer } from "@rspp/providers/test/servers/DeepgramServer"
import { elevenLabsServer } from "@rspp/providers/test/servers/ElevenLabsServer"
import { geminiServer } from "@rspp/providers/test/servers/GeminiServer"
import { openAiServer } from "@rspp/providers/test/servers/OpenAiServer"
import { openAiSpeechServer } from "@rspp/providers/test/servers/OpenAiSpeechServer"
import { openAiTranscriptionsServer } from "@rspp/providers/test/servers/OpenAiTranscriptionsServer"
import type { ProtocolServer } from "@rspp/providers/test/servers/ProtocolServer"
import { adapter as cartesia } from "@rspp/providers/tts/CartesiaTextToSpeech"
import { adapter as elevenLabsHttp } from "@rspp/providers/tts/ElevenLabsHttp"
import { adapter as elevenLabsSocket } from "@rspp/providers/tts/ElevenLabsWebSocket"
import { adapter as speech } from "@rspp/providers/tts/OpenAiSpeech"
import type { RecognitionInput } from "@rspp/runtime/ports/SpeechToText"
import { Effect, Stream } from "effect"
import type { Scope } from "effect"
import { createServer, connect } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { tone } from "../../support/RoomSession.ts"
import type { Figure, Measure } from "../Figure.ts"
import { percentile } from "../Figure.ts"

/** Calls that count, and calls before them. */
const calls = 200
const warmUp = 40

/** What went over the wire, and when: everything passes this relay, in the same process. */
class Relay {
  lastAsked = 0
  lastAnswered = 0
  readonly #server = createServer((client) => this.#serve(client))
  readonly #target: URL
  readonly #sockets = new Set<Socket>()

  constructor(target: string) {
    this.#target = new URL(target)
  }

  #serve(client: Socket): void {
    const server = connect(Number(this.#target.port), this.#target.hostname)
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on("error", () => {}).on("close", () => {
        client.destroy()
        server.destroy()
        this.#sockets.delete(socket)
      })
    }
    client.on("data", (bytes) => {
      this.lastAsked = performance.now()
      server.write(bytes)
    })
    server.on("data", (bytes) => {
      // Written first: what the adapter does with it comes after this instant.
      client.write(bytes)
      this.lastAnswered = performance.now()
    })
  }

  readonly open = Effect.acquireRelease(
    Effect.callback<string>((resume) => {
      this.#server.listen(0, "127.0.0.1", () => {
        const { port } = this.#server.address() as AddressInfo
        const at = new URL(this.#target)
        at.port = String(port)
        resume(Effect.succeed(at.href.replace(/\/$/u, "")))
      })
    }),
    () =>
      Effect.sync(() => {
        for (const socket of this.#sockets) socket.destroy()
        this.#server.close()
      })
  )
}

interface Subject {
  readonly name: string
  readonly run: Effect.Effect<ReadonlyArray<Figure>, unknown, Scope.Scope>
}

const hum = tone(200, 600)

/** A recogniser's call: 600 ms of sound, and then the pause that asks for the final; `asked` is when that is. */
const utterance = (asked: () => void): Stream.Stream<RecognitionInput> =>
  Stream.concat(
    Stream.fromIterable(Array.from({ length: 30 }, (_, i): RecognitionInput => ({
      _tag: "Audio",
      samples: hum.slice(i * 320, i * 320 + 320)
    }))),
    // The sound is on its way before the pause is.
    Stream.concat(
      Stream.fromEffect(Effect.as(Effect.sleep(20), { _tag: "Audio", samples: hum.slice(0, 320) } as const)),
      Stream.suspend(() => {
        asked()
        return Stream.make({ _tag: "Pause", pauseId: 1 } as const)
      })
    )
  ).pipe(Stream.concat(Stream.never))

/** The first useful result of a call, after which the call is given up. `asked` is when it was asked for. */
const first: {
  readonly [M in HostedModality]: (port: HostedPorts[M], asked: () => void) => Effect.Effect<unknown, unknown>
} = {
  stt: (port, asked) =>
    Stream.runHead(
      Stream.filter(port.recognise(utterance(asked), { partialIntervalMs: 60_000 }), ({ _tag }) => _tag === "Final")
    ),
  llm: (port, asked) =>
    Effect.suspend(() => {
      asked()
      return Stream.runHead(port.reply([{ role: "user", text: "When are you open?" }]))
    }),
  tts: (port, asked) =>
    Effect.suspend(() => {
      asked()
      return Stream.runHead(port.synthesise("The office is open from nine to five."))
    })
}

const figuresOf = (
  name: string,
  rounds: ReadonlyArray<{ readonly ask: number; readonly hand: number; readonly whole: number }>
): ReadonlyArray<Figure> => {
  const overhead = rounds.map(({ ask, hand }) => Math.max(0, ask) + hand)
  const whole = rounds.map((round) => round.whole)
  return ([["p50", 0.5], ["p95", 0.95]] as const).map(([label, p]) => ({
    name: `${name}: the adapter's own part, ${label}`,
    value: percentile(overhead, p),
    unit: "ms",
    bare: percentile(whole, p),
    against: "the whole call",
    ...(p === 0.5
      ? {
        note: `asked → on the wire ${
          percentile(rounds.map(({ ask }) => Math.max(0, ask)), p).toFixed(3)
        } ms, bytes in → handed on ${percentile(rounds.map(({ hand }) => hand), p).toFixed(3)} ms (p50)`
      }
      : {})
  }))
}

const subject = <M extends HostedModality, S extends HostedSettings>(
  adapter: Adapter<M, S>,
  server: Effect.Effect<ProtocolServer, never, Scope.Scope>,
  settings: Readonly<Record<string, string>> = {}
): Subject => ({
  name: adapter.adapter,
  run: Effect.gen(function*() {
    const { baseUrl, key } = yield* server
    const relay = new Relay(baseUrl)
    const base_url = yield* relay.open
    const port = yield* makeInstance(adapter, adapter.adapter, { base_url, api_key: key, ...settings })
    const rounds: Array<{ readonly ask: number; readonly hand: number; readonly whole: number }> = []
    for (let round = 0; round < warmUp + calls; round++) {
      let askedAt = 0
      yield* first[adapter.modality](port, () => void (askedAt = performance.now()))
      const handedAt = performance.now()
      const { lastAnswered, lastAsked } = relay
      if (round >= warmUp) {
        rounds.push({ ask: lastAsked - askedAt, hand: handedAt - lastAnswered, whole: handedAt - askedAt })
      }
      // What the cancel of the rest sends is over before the next call.
      yield* Effect.sleep(2)
    }
    return figuresOf(adapter.adapter, rounds)
  })
})

const model = { model: "test-model" }
const answer = ["Good morning. The office is open."]
const subjects: ReadonlyArray<Subject> = [
  subject(deepgram, deepgramServer({ engine: answer })),
  subject(assemblyAi, assemblyAiServer({ engine: answer })),
  subject(transcriptions, openAiTranscriptionsServer({ engine: answer }), model),
  subject(openAi, openAiServer(), model),
  subject(anthropic, anthropicServer(), model),
  subject(gemini, geminiServer(), model),
  subject(elevenLabsSocket, elevenLabsServer()),
  subject(elevenLabsHttp, elevenLabsServer()),
  subject(cartesia, cartesiaServer()),
  subject(speech, openAiSpeechServer(), model)
]

const measure: Measure = {
  about:
    `What each hosted adapter adds to a call, over ${calls} calls one after the other to an instant server of its vendor's protocol on loopback, all in one process through a relay that notes when bytes pass: from when the first result is asked for (of a recogniser: its final, at the pause) until the request is on the wire, and from when the bytes of the answer are in until the first result is handed on. The whole call has the server and the network of the same process in it. An adapter that sends its request in parts is counted to the last part before the answer; a connection is kept where the protocol lets it be.`,
  run: async (tell) => {
    const figures: Array<Figure> = []
    for (const { name, run } of subjects) {
      figures.push(...await Effect.runPromise(Effect.orDie(Effect.scoped(run))))
      tell(name)
    }
    return figures
  }
}
export default measure
