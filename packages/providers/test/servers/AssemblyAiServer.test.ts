import { assert, describe, it } from "@effect/vitest"
import { AssemblyAI, type TurnEvent } from "assemblyai"
import { Effect } from "effect"
import { readRecording } from "../support/Wav.ts"
import { assemblyAiServer } from "./AssemblyAiServer.ts"
import type { Engine } from "./Hearing.ts"
import { tlsFront } from "./TlsFront.ts"

const speech = readRecording("goforward.wav")

type Transcriber = ReturnType<AssemblyAI["streaming"]["transcriber"]>

/** Our server behind TLS, which the vendor's client asks for, and that client's transcriber. */
const transcriberOf = Effect.fnUntraced(function*(
  engine: Engine,
  options: { readonly apiKey?: string; readonly speechModel?: "universal-streaming-english" | "universal-3-5-pro" } = {}
) {
  const server = yield* assemblyAiServer({ engine })
  const { port } = yield* tlsFront(Number(new URL(server.baseUrl).port))
  const transcriber = new AssemblyAI({ apiKey: options.apiKey ?? server.key }).streaming.transcriber({
    websocketBaseUrl: `wss://127.0.0.1:${port}/v3/ws`,
    apiKey: options.apiKey ?? server.key,
    sampleRate: 16_000,
    speechModel: options.speechModel ?? "universal-streaming-english",
    formatTurns: true,
    connectTimeout: 10_000,
    maxConnectionRetries: 0
  })
  const turns: Array<TurnEvent> = []
  transcriber.on("turn", (turn) => void turns.push(turn))
  return { server, transcriber, turns }
})

const send = (transcriber: Transcriber, samples: Int16Array) => {
  for (let at = 0; at + 1_600 <= samples.length; at += 1_600) {
    transcriber.sendAudio(samples.slice(at, at + 1_600).buffer)
  }
}

describe("AssemblyAI's own client and our server", () => {
  it.live("agree on Begin, partial turns, ForceEndpoint, the formatted turn and Terminate", () =>
    Effect.scoped(Effect.gen(function*() {
      const { server, transcriber, turns } = yield* transcriberOf(["Go forward ten meters."])
      const begin = yield* Effect.promise(() => transcriber.connect())
      assert.strictEqual(begin.type, "Begin")
      send(transcriber, speech)
      transcriber.keepAlive()
      transcriber.forceEndpoint()
      yield* Effect.promise(() => transcriber.close())
      assert.isAbove(turns.filter((turn) => !turn.end_of_turn).length, 1)
      assert.deepStrictEqual(
        turns.filter((turn) => turn.end_of_turn).map((
          turn
        ) => [turn.transcript, turn.turn_is_formatted, turn.turn_order]),
        [["go forward ten meters", false, 0], ["Go forward ten meters.", true, 0]]
      )
      assert.strictEqual(server.calls[0]!.ended, "served")
    })))

  it.live("agree on a model that formats by itself, and on the last turn after Terminate", () =>
    Effect.scoped(Effect.gen(function*() {
      const { transcriber, turns } = yield* transcriberOf(["One two."], { speechModel: "universal-3-5-pro" })
      yield* Effect.promise(() => transcriber.connect())
      send(transcriber, speech)
      yield* Effect.promise(() => transcriber.close())
      assert.deepStrictEqual(turns.filter((turn) => turn.end_of_turn).map((turn) => turn.transcript), ["One two."])
    })))

  it.live("agree on a key that is not accepted", () =>
    Effect.scoped(Effect.gen(function*() {
      const { transcriber } = yield* transcriberOf(["x"], { apiKey: "another" })
      const error = yield* Effect.promise(() => transcriber.connect().then(() => undefined, (error: Error) => error))
      assert.match(error?.message ?? "", /Unauthorized/u)
    })))

  it.live("agree on audio that comes in too small pieces", () =>
    Effect.scoped(Effect.gen(function*() {
      const { transcriber } = yield* transcriberOf(["x"])
      yield* Effect.promise(() => transcriber.connect())
      const problem = Effect.promise(() =>
        new Promise<Error>((resolve) => {
          transcriber.on("error", resolve)
          transcriber.sendAudio(new Int16Array(320).buffer)
        })
      )
      assert.match((yield* problem).message, /Input duration violation: 20 ms/u)
    })))
})
