import type { Effect, Scope } from "effect"
import { randomUUID } from "node:crypto"
import { sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import { defaultScript, type Engine, Hearing, timedWords } from "./Hearing.ts"
import type { ProtocolServer } from "./ProtocolServer.ts"
import { type Connection, type Handlers, recognitionSocketServer, type Refusal } from "./RecognitionSocketServer.ts"

/** How much new audio makes a new partial turn, in milliseconds. */
const partialMs = 250

/** What one message of audio may hold, in milliseconds. */
const [shortestMs, longestMs] = [50, 1_000]

const refused = (status: number): Refusal => ({
  status,
  body: { error: status === 401 ? "Not authorized" : status === 429 ? "Too many requests" : "Request refused" }
})

const unformatted = (text: string): string => text.toLowerCase().replace(/[.,!?;:]/gu, "")

export interface AssemblyAiOptions {
  readonly engine?: Engine
  /** `ForceEndpoint` is never answered, as when no turn is open. */
  readonly ignoresFinalise?: boolean
}

/** The service of one connection. */
const serve = (
  connection: Connection,
  { engine, ignoresFinalise }: Required<AssemblyAiOptions>,
  key: string
): Handlers => {
  const query = connection.url.searchParams
  const formats = query.get("format_turns") === "true"
  // The newer models give each turn formatted, once.
  const alwaysFormatted = /^u(?:niversal-)?3/u.test(query.get("speech_model") ?? "")
  const maxSilenceMs = Number(query.get("max_turn_silence") ?? 1_280)
  let hearing: Hearing | undefined
  let partialAt = 0
  let turn_order = 0
  let turnOpen = false
  let busy = false
  let open = true
  let work: Promise<void> = Promise.resolve()

  const heard = () => hearing ??= new Hearing(engine, connection.call)
  const textOf = (text: string) => connection.empty() ? "" : text
  const fail = (error_code: number, error: string) => {
    connection.send({ type: "Error", error_code, error })
    connection.close(error_code, Buffer.byteLength(error) > 123 ? "See Error message for details" : error, false)
  }
  const broke = () => fail(3005, "Session Cancelled: An error occurred")
  const later = (act: () => Promise<void>) => {
    work = work.then(() => open ? act() : undefined).catch(broke)
  }
  const turn = (text: string, from: number, to: number, ends: boolean, formatted: boolean) => {
    const words = timedWords(text, from, to).map(({ end, start, word }, index, all) => ({
      start: Math.round(start * 1_000),
      end: Math.round(end * 1_000),
      text: word,
      confidence: 0.97,
      word_is_final: ends || index < all.length - 1
    }))
    const transcript = ends ? text : words.filter((word) => word.word_is_final).map((word) => word.text).join(" ")
    connection.output({
      type: "Turn",
      turn_order,
      turn_is_formatted: formatted,
      end_of_turn: ends,
      transcript,
      end_of_turn_confidence: ends ? 1 : 0.02,
      words,
      utterance: ends ? transcript : ""
    }, ends)
  }
  /** Beside the rest, one at a time: a slow recogniser makes fewer of them, not later ends. */
  const partial = async () => {
    const audio = heard()
    const [from, to] = [audio.from, audio.samples]
    partialAt = to
    busy = true
    const text = textOf(await audio.partial().finally(() => busy = false))
    if (!open || audio.from !== from || text === "") return
    if (!turnOpen && alwaysFormatted) {
      connection.send({ type: "SpeechStarted", timestamp: from / sampleRateHz * 1_000 })
    }
    turnOpen = true
    turn(alwaysFormatted ? text : unformatted(text), from, to, false, alwaysFormatted)
  }
  /** The end of the open turn; nothing is sent when no word was heard in it. */
  const endTurn = async (all: boolean) => {
    const audio = heard()
    const { from } = audio
    const text = await audio.final(all)
    if (text === "" && !turnOpen) return
    if (!alwaysFormatted) turn(unformatted(textOf(text)), from, audio.from, true, false)
    if (alwaysFormatted || formats) turn(textOf(text), from, audio.from, true, true)
    turnOpen = false
    turn_order++
  }

  if (connection.headers.authorization !== key && query.get("token") !== key) {
    fail(1008, "Unauthorized Connection: Missing Authorization header")
  } else if (query.get("speech_model") === null) {
    fail(3006, "Bad connection parameters: speech_model is required")
  } else if (
    query.get("sample_rate") !== String(sampleRateHz) || (query.get("encoding") ?? "pcm_s16le") !== "pcm_s16le"
  ) {
    fail(3006, "Bad connection parameters: this server takes pcm_s16le at 16000 Hz")
  } else {
    connection.send({ type: "Begin", id: randomUUID(), expires_at: 1_900_000_000 })
  }

  return {
    audio: (bytes) => {
      const ms = bytes.length / 2 / sampleRateHz * 1_000
      if (ms < shortestMs || ms > longestMs) {
        return fail(3007, `Input duration violation: ${ms} ms. Expected between ${shortestMs} and ${longestMs} ms`)
      }
      const samples = new Int16Array(Math.floor(bytes.length / 2))
      for (let index = 0; index < samples.length; index++) samples[index] = bytes.readInt16LE(2 * index)
      later(async () => {
        const audio = heard()
        audio.append(samples)
        if (turnOpen && audio.silent >= maxSilenceMs * sampleRateHz / 1_000) return await endTurn(false)
        if (!busy && audio.samples - partialAt >= partialMs * sampleRateHz / 1_000) partial().catch(broke)
      })
    },
    message: (text) => {
      const type = (() => {
        try {
          return (JSON.parse(text) as { readonly type?: unknown }).type
        } catch {
          return undefined
        }
      })()
      switch (type) {
        case "KeepAlive":
        case "UpdateConfiguration":
          return
        case "ForceEndpoint":
          return ignoresFinalise ? undefined : later(() => endTurn(true))
        case "Terminate":
          return later(async () => {
            await endTurn(true)
            const seconds = heard().samples / sampleRateHz
            connection.send({ type: "Termination", audio_duration_seconds: seconds, session_duration_seconds: seconds })
            connection.close(1000, "", true)
          })
        default:
          return type === undefined
            ? fail(3006, `Invalid JSON: ${text.slice(0, 50)}`)
            : fail(3006, `Invalid Message Type: ${JSON.stringify(type)}`)
      }
    },
    fail: broke,
    closed: () => {
      open = false
    }
  }
}

/**
 * AssemblyAI's streaming transcription, `GET /v3/ws` as a WebSocket, on 127.0.0.1.
 *
 * From https://www.assemblyai.com/docs/streaming/message-sequence, .../docs/streaming/universal-streaming/turn-detection and
 * .../docs/streaming/common-session-errors-and-closures: `Begin`, turns with partials, an unformatted and (with
 * `format_turns`) a formatted end, `ForceEndpoint` (without an answer when nothing was said), `Terminate` with the last
 * turn and `Termination`, an `Error` frame before a close with its code, and 50 to 1000 ms per message of audio.
 *
 * Not done: the refusal of audio that comes faster than real time, whose bound is not documented.
 */
export const assemblyAiServer = (
  { engine = defaultScript, ignoresFinalise = false }: AssemblyAiOptions = {}
): Effect.Effect<ProtocolServer, never, Scope.Scope> => {
  const key = "assemblyai-test-key-0123456789abcdef"
  return recognitionSocketServer({
    key,
    path: "/v3/ws",
    refused,
    refusal: () => undefined,
    isIdle: (text) => text.includes("KeepAlive"),
    serve: (connection) => serve(connection, { engine, ignoresFinalise }, key)
  })
}
