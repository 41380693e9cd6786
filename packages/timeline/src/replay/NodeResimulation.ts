import type { InputOf } from "@rspp/contracts/SessionInput"
import type { InputRecord } from "@rspp/contracts/Timeline"
import { frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { MeasuredWork } from "@rspp/runtime/ports/MeasuredWork"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import type { NodeRegistryService } from "@rspp/runtime/nodes/NodeRegistry"
import { NodeRegistry } from "@rspp/runtime/nodes/NodeRegistry"
import { segmenterNode } from "@rspp/runtime/nodes/SegmenterNode"
import { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import type { VoiceEdge } from "@rspp/runtime/ports/VoiceActivity"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ReplayDivergence } from "./DivergenceClassifier.ts"
import { divergenceOf } from "./DivergenceClassifier.ts"
import type { ReplayReport, ReplayTimeline } from "./Replayer.ts"
import { identityOf } from "./RecordIdentity.ts"
import type { ReplayRefused } from "./ReplayMode.ts"
import { allowed, manifestOf, ReplayNotCaptured } from "./ReplayMode.ts"
import { resimulateTextNodes } from "./TextNodeResimulation.ts"
import { maxDivergences } from "./StrictReplay.ts"

/** A detector may notice an edge so long after it, besides its own minimum times, in ms. */
const noticeMs = 300

/** A node that works on what is recorded, and that this mode did not run again. */
export interface NotRun {
  readonly node_id: string
  readonly reason: string
}

export interface ResimulationReport extends ReplayReport {
  /** Edges of speech that voice activity found in the recorded audio. */
  readonly edges: number
  /** Samples of the caller that it heard. */
  readonly samples: number
  /** Calls of text filters and segmenters that were run again. */
  readonly calls: number
  readonly notRun: ReadonlyArray<NotRun>
}

/**
 * The mode `re_simulate_nodes`: voice activity hears the recorded caller again, with the recorded settings, and the edges of
 * speech that it finds are compared with those that the session was told; text filters and segmenters that are nodes of the
 * graph work again on the texts that they were given.
 *
 * It needs the caller's audio whole (level L2) and fails with `ReplayNotCaptured` without. An edge that one side lacks is an
 * OUTCOME divergence, one at another sample a TIMING divergence, with the distance in ms; what distance passes is the
 * fixture's `timing_tolerance_ms` to say. The kernel is not executed. Which detector runs is the Layer's choice: a
 * recording made with another one diverges, and rightly. Nodes that it does not run again are named in the report.
 */
export class NodeResimulation extends Context.Service<NodeResimulation, {
  readonly resimulate: (
    timeline: ReplayTimeline
  ) => Effect.Effect<ResimulationReport, ReplayRefused | ProviderFailure>
}>()("rspp/NodeResimulation") {
  static readonly layerNoDeps = Layer.effect(
    NodeResimulation,
    Effect.gen(function*() {
      const voice = yield* VoiceActivity
      const registered = yield* NodeRegistry
      const segmenter = segmenterNode(yield* SentenceSegmenter)
      const registry = {
        ids: registered.ids,
        find: (id: string) => registered.find(id) ?? (id === segmenter.id ? segmenter : undefined)
      }
      return NodeResimulation.of({ resimulate: (timeline) => resimulate(voice, registry, timeline) })
    })
  )
}

type VoiceRecord = InputRecord & { readonly input: InputOf<"voice_activity"> }

const resimulate = Effect.fn("NodeResimulation.resimulate")(function*(
  voice: VoiceActivity["Service"],
  registry: NodeRegistryService,
  timeline: ReplayTimeline
): Effect.fn.Return<ResimulationReport, ReplayRefused | ProviderFailure> {
  const { header, records, tear } = timeline
  yield* allowed(timeline, "re_simulate_nodes")
  yield* captured(timeline)
  const recorded = records.filter((record): record is VoiceRecord =>
    record.record === "input" && record.input.type === "voice_activity"
  )
  const heard = yield* hear(voice, timeline)
  const lastSample = heard.to
  const settleSamples = (header.session_config.voice_activity.min_silence_ms + noticeMs) * samplesPerMs
  const divergences: Array<ReplayDivergence> = []
  let same = 0
  for (let at = 0; at < Math.max(recorded.length, heard.edges.length) && divergences.length < maxDivergences; at++) {
    const a = recorded[at]
    const b = heard.edges[at]
    if (a !== undefined && b !== undefined && a.input.edge === b.edge && a.input.sample_index === b.sampleIndex) {
      if (divergences.length === 0) same++
      continue
    }
    // The session may have ended before this one was noticed.
    if (a === undefined && b !== undefined && b.sampleIndex + settleSamples >= lastSample) break
    divergences.push(divergence(a, b))
    // From here on the sides do not tell of the same speech.
    if (a?.input.edge !== b?.edge) break
  }
  const nodes = yield* resimulateTextNodes(registry, timeline)
  divergences.push(...nodes.divergences.slice(0, maxDivergences - divergences.length))
  const sessionMs = records.reduce((latest, record) => Math.max(latest, identityOf(record).atMs ?? 0), 0)
  const [first] = divergences
  return {
    mode: "re_simulate_nodes",
    identical: first === undefined,
    records: same + nodes.same,
    inputs: Math.ceil(heard.samples / frameSamples),
    turns: records.filter((record) => record.record === "signal" && record.signal.signal === "turn_open").length,
    sessionMs,
    complete: first === undefined && records.at(-1)?.record === "end",
    missingTelemetry: 0,
    ...(tear === undefined ? {} : { tear }),
    ...(first === undefined ? {} : { divergence: first, divergences }),
    edges: heard.edges.length,
    samples: heard.samples,
    calls: nodes.calls,
    notRun: header.pipeline.graph.nodes
      .filter(({ node_id }) => !nodes.ran.has(node_id) || nodes.notRun.has(node_id))
      .map(({ node_id, node_type }) => ({
        node_id,
        reason: nodes.notRun.get(node_id) ?? `${node_type} is not run again`
      }))
  }
})

/** Fails unless the whole of the caller's audio is in the recording. */
const captured = Effect.fnUntraced(function*({ header, records }: ReplayTimeline) {
  const missing = (message: string) =>
    new ReplayNotCaptured({
      mode: "re_simulate_nodes",
      missing: "caller_audio",
      message: `re_simulate_nodes needs the caller's audio, and ${message} (caller_audio)`
    })
  const manifest = manifestOf(records)
  if (manifest?.caller_audio === "part") {
    const { detail_dropped, level, lowered_turns } = manifest
    const from = lowered_turns?.[0] === undefined ? "" : `, from ${lowered_turns[0].first_turn} on (lowered_turns)`
    return yield* missing(
      level === header.recording_level
        ? `a part of it was not kept; ${detail_dropped} records of detail had to go`
        : `a part of it was not kept: the recording went down to ${level}${from}`
    )
  }
  if (!records.some((record) => record.record === "caller_audio")) {
    return yield* missing(`the recording, of level ${manifest?.level ?? header.recording_level}, has none; L2 keeps it`)
  }
  return undefined
})

/** Lets the detector hear all of the recorded audio, a second at a time, and waits for it after each. */
const hear = (voice: VoiceActivity["Service"], { header, records }: ReplayTimeline) =>
  Effect.scoped(Effect.gen(function*() {
    const edges: Array<VoiceEdge> = []
    let failure: ProviderFailure | undefined
    let working = 0
    const idle = Latch.makeUnsafe(true)
    const counted = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.suspend(() => {
        working++
        idle.closeUnsafe()
        return Effect.onExit(work, () =>
          Effect.sync(() => {
            working--
            if (working === 0) idle.openUnsafe()
          }))
      })
    const stream = yield* voice.open({
      settings: header.session_config.voice_activity,
      onEdge: (edge) => void edges.push(edge),
      onFailure: (error) => {
        failure ??= error
      }
    }).pipe(Effect.provideService(MeasuredWork, counted))
    const settled = Effect.gen(function*() {
      // What is done may ask for more.
      do {
        yield* idle.await
        yield* Effect.yieldNow
      } while (working > 0)
      if (failure !== undefined) return yield* failure
      return undefined
    })
    let samples = 0
    let to = 0
    let ended = false
    for (const record of records) {
      if (record.record === "input" && record.input.type === "audio_ended") ended = true
      if (record.record !== "caller_audio") continue
      const pcm = samplesOf(record.pcm_base64)
      for (let at = 0; at < pcm.length; at += frameSamples) {
        stream.push({ sampleIndex: record.first_sample_index + at, samples: pcm.slice(at, at + frameSamples) })
      }
      samples += pcm.length
      to = record.first_sample_index + pcm.length
      yield* settled
    }
    if (ended) stream.end()
    yield* settled
    return { edges, samples, to }
  }))

const decodeBase64 = Schema.decodeUnknownOption(Schema.Uint8ArrayFromBase64)

/** s16le samples; bytes that are no base64 are no sound. */
const samplesOf = (base64: string): Int16Array => {
  const decoded = decodeBase64(base64)
  if (Option.isNone(decoded)) return new Int16Array(0)
  const bytes = decoded.value
  return new Int16Array(bytes.slice(0, bytes.byteLength & ~1).buffer)
}

const place = (sample: number): string => `sample ${sample} (${Math.round(sample / samplesPerMs)} ms)`

const divergence = (recorded: VoiceRecord | undefined, heard: VoiceEdge | undefined): ReplayDivergence => {
  const step = { sequence: recorded?.runtime_sequence ?? 0, atMs: Math.round((heard?.sampleIndex ?? 0) / samplesPerMs) }
  if (recorded === undefined || heard === undefined || recorded.input.edge !== heard.edge) {
    const was = recorded === undefined
      ? "nothing more"
      : `${recorded.input.edge} at ${place(recorded.input.sample_index)}`
    const is = heard === undefined ? "nothing more" : `${heard.edge} at ${place(heard.sampleIndex)}`
    return divergenceOf(
      "OUTCOME_DIVERGENCE",
      `voice activity: the recording has ${was}, the replay ${is}`,
      step,
      recorded
    )
  }
  const { edge, sample_index } = recorded.input
  const message = `voice activity: ${edge} is at ${place(sample_index)} in the recording and at ${
    place(heard.sampleIndex)
  } in the replay`
  const replayed = { ...recorded, input: { ...recorded.input, sample_index: heard.sampleIndex } }
  return {
    ...divergenceOf("TIMING_DIVERGENCE", message, step, recorded, replayed),
    timing_difference_ms: Math.ceil(Math.abs(sample_index - heard.sampleIndex) / samplesPerMs)
  }
}
