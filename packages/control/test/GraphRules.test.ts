import { validate } from "@rspp/contracts/Artifact"
import type { EdgeCondition } from "@rspp/contracts/GraphDefinition"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import type { GraphSource, SourceEdge } from "../src/GraphSource.ts"
import { SpecErrorCode } from "../src/SpecError.ts"
import { compile, custom, edge, errorsOf, extended, model, shuffled, simple, voice } from "./support/Graphs.ts"

const refused = (name: string, source: GraphSource, expected: ReadonlyArray<string>) =>
  it.effect(name, () => Effect.map(errorsOf(source), (errors) => assert.deepStrictEqual(errors, expected)))

const accepted = (name: string, source: GraphSource) =>
  it.effect(name, () => Effect.map(compile(source), (graph) => assert.isTrue(validate("graph_definition", graph).ok)))

const onWords = (condition: EdgeCondition): Partial<SourceEdge> => ({ condition })
const short: EdgeCondition = { fact: "words", is: "at_most", value: 3 }
const onFailure: Partial<SourceEdge> = { fallback_on: ["timeout", "error"] }

/** Everything at once: labels, a filter, a conditional edge, two models of which one is chosen, a spare voice, sinks. */
const rich = extended(
  {
    topic: custom(),
    quick: model,
    choose: ["select", {
      select: { rule: "preferred", order: ["llm.text.choose", "quick.text.choose"], wait_ms: 300 }
    }],
    mask: ["text_filter", { settings: { with: "*", digits: true }, optional: true }],
    spare: voice,
    log: ["transcript_sink"],
    watch: custom("example/watch")
  },
  [
    edge("turn", "transcript", "topic"),
    edge("topic", "transcript", "llm", onWords({ fact: "label", is: "equals", value: "question" })),
    edge("turn", "transcript", "quick"),
    edge("turn", "transcript", "log"),
    edge("llm", "text", "choose"),
    edge("quick", "text", "choose"),
    edge("choose", "text", "sentences"),
    edge("choose", "text", "log"),
    edge("sentences", "segment", "mask"),
    edge("mask", "segment", "tts"),
    edge("tts", "segment", "spare", onFailure),
    edge("spare", "voice", "output"),
    edge("mask", "segment", "watch")
  ],
  ["turn.transcript.llm", "llm.text.sentences", "sentences.segment.tts"]
)

describe("a graph of every node type", () => {
  it.effect("compiles, and keeps what its nodes and edges say", () =>
    Effect.gen(function*() {
      const graph = yield* compile(rich)
      assert.isTrue(validate("graph_definition", graph).ok)
      const node = (id: string) => graph.nodes.find(({ node_id }) => node_id === id)
      const edgeOf = (id: string) => graph.edges.find(({ edge_id }) => edge_id === id)
      assert.deepStrictEqual(node("mask"), {
        node_id: "mask",
        node_type: "text_filter",
        provider_id: "builtin/text_filter",
        settings: { digits: true, with: "*" },
        optional: true
      })
      assert.deepStrictEqual(node("choose")?.select, {
        rule: "preferred",
        order: ["llm.text.choose", "quick.text.choose"],
        wait_ms: 300
      })
      assert.deepStrictEqual(edgeOf("topic.transcript.llm")?.condition, {
        fact: "label",
        is: "equals",
        value: "question"
      })
      assert.deepStrictEqual(edgeOf("tts.segment.spare.fallback")?.fallback_on, ["error", "timeout"])
    }))

  it.effect.prop("has the same name in whatever order it is written (G1)", [
    Schema.Array(Schema.Int),
    Schema.Array(Schema.Int)
  ], ([a, b]) =>
    Effect.gen(function*() {
      const turned = (settings: object) => Object.fromEntries(Object.entries(settings).toReversed())
      const nodes = rich.nodes.map((node) =>
        node.settings === undefined ? node : { ...node, settings: turned(node.settings) }
      )
      const edges = rich.edges.map((e) =>
        e.fallback_on === undefined ? e : { ...e, fallback_on: e.fallback_on.toReversed() }
      )
      const other = yield* compile({ ...rich, nodes: shuffled(nodes, a), edges: shuffled(edges, b) })
      assert.strictEqual(JSON.stringify(other), JSON.stringify(yield* compile(rich)))
    }))

  it.effect("has another name when an option, a rule, a condition or a fallback changes (G1)", () =>
    Effect.gen(function*() {
      const node = (id: string, more: object): GraphSource => ({
        ...rich,
        nodes: rich.nodes.map((old) => (old.node_id === id ? { ...old, ...more } : old))
      })
      const change = (from: string, to: string, more: object): GraphSource => ({
        ...rich,
        edges: rich.edges.map((old) => (old.from_node_id === from && old.to_node_id === to ? { ...old, ...more } : old))
      })
      const variants = [
        rich,
        node("mask", { settings: { with: "#", digits: true } }),
        node("mask", { settings: { with: "*" } }),
        node("mask", { optional: false }),
        node("mask", { provider_id: "example/mask" }),
        node("choose", { select: { rule: "first" } }),
        node("choose", { select: { rule: "preferred", order: ["llm.text.choose"], wait_ms: 300 } }),
        node("choose", {
          select: { rule: "preferred", order: ["llm.text.choose", "quick.text.choose"], wait_ms: 301 }
        }),
        change("topic", "llm", { condition: { fact: "label", is: "equals", value: "smalltalk" } }),
        change("topic", "llm", { condition: { fact: "label", is: "not_equals", value: "question" } }),
        change("topic", "llm", { condition: short }),
        change("tts", "spare", { fallback_on: ["error"] })
      ]
      const refs = yield* Effect.forEach(
        variants,
        (source) => Effect.map(compile(source), (graph) => graph.graph_definition_ref)
      )
      assert.strictEqual(new Set(refs).size, variants.length)
      const same = [
        node("mask", { provider_id: "builtin/text_filter" }),
        node("topic", { optional: false, settings: {} })
      ]
      for (const source of same) assert.strictEqual((yield* compile(source)).graph_definition_ref, refs[0])
    }))
})

describe("ports", () => {
  accepted(
    "a custom node may stand between any two places where words travel, and change their kind",
    extended(
      { answer: custom("example/answer") },
      [edge("turn", "transcript", "answer"), edge("answer", "text", "sentences"), edge("answer", "segment", "tts")]
    )
  )
  accepted("no language model is needed where a custom node answers", {
    ...extended({ answer: custom("example/answer") }, [
      edge("turn", "transcript", "answer"),
      edge("answer", "text", "sentences")
    ], ["turn.transcript.llm", "llm.text.sentences"]),
    nodes: [
      ...simple.nodes.filter(({ node_id }) => node_id !== "llm"),
      { node_id: "answer", node_type: "custom", provider_id: "example/answer" }
    ]
  })
  accepted(
    "two edges of one kind may come into a node without a merge",
    extended({ second: model }, [edge("turn", "transcript", "second"), edge("second", "text", "sentences")])
  )
  accepted(
    "a merge joins transcripts, a select chooses among voices",
    extended(
      { topic: custom(), both: ["merge"], other: voice, pick: ["select", { select: { rule: "first" } }] },
      [
        edge("turn", "transcript", "topic"),
        edge("turn", "transcript", "both"),
        edge("topic", "transcript", "both"),
        edge("both", "transcript", "llm"),
        edge("sentences", "segment", "other"),
        edge("tts", "voice", "pick"),
        edge("other", "voice", "pick"),
        edge("pick", "voice", "output")
      ],
      ["turn.transcript.llm", "tts.voice.output"]
    )
  )
  accepted(
    "a custom node with nothing behind it observes",
    extended({ watch: custom("example/watch") }, [edge("turn", "transcript", "watch"), edge("llm", "text", "watch")])
  )

  refused(
    "nothing but the prelude takes the caller's audio, voice edges or interim transcripts",
    extended({ watch: custom(), log: ["transcript_sink"] }, [
      edge("input", "caller_audio", "watch"),
      edge("turn", "transcript", "watch"),
      edge("vad", "voice_edge", "log"),
      edge("stt", "interim_transcript", "log"),
      edge("stt", "transcript", "log"),
      edge("turn", "transcript", "log")
    ]),
    [
      "payload_mismatch edges[9]: edge \"input.caller_audio.watch\": a custom accepts transcript and text and segment, not caller_audio | A custom is fed by a turn_detector, text_filter, merge, select or custom (transcript) and a language_model, text_filter, merge, select or custom (text) and a sentence_segmenter, text_filter, merge, select or custom (segment).",
      "payload_mismatch edges[11]: edge \"vad.voice_edge.log\": a transcript_sink accepts transcript and text and segment, not voice_edge | A transcript_sink is fed by a turn_detector, text_filter, merge, select or custom (transcript) and a language_model, text_filter, merge, select or custom (text) and a sentence_segmenter, text_filter, merge, select or custom (segment).",
      "payload_mismatch edges[12]: edge \"stt.interim_transcript.log\": a transcript_sink accepts transcript and text and segment, not interim_transcript | A transcript_sink is fed by a turn_detector, text_filter, merge, select or custom (transcript) and a language_model, text_filter, merge, select or custom (text) and a sentence_segmenter, text_filter, merge, select or custom (segment).",
      "payload_mismatch edges[13]: edge \"stt.transcript.log\": a transcript_sink does not take its transcript from a speech_to_text | A transcript_sink is fed by a turn_detector, text_filter, merge, select or custom (transcript) and a language_model, text_filter, merge, select or custom (text) and a sentence_segmenter, text_filter, merge, select or custom (segment)."
    ]
  )
  refused(
    "a transcript sink emits nothing",
    extended({ log: ["transcript_sink"] }, [edge("turn", "transcript", "log"), edge("log", "transcript", "llm")]),
    [
      "payload_mismatch edges[10]: edge \"log.transcript.llm\": a transcript_sink emits nothing, not transcript | A language_model is fed by a turn_detector, text_filter, merge, select or custom (transcript)."
    ]
  )
  refused(
    "a text filter emits the kind that it takes",
    extended({ mask: ["text_filter"] }, [edge("turn", "transcript", "mask"), edge("mask", "text", "sentences")]),
    [
      "payload_mismatch edges[10]: edge \"mask.text.sentences\": a text_filter emits what it takes, and \"mask\" takes transcript, not text | Write payload_kind transcript, or use a custom node."
    ]
  )
  refused(
    "a text filter takes one kind",
    extended({ mask: ["text_filter"] }, [
      edge("turn", "transcript", "mask"),
      edge("llm", "text", "mask"),
      edge("mask", "text", "sentences")
    ]),
    [
      "payload_kinds_mixed nodes[8]: node \"mask\" is a text_filter and gets transcript and text | A text_filter takes one kind: use a node of its own for each."
    ]
  )
  refused(
    "a merge and a select need two edges of one kind",
    extended({ both: ["merge"], pick: ["select", { select: { rule: "first" } }] }, [
      edge("turn", "transcript", "both"),
      edge("both", "transcript", "llm"),
      edge("llm", "text", "pick"),
      edge("sentences", "segment", "pick"),
      edge("pick", "segment", "tts")
    ]),
    [
      "node_inputs_too_few nodes[8]: node \"both\" is a merge and has 1 edge coming in; it needs 2 | Add an edge to both with payload_kind transcript, or remove the node.",
      "payload_kinds_mixed nodes[9]: node \"pick\" is a select and gets text and segment | A select takes one kind: use a node of its own for each."
    ]
  )
  it.effect("a merge takes no voice", () =>
    Effect.map(
      errorsOf(
        extended({ both: ["merge"], other: voice }, [
          edge("sentences", "segment", "other"),
          edge("tts", "voice", "both"),
          edge("other", "voice", "both"),
          edge("both", "voice", "output")
        ], ["tts.voice.output"])
      ),
      (errors) =>
        assert.deepStrictEqual(errors.map((error) => error.split(" |")[0]), [
          "payload_mismatch edges[9]: edge \"tts.voice.both\": a merge accepts transcript and text and segment, not voice",
          "payload_mismatch edges[10]: edge \"other.voice.both\": a merge accepts transcript and text and segment, not voice",
          "payload_mismatch edges[11]: edge \"both.voice.output\": a merge emits transcript and text and segment, not voice",
          "node_inputs_too_few nodes[8]: node \"both\" is a merge and has 0 edges coming in; it needs 2"
        ])
    ))
  refused(
    "a custom node gets something",
    extended({ idle: custom() }, [edge("idle", "text", "sentences")]),
    [
      "node_input_missing nodes[8]: node \"idle\" is a custom and gets nothing | Add an edge to idle with payload_kind transcript, text or segment.",
      "node_unreachable nodes[8]: node \"idle\" cannot be reached from the audio input \"input\" | Connect idle, or remove it."
    ]
  )
  refused(
    "what a node gives leads to the output or to a sink",
    extended({ mask: ["text_filter"], second: model }, [
      edge("turn", "transcript", "mask"),
      edge("mask", "transcript", "second")
    ]),
    [
      "node_dead_end nodes[8]: nothing that node \"mask\" emits reaches the audio output \"output\" or a transcript sink | Connect mask onwards, or remove it.",
      "node_dead_end nodes[9]: nothing that node \"second\" emits reaches the audio output \"output\" or a transcript sink | Connect second onwards, or remove it."
    ]
  )
  refused(
    "a custom node names its implementation",
    extended({ topic: ["custom"] }, [edge("turn", "transcript", "topic"), edge("topic", "transcript", "llm")]),
    [
      "provider_missing nodes[8]: node \"topic\" is a custom and has no provider | Add provider_id to the node: the name of the implementation that it runs."
    ]
  )
  refused(
    "a merge runs no implementation",
    extended({ both: ["merge", { provider_id: "example/merge" }] }, [
      edge("turn", "transcript", "both"),
      edge("turn", "transcript", "both", { edge_id: "again" }),
      edge("both", "transcript", "llm")
    ]),
    [
      "edge_duplicate edges[10]: edges[10] and edges[9] both carry transcript from \"turn\" to \"both\" | Remove one of them.",
      "provider_not_needed nodes[8].provider_id: node \"both\" is a merge, which calls no provider, but has provider_id \"example/merge\" | Remove provider_id from the node."
    ]
  )
})

describe("options", () => {
  refused(
    "are refused where they would do nothing",
    {
      ...simple,
      nodes: simple.nodes.map((node) =>
        node.node_id === "llm"
          ? { ...node, settings: { heat: 1 }, optional: true, select: { rule: "first" as const } }
          : node
      )
    },
    [
      "node_option_unused nodes[4].optional: node \"llm\" is a language_model and has optional, which would do nothing | Remove it: optional is for a text_filter or custom.",
      "node_option_unused nodes[4].select: node \"llm\" is a language_model and has select, which would do nothing | Remove it: select is for a select.",
      "node_option_unused nodes[4].settings: node \"llm\" is a language_model and has settings, which would do nothing | Remove it: settings is for a text_filter or custom."
    ]
  )
  refused(
    "optional is for nodes whose input can go on in the place of their output",
    extended({ answer: ["custom", { provider_id: "example/answer", optional: true }] }, [
      edge("turn", "transcript", "answer"),
      edge("answer", "text", "sentences")
    ]),
    [
      "node_option_unused nodes[8].optional: node \"answer\" is optional but gives text, which it does not get: its input cannot go on in its place | Remove optional, or add a fallback edge from the node."
    ]
  )
})

describe("conditions", () => {
  const withCondition = (condition: EdgeCondition) =>
    extended(
      { topic: custom() },
      [edge("turn", "transcript", "topic"), edge("topic", "transcript", "llm", onWords(condition))],
      ["turn.transcript.llm"]
    )
  const legal: ReadonlyArray<EdgeCondition> = [
    { fact: "words", is: "at_least", value: 4 },
    { fact: "words", is: "equals", value: 0 },
    { fact: "length", is: "at_most", value: 80 },
    { fact: "length", is: "not_equals", value: 1 },
    { fact: "complete", is: "equals", value: false },
    { fact: "complete", is: "not_equals", value: true },
    { fact: "label", is: "equals", value: "smalltalk" },
    { fact: "label", is: "not_equals", value: "smalltalk" }
  ]
  for (const condition of legal) {
    accepted(`${condition.fact} ${condition.is} ${condition.value}`, withCondition(condition))
  }
  refused("words are counted", withCondition({ fact: "words", is: "at_most", value: "three" }), [
    "condition_type edges[9].condition.value: edge \"topic.transcript.llm\" compares words, which is a number, with \"three\" | Write a number, such as 4."
  ])
  refused("a length is counted", withCondition({ fact: "length", is: "equals", value: true }), [
    "condition_type edges[9].condition.value: edge \"topic.transcript.llm\" compares length, which is a number, with true | Write a number, such as 4."
  ])
  refused(
    "complete is true or false, and has no order",
    withCondition({ fact: "complete", is: "at_least", value: 1 }),
    [
      "condition_type edges[9].condition.is: edge \"topic.transcript.llm\" asks whether complete is at_least something; complete is a boolean | Write equals or not_equals.",
      "condition_type edges[9].condition.value: edge \"topic.transcript.llm\" compares complete, which is a boolean, with 1 | Write a boolean, such as true."
    ]
  )
  refused("a label is a name, and has no order", withCondition({ fact: "label", is: "at_most", value: 3 }), [
    "condition_type edges[9].condition.is: edge \"topic.transcript.llm\" asks whether label is at_most something; label is a string | Write equals or not_equals.",
    "condition_type edges[9].condition.value: edge \"topic.transcript.llm\" compares label, which is a string, with 3 | Write a string, such as smalltalk."
  ])
  refused(
    "the prelude and the voice have none",
    {
      ...simple,
      edges: simple.edges.map((old, i) => ([1, 4, 8].includes(i) ? { ...old, ...onWords(short) } : old))
    },
    [
      "condition_misplaced edges[1].condition: edge \"input.caller_audio.stt\" has a condition, but carries caller_audio to a speech_to_text | Conditions are for transcripts, texts and segments behind the turn detector.",
      "condition_misplaced edges[4].condition: edge \"stt.transcript.turn\" has a condition, but carries transcript to a turn_detector | Conditions are for transcripts, texts and segments behind the turn detector.",
      "condition_misplaced edges[8].condition: edge \"tts.voice.output\" has a condition, but carries voice to an audio_output | Conditions are for transcripts, texts and segments behind the turn detector."
    ]
  )
  refused(
    "a fallback edge has none",
    extended({ second: model }, [
      edge("llm", "transcript", "second", { ...onFailure, ...onWords(short) }),
      edge("second", "text", "sentences")
    ]),
    [
      "condition_misplaced edges[9].condition: edge \"llm.transcript.second.fallback\" is a fallback and has a condition: what it does not let through would be lost | Remove the condition, or put it on the edges of the node that takes over."
    ]
  )
  const labelled: EdgeCondition = { fact: "label", is: "equals", value: "question" }
  const unfinished: EdgeCondition = { fact: "complete", is: "equals", value: false }
  refused(
    "ask only for what somebody finds out",
    extended({ second: model, mask: ["text_filter"] }, [
      edge("turn", "transcript", "second", onWords(labelled)),
      edge("second", "text", "mask", onWords(unfinished)),
      edge("mask", "text", "sentences", onWords(labelled)),
      edge("second", "text", "sentences", onWords(short))
    ]),
    [
      "condition_unknown edges[9].condition.fact: edge \"turn.transcript.second\" asks for label, which is not known of what \"turn\" gives | Put a custom node before it that labels what it gives.",
      "condition_unknown edges[10].condition.fact: edge \"second.text.mask\" asks for complete, which is not known of what \"second\" gives | Ask for length, or put a custom node before it that finds out.",
      "condition_unknown edges[11].condition.fact: edge \"mask.text.sentences\" asks for label, which is not known of what \"mask\" gives | Put a custom node before it that labels what it gives.",
      "condition_unknown edges[12].condition.fact: edge \"second.text.sentences\" asks for words, which is not known of what \"second\" gives | Ask for length, or put a custom node before it that finds out."
    ]
  )
  accepted(
    "know a label behind filters, merges and selects, and the words of a transcript",
    extended({ topic: custom(), both: ["merge"], mask: ["text_filter"], second: model }, [
      edge("turn", "transcript", "topic", onWords(unfinished)),
      edge("turn", "transcript", "both", onWords(short)),
      edge("topic", "transcript", "both"),
      edge("both", "transcript", "mask", onWords(labelled)),
      edge("mask", "transcript", "second", onWords(labelled)),
      edge("second", "text", "sentences", onWords({ fact: "length", is: "at_most", value: 500 }))
    ])
  )
})

describe("fallback edges", () => {
  accepted(
    "from a model to another, from a filter past it, from a custom node to a model",
    extended({ second: model, mask: ["text_filter"], topic: custom() }, [
      edge("turn", "transcript", "topic"),
      edge("topic", "transcript", "llm"),
      edge("topic", "transcript", "second", onFailure),
      edge("llm", "transcript", "second", { fallback_on: ["timeout"] }),
      edge("second", "text", "sentences"),
      edge("sentences", "segment", "mask"),
      edge("mask", "segment", "tts"),
      edge("mask", "segment", "tts", onFailure)
    ], ["turn.transcript.llm", "sentences.segment.tts"])
  )
  accepted(
    "one for each cause",
    extended({ second: model, third: model }, [
      edge("llm", "transcript", "second", { fallback_on: ["timeout"] }),
      edge("llm", "transcript", "third", { fallback_on: ["error"] }),
      edge("second", "text", "sentences"),
      edge("third", "text", "sentences")
    ])
  )
  refused(
    "carry what the node was given, not what it gives",
    extended({ mask: ["text_filter"] }, [
      edge("llm", "text", "mask", onFailure),
      edge("llm", "text", "mask"),
      edge("mask", "text", "sentences")
    ]),
    [
      "fallback_payload edges[9]: edge \"llm.text.mask.fallback\" is a fallback and carries text, which \"llm\" does not take | Write payload_kind transcript: a fallback edge carries what a language_model was given to do."
    ]
  )
  refused(
    "carry the kind that a filter or custom node really gets",
    extended({ answer: custom() }, [
      edge("turn", "transcript", "answer"),
      edge("answer", "text", "sentences"),
      edge("answer", "segment", "tts", onFailure)
    ]),
    [
      "fallback_payload edges[11]: edge \"answer.segment.tts.fallback\" is a fallback and carries segment, but \"answer\" gets transcript | Write payload_kind transcript: a fallback edge carries what a custom was given to do."
    ]
  )
  refused(
    "cannot take over work of two kinds",
    extended({ answer: custom() }, [
      edge("turn", "transcript", "answer"),
      edge("llm", "text", "answer"),
      edge("answer", "text", "sentences"),
      edge("answer", "text", "sentences", onFailure)
    ]),
    [
      "fallback_payload edges[12]: edge \"answer.text.sentences.fallback\" is a fallback for \"answer\", which gets transcript and text: one edge cannot take over both | Give the node one kind of input."
    ]
  )
  refused(
    "lead to a node that can do the work",
    extended({ answer: custom() }, [
      edge("turn", "transcript", "answer"),
      edge("answer", "text", "sentences"),
      edge("answer", "transcript", "sentences", onFailure),
      edge("llm", "transcript", "turn", onFailure)
    ]),
    [
      "fallback_payload edges[11]: edge \"answer.transcript.sentences.fallback\" hands transcript over to \"sentences\", a sentence_segmenter that cannot take it | Hand over to a node that takes transcript.",
      "cycle edges[12]: the graph has a cycle: turn → llm → turn | Remove the edge from llm to turn, or turn it round.",
      "fallback_payload edges[12]: edge \"llm.transcript.turn.fallback\" hands transcript over to \"turn\", a turn_detector that cannot take it | Hand over to a node that takes transcript."
    ]
  )
  refused(
    "lead to the output",
    extended({ log: ["transcript_sink"] }, [
      edge("llm", "transcript", "log", onFailure)
    ]),
    [
      "fallback_dead_end edges[9]: edge \"llm.transcript.log.fallback\" hands over to \"log\", from which nothing reaches the audio output | Connect log onwards, or remove the edge."
    ]
  )
  refused(
    "start only from nodes that do work of their own",
    extended({ pick: ["select", { select: { rule: "first" } }], second: model }, [
      edge("turn", "transcript", "second"),
      edge("llm", "text", "pick"),
      edge("second", "text", "pick"),
      edge("pick", "text", "sentences"),
      edge("pick", "text", "sentences", onFailure),
      edge("stt", "caller_audio", "vad", onFailure)
    ]),
    [
      "fallback_misplaced edges[13]: edge \"pick.text.sentences.fallback\" is a fallback, but a select has none | A fallback edge starts from a language_model, sentence_segmenter, text_to_speech, text_filter or custom.",
      "fallback_misplaced edges[14]: edge \"stt.caller_audio.vad.fallback\" is a fallback, but a speech_to_text has none | A fallback edge starts from a language_model, sentence_segmenter, text_to_speech, text_filter or custom."
    ]
  )
  refused(
    "are one for a node and cause",
    extended({ second: model, third: model }, [
      edge("llm", "transcript", "second", { fallback_on: ["timeout"] }),
      edge("llm", "transcript", "third", onFailure),
      edge("llm", "transcript", "third", { fallback_on: ["error"], edge_id: "again" }),
      edge("second", "text", "sentences"),
      edge("third", "text", "sentences")
    ]),
    [
      "fallback_repeated edges[10].fallback_on: edges \"llm.transcript.third.fallback\" and \"llm.transcript.second.fallback\" both take over from \"llm\" on timeout | Keep one of them for each cause.",
      "edge_duplicate edges[11]: edges[11] and edges[10] both carry transcript from \"llm\" to \"third\" as a fallback | Make one edge of them, with the causes of both.",
      "fallback_repeated edges[11].fallback_on: edges \"again\" and \"llm.transcript.third.fallback\" both take over from \"llm\" on error | Keep one of them for each cause."
    ]
  )
  refused(
    "are no way out of a node",
    extended({ second: model, third: model }, [
      edge("turn", "transcript", "second"),
      edge("second", "transcript", "third", onFailure),
      edge("third", "text", "sentences")
    ]),
    [
      "node_dead_end nodes[8]: nothing that node \"second\" emits reaches the audio output \"output\" or a transcript sink | Connect second onwards, or remove it."
    ]
  )
})

describe("select", () => {
  const choosing = (select?: NonNullable<GraphSource["nodes"][number]["select"]>) =>
    extended(
      { second: model, pick: ["select", select === undefined ? {} : { select }] },
      [
        edge("turn", "transcript", "second"),
        edge("llm", "text", "pick"),
        edge("second", "text", "pick"),
        edge("pick", "text", "sentences")
      ],
      ["llm.text.sentences"]
    )
  accepted("the first", choosing({ rule: "first" }))
  accepted("the preferred, at once", choosing({ rule: "preferred", order: ["second.text.pick"], wait_ms: 0 }))
  refused("says how it chooses", choosing(), [
    "select_rule nodes[9]: node \"pick\" is a select and does not say how it chooses | Add select, such as { rule: first }."
  ])
  refused("prefers by an order and waits for a time", choosing({ rule: "preferred" }), [
    "select_rule nodes[9].select: node \"pick\" prefers some of its inputs and has no order | Add order: the edge ids that come in, the best one first.",
    "select_rule nodes[9].select: node \"pick\" prefers some of its inputs and has no wait_ms | Add wait_ms: how long a better one is waited for once something has come, such as 300."
  ])
  refused("has no order and no time for the first", choosing({ rule: "first", order: ["llm.text.pick"], wait_ms: 5 }), [
    "select_rule nodes[9].select.order: node \"pick\" takes whoever is first and has order, which would do nothing | Write rule preferred, or remove order.",
    "select_rule nodes[9].select.wait_ms: node \"pick\" takes whoever is first and has wait_ms, which would do nothing | Write rule preferred, or remove wait_ms."
  ])
  refused(
    "prefers only what comes into it",
    choosing({ rule: "preferred", order: ["secnd.text.pick", "pick.text.sentences"], wait_ms: 5 }),
    [
      "select_order_unknown nodes[9].select.order[0]: node \"pick\" prefers the edge \"secnd.text.pick\", which does not come into it | Did you mean \"second.text.pick\"?",
      "select_order_unknown nodes[9].select.order[1]: node \"pick\" prefers the edge \"pick.text.sentences\", which does not come into it | Edges here: llm.text.pick, second.text.pick."
    ]
  )
})

describe("the tests of this package", () => {
  it("plant a violation of every rule", () => {
    const text = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".test.ts"))
      .map((file) => readFileSync(new URL(file, import.meta.url), "utf8")).join("\n")
    assert.deepStrictEqual(SpecErrorCode.literals.filter((code) => !text.includes(`"${code} `)), [])
  })
})
