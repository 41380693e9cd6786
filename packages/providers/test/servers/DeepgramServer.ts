import type { Effect, Scope } from "effect"
import { randomUUID } from "node:crypto"
import { sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import { defaultScript, type Engine, Hearing, timedWords } from "./Hearing.ts"
import type { ProtocolServer } from "./ProtocolServer.ts"
import { type Connection, type Handlers, recognitionSocketServer, type Refusal } from "./RecognitionSocketServer.ts"

/** How much new audio makes a new interim result, in milliseconds. */
const interimMs = 300

/** A `Finalize` with less unfinished audio than this is not answered: "typically occurs when there is a noticeable amount of audio buffered". */
const noticeableMs = 100

const refused = (status: number): Refusal => {
  const [err_code, err_msg] = {
    400: ["Bad Request", "Bad Request: failed to process audio: unsupported encoding"],
    401: ["INVALID_AUTH", "Invalid credentials."],
    402: [
      "ASR_PAYMENT_REQUIRED",
      "Project does not have enough credits for an ASR request and does not have an overage agreement."
    ],
    403: ["INSUFFICIENT_PERMISSIONS", "Project does not have access to the requested model."],
    429: ["TOO_MANY_REQUESTS", "Too many requests. Please try again later"],
    503: ["Service Unavailable", "The service is temporarily unavailable."]
  }[status] ?? ["Internal Server Error", "Internal Server Error"]
  const request_id = randomUUID()
  return {
    status,
    headers: { "dg-error": err_msg ?? "", "dg-request-id": request_id },
    body: { err_code, err_msg, request_id }
  }
}

export interface DeepgramOptions {
  readonly engine?: Engine
  /** How long a client may say nothing, ms. */
  readonly idleMs?: number
  /** "Receiving a from_finalize is not guaranteed": none is sent. */
  readonly ignoresFinalise?: boolean
}

/** The service of one connection. */
const serve = (connection: Connection, { engine, idleMs, ignoresFinalise }: Required<DeepgramOptions>): Handlers => {
  const query = connection.url.searchParams
  const request_id = randomUUID()
  const wantsInterims = query.get("interim_results") === "true"
  // On by default, at 10 ms.
  const endpointingMs = query.get("endpointing") === "false"
    ? Number.POSITIVE_INFINITY
    : Number(query.get("endpointing") ?? 10)
  let hearing: Hearing | undefined
  let interimAt = 0
  let busy = false
  let open = true
  let work: Promise<void> = Promise.resolve()
  const idle = setTimeout(() => connection.close(1011, "NET-0001", false), idleMs)

  const heard = () => hearing ??= new Hearing(engine, connection.call)
  const textOf = (text: string) => connection.empty() ? "" : text
  const broke = () => connection.close(1011, "NET-0000", false)
  const later = (act: () => Promise<void>) => {
    work = work.then(() => open ? act() : undefined).catch(broke)
  }
  const results = (
    text: string,
    from: number,
    to: number,
    ends: { readonly is_final: boolean; readonly speech_final: boolean; readonly from_finalize: boolean }
  ) =>
    connection.output({
      type: "Results",
      channel_index: [0, 1],
      duration: (to - from) / sampleRateHz,
      start: from / sampleRateHz,
      ...ends,
      channel: {
        alternatives: [{
          transcript: text,
          confidence: text === "" ? 0 : 0.98,
          words: timedWords(text, from, to).map(({ end, start, word }) => ({
            word: word.toLowerCase().replace(/[.,!?]+$/u, ""),
            start,
            end,
            confidence: 0.98,
            punctuated_word: word
          }))
        }]
      },
      metadata: {
        request_id,
        model_info: { name: "general-nova-3", version: "2025-07-31.0", arch: "nova-3" },
        model_uuid: "2187e11a-3532-4498-b076-81fa530bdd49"
      }
    }, ends.is_final)
  const final = async (from_finalize: boolean, speech_final: boolean, all: boolean) => {
    const audio = heard()
    const { from } = audio
    const text = textOf(await audio.final(all))
    results(text, from, audio.from, { is_final: true, speech_final, from_finalize })
  }
  /** Beside the rest, one at a time: a slow recogniser makes fewer of them, not later finals. */
  const interim = async () => {
    const audio = heard()
    const [from, to] = [audio.from, audio.samples]
    interimAt = to
    busy = true
    const text = textOf(await audio.partial().finally(() => busy = false))
    if (!open || audio.from !== from) return
    results(text, from, to, { is_final: false, speech_final: false, from_finalize: false })
  }
  const closeStream = () =>
    later(async () => {
      if (heard().samples > heard().from) await final(false, true, true)
      connection.send({
        type: "Metadata",
        transaction_key: "deprecated",
        request_id,
        sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        created: new Date(0).toISOString(),
        duration: heard().samples / sampleRateHz,
        channels: 1
      })
      connection.close(1000, "", true)
    })

  return {
    audio: (bytes) => {
      idle.refresh()
      // An empty message means the end of the stream.
      if (bytes.length === 0) return closeStream()
      if (bytes.length % 2 !== 0) return connection.close(1008, "DATA-0000", false)
      const samples = new Int16Array(bytes.length / 2)
      for (let index = 0; index < samples.length; index++) samples[index] = bytes.readInt16LE(2 * index)
      later(async () => {
        const audio = heard()
        const spokeBefore = audio.silent < endpointingMs * sampleRateHz / 1_000
        audio.append(samples)
        const silentMs = audio.silent * 1_000 / sampleRateHz
        if (spokeBefore && silentMs >= endpointingMs) return await final(false, true, false)
        if (audio.samples - audio.from >= audio.longestMs * sampleRateHz / 1_000) {
          return await final(false, false, false)
        }
        if (!wantsInterims || busy || audio.samples - interimAt < interimMs * sampleRateHz / 1_000) return
        interim().catch(broke)
      })
    },
    message: (text) => {
      idle.refresh()
      const type = (() => {
        try {
          return (JSON.parse(text) as { readonly type?: unknown }).type
        } catch {
          return undefined
        }
      })()
      if (type === "KeepAlive") return
      if (type === "CloseStream") return closeStream()
      if (type !== "Finalize") return connection.close(1008, "DATA-0000", false)
      later(async () => {
        if (ignoresFinalise || heard().samples - heard().from < noticeableMs * sampleRateHz / 1_000) return
        await final(true, true, true)
      })
    },
    fail: broke,
    closed: () => {
      open = false
      clearTimeout(idle)
    }
  }
}

/**
 * Deepgram's live transcription, `GET /v1/listen` as a WebSocket, on 127.0.0.1.
 *
 * From https://developers.deepgram.com/reference/speech-to-text/listen-streaming, .../docs/finalize, .../docs/close-stream,
 * .../docs/audio-keep-alive, .../docs/endpointing and .../docs/stt-troubleshooting-websocket-data-and-net-errors:
 * raw 16-bit audio at 16 kHz, interim results, finals by endpointing (on by default), by length and by `Finalize` (which
 * is not answered when hardly any audio waits), `CloseStream` with the last final and `Metadata`, and NET-0001 after
 * `idleMs` (10 s) without a message.
 */
export const deepgramServer = (
  { engine = defaultScript, idleMs = 10_000, ignoresFinalise = false }: DeepgramOptions = {}
): Effect.Effect<ProtocolServer, never, Scope.Scope> => {
  const key = "deepgram-test-key-0123456789abcdef"
  return recognitionSocketServer({
    key,
    path: "/v1/listen",
    refused,
    refusal: (url, headers) => {
      const [scheme, value] = (headers.authorization ?? "").split(" ")
      if (!/^(?:token|bearer)$/iu.test(scheme ?? "") || value !== key) return refused(401)
      const query = url.searchParams
      return query.get("encoding") !== "linear16" || query.get("sample_rate") !== String(sampleRateHz)
        ? refused(400)
        : undefined
    },
    isIdle: (text) => text.includes("KeepAlive"),
    serve: (connection) => serve(connection, { engine, idleMs, ignoresFinalise })
  })
}
