import { validate } from "@rspp/contracts/Artifact"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { GraphDefinition } from "@rspp/contracts/GraphDefinition"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import type { GraphSource } from "../src/GraphSource.ts"
import { singleTypes } from "../src/NodeTypes.ts"
import { simpleGraph } from "../src/SimpleGraph.ts"
import { compile, edge, errorsOf, shuffled, simple } from "./support/Graphs.ts"

type Edge = GraphSource["edges"][number]
const withNode = (i: number, node: Partial<GraphSource["nodes"][number]>): GraphSource => ({
  ...simple,
  nodes: simple.nodes.map((old, at) => (at === i ? { ...old, ...node } : old))
})
const withEdge = (i: number, changed: Partial<Edge>): GraphSource => ({
  ...simple,
  edges: simple.edges.map((old, at) => (at === i ? { ...old, ...changed } : old))
})
const plusEdges = (...edges: ReadonlyArray<Edge>): GraphSource => ({ ...simple, edges: [...simple.edges, ...edges] })

describe("the simple graph", () => {
  it.effect("compiles to a valid definition with stable edge ids", () =>
    Effect.gen(function*() {
      const graph = yield* compile(simple)
      assert.deepStrictEqual(validate("graph_definition", graph).ok, true)
      assert.deepStrictEqual(graph.edges.map((e) => e.edge_id), [
        "input.caller_audio.stt",
        "input.caller_audio.vad",
        "llm.text.sentences",
        "sentences.segment.tts",
        "stt.interim_transcript.turn",
        "stt.transcript.turn",
        "tts.voice.output",
        "turn.transcript.llm",
        "vad.voice_edge.turn"
      ])
      assert.isTrue(graph.edges.every((e) => e.lane === "DataLane"))
    }))

  it.effect("is named by the SHA-256 of the canonical JSON of the rest, as any other program computes it", () =>
    Effect.gen(function*() {
      const { graph_definition_ref, ...rest }: GraphDefinition = yield* compile(simple)
      const hash = createHash("sha256").update(canonicalJson(rest)).digest("hex")
      assert.strictEqual(graph_definition_ref, `sha256:${hash}`)
    }))

  it.effect.prop("has the same name in whatever order it is written (G1)", [
    Schema.Array(Schema.Int),
    Schema.Array(Schema.Int)
  ], ([a, b]) =>
    Effect.gen(function*() {
      const graph = yield* compile(simple)
      assert.deepStrictEqual(
        yield* compile({ ...simple, nodes: shuffled(simple.nodes, a), edges: shuffled(simple.edges, b) }),
        graph
      )
    }))

  it.effect("has another name when anything of it changes (G1)", () =>
    Effect.gen(function*() {
      const variants = [
        simple,
        { ...simple, pipeline_id: "other" },
        { ...simple, pipeline_version: "demo/2" },
        withNode(2, { provider_id: "other/recogniser" }),
        withEdge(8, { edge_id: "voice" })
      ]
      const refs = yield* Effect.forEach(variants, (source) =>
        Effect.map(compile(source), (graph) => graph.graph_definition_ref))
      assert.strictEqual(new Set(refs).size, variants.length)
    }))

  it.effect("compiles alike with its edge ids written out (G2)", () =>
    Effect.gen(function*() {
      const spelled = {
        ...simple,
        edges: simple.edges.map((e) => ({ ...e, edge_id: `${e.from_node_id}.${e.payload_kind}.${e.to_node_id}` }))
      }
      assert.deepStrictEqual(yield* compile(spelled), yield* compile(simple))
    }))
})

describe("a graph is refused", () => {
  const refused = (name: string, source: GraphSource, expected: ReadonlyArray<string>) =>
    it.effect(name, () => Effect.map(errorsOf(source), (errors) => assert.deepStrictEqual(errors, expected)))

  refused("with an unknown node type, and told what was probably meant", withNode(2, { node_type: "speach_to_text" }), [
    "node_type_unknown nodes[2].node_type: node \"stt\" has the unknown type \"speach_to_text\" | Did you mean \"speech_to_text\"?"
  ])
  refused("with a node type that is like none, and shown all", withNode(2, { node_type: "karaoke" }), [
    "node_type_unknown nodes[2].node_type: node \"stt\" has the unknown type \"karaoke\" | Node types here: audio_input, voice_activity, speech_to_text, turn_detector, language_model, sentence_segmenter, text_to_speech, audio_output, text_filter, merge, select, transcript_sink, custom, subgraph."
  ])
  refused("with an edge to a node that does not exist", withEdge(7, { to_node_id: "ttts" }), [
    "edge_node_unknown edges[7].to_node_id: edge \"sentences.segment.ttts\" names the node \"ttts\", which does not exist | Did you mean \"tts\"?"
  ])
  refused("with an edge from a node that does not exist", withEdge(8, { from_node_id: "voice" }), [
    "edge_node_unknown edges[8].from_node_id: edge \"voice.voice.output\" names the node \"voice\", which does not exist | Nodes here: input, vad, stt, turn, llm, sentences, tts, output."
  ])
  refused("with an unknown payload kind", withEdge(8, { payload_kind: "voices" }), [
    "payload_kind_unknown edges[8].payload_kind: edge \"tts.voices.output\" carries the unknown payload kind \"voices\" | Did you mean \"voice\"?"
  ])
  refused("with two nodes of one id", withNode(7, { node_id: "tts" }), [
    "edge_node_unknown edges[8].to_node_id: edge \"tts.voice.output\" names the node \"output\", which does not exist | Nodes here: input, vad, stt, turn, llm, sentences, tts.",
    "node_id_duplicate nodes[7].node_id: nodes[7] and nodes[6] are both called \"tts\" | Give each node an id of its own."
  ])
  refused("with two edges of one id", withEdge(8, { edge_id: "llm.text.sentences" }), [
    "edge_id_duplicate edges[8].edge_id: edges[8] and edges[6] are both called \"llm.text.sentences\" | Give one of them another edge_id."
  ])
  refused("with an edge twice", plusEdges(edge("llm", "text", "sentences")), [
    "edge_duplicate edges[9]: edges[9] and edges[6] both carry text from \"llm\" to \"sentences\" | Remove one of them."
  ])
  refused("with an edge twice under another id", plusEdges(edge("llm", "text", "sentences", { edge_id: "again" })), [
    "edge_duplicate edges[9]: edges[9] and edges[6] both carry text from \"llm\" to \"sentences\" | Remove one of them."
  ])
  refused("with a cycle, which is named", plusEdges(edge("tts", "transcript", "turn")), [
    "cycle edges[9]: the graph has a cycle: turn → llm → sentences → tts → turn | Remove the edge from tts to turn, or turn it round.",
    "payload_mismatch edges[9]: edge \"tts.transcript.turn\": a text_to_speech emits voice, not transcript | A turn_detector is fed by a voice_activity (voice_edge) and a speech_to_text (interim_transcript) and a speech_to_text (transcript)."
  ])
  refused("with an edge from a node to itself", plusEdges(edge("turn", "transcript", "turn")), [
    "cycle edges[9]: the graph has a cycle: turn → turn | Remove the edge from turn to turn, or turn it round.",
    "payload_mismatch edges[9]: edge \"turn.transcript.turn\": a turn_detector does not take its transcript from a turn_detector | A turn_detector is fed by a voice_activity (voice_edge) and a speech_to_text (interim_transcript) and a speech_to_text (transcript)."
  ])
  refused("without a provider on a node that calls one", { ...simple, nodes: simpleGraph.nodes }, [
    "provider_missing nodes[2]: node \"stt\" is a speech_to_text and has no provider | Add provider_id to the node, or providers.stt to the spec.",
    "provider_missing nodes[4]: node \"llm\" is a language_model and has no provider | Add provider_id to the node, or providers.llm to the spec.",
    "provider_missing nodes[6]: node \"tts\" is a text_to_speech and has no provider | Add provider_id to the node, or providers.tts to the spec."
  ])
  refused("with a provider on a node that calls none", withNode(3, { provider_id: "x/y" }), [
    "provider_not_needed nodes[3].provider_id: node \"turn\" is a turn_detector, which calls no provider, but has provider_id \"x/y\" | Remove provider_id from the node."
  ])
  refused("with a payload that its source does not emit", withEdge(6, { payload_kind: "segment" }), [
    "payload_mismatch edges[6]: edge \"llm.segment.sentences\": a language_model emits text, not segment | Between a language_model and a sentence_segmenter only text can be carried.",
    "node_input_missing nodes[5]: node \"sentences\" is a sentence_segmenter and gets no text | Add an edge from llm to sentences with payload_kind text."
  ])
  refused("with a payload that its target does not accept", plusEdges(edge("input", "caller_audio", "output")), [
    "payload_mismatch edges[9]: edge \"input.caller_audio.output\": an audio_output accepts voice, not caller_audio | An audio_output is fed by a text_to_speech or select (voice)."
  ])
  refused("with a payload that comes from the wrong node", plusEdges(edge("stt", "transcript", "llm")), [
    "payload_mismatch edges[9]: edge \"stt.transcript.llm\": a language_model does not take its transcript from a speech_to_text | A language_model is fed by a turn_detector, text_filter, merge, select or custom (transcript)."
  ])
  refused("with an edge into the audio input", plusEdges(edge("vad", "voice_edge", "input")), [
    "cycle edges[9]: the graph has a cycle: input → vad → input | Remove the edge from vad to input, or turn it round.",
    "payload_mismatch edges[9]: edge \"vad.voice_edge.input\": an audio_input accepts nothing, not voice_edge | No edge ends at an audio_input."
  ])
  refused("without an audio output", {
    ...simple,
    nodes: simple.nodes.slice(0, 7),
    edges: simple.edges.slice(0, 8)
  }, [
    "node_type_missing nodes: the graph has no audio_output node | Add a node with node_type audio_output and connect it."
  ])
  refused("without a recogniser", {
    ...simple,
    nodes: simple.nodes.filter((node) => node.node_id !== "stt"),
    edges: simple.edges.filter((e) => e.from_node_id !== "stt" && e.to_node_id !== "stt")
  }, [
    "node_type_missing nodes: the graph has no speech_to_text node | Add a node with node_type speech_to_text and connect it.",
    "node_input_missing nodes[2]: node \"turn\" is a turn_detector and gets no interim_transcript | Add an edge from <a speech_to_text node> to turn with payload_kind interim_transcript.",
    "node_input_missing nodes[2]: node \"turn\" is a turn_detector and gets no transcript | Add an edge from <a speech_to_text node> to turn with payload_kind transcript."
  ])
  refused("with a node type twice, and a node that nothing leads to or from", {
    ...simple,
    nodes: [...simple.nodes, { node_id: "vad2", node_type: "voice_activity" }]
  }, [
    "node_type_repeated nodes: the graph has 2 voice_activity nodes: \"vad\", \"vad2\" | Keep one: a pipeline listens to one caller, decides on turns in one place and speaks on one track.",
    "node_dead_end nodes[8]: nothing that node \"vad2\" emits reaches the audio output \"output\" or a transcript sink | Connect vad2 onwards, or remove it.",
    "node_input_missing nodes[8]: node \"vad2\" is a voice_activity and gets no caller_audio | Add an edge from input to vad2 with payload_kind caller_audio.",
    "node_unreachable nodes[8]: node \"vad2\" cannot be reached from the audio input \"input\" | Connect vad2, or remove it."
  ])
  refused(
    "when it is empty",
    { ...simple, nodes: [], edges: [] },
    singleTypes.map((type) =>
      `node_type_missing nodes: the graph has no ${type} node | Add a node with node_type ${type} and connect it.`
    )
  )
  refused("when it is too large", {
    ...simple,
    nodes: Array.from({ length: 65 }, (_, i) => ({ node_id: `n${i}`, node_type: "x" }))
  }, [
    "graph_too_large nodes: the graph has 65 nodes and 9 edges; at most 64 and 256 are compiled | Split the pipeline."
  ])

  it.effect("with the same errors in whatever order it is written, but for the positions", () =>
    Effect.gen(function*() {
      const messages = (source: GraphSource) =>
        Effect.map(Effect.flip(compile(source)), ({ errors }) => errors.map((e) => e.message).sort())
      const broken = plusEdges(edge("tts", "transcript", "turn"), edge("sentences", "text", "stt"))
      const reversed = { ...broken, nodes: broken.nodes.toReversed(), edges: broken.edges.toReversed() }
      assert.deepStrictEqual(yield* messages(reversed), yield* messages(broken))
    }))
})
