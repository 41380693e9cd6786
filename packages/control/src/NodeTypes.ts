import type { NodeType, PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { Lane } from "@rspp/contracts/Event"

/** What a node takes in: payloads of one kind, from these types of node. */
export interface InputPort {
  readonly kind: PayloadKind
  readonly from: ReadonlyArray<NodeType>
}

/** The ports of a node type, and what else a node of the type may say. */
export interface NodePorts {
  readonly accepts: ReadonlyArray<InputPort>
  /** What must come in: every kind that it accepts, one kind of them, or any of them. */
  readonly takes: "every_kind" | "one_kind" | "any_kind"
  /** Fewest edges that come in; 1 when absent. */
  readonly minEdges?: number
  readonly emits: ReadonlyArray<PayloadKind>
  /** It emits the kind that it takes, and no other. */
  readonly emitsWhatItTakes?: true
  /** The modality that a node of this type calls, if it calls one. */
  readonly provider?: "stt" | "llm" | "tts"
  /** Code of its own that it runs: named by the author, or built in where the author names none. */
  readonly implementation?: "required" | "built_in"
  /** A fallback edge may start here. */
  readonly hasFallback?: true
  readonly options: ReadonlyArray<NodeOption>
}

/** What a node says beyond its type and its provider. */
export type NodeOption = "settings" | "select" | "optional"
export const nodeOptionNames: ReadonlyArray<NodeOption> = ["settings", "select", "optional"]

/** The text filter that a node without a `provider_id` gets. */
export const builtInTextFilter = "builtin/text_filter"

const passedOn: ReadonlyArray<NodeType> = ["text_filter", "merge", "select", "custom"]
const transcript: InputPort = { kind: "transcript", from: ["turn_detector", ...passedOn] }
const text: InputPort = { kind: "text", from: ["language_model", ...passedOn] }
const segment: InputPort = { kind: "segment", from: ["sentence_segmenter", ...passedOn] }
const voice: InputPort = { kind: "voice", from: ["text_to_speech", "select"] }
const words = [transcript, text, segment]
const kindsOf = (ports: ReadonlyArray<InputPort>) => ports.map(({ kind }) => kind)

/**
 * The node types and how they fit together.
 *
 * The first four listen: they run for the whole session, and nothing else takes the caller's audio, voice edges or
 * interim transcripts. The others run once for each turn, from the turn detector's transcript to the agent's voice.
 */
export const nodePorts: Readonly<Record<NodeType, NodePorts>> = {
  audio_input: { accepts: [], takes: "every_kind", emits: ["caller_audio"], options: [] },
  voice_activity: {
    accepts: [{ kind: "caller_audio", from: ["audio_input"] }],
    takes: "every_kind",
    emits: ["voice_edge"],
    options: []
  },
  speech_to_text: {
    accepts: [{ kind: "caller_audio", from: ["audio_input"] }],
    takes: "every_kind",
    emits: ["interim_transcript", "transcript"],
    provider: "stt",
    options: []
  },
  turn_detector: {
    accepts: [
      { kind: "voice_edge", from: ["voice_activity"] },
      { kind: "interim_transcript", from: ["speech_to_text"] },
      { kind: "transcript", from: ["speech_to_text"] }
    ],
    takes: "every_kind",
    emits: ["transcript"],
    options: []
  },
  language_model: {
    accepts: [transcript],
    takes: "every_kind",
    emits: ["text"],
    provider: "llm",
    hasFallback: true,
    options: []
  },
  sentence_segmenter: { accepts: [text], takes: "every_kind", emits: ["segment"], hasFallback: true, options: [] },
  text_to_speech: {
    accepts: [segment],
    takes: "every_kind",
    emits: ["voice"],
    provider: "tts",
    hasFallback: true,
    options: []
  },
  audio_output: { accepts: [voice], takes: "every_kind", emits: [], options: [] },
  text_filter: {
    accepts: words,
    takes: "one_kind",
    emits: kindsOf(words),
    emitsWhatItTakes: true,
    implementation: "built_in",
    hasFallback: true,
    options: ["settings", "optional"]
  },
  merge: {
    accepts: words,
    takes: "one_kind",
    minEdges: 2,
    emits: kindsOf(words),
    emitsWhatItTakes: true,
    options: []
  },
  select: {
    accepts: [...words, voice],
    takes: "one_kind",
    minEdges: 2,
    emits: kindsOf([...words, voice]),
    emitsWhatItTakes: true,
    options: ["select"]
  },
  transcript_sink: { accepts: words, takes: "any_kind", emits: [], options: [] },
  custom: {
    accepts: words,
    takes: "any_kind",
    emits: kindsOf(words),
    implementation: "required",
    hasFallback: true,
    options: ["settings", "optional"]
  }
}

/** The types of which a graph has exactly one node each: one caller, one place that decides on turns, one track. */
export const singleTypes: ReadonlyArray<NodeType> = [
  "audio_input",
  "voice_activity",
  "speech_to_text",
  "turn_detector",
  "audio_output"
]

/** Every payload kind travels on the data lane: signals and telemetry are not edges of the graph. */
export const laneOf = (_kind: PayloadKind): Lane => "DataLane"
