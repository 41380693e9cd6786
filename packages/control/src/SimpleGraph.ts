import type { GraphNode } from "@rspp/contracts/GraphDefinition"
import type { PipelineEdge } from "@rspp/contracts/PipelineSpec"

/** The provider of each modality that a spec without a graph gets: embedded, without key, server or network. */
export const simpleProviders = {
  stt: "embedded/moonshine",
  llm: "embedded/rules",
  tts: "embedded/flite"
} as const

/** The graph of a spec that writes none: the one chain that the `simple` profile runs. */
export const simpleGraph: {
  readonly nodes: ReadonlyArray<GraphNode>
  readonly edges: ReadonlyArray<PipelineEdge>
} = {
  nodes: [
    { node_id: "input", node_type: "audio_input" },
    { node_id: "vad", node_type: "voice_activity" },
    { node_id: "stt", node_type: "speech_to_text" },
    { node_id: "turn", node_type: "turn_detector" },
    { node_id: "llm", node_type: "language_model" },
    { node_id: "sentences", node_type: "sentence_segmenter" },
    { node_id: "tts", node_type: "text_to_speech" },
    { node_id: "output", node_type: "audio_output" }
  ],
  edges: [
    { from_node_id: "input", to_node_id: "vad", payload_kind: "caller_audio" },
    { from_node_id: "input", to_node_id: "stt", payload_kind: "caller_audio" },
    { from_node_id: "vad", to_node_id: "turn", payload_kind: "voice_edge" },
    { from_node_id: "stt", to_node_id: "turn", payload_kind: "interim_transcript" },
    { from_node_id: "stt", to_node_id: "turn", payload_kind: "transcript" },
    { from_node_id: "turn", to_node_id: "llm", payload_kind: "transcript" },
    { from_node_id: "llm", to_node_id: "sentences", payload_kind: "text" },
    { from_node_id: "sentences", to_node_id: "tts", payload_kind: "segment" },
    { from_node_id: "tts", to_node_id: "output", payload_kind: "voice" }
  ]
}
