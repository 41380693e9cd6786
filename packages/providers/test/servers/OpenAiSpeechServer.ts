// OpenAI's speech endpoint: POST /v1/audio/speech.
//
// https://platform.openai.com/docs/api-reference/audio/createSpeech (request, errors)
// https://platform.openai.com/docs/guides/text-to-speech (`pcm`: 24 kHz, 16 bit signed, little endian, no header)
// https://platform.openai.com/docs/guides/error-codes (the body of an error; `insufficient_quota`)
import type { Effect, Scope } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { ProtocolServer } from "./ProtocolServer.ts"
import { bytesOf, give, portal, refuse, speechHost, spoken, tone, writeOn } from "./SpeechHost.ts"
import type { SpeechHost, SpeechServerOptions } from "./SpeechHost.ts"

const key = "sk-openai-speech-0123456789abcdef"

/** Bytes in one write: 100 ms at 24 kHz, and one more, so that samples are torn between two writes. */
const writeBytes = 4_801

/** 16 kHz as 24 kHz, by straight lines between the samples. */
const at24kHz = (samples: Int16Array): Int16Array => {
  const out = new Int16Array(Math.floor(samples.length * 3 / 2))
  for (let at = 0; at < out.length; at++) {
    const from = Math.floor(at * 2 / 3)
    const part = at * 2 / 3 - from
    out[at] = Math.round((samples[from] ?? 0) * (1 - part) + (samples[from + 1] ?? samples[from] ?? 0) * part)
  }
  return out
}

const error = (message: string, type: string, code: string | null = null) => ({
  error: { message, type, param: null, code }
})

const refused = (response: ServerResponse, status: number, retryAfterSeconds?: number) =>
  refuse(response, {
    status,
    retryAfterSeconds,
    body: status === 401
      ? error("Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
      : status === 429
      ? error("Rate limit reached for requests.", "requests", "rate_limit_exceeded")
      : error(
        "The server had an error while processing your request.",
        status < 500 ? "invalid_request_error" : "server_error"
      )
  })

const speech = async (
  host: SpeechHost,
  request: IncomingMessage,
  response: ServerResponse,
  body: unknown,
  options: SpeechServerOptions
): Promise<void> => {
  const fault = host.take()
  const call = host.open(request.url ?? "", body)
  response.on("close", () => call.end(response.writableFinished ? "served" : "aborted"))
  if (fault?.kind === "unanswered") return
  if (request.method !== "POST" || request.url !== "/v1/audio/speech") return refused(response, 404)
  if (request.headers.authorization !== `Bearer ${key}`) return refused(response, 401)
  if (fault?.kind === "refuse") {
    call.end("faulted")
    return refused(response, fault.status, fault.retryAfterSeconds)
  }
  const { input, model, response_format, voice } = (body ?? {}) as Record<string, unknown>
  if (
    typeof input !== "string" || input === "" || input.length > 4_096 || typeof model !== "string" ||
    typeof voice !== "string" || response_format !== "pcm"
  ) return refused(response, 400)
  if (fault?.kind === "wrong_content_type") {
    call.end("faulted")
    response.writeHead(200, { "content-type": "text/html" })
    return void response.end(portal)
  }
  const audio = bytesOf(at24kHz(await spoken(options.engine ?? tone, input)))
  let started = false
  const start = () => {
    if (!started) response.writeHead(200, { "content-type": "audio/pcm", "transfer-encoding": "chunked" })
    started = true
  }
  await give({
    call,
    fault,
    paceMs: options.paceMs ?? 0,
    outputs: Math.ceil(audio.length / writeBytes),
    send: (output) => {
      start()
      return writeOn(response, audio.subarray(output * writeBytes, (output + 1) * writeBytes))
    },
    final: async () => {
      start()
      response.end()
    },
    // A body of audio has no syntax but its chunks: these are not.
    malformed: async () => {
      start()
      response.flushHeaders()
      response.socket?.end("this is no chunk\r\n")
    },
    vendorError: async () =>
      refuse(response, {
        status: 429,
        body: error("You exceeded your current quota.", "insufficient_quota", "insufficient_quota")
      }),
    huge: (bytes) => {
      start()
      return writeOn(response, Buffer.alloc(bytes))
    },
    cut: () => void response.socket?.destroy(),
    gone: () => response.destroyed,
    cancelled: () => false
  })
}

export const openAiSpeechServer = (
  options: SpeechServerOptions = {}
): Effect.Effect<ProtocolServer, never, Scope.Scope> =>
  speechHost({
    key,
    path: "/v1",
    request: (host, request, response, body) => void speech(host, request, response, body, options)
  })
