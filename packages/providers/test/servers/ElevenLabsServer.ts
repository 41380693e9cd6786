// ElevenLabs' text to speech: over a WebSocket with contexts, GET /v1/text-to-speech/{voice}/multi-stream-input, and
// streamed over HTTP, POST /v1/text-to-speech/{voice}/stream and …/stream/with-timestamps.
//
// https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input (messages)
// https://elevenlabs.io/docs/eleven-api/guides/how-to/websockets/multi-context-web-socket (five contexts, closing them)
// https://elevenlabs.io/docs/api-reference/text-to-speech/stream and …/stream-with-timestamps (lines of JSON)
// https://help.elevenlabs.io/hc/en-us/articles/19572237925521-API-Error-Code-400-or-401 (the body of an error)
// What the pages leave out is from threads about the real service: the error message before the socket is closed with
// 1008, `max_active_conversations` (https://github.com/livekit/agents-js/issues/1985), and that a context counts until
// its final message (https://github.com/pipecat-ai/pipecat/issues/4041).
import type { Effect, Scope } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { WebSocketServer } from "ws"
import type { WebSocket } from "ws"
import type { Fault, ProtocolServer } from "./ProtocolServer.ts"
import {
  base64Of,
  bytesOf,
  give,
  messageOf,
  isFaulty,
  portal,
  refuse,
  refuseUpgrade,
  sendOn,
  speechHost,
  spoken,
  tone,
  writeOn
} from "./SpeechHost.ts"
import type { Call, Refusal, SpeechHost, SpeechServerOptions } from "./SpeechHost.ts"

const key = "sk_elevenlabs_0123456789abcdef0123456789abcdef"

/** Samples in one output: 100 ms. */
const chunkSamples = 1_600

/** Contexts of one socket that have not had their final message. */
export const maxContexts = 5

const detail = (status: string, message: string) => ({ detail: { status, message } })

const refusal = (status: number, retryAfterSeconds?: number): Refusal => ({
  status,
  retryAfterSeconds,
  body: status === 401
    ? detail("invalid_api_key", "Invalid API key")
    : status === 429
    ? detail("too_many_concurrent_requests", "Too many concurrent requests.")
    : detail("request_failed", "The request was not served.")
})

/** A piece of sound and the characters that are said in it, with times from the start of the piece. */
interface Piece {
  readonly samples: Int16Array
  readonly chars: ReadonlyArray<string>
  readonly startMs: ReadonlyArray<number>
  readonly durationMs: ReadonlyArray<number>
  /** Of the piece, from the start of the whole. */
  readonly atMs: number
}

/** The sound in pieces of 100 ms, as if each character took the same time. */
const piecesOf = (text: string, samples: Int16Array): ReadonlyArray<Piece> => {
  const characters = Array.from(text)
  const perCharacter = samples.length / Math.max(1, characters.length)
  const pieces: Array<Piece> = []
  for (let from = 0; from < samples.length; from += chunkSamples) {
    const to = Math.min(samples.length, from + chunkSamples)
    const first = Math.ceil(from / perCharacter - 1e-9)
    const last = to === samples.length ? characters.length : Math.ceil(to / perCharacter - 1e-9)
    const chars = characters.slice(first, last)
    pieces.push({
      samples: samples.subarray(from, to),
      chars,
      startMs: chars.map((_, index) => Math.max(0, ((first + index) * perCharacter - from) / 16)),
      durationMs: chars.map(() => perCharacter / 16),
      atMs: from / 16
    })
  }
  return pieces
}

const alignmentOf = ({ chars, durationMs, startMs }: Piece) => ({
  charStartTimesMs: startMs.map(Math.round),
  charDurationsMs: durationMs.map(Math.round),
  chars
})

const secondsOf = ({ atMs, chars, durationMs, startMs }: Piece) => ({
  characters: chars,
  character_start_times_seconds: startMs.map((ms) => (atMs + ms) / 1_000),
  character_end_times_seconds: startMs.map((ms, index) => (atMs + ms + durationMs[index]!) / 1_000)
})

const voicePath = /^\/v1\/text-to-speech\/([^/]+)\/(stream|stream\/with-timestamps|multi-stream-input)$/u

const stream = async (
  host: SpeechHost,
  request: IncomingMessage,
  response: ServerResponse,
  body: unknown,
  options: SpeechServerOptions
): Promise<void> => {
  const path = request.url ?? ""
  const url = new URL(path, "http://localhost")
  const fault = host.take()
  const call = host.open(path, body)
  response.on("close", () => call.end(response.writableFinished ? "served" : "aborted"))
  if (fault?.kind === "unanswered") return
  const what = voicePath.exec(url.pathname)?.[2]
  if (request.method !== "POST" || what === undefined || what === "multi-stream-input") {
    return refuse(response, refusal(404))
  }
  if (request.headers["xi-api-key"] !== key) return refuse(response, refusal(401))
  if (fault?.kind === "refuse") {
    call.end("faulted")
    return refuse(response, refusal(fault.status, fault.retryAfterSeconds))
  }
  const { text } = (body ?? {}) as Record<string, unknown>
  if (typeof text !== "string" || text === "" || url.searchParams.get("output_format") !== "pcm_16000") {
    return refuse(response, refusal(422))
  }
  if (fault?.kind === "wrong_content_type") {
    call.end("faulted")
    response.writeHead(200, { "content-type": "text/html" })
    return void response.end(portal)
  }
  const timed = what === "stream/with-timestamps"
  const pieces = piecesOf(text, await spoken(options.engine ?? tone, text))
  let started = false
  const start = () => {
    if (!started) response.writeHead(200, { "content-type": timed ? "application/json" : "audio/pcm" })
    started = true
  }
  const line = (audio_base64: string, piece?: Piece) =>
    writeOn(
      response,
      JSON.stringify({
        audio_base64,
        alignment: piece === undefined ? null : secondsOf(piece),
        normalized_alignment: piece === undefined ? null : secondsOf(piece)
      }) + "\n"
    )
  await give({
    call,
    fault,
    paceMs: options.paceMs ?? 0,
    outputs: pieces.length,
    send: (output) => {
      start()
      const piece = pieces[output]!
      return timed ? line(base64Of(piece.samples), piece) : writeOn(response, bytesOf(piece.samples))
    },
    final: async () => {
      start()
      response.end()
    },
    malformed: async () => {
      start()
      if (timed) {
        response.end("{\"audio_base64\":\n")
      } else {
        response.flushHeaders()
        response.socket?.end("this is no chunk\r\n")
      }
    },
    vendorError: async () =>
      refuse(response, { status: 401, body: detail("quota_exceeded", "This request exceeds your quota.") }),
    huge: (bytes) => {
      start()
      return timed ? line("AAAA".repeat(Math.ceil(bytes / 4))) : writeOn(response, Buffer.alloc(bytes))
    },
    cut: () => void response.socket?.destroy(),
    gone: () => response.destroyed,
    cancelled: () => false
  })
}

interface Context {
  readonly call: Call
  readonly fault: Fault | undefined
  text: string
  speaking: boolean
  /** The client has closed the context: its final message follows what was to be flushed. */
  closed: boolean
  /** The client has closed it again, while it was still speaking. */
  cancelled: boolean
}

const serve = (host: SpeechHost, path: string, socket: WebSocket, options: SpeechServerOptions): void => {
  const contexts = new Map<string, Context>()
  const closeWith = async (error: string, message: string) => {
    await sendOn(socket, { message, error, code: 1008 })
    socket.close(1008, message.slice(0, 120))
  }

  const speak = async (contextId: string, context: Context): Promise<void> => {
    const { call, fault } = context
    context.speaking = true
    if (fault?.kind === "refuse") {
      call.end("faulted")
      return closeWith("request_failed", `The request was refused with ${fault.status}.`)
    }
    if (fault?.kind === "wrong_content_type") {
      call.end("faulted")
      return socket.send(Buffer.from([0, 1, 2, 3]))
    }
    const text = context.text
    context.text = ""
    const pieces = piecesOf(text, await spoken(options.engine ?? tone, text))
    await give({
      call,
      fault,
      paceMs: options.paceMs ?? 0,
      outputs: pieces.length,
      send: (output) => {
        const piece = pieces[output]!
        const alignment = alignmentOf(piece)
        return sendOn(socket, { audio: base64Of(piece.samples), normalizedAlignment: alignment, alignment, contextId })
      },
      final: async () => {
        while (!context.closed && socket.readyState === socket.OPEN) {
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
        contexts.delete(contextId)
        await sendOn(socket, { isFinal: true, contextId })
      },
      malformed: () => sendOn(socket, `{"audio":"AAAA","contextId":"${contextId}`),
      vendorError: () => closeWith("quota_exceeded", "This request exceeds your quota."),
      huge: (bytes) =>
        sendOn(socket, {
          audio: "AAAA".repeat(Math.ceil(bytes / 4)),
          normalizedAlignment: null,
          alignment: null,
          contextId
        }),
      cut: () => socket.terminate(),
      gone: () => socket.readyState !== socket.OPEN,
      cancelled: () => context.cancelled
    })
  }

  socket.on("error", () => {})
  socket.on("close", () => {
    for (const { call } of contexts.values()) call.end("aborted")
  })
  socket.on("message", (data) => {
    const message = messageOf(data)
    if (message["close_socket"] === true) return socket.close(1000)
    const contextId = typeof message["context_id"] === "string" ? message["context_id"] : "default"
    const known = contexts.get(contextId)
    ;(known?.call.request as Array<unknown> | undefined)?.push(message)
    if (message["close_context"] === true) {
      if (known === undefined) return
      if (known.closed || !known.speaking) known.cancelled = true
      known.closed = true
      if (!known.speaking) void speak(contextId, known)
      return
    }
    const text = message["text"]
    if (typeof text !== "string") return void closeWith("invalid_message", "A message without text was received.")
    if (known === undefined) {
      if (text === "") return
      if (contexts.size >= maxContexts) {
        return void closeWith(
          "max_active_conversations",
          `Maximum simultaneous contexts per WebSocket connection exceeded (${maxContexts}). Please close an existing context before opening a new one.`
        )
      }
      const context: Context = {
        call: host.open(path, [message]),
        fault: host.take(),
        text: text.trim() === "" ? "" : text,
        speaking: false,
        closed: false,
        cancelled: false
      }
      contexts.set(contextId, context)
      if (context.text !== "" && message["flush"] === true) void speak(contextId, context)
      return
    }
    if (known.closed || known.speaking) return
    known.text += text
    if (message["flush"] === true && known.text !== "") void speak(contextId, known)
  })
}

export const elevenLabsServer = (
  options: SpeechServerOptions = {}
): Effect.Effect<ProtocolServer, never, Scope.Scope> => {
  const sockets = new WebSocketServer({ noServer: true })
  return speechHost({
    key,
    path: "",
    request: (host, request, response, body) => void stream(host, request, response, body, options),
    upgrade: (host, request, socket, head) => {
      const path = request.url ?? ""
      const url = new URL(path, "http://localhost")
      if (isFaulty(host, path, socket, refusal)) return
      if (voicePath.exec(url.pathname)?.[2] !== "multi-stream-input") return refuseUpgrade(socket, refusal(404))
      if (request.headers["xi-api-key"] !== key) return refuseUpgrade(socket, refusal(401))
      if (url.searchParams.get("output_format") !== "pcm_16000") return refuseUpgrade(socket, refusal(422))
      sockets.handleUpgrade(request, socket, head, (webSocket) => serve(host, path, webSocket, options))
    }
  })
}
