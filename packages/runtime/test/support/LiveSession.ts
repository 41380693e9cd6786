import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import type { InputRecord } from "@rspp/contracts/Timeline"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import { ControlPlaneFeed } from "@rspp/runtime/ports/ControlPlaneFeed"
import type { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { CloseReason } from "@rspp/runtime/ports/Recorder"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import type { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import type { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import type { AudioOutput, TransportIngress } from "@rspp/runtime/ports/Transport"
import { Transport, TransportFailure } from "@rspp/runtime/ports/Transport"
import type { VoiceEdge } from "@rspp/runtime/ports/VoiceActivity"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import type { SessionError, SessionSummary } from "@rspp/runtime/session/Session"
import { Session } from "@rspp/runtime/session/Session"
import { Clock, Deferred, Effect, Fiber, Layer, Queue, Stream } from "effect"
import { literalHeader, literalPipeline, literalSnapshots } from "./LiteralSession.ts"
import { ModelQueue } from "./ModelQueue.ts"

export interface LiveOptions {
  readonly llm?: LanguageModel["Service"]["reply"]
  readonly tts?: TextToSpeech["Service"]["synthesise"]
  readonly stt?: SpeechToText["Service"]["recognise"]
  readonly output?: (queue: ModelQueue) => AudioOutput
  readonly pipeline?: NormalizedPipeline
  /** The epoch of the session's lease; 1 by default. */
  readonly epoch?: number
  readonly resume?: boolean
  /** How long the session's lease lasts, in ms; an hour by default. Nobody renews it. */
  readonly leaseTtlMs?: number
  /** How long before the session hears of its lease the authority was asked for it. */
  readonly leaseAskedMsAgo?: number
}

/** A real session whose ports are in the test's hands, on the test's clock. */
export interface LiveSession {
  readonly ingress: TransportIngress
  readonly edge: (edge: VoiceEdge) => void
  readonly hangUp: Effect.Effect<void>
  /** The transport fails. */
  readonly breakLine: Effect.Effect<void>
  readonly fiber: Fiber.Fiber<SessionSummary, SessionError>
  readonly queue: ModelQueue
  readonly inputs: ReadonlyArray<InputRecord>
  readonly outputs: ReadonlyArray<KernelOutput>
  readonly closings: ReadonlyArray<CloseReason>
  /** Names of the signals, of one turn or of all. */
  readonly signals: (turnId?: string) => ReadonlyArray<string>
}

/** A model that says one sentence. */
export const oneSentence: LanguageModel["Service"]["reply"] = () =>
  Stream.fromEffect(Effect.as(Effect.sleep(50), "Fine."))

/** A voice that speaks for 300 ms. */
export const shortVoice: TextToSpeech["Service"]["synthesise"] = () =>
  Stream.range(1, 3).pipe(Stream.mapEffect(() => Effect.as(Effect.sleep(20), new Int16Array(1600).fill(3000))))

/** A recogniser that hears nothing, and ends with its utterance. */
export const deafEar: SpeechToText["Service"]["recognise"] = (input) => Stream.filter(input, () => false) as never

export const startLive = Effect.fnUntraced(function*(options: LiveOptions = {}) {
  const pipeline = options.pipeline ?? literalPipeline()
  const inputs: Array<InputRecord> = []
  const outputs: Array<KernelOutput> = []
  const closings: Array<CloseReason> = []
  const opened = yield* Deferred.make<TransportIngress>()
  const over = yield* Deferred.make<void, TransportFailure>()
  const queue = yield* ModelQueue.make({ capacityMs: 200 })
  let onEdge: (edge: VoiceEdge) => void = () => {}
  const ports = Layer.mergeAll(
    Layer.succeed(Transport, {
      open: () =>
        Effect.succeed({
          transport_id: "test/line",
          output: options.output?.(queue) ?? queue,
          run: (ingress) =>
            Effect.suspend(() => {
              ingress.connection("connected")
              Deferred.doneUnsafe(opened, Effect.succeed(ingress))
              return Effect.tap(Deferred.await(over), () => Effect.sync(() => ingress.connection("ended")))
            })
        })
    }),
    Layer.succeed(VoiceActivity, {
      open: (listener) =>
        Effect.sync(() => {
          onEdge = listener.onEdge
          return { push: () => {}, end: () => {} }
        })
    }),
    Layer.succeed(Recorder, {
      open: ({ onAppended }) =>
        Effect.gen(function*() {
          const asked = yield* Queue.unbounded<string>()
          yield* Effect.forkScoped(
            Effect.forever(Effect.map(Queue.take(asked), (turnId) => onAppended(turnId, "appended")))
          )
          return {
            audio: () => {},
            callerAudio: () => {},
            payload: () => {},
            input: (record) => void inputs.push(record),
            outputs: (records) => {
              outputs.push(...records)
              for (const record of records) {
                if (record.record !== "command" || record.command.type !== "append_evidence") continue
                Queue.offerUnsafe(asked, record.command.turn_id)
              }
            },
            closing: (reason) => void closings.push(reason)
          }
        })
    }),
    Layer.succeed(ControlPlaneFeed, {
      open: ({ onLease, onSnapshot }) =>
        Effect.map(Clock.monotonicTimeNanos, (nowNs) => {
          const authority_epoch = options.epoch ?? 1
          const routing_view_snapshot = { authority_epoch }
          for (const snapshot of literalSnapshots(literalHeader(pipeline), { routing_view_snapshot })) {
            onSnapshot(snapshot)
          }
          onLease(
            { type: "lease", status: "issued", authority_epoch, ttl_ms: options.leaseTtlMs ?? 3_600_000 },
            ...(options.leaseAskedMsAgo === undefined ? [] : [nowNs - BigInt(options.leaseAskedMsAgo) * 1_000_000n])
          )
        })
    }),
    Layer.succeed(SentenceSegmenter, { start: () => ({ push: (delta) => [delta], flush: () => undefined }) }),
    ProviderManager.layerOf({
      stt: [{ descriptor: { provider_id: "test/ear", modality: "stt" }, recognise: options.stt ?? deafEar }],
      llm: [{ descriptor: { provider_id: "test/mind", modality: "llm" }, reply: options.llm ?? oneSentence }],
      tts: [{ descriptor: { provider_id: "test/voice", modality: "tts" }, synthesise: options.tts ?? shortVoice }]
    })
  )
  const run = Effect.flatMap(Session, (session) =>
    session.run({
      session_id: "s1",
      tenant_id: "t1",
      pipeline,
      seed: 7,
      payloadKey: "key",
      clock: "virtual",
      ...(options.resume === undefined ? {} : { resume: options.resume })
    })).pipe(Effect.provide(Session.layer.pipe(Layer.provide(ports)), { local: true }))
  const fiber = yield* Effect.forkChild(run)
  const ingress = yield* Effect.raceFirst(
    Deferred.await(opened),
    Effect.andThen(Fiber.join(fiber), Effect.never)
  )
  const live: LiveSession = {
    ingress,
    edge: (edge) => onEdge(edge),
    hangUp: Effect.asVoid(Deferred.succeed(over, undefined)),
    breakLine: Effect.asVoid(
      Deferred.fail(over, new TransportFailure({ transport_id: "test/line", message: "the line is cut" }))
    ),
    fiber,
    queue,
    inputs,
    outputs,
    closings,
    signals: (turnId) =>
      outputs.flatMap((output) =>
        output.record === "signal" && (turnId === undefined || output.signal.turn_id === turnId)
          ? [output.signal.signal]
          : []
      )
  }
  return live
})
