import { assert } from "@effect/vitest"
import type { NamedScenario, ScenarioCase } from "../Call.ts"

const edge = (id: string) => {
  const [from_node_id, payload_kind, to_node_id] = id.split(".")
  return { from_node_id, payload_kind, to_node_id }
}

/** The plain pipeline with a filter of the author's before the voice, and what else the case needs. */
const filtered = (options: {
  readonly optional?: boolean
  readonly actions?: ReadonlyArray<string>
}): NonNullable<ScenarioCase["call"]> => ({
  spec: {
    schema_version: "v1.0",
    pipeline_id: "scenario",
    pipeline_version: "scenario-1",
    nodes: [
      { node_id: "input", node_type: "audio_input" },
      { node_id: "vad", node_type: "voice_activity" },
      { node_id: "stt", node_type: "speech_to_text", provider_id: "sim/stt" },
      { node_id: "turn", node_type: "turn_detector" },
      { node_id: "llm", node_type: "language_model", provider_id: "sim/llm" },
      { node_id: "sentences", node_type: "sentence_segmenter" },
      {
        node_id: "screen",
        node_type: "text_filter",
        provider_id: "sim/filter",
        ...(options.optional === true ? { optional: true } : {})
      },
      { node_id: "tts", node_type: "text_to_speech", provider_id: "sim/tts" },
      { node_id: "output", node_type: "audio_output" }
    ],
    edges: [
      edge("input.caller_audio.vad"),
      edge("input.caller_audio.stt"),
      edge("vad.voice_edge.turn"),
      edge("stt.interim_transcript.turn"),
      edge("stt.transcript.turn"),
      edge("turn.transcript.llm"),
      edge("llm.text.sentences"),
      edge("sentences.segment.screen"),
      edge("screen.segment.tts"),
      edge("tts.voice.output")
    ],
    ...(options.actions === undefined ? {} : { allowed_adaptive_actions: options.actions })
  }
})

const speech = { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } } as const
/** The first item that the node gets breaks it. */
const early = { when: { atMs: 300 }, act: { does: "fault", kind: "node.crash" } } as const
const stuck = { when: { atMs: 300 }, act: { does: "fault", kind: "node.slow" } } as const

/** Budgets of nodes and of the turn, and a custom node that throws, dies, fails, refuses or takes too long. */
export const scenario: NamedScenario = {
  id: "F2",
  sentence:
    "node timeout or failure: `budget_warning`, `budget_exhausted`, then `degrade`/`fallback` where the plan allows; `node_timeout_or_failure`",
  cases: [
    {
      name: "a node that is slower than its budget is warned of",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/llm", with: { slowMs: 700 } } },
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } }
      ],
      holds: (told) => {
        const warned = told.words(["budget_warning"])
        assert.deepStrictEqual(warned.filter((word) => word.includes("node")), ["budget_warning(node_budget)"])
        assert.strictEqual(told.terminal(told.turns[0]), "commit")
      }
    },
    {
      name: "a turn whose nodes are slow together runs out of its budget",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/llm", with: { slowMs: 700 } } },
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/tts", with: { slowMs: 800 } } },
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } }
      ],
      spec: { budgets: { turn_budget_ms: 1500, path_budget_ms_default: 1800 } },
      holds: (told) => {
        const [turn] = told.turns
        assert.include(told.words(["budget_exhausted"], turn), "budget_exhausted(turn_budget)")
        assert.strictEqual(told.terminal(turn), "turn_budget_exhausted")
        const [open] = told.signals("turn_open", turn)
        const [abort] = told.signals("abort", turn)
        assert.strictEqual((abort?.ms ?? 0) - (open?.ms ?? 0), 1500)
        assert.deepStrictEqual(told.evidence(turn).terminal, { kind: "abort", reason: "turn_budget_exhausted" })
      }
    },
    {
      name: "a custom node that throws, dies or fails ends the turn that needs it",
      script: [early, speech],
      call: filtered({}),
      seeds: [1, 2, 3, 4, 5, 6],
      holds: (told) => {
        const [turn] = told.turns
        assert.strictEqual(told.terminal(turn), "node_timeout_or_failure")
        const external = told.evidence(turn).invocations.filter(({ modality }) => modality === "external")
        assert.isTrue(external.some(({ outcome_class }) => outcome_class !== "success"))
      }
    },
    {
      name: "a custom node that throws, dies or fails is passed by where it is optional and the plan allows degrade",
      script: [early, speech],
      call: filtered({ optional: true, actions: ["degrade"] }),
      seeds: [1, 2, 3, 4],
      holds: (told) => {
        const [turn] = told.turns
        assert.match(told.words(["degrade"]).join(), /^degrade\(node_passed_by:/u)
        assert.strictEqual(told.terminal(turn), "commit")
      }
    },
    {
      name: "a custom node that takes too long is warned of, runs out of its time and ends the turn",
      script: [stuck, speech],
      call: filtered({}),
      seeds: [1, 2, 3, 4, 5, 6, 7, 8],
      holds: (told) => {
        const [turn] = told.turns
        if (told.terminal(turn) === "commit") return
        assert.include(told.words(["budget_warning"]), "budget_warning(node_budget)")
      },
      together: (all) => {
        const ends = all.map((told) => told.terminal(told.turns[0]))
        assert.include(ends, "node_timeout_or_failure")
        for (const told of all) {
          if (told.terminal(told.turns[0]) !== "node_timeout_or_failure") continue
          assert.match(told.words(["budget_exhausted"]).join(), /^budget_exhausted\((?:first_result|node_budget)\)/u)
        }
      }
    }
  ]
}
