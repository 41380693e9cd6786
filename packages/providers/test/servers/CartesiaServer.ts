// Cartesia's text to speech over a WebSocket with contexts: GET /tts/websocket.
//
// https://docs.cartesia.ai/api-reference/tts/websocket (messages both ways)
// https://docs.cartesia.ai/use-the-api/tts-websocket/contexts (contexts, cancelling)
// https://docs.cartesia.ai/use-the-api/api-errors (errors over HTTP and over the socket)
import type { Effect, Scope } from "effect"
import { WebSocketServer } from "ws"
import type { WebSocket } from "ws"
import type { Fault, ProtocolServer } from "./ProtocolServer.ts"
import {
  base64Of,
  give,
  messageOf,
  isFaulty,
  refuse,
  refuseUpgrade,
  sendOn,
  speechHost,
  spoken,
  tone
} from "./SpeechHost.ts"
import type { Call, Refusal, SpeechHost, SpeechServerOptions } from "./SpeechHost.ts"

const key = "sk_car_0123456789abcdefghijklmnop"

/** Samples in one chunk: 100 ms. */
const chunkSamples = 1_600

const refusal = (status: number, retryAfterSeconds?: number): Refusal => ({
  status,
  retryAfterSeconds,
  body: {
    error_code: status === 401 ? "unauthorized" : status === 429 ? "concurrency_limited" : null,
    title: status === 401 ? "Unauthorized" : status === 429 ? "Too many concurrent requests" : "Request failed",
    message: status === 401 ? "Invalid API key." : "The request was not served.",
    request_id: "550e8400-e29b-41d4-a716-446655440000"
  }
})

interface Words {
  readonly words: ReadonlyArray<string>
  readonly start: ReadonlyArray<number>
  readonly end: ReadonlyArray<number>
}

/** The words of a text, with their times in seconds, as if each character took the same time. */
const wordsOf = (text: string, seconds: number): Words => {
  const perCharacter = seconds / Math.max(1, text.length)
  const found = [...text.matchAll(/\S+/gu)]
  return {
    words: found.map((word) => word[0]),
    start: found.map((word) => word.index * perCharacter),
    end: found.map((word) => (word.index + word[0].length) * perCharacter)
  }
}

/** The words that start within a chunk. */
const within = ({ end, start, words }: Words, from: number, to: number): Words | undefined => {
  const first = start.findIndex((time) => time >= from)
  if (first < 0) return undefined
  let last = first
  while (last < start.length && start[last]! < to) last++
  return last === first
    ? undefined
    : { words: words.slice(first, last), start: start.slice(first, last), end: end.slice(first, last) }
}

interface Context {
  readonly call: Call
  readonly fault: Fault | undefined
  cancelled: boolean
}

const isRequest = (message: Record<string, unknown>): boolean => {
  const format = message["output_format"] as Record<string, unknown> | undefined
  const voice = message["voice"] as Record<string, unknown> | string | undefined
  return typeof message["model_id"] === "string" && typeof message["transcript"] === "string" &&
    (typeof voice === "string" || typeof voice?.["id"] === "string") && format?.["container"] === "raw" &&
    format["encoding"] === "pcm_s16le" && format["sample_rate"] === 16_000
}

const serve = (host: SpeechHost, path: string, socket: WebSocket, options: SpeechServerOptions): void => {
  const contexts = new Map<string, Context>()
  const failed = (status: number, title: string, context_id?: string) =>
    sendOn(socket, {
      type: "error",
      done: true,
      status_code: status,
      error_code: status === 404 ? "model_not_found" : null,
      title,
      message: title,
      request_id: "550e8400-e29b-41d4-a716-446655440000",
      ...(context_id === undefined ? {} : { context_id })
    })

  const speak = async (context_id: string, context: Context, message: Record<string, unknown>): Promise<void> => {
    const { call, fault } = context
    if (fault?.kind === "refuse") {
      call.end("faulted")
      return failed(fault.status, "Request failed", context_id)
    }
    if (fault?.kind === "wrong_content_type") {
      call.end("faulted")
      return socket.send(Buffer.from([0, 1, 2, 3]))
    }
    const text = String(message["transcript"])
    const samples = await spoken(options.engine ?? tone, text)
    const words = wordsOf(text, samples.length / 16_000)
    const chunk = (data: string) =>
      sendOn(socket, { type: "chunk", data, done: false, status_code: 206, step_time: 1.5, context_id })
    await give({
      call,
      fault,
      paceMs: options.paceMs ?? 0,
      outputs: Math.ceil(samples.length / chunkSamples),
      send: async (output) => {
        const from = output * chunkSamples
        const said = within(words, from / 16_000, (from + chunkSamples) / 16_000)
        if (message["add_timestamps"] === true && said !== undefined) {
          await sendOn(socket, { type: "timestamps", done: false, status_code: 206, context_id, word_timestamps: said })
        }
        await chunk(base64Of(samples.subarray(from, from + chunkSamples)))
      },
      final: async () => {
        contexts.delete(context_id)
        await sendOn(socket, { type: "done", done: true, status_code: 206, context_id })
      },
      malformed: () => sendOn(socket, `{"type":"chunk","context_id":"${context_id}","data":`),
      vendorError: () => failed(404, "Invalid model", context_id),
      huge: (bytes) => chunk("AAAA".repeat(Math.ceil(bytes / 4))),
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
    const context_id = message["context_id"]
    if (typeof context_id !== "string") return void failed(400, "Invalid context ID")
    const known = contexts.get(context_id)
    if (message["cancel"] === true) {
      if (known === undefined) return
      ;(known.call.request as Array<unknown>).push(message)
      known.cancelled = true
      return
    }
    if (!isRequest(message)) return void failed(400, "Invalid request", context_id)
    if (known !== undefined) return void failed(400, "Context is closed", context_id)
    const context: Context = { call: host.open(path, [message]), fault: host.take(), cancelled: false }
    contexts.set(context_id, context)
    void speak(context_id, context, message)
  })
}

export const cartesiaServer = (
  options: SpeechServerOptions = {}
): Effect.Effect<ProtocolServer, never, Scope.Scope> => {
  const sockets = new WebSocketServer({ noServer: true })
  return speechHost({
    key,
    path: "",
    request: (_host, _request, response) => refuse(response, refusal(404)),
    upgrade: (host, request, socket, head) => {
      const path = request.url ?? ""
      const url = new URL(path, "http://localhost")
      if (isFaulty(host, path, socket, refusal)) return
      if (url.pathname !== "/tts/websocket") return refuseUpgrade(socket, refusal(404))
      const given = request.headers.authorization?.replace(/^Bearer /u, "") ?? request.headers["x-api-key"] ??
        url.searchParams.get("api_key")
      if (given !== key) return refuseUpgrade(socket, refusal(401))
      const version = request.headers["cartesia-version"] ?? url.searchParams.get("cartesia_version")
      if (version === null) return refuseUpgrade(socket, refusal(400))
      sockets.handleUpgrade(request, socket, head, (webSocket) => serve(host, path, webSocket, options))
    }
  })
}
