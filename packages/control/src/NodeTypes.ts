import type { NodeType, PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { Lane } from "@rspp/contracts/Event"

/** What a node takes in: payloads of one kind, from one type of node. */
export interface InputPort {
  readonly from: NodeType
  readonly kind: PayloadKind
}

/** The ports of a node type. `provider` is the modality that a node of this type calls, if it calls one. */
export interface NodePorts {
  readonly accepts: ReadonlyArray<InputPort>
  readonly emits: ReadonlyArray<PayloadKind>
  readonly provider?: "stt" | "llm" | "tts"
}

/**
 * The node types and how they fit together.
 *
 * The kernel runs one chain from the caller's audio to the agent's, so a graph has exactly one node of each type, and
 * every input of a node is connected.
 */
export const nodePorts: Readonly<Record<NodeType, NodePorts>> = {
  audio_input: { accepts: [], emits: ["caller_audio"] },
  voice_activity: { accepts: [{ from: "audio_input", kind: "caller_audio" }], emits: ["voice_edge"] },
  speech_to_text: {
    accepts: [{ from: "audio_input", kind: "caller_audio" }],
    emits: ["interim_transcript", "transcript"],
    provider: "stt"
  },
  turn_detector: {
    accepts: [
      { from: "voice_activity", kind: "voice_edge" },
      { from: "speech_to_text", kind: "interim_transcript" },
      { from: "speech_to_text", kind: "transcript" }
    ],
    emits: ["transcript"]
  },
  language_model: { accepts: [{ from: "turn_detector", kind: "transcript" }], emits: ["text"], provider: "llm" },
  sentence_segmenter: { accepts: [{ from: "language_model", kind: "text" }], emits: ["segment"] },
  text_to_speech: { accepts: [{ from: "sentence_segmenter", kind: "segment" }], emits: ["voice"], provider: "tts" },
  audio_output: { accepts: [{ from: "text_to_speech", kind: "voice" }], emits: [] },
  text_filter: { accepts: [], emits: [] },
  merge: { accepts: [], emits: [] },
  select: { accepts: [], emits: [] },
  transcript_sink: { accepts: [], emits: [] },
  custom: { accepts: [], emits: [] }
}

/** Every payload kind travels on the data lane: signals and telemetry are not edges of the graph. */
export const laneOf = (_kind: PayloadKind): Lane => "DataLane"

/** The types of which a graph has exactly one node each. */
export const singleTypes: ReadonlyArray<NodeType> = [
  "audio_input",
  "voice_activity",
  "speech_to_text",
  "turn_detector",
  "language_model",
  "sentence_segmenter",
  "text_to_speech",
  "audio_output"
]
