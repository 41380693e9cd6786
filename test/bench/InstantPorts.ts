import { layer as controlPlaneFeed } from "@rspp/cli/ControlPlaneFeed"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import type { ControlPlaneFeed } from "@rspp/runtime/ports/ControlPlaneFeed"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import { frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import type { SessionRecorder } from "@rspp/runtime/ports/Recorder"
import { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import type { AudioOutput, TransportIngress } from "@rspp/runtime/ports/Transport"
import { Transport } from "@rspp/runtime/ports/Transport"
import type { VoiceEdge } from "@rspp/runtime/ports/VoiceActivity"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import { Session } from "@rspp/runtime/session/Session"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as FileRecorder from "@rspp/timeline/recorder/FileRecorder"
import * as Silero from "@rspp/providers/vad/SileroVoiceActivity"
import { RecordAssembler } from "@rspp/timeline/recorder/RecordAssembler"
import { Effect, Layer, Queue, Stream } from "effect"

/** What a benchmark decides about its sessions. */
export interface PortOptions {
  /** Milliseconds, of the clock that the sessions live by. */
  readonly nowMs: () => number
  /** `paced`: the output plays in real time, 200 ms ahead at most. `instant`: what is captured is played. */
  readonly output: "paced" | "instant"
  /** Length of the one sentence that the agent says in each turn. */
  readonly voiceMs: number
  /** What a recogniser waits for after a pause; nothing by default. */
  readonly beforeFinal?: () => Effect.Effect<void>
  /** Edges come from the benchmark, not from a detector. */
  readonly edgesByHand?: boolean
  /** The embedded detector does its work too, for the load that it is. */
  readonly silero?: boolean
  readonly sessionConfig?: Record<string, unknown>
  /** The pipeline, where it is not the benchmark's own: what it binds is answered by the same instant providers. */
  readonly spec?: NormalizedSpec
  /** Leases and snapshots, where they do not come from this process. */
  readonly feed?: Layer.Layer<ControlPlaneFeed>
  /**
   * What becomes of the records. By default they are made, counted and let go. `nothing`: none is made. A directory: the
   * file recorder writes each session's recording there, as `rspp run` does. Or a recorder of the benchmark's own.
   */
  readonly recording?: "nothing" | { readonly directory: string } | ((exchange: Exchange) => Layer.Layer<Recorder>)
}

/** One call, as the benchmark holds it. */
export class Line {
  readonly sessionId: string
  ingress: TransportIngress | undefined
  /** Tells the session of an edge that no detector found. */
  edge: (edge: VoiceEdge) => void = () => {}
  hangUp: () => void = () => {}
  onFrame: (samples: Int16Array) => void = () => {}
  onClear: () => void = () => {}
  /** Each record of the session's timeline, as it is made. */
  onRecord: (record: TimelineRecord) => void = () => {}
  /** Sample at which the next frame of the caller begins. */
  nextSample = 0
  /** Frames that the session had no room for. */
  refused = 0
  /** Frames of the agent that came out. */
  captured = 0
  turnsClosed = 0
  commits = 0
  records = 0

  constructor(sessionId: string) {
    this.sessionId = sessionId
  }

  feed(samples: Int16Array): void {
    if (this.ingress?.audio({ sampleIndex: this.nextSample, samples }) !== true) this.refused++
    this.nextSample += samples.length
  }
}

/** The lines of a process; a line is made when it is first asked for. */
export class Exchange {
  readonly #lines = new Map<string, Line>()

  line(sessionId: string): Line {
    const known = this.#lines.get(sessionId)
    if (known !== undefined) return known
    const made = new Line(sessionId)
    this.#lines.set(sessionId, made)
    return made
  }
}

/** Frames of the caller, told apart by their first sample. */
export const spokenFrame = new Int16Array(frameSamples).fill(4000)
export const silentFrame = new Int16Array(frameSamples)

class Output implements AudioOutput {
  readonly capacityMs = 200
  readonly #line: Line
  readonly #nowMs: () => number
  readonly #paced: boolean
  /** When the queue will have been played. */
  #untilMs = 0

  constructor(line: Line, { nowMs, output }: PortOptions) {
    this.#line = line
    this.#nowMs = nowMs
    this.#paced = output === "paced"
  }

  readonly capture = (samples: Int16Array): Effect.Effect<void> => {
    this.#line.captured++
    this.#line.onFrame(samples)
    if (this.#paced) this.#untilMs = Math.max(this.#untilMs, this.#nowMs()) + samples.length / samplesPerMs
    return Effect.void
  }

  readonly queuedSamples = (): number =>
    this.#paced ? Math.max(0, Math.ceil((this.#untilMs - this.#nowMs()) * samplesPerMs)) : 0

  readonly clear = (): number => {
    const dropped = this.queuedSamples()
    this.#untilMs = 0
    this.#line.onClear()
    return dropped
  }
}

const transport = (exchange: Exchange, options: PortOptions) =>
  Layer.succeed(Transport, {
    open: ({ session_id }) =>
      Effect.sync(() => {
        const line = exchange.line(session_id)
        return {
          transport_id: "bench/line",
          output: new Output(line, options),
          run: (ingress) =>
            Effect.callback((resume) => {
              line.ingress = ingress
              line.hangUp = () => {
                ingress.audioEnded()
                resume(Effect.void)
              }
              ingress.connection("connected")
            })
        }
      })
  })

/** A detector that knows speech by its first sample, and reports at once. */
const detector = Layer.succeed(VoiceActivity, {
  open: ({ onEdge, settings }) =>
    Effect.sync(() => {
      let speaking = false
      let lastSpeech = 0
      return {
        push: ({ sampleIndex, samples }) => {
          if (samples[0] !== 0) {
            lastSpeech = sampleIndex + samples.length
            if (speaking) return
            speaking = true
            onEdge({ edge: "speech_started", sampleIndex })
          } else if (speaking && sampleIndex - lastSpeech >= settings.min_silence_ms * samplesPerMs) {
            speaking = false
            onEdge({ edge: "speech_ended", sampleIndex: lastSpeech })
          }
        },
        end: () => {}
      }
    })
})

/** The same edges; beside it the embedded detector hears every frame as well, and nobody listens to what it says. */
const detectorBesideSilero = Layer.effect(
  VoiceActivity,
  Effect.gen(function*() {
    const instant = yield* Effect.provide(VoiceActivity, detector)
    const silero = yield* Silero.make()
    return VoiceActivity.of({
      open: (options) =>
        Effect.gen(function*() {
          const heard = yield* silero.open({ ...options, onEdge: () => {} })
          const told = yield* instant.open(options)
          return {
            push: (frame) => {
              heard.push(frame)
              told.push(frame)
            },
            end: () => {
              heard.end()
              told.end()
            }
          }
        })
    })
  })
)

/** No detector: the one line of the exchange reports edges itself. */
const byHand = (line: Line) =>
  Layer.succeed(VoiceActivity, {
    open: ({ onEdge }) =>
      Effect.sync(() => {
        line.edge = onEdge
        return { push: () => {}, end: () => {} }
      })
  })

/** The real assembler; what it makes is counted and let go. */
const recorder = (exchange: Exchange) =>
  Layer.succeed(Recorder, {
    open: ({ header, onAppended }) =>
      Effect.gen(function*() {
        const line = exchange.line(header.session_id)
        const answers = yield* Queue.bounded<string>(256)
        const assembler = new RecordAssembler(header, {
          emit: ({ records }) => {
            line.records += records.length
            for (const record of records) {
              line.onRecord(record)
              if (record.record !== "signal") continue
              if (record.signal.signal === "commit") line.commits++
              else if (record.signal.signal === "close") line.turnsClosed++
            }
          },
          appendRequested: (turnId) => void Queue.offerUnsafe(answers, turnId)
        })
        yield* Effect.forkScoped(
          Effect.forever(Effect.map(Queue.take(answers), (turnId) => onAppended(turnId, "appended")))
        )
        return {
          audio: (sequence, sampleIndex, timestampMs) => assembler.audio(sequence, sampleIndex, timestampMs),
          input: (record) => assembler.input(record),
          outputs: (outputs) => assembler.outputs(outputs),
          payload: (handle, content) => assembler.payload(handle, content),
          callerAudio: (sampleIndex, samples) => assembler.callerAudio(sampleIndex, samples),
          closing: () => {}
        }
      })
  })

/** Counts the turns of a recorder that is not asked what it makes. */
const counting = (line: Line, recorder: SessionRecorder): SessionRecorder => ({
  ...recorder,
  outputs: (outputs) => {
    for (const output of outputs) {
      if (output.record !== "signal") continue
      if (output.signal.signal === "commit") line.commits++
      else if (output.signal.signal === "close") line.turnsClosed++
    }
    recorder.outputs(outputs)
  }
})

/** Keeps nothing, and has room for all evidence. */
const noRecorder = (exchange: Exchange) =>
  Layer.succeed(Recorder, {
    open: ({ header, onAppended }) =>
      Effect.gen(function*() {
        const answers = yield* Queue.bounded<string>(256)
        yield* Effect.forkScoped(
          Effect.forever(Effect.map(Queue.take(answers), (turnId) => onAppended(turnId, "appended")))
        )
        return counting(exchange.line(header.session_id), {
          audio: () => {},
          input: () => {},
          outputs: (outputs) => {
            for (const output of outputs) {
              if (output.record === "command" && output.command.type === "append_evidence") {
                Queue.offerUnsafe(answers, output.command.turn_id)
              }
            }
          },
          payload: () => {},
          callerAudio: () => {},
          closing: () => {}
        })
      })
  })

const fileRecorder = (exchange: Exchange, directory: string) =>
  Layer.effect(
    Recorder,
    Effect.map(Recorder, (recorder) =>
      Recorder.of({
        open: (session) =>
          Effect.map(recorder.open(session), (one) => counting(exchange.line(session.header.session_id), one))
      }))
  ).pipe(Layer.provide(FileRecorder.layer({ to: { directory } })), Layer.provide(NodeFileSystem.layer))

const recorderOf = (exchange: Exchange, { recording }: PortOptions) =>
  recording === undefined
    ? recorder(exchange)
    : recording === "nothing"
    ? noRecorder(exchange)
    : typeof recording === "function"
    ? recording(exchange)
    : fileRecorder(exchange, recording.directory)

/** Providers that have their answer at once, as a stream of one piece. */
const providers = (
  { beforeFinal, voiceMs }: PortOptions,
  { llm = "", stt = "", tts = "" }: Readonly<Record<string, string>>
) =>
  ProviderManager.layerOf({
    stt: [{
      descriptor: { provider_id: stt, modality: "stt" },
      recognise: (input) =>
        input.pipe(
          Stream.filter((item) => item._tag === "Pause"),
          Stream.mapEffect(({ pauseId }) => {
            const final = { _tag: "Final", text: "what time is it", pauseId, complete: true } as const
            return beforeFinal === undefined ? Effect.succeed(final) : Effect.as(beforeFinal(), final)
          })
        )
    }],
    llm: [{
      descriptor: { provider_id: llm, modality: "llm" },
      reply: () => Stream.succeed("It is noon. ")
    }],
    tts: [{
      descriptor: { provider_id: tts, modality: "tts" },
      synthesise: () => Stream.sync(() => new Int16Array(voiceMs * samplesPerMs).fill(3000))
    }]
  })

const segmenter = Layer.succeed(SentenceSegmenter, {
  start: () => ({ push: (delta) => [delta], flush: () => undefined })
})

/** The session service over ports that cost next to nothing: what is measured is the runtime. */
export const benchSessions = (exchange: Exchange, options: PortOptions, only?: Line) =>
  Effect.gen(function*() {
    const spec = options.spec ?? (yield* (yield* SpecNormalizer).normalize({
      schema_version: "v1.0",
      pipeline_id: "bench",
      pipeline_version: "bench-1",
      providers: { stt: "bench/stt", llm: "bench/llm", tts: "bench/tts" },
      ...options.sessionConfig
    }))
    const ports = Layer.mergeAll(
      transport(exchange, options),
      only !== undefined ? byHand(only) : options.silero === true ? detectorBesideSilero : detector,
      recorderOf(exchange, options),
      segmenter,
      providers(options, spec.pipeline.provider_bindings),
      options.feed ?? controlPlaneFeed(spec).pipe(
        Layer.provide([ControlPlane.layerMemory(), LeaseAuthority.layerMemory()]),
        Layer.provide(LeaseTokens.layerSeeded(7))
      )
    )
    const run = (sessionId: string) =>
      Effect.flatMap(Session, (session) =>
        session.run({
          session_id: sessionId,
          tenant_id: "bench",
          pipeline: spec.pipeline,
          seed: 7,
          payloadKey: "bench",
          clock: "realtime"
        }))
    return { run, layer: Layer.provide(Session.layer, ports) }
  }).pipe(Effect.provide(SpecNormalizer.layer))
