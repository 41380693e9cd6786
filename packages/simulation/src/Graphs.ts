import type { RandomStream } from "./RandomStreams.ts"

/** A graph as the author of a pipeline writes it. */
export interface SpecGraph {
  readonly nodes: ReadonlyArray<Record<string, unknown>>
  readonly edges: ReadonlyArray<Record<string, unknown>>
}

const prelude = {
  nodes: [
    { node_id: "input", node_type: "audio_input" },
    { node_id: "vad", node_type: "voice_activity" },
    { node_id: "stt", node_type: "speech_to_text" },
    { node_id: "turn", node_type: "turn_detector" },
    { node_id: "output", node_type: "audio_output" }
  ],
  edges: ["input.caller_audio.vad", "input.caller_audio.stt", "vad.voice_edge.turn"].map((id) => edge(id)).concat([
    edge("stt.interim_transcript.turn"),
    edge("stt.transcript.turn")
  ])
}

function edge(id: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  const [from_node_id, payload_kind, to_node_id] = id.split(".")
  return { from_node_id, payload_kind, to_node_id, ...more }
}

const model = (node_id: string, provider_id: string) => ({ node_id, node_type: "language_model", provider_id })
const sentences = (node_id: string) => ({ node_id, node_type: "sentence_segmenter" })

/** How the transcript becomes sentences: ends with edges out of `from`, of kind `segment`. */
interface Mind {
  readonly nodes: ReadonlyArray<Record<string, unknown>>
  readonly edges: ReadonlyArray<Record<string, unknown>>
  readonly from: string
}

/** The ways to answer: one model, two behind a router, two of which one is selected or both are merged, one with a spare. */
const minds: Readonly<Record<string, (source: string, stream: RandomStream) => Mind>> = {
  one: (source) => ({
    nodes: [model("llm", "sim/llm"), sentences("sentences")],
    edges: [edge(`${source}.transcript.llm`), edge("llm.text.sentences")],
    from: "sentences"
  }),
  routed: (source) => ({
    nodes: [
      { node_id: "router", node_type: "custom", provider_id: "sim/router" },
      model("llm", "sim/llm"),
      model("small", "sim/llm-b"),
      sentences("sentences")
    ],
    edges: [
      edge(`${source}.transcript.router`),
      edge("router.transcript.llm", { condition: { fact: "label", is: "equals", value: "question" } }),
      edge("router.transcript.small", { condition: { fact: "label", is: "not_equals", value: "question" } }),
      edge("llm.text.sentences"),
      edge("small.text.sentences")
    ],
    from: "sentences"
  }),
  selected: (source, stream) => ({
    nodes: [
      model("llm", "sim/llm"),
      model("other", "sim/llm-b"),
      sentences("sentences"),
      sentences("others"),
      {
        node_id: "best",
        node_type: "select",
        select: stream.chance(0.5)
          ? { rule: "first" }
          : {
            rule: "preferred",
            order: ["sentences.segment.best", "others.segment.best"],
            wait_ms: stream.pick([0, 200, 1500])
          }
      }
    ],
    edges: [
      edge(`${source}.transcript.llm`),
      edge(`${source}.transcript.other`),
      edge("llm.text.sentences"),
      edge("other.text.others"),
      edge("sentences.segment.best"),
      edge("others.segment.best")
    ],
    from: "best"
  }),
  merged: (source) => ({
    nodes: [
      model("llm", "sim/llm"),
      model("other", "sim/llm-b"),
      sentences("sentences"),
      sentences("others"),
      { node_id: "both", node_type: "merge" }
    ],
    edges: [
      edge(`${source}.transcript.llm`),
      edge(`${source}.transcript.other`),
      edge("llm.text.sentences"),
      edge("other.text.others"),
      edge("sentences.segment.both"),
      edge("others.segment.both")
    ],
    from: "both"
  }),
  spare: (source, stream) => ({
    nodes: [model("llm", "sim/llm"), model("spare", "sim/llm-b"), sentences("sentences")],
    edges: [
      edge(`${source}.transcript.llm`),
      edge("llm.transcript.spare", { fallback_on: stream.pick([["timeout"], ["error"], ["error", "timeout"]]) }),
      edge("llm.text.sentences"),
      edge("spare.text.sentences")
    ],
    from: "sentences"
  })
}

/**
 * A graph that an author might write, or none: then the pipeline is the plain one. Each part is there or not by chance:
 * a filter before the model and one before the voice, one of the {@link minds}, a second voice behind a fallback edge,
 * a transcript sink, and a node that only looks on.
 */
export const drawGraph = (stream: RandomStream): SpecGraph | undefined => {
  const plain = stream.chance(0.55)
  const screensCaller = stream.chance(0.4)
  const screensReply = stream.chance(0.4)
  const isOptional = stream.chance(0.5)
  const mind = stream.pick(["one", "one", "routed", "selected", "merged", "spare"])
  const secondVoice = stream.chance(0.4)
  const captions = stream.chance(0.4)
  const looksOn = stream.chance(0.3)
  if (plain) return undefined
  const filter = (node_id: string) => ({
    node_id,
    node_type: "text_filter",
    provider_id: "sim/filter",
    ...(isOptional ? { optional: true } : {})
  })
  const { edges, from, nodes } = (minds[mind] as (source: string, stream: RandomStream) => Mind)(
    screensCaller ? "screen_caller" : "turn",
    stream
  )
  const spoken = screensReply ? "screen_reply" : from
  return {
    nodes: [
      ...prelude.nodes,
      ...nodes,
      { node_id: "tts", node_type: "text_to_speech", provider_id: "sim/tts" },
      ...(screensCaller ? [filter("screen_caller")] : []),
      ...(screensReply ? [filter("screen_reply")] : []),
      ...(secondVoice ? [{ node_id: "tts_b", node_type: "text_to_speech", provider_id: "sim/tts-b" }] : []),
      ...(captions ? [{ node_id: "captions", node_type: "transcript_sink" }] : []),
      ...(looksOn ? [{ node_id: "watch", node_type: "custom", provider_id: "sim/watch" }] : [])
    ],
    edges: [
      ...prelude.edges,
      ...edges,
      ...(screensCaller ? [edge("turn.transcript.screen_caller")] : []),
      ...(screensReply ? [edge(`${from}.segment.screen_reply`)] : []),
      edge(`${spoken}.segment.tts`),
      edge("tts.voice.output"),
      ...(secondVoice
        ? [edge("tts.segment.tts_b", { fallback_on: ["error", "timeout"] }), edge("tts_b.voice.output")]
        : []),
      ...(captions ? [edge("turn.transcript.captions"), edge(`${spoken}.segment.captions`)] : []),
      ...(looksOn ? [edge("turn.transcript.watch"), edge(`${spoken}.segment.watch`)] : [])
    ]
  }
}

/** The id that the compiler gives an edge. */
export const edgeId = ({ fallback_on, from_node_id, payload_kind, to_node_id }: Record<string, unknown>): string =>
  `${String(from_node_id)}.${String(payload_kind)}.${String(to_node_id)}${fallback_on === undefined ? "" : ".fallback"}`

const plainSegmentEdge = "sentences.segment.tts"

/** The spec with this graph instead of the plain one. Policies of edges that it does not have go with them. */
export const graphed = (spec: Record<string, unknown>, graph: SpecGraph | undefined): Record<string, unknown> => {
  if (graph === undefined) return spec
  const ids = graph.edges.map(edgeId)
  const { edge_buffer_policies, providers: _, ...rest } = spec
  const written = (edge_buffer_policies ?? {}) as Record<string, unknown>
  const policies = Object.entries(written).filter(([id]) => ids.includes(id))
  // Sentences are short of room wherever they go.
  if (written[plainSegmentEdge] !== undefined) {
    for (const id of ids) if (/\.segment\./u.test(id)) policies.push([id, written[plainSegmentEdge]])
  }
  // What the graph needs the plan must allow: an author who forgot it is told so, and there is no call.
  const needed = [
    ...(graph.edges.some((one) => one["fallback_on"] !== undefined) ? ["fallback"] : []),
    ...(graph.nodes.some((one) => one["optional"] === true) ? ["degrade"] : [])
  ]
  const actions = new Set([...(spec["allowed_adaptive_actions"] ?? []) as ReadonlyArray<string>, ...needed])
  return {
    ...rest,
    ...graph,
    allowed_adaptive_actions: [...actions],
    nodes: graph.nodes.map((node) =>
      node["node_type"] === "speech_to_text" ? { ...node, provider_id: "sim/stt" } : node
    ),
    ...(policies.length === 0 ? {} : { edge_buffer_policies: Object.fromEntries(policies) })
  }
}
