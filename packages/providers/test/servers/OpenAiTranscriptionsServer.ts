import { Effect } from "effect"
import type { Scope } from "effect"
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import { defaultScript, type Engine, Hearing } from "./Hearing.ts"
import type { Fault, ProtocolServer, SeenCall } from "./ProtocolServer.ts"

/** Largest upload, as the vendor has it: 25 MB. */
const maxUploadBytes = 25 * 1024 * 1024

/** How many blanks, and how many milliseconds apart, an answer is preceded by that goes on after the client's end. */
const [lateBlanks, lateEveryMs] = [200, 5]

/** What a transcription was asked for. */
export interface TranscriptionRequest {
  readonly fields: Readonly<Record<string, string>>
  readonly file: { readonly name: string; readonly type: string; readonly bytes: number } | undefined
}

class Call implements SeenCall {
  request: TranscriptionRequest | undefined
  ended: SeenCall["ended"]
  readonly path: string
  constructor(path: string) {
    this.path = path
  }
}

const errorOf = (status: number): { readonly error: object } => {
  const [message, type, code] = {
    400: ["Audio file might be corrupted or unsupported", "invalid_request_error", "invalid_value"],
    401: ["Incorrect API key provided.", "invalid_request_error", "invalid_api_key"],
    404: ["The model does not exist or you do not have access to it.", "invalid_request_error", "model_not_found"],
    413: ["Maximum content size limit (26214400) exceeded", "server_error", null],
    429: ["Rate limit reached for requests", "requests", "rate_limit_exceeded"],
    503: ["The engine is currently overloaded, please try again later", "server_error", null]
  }[status] ?? ["The server had an error while processing your request", "server_error", null]
  return { error: { message, type, param: null, code } }
}

/** The samples of a 16-bit mono WAV file at 16 kHz; undefined when it is none. */
export const samplesOfWav = (bytes: Buffer): Int16Array | undefined => {
  if (bytes.length < 44 || bytes.toString("latin1", 0, 4) !== "RIFF" || bytes.toString("latin1", 8, 12) !== "WAVE") {
    return
  }
  let at = 12
  let fits = false
  while (at + 8 <= bytes.length) {
    const [id, size] = [bytes.toString("latin1", at, at + 4), bytes.readUInt32LE(at + 4)]
    if (id === "fmt ") {
      fits = bytes.readUInt16LE(at + 8) === 1 && bytes.readUInt16LE(at + 10) === 1 &&
        bytes.readUInt32LE(at + 12) === sampleRateHz && bytes.readUInt16LE(at + 22) === 16
    }
    if (id === "data") {
      const end = Math.min(bytes.length, at + 8 + size)
      const samples = new Int16Array((end - at - 8) >> 1)
      for (let index = 0; index < samples.length; index++) samples[index] = bytes.readInt16LE(at + 8 + 2 * index)
      return fits ? samples : undefined
    }
    at += 8 + size + size % 2
  }
  return undefined
}

const uploadOf = async (request: IncomingMessage, body: Buffer) => {
  const form = await new Response(new Uint8Array(body), {
    headers: { "content-type": request.headers["content-type"] ?? "" }
  }).formData()
  const fields: Record<string, string> = {}
  let file: TranscriptionRequest["file"]
  let samples: Int16Array | undefined
  for (const [name, value] of form) {
    if (typeof value === "string") fields[name] = value
    else {
      const bytes = Buffer.from(await value.arrayBuffer())
      file = { name: value.name, type: value.type, bytes: bytes.length }
      samples = samplesOfWav(bytes)
    }
  }
  return { fields, file, samples }
}

const json = (
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {}
) => {
  response.writeHead(status, { "Content-Type": "application/json", ...headers })
  response.end(typeof body === "string" ? body : JSON.stringify(body))
}

/** The answer of one call. An answer is one output; `after` 0 comes before it, and 1 in the middle of it. */
const answer = async (
  call: Call,
  response: ServerResponse,
  fault: Fault | undefined,
  text: string,
  seconds: number
) => {
  const body = { text: fault?.kind === "empty" ? "" : text, usage: { type: "duration", seconds: Math.ceil(seconds) } }
  const whole = JSON.stringify(body)
  const begin = () => {
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": String(Buffer.byteLength(whole)) })
    return new Promise<void>((sent) => response.write(whole.slice(0, 10), () => sent()))
  }
  switch (fault?.kind) {
    case "slow_first":
      await new Promise((due) => setTimeout(due, fault.ms))
      break
    case "stall":
      if (fault.after > 0) await begin()
      return
    case "cut":
      call.ended = "faulted"
      if (fault.after > 0) await begin()
      response.socket?.destroy()
      return
    case "malformed":
      call.ended = "faulted"
      return json(response, 200, whole.slice(0, -5))
    case "vendor_error":
      call.ended = "faulted"
      return json(response, 429, {
        error: {
          message: "You exceeded your current quota, please check your plan and billing details.",
          type: "insufficient_quota",
          param: null,
          code: "insufficient_quota"
        }
      })
    case "wrong_content_type":
      call.ended = "faulted"
      response.writeHead(200, { "Content-Type": "text/html" }).end("<html>Welcome</html>")
      return
    case "huge":
      call.ended = "served"
      return json(response, 200, { ...body, padding: "x".repeat(fault.bytes) })
    case "late_chunk":
      // Blanks may precede a JSON text.
      response.writeHead(200, { "Content-Type": "application/json" })
      for (let count = 0; count < lateBlanks && response.writable; count++) {
        response.write(" ")
        await new Promise((due) => setTimeout(due, lateEveryMs))
      }
      call.ended ??= "served"
      response.end(whole)
      return
    default:
      break
  }
  call.ended ??= "served"
  json(response, 200, body)
}

/**
 * OpenAI's `POST /v1/audio/transcriptions` on 127.0.0.1: a multipart upload of 16 kHz 16-bit mono WAV, answered with
 * `{text, usage}` or the vendor's error object.
 *
 * From https://platform.openai.com/docs/api-reference/audio/createTranscription and
 * https://platform.openai.com/docs/guides/error-codes. An answer is one message: a fault `after: 0` comes before it,
 * `after: 1` in the middle of it; `duplicate_final` has no meaning here and is served well.
 */
export const openAiTranscriptionsServer = (
  { engine = defaultScript }: { readonly engine?: Engine } = {}
): Effect.Effect<ProtocolServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ProtocolServer & { readonly stop: () => void }>((resume) => {
      const key = "sk-test-transcriptions-0123456789abcdef"
      const calls: Array<Call> = []
      const faults: Array<Fault> = []
      const sockets = new Set<Socket>()
      let heard = 0
      const serve = async (request: IncomingMessage, response: ServerResponse) => {
        const call = new Call(request.url ?? "/")
        calls.push(call)
        const fault = faults.shift()
        response.on("close", () => {
          if (!response.writableFinished) call.ended ??= "aborted"
        })
        const chunks: Array<Buffer> = []
        let size = 0
        for await (const chunk of request) {
          size += (chunk as Buffer).length
          if (size <= maxUploadBytes) chunks.push(chunk as Buffer)
        }
        const refuse = (status: number, headers?: Readonly<Record<string, string>>) => {
          call.ended = "faulted"
          json(response, status, errorOf(status), headers)
        }
        if (fault?.kind === "unanswered") return
        if (fault?.kind === "refuse") {
          const { retryAfterSeconds, status } = fault
          return refuse(status, retryAfterSeconds === undefined ? {} : { "Retry-After": String(retryAfterSeconds) })
        }
        if (call.path !== "/v1/audio/transcriptions" || request.method !== "POST") return refuse(404)
        if (request.headers.authorization !== `Bearer ${key}`) return refuse(401)
        if (size > maxUploadBytes) return refuse(413)
        const { fields, file, samples } = await uploadOf(request, Buffer.concat(chunks))
        call.request = { fields, file }
        if (samples === undefined || fields["model"] === undefined) return refuse(400)
        const hearing = new Hearing(engine, heard++)
        hearing.append(samples)
        await answer(call, response, fault, await hearing.final(true), samples.length / sampleRateHz)
      }
      const server = createServer((request, response) => {
        serve(request, response).catch(() => response.destroy())
      })
      server.on("connection", (socket) => {
        sockets.add(socket)
        socket.on("error", () => undefined)
        socket.on("close", () => sockets.delete(socket))
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({
          baseUrl: `http://127.0.0.1:${port}/v1`,
          key,
          next: (...more) => void faults.push(...more),
          calls,
          openSockets: () => sockets.size,
          stop: () => {
            server.closeAllConnections()
            server.close()
          }
        }))
      })
    }),
    (server) => Effect.sync(server.stop)
  )
