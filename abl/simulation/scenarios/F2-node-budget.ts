import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

const edges = (ids: ReadonlyArray<string>, more: Readonly<Record<string, unknown>> = {}) =>
  ids.map((id) => {
    const [from_node_id, payload_kind, to_node_id] = id.split(".")
    return { from_node_id, payload_kind, to_node_id, ...more }
  })

/** Sentences pass through a custom node on their way to the voice. */
const filtered = (
  optional: boolean,
  behind: ReturnType<typeof edges> = [],
  more: ReadonlyArray<Readonly<Record<string, unknown>>> = []
) => ({
  nodes: [
    { node_id: "input", node_type: "audio_input" },
    { node_id: "vad", node_type: "voice_activity" },
    { node_id: "stt", node_type: "speech_to_text", provider_id: "sim/stt" },
    { node_id: "turn", node_type: "turn_detector" },
    { node_id: "llm", node_type: "language_model", provider_id: "sim/llm" },
    { node_id: "sentences", node_type: "sentence_segmenter" },
    { node_id: "screen", node_type: "text_filter", provider_id: "sim/filter", ...(optional ? { optional } : {}) },
    { node_id: "tts", node_type: "text_to_speech", provider_id: "sim/tts" },
    { node_id: "output", node_type: "audio_output" },
    ...more
  ],
  edges: [
    ...edges([
      "input.caller_audio.vad",
      "input.caller_audio.stt",
      "vad.voice_edge.turn",
      "stt.interim_transcript.turn",
      "stt.transcript.turn",
      "turn.transcript.llm",
      "llm.text.sentences",
      "sentences.segment.screen",
      "screen.segment.tts",
      "tts.voice.output"
    ]),
    ...behind
  ]
})

const speech = { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } } as const

/** What happens to the next item of the custom node. */
const strikes = (kind: "node.crash" | "node.slow" | "node.ignores_cancel") =>
  ({ when: { atMs: 300 }, act: { does: "fault", kind } }) as const

/** A crash is a throw, a defect, a failure or a refusal, as the seed says. */
const seeds = [1, 2, 3, 4, 5, 6, 7, 8]

/** How the calls of custom nodes ended that worked for a turn, as they are on record. */
const external = (told: Told, turn: string | undefined) =>
  told.invocations.filter(({ modality, turn_id }) => modality === "external" && turn_id === turn)

/** Turns that end for a node have a failed call of a node in their evidence; the caller's last words are answered. */
const onlyItsTurn = (told: Told): void => {
  for (const turn of told.turns) {
    const failed = external(told, turn).filter(({ outcome_class }) =>
      outcome_class !== "success" && outcome_class !== "cancelled"
    )
    if (told.terminal(turn) === "node_timeout_or_failure") assert.isNotEmpty(failed, turn)
  }
  assert.strictEqual(told.terminal(told.turns.at(-1)), "commit", "the session goes on")
}

/** More than one way to break came about. */
const severalWays = (all: ReadonlyArray<Told>): void => {
  const ways = new Set(all.flatMap((told) => external(told, told.turns[0]).map(({ outcome_class }) => outcome_class)))
  assert.isAtLeast(ways.size, 2)
}

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
        const warnings = told.words(["budget_warning"]).filter((word) => word.includes("node_budget"))
        assert.deepStrictEqual(warnings, ["budget_warning(node_budget)"])
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
      name: "a node breaks, and the plan allows no way round: its turn ends, and the session goes on",
      script: [strikes("node.crash"), speech],
      spec: { ...filtered(false), allowed_adaptive_actions: [] },
      seeds,
      holds: (told) => {
        const [turn] = told.turns
        assert.strictEqual(told.terminal(turn), "node_timeout_or_failure")
        assert.deepStrictEqual(told.evidence(turn).terminal, { kind: "abort", reason: "node_timeout_or_failure" })
      },
      together: severalWays,
      always: onlyItsTurn
    },
    {
      name: "an optional node breaks: it is passed by, and the turn goes on",
      script: [strikes("node.crash"), speech],
      spec: { ...filtered(true), allowed_adaptive_actions: ["degrade"] },
      seeds,
      holds: (told) => {
        const [turn] = told.turns
        assert.match(told.signals("degrade", turn)[0]?.reason ?? "", /^node_passed_by:/u)
        assert.strictEqual(told.terminal(turn), "commit")
        assert.lengthOf(
          told.segments(turn),
          told.inputs("segment").filter((one) => one.at < (told.signals("commit", turn)[0]?.at ?? 0)).length,
          "every sentence is spoken"
        )
      },
      together: severalWays,
      always: onlyItsTurn
    },
    {
      name: "a node breaks that another stands behind: what it had not done is done there",
      script: [strikes("node.crash"), speech],
      spec: {
        ...filtered(false, [
          ...edges(["screen.segment.spare"], { fallback_on: ["error", "timeout"] }),
          ...edges(["spare.segment.tts"])
        ], [{ node_id: "spare", node_type: "text_filter", provider_id: "sim/filter" }]),
        allowed_adaptive_actions: ["fallback"]
      },
      seeds,
      holds: (told) => {
        const [turn] = told.turns
        const [fallback] = told.signals("fallback", turn)
        assert.strictEqual(fallback?.edge_id, "screen.segment.spare.fallback")
        assert.strictEqual(told.terminal(turn), "commit")
        assert.includeMembers(told.commands("start_invocation").map(({ node_id }) => node_id), ["screen", "spare"])
      },
      together: severalWays,
      always: onlyItsTurn
    },
    {
      name: "a node takes longer than its budget and than it may: its turn is warned, and ends",
      script: [strikes("node.slow"), speech],
      spec: {
        ...filtered(false),
        allowed_adaptive_actions: [],
        budgets: { node_budget_ms_default: 250 }
      },
      seeds,
      holds: (told) => {
        const call = told.commands("start_invocation").find(({ modality }) => modality === "external")
        const warned = told.signals("budget_warning").filter((one) =>
          one.provider_invocation_id === call?.provider_invocation_id
        )
        assert.deepStrictEqual(warned.map(({ reason }) => reason), ["node_budget"])
        assert.deepStrictEqual(told.commands("notify_node")[0]?.notice, "budget_warning", "the node is told")
      },
      together: (all) => {
        const ended = all.filter((told) => told.terminal(told.turns[0]) === "node_timeout_or_failure")
        assert.isNotEmpty(ended)
        for (const told of ended) assert.strictEqual(external(told, told.turns[0])[0]?.outcome_class, "timeout")
        // Its host and its turn have the same limit, so that either may be the first to say so.
        assert.isTrue(ended.some((told) => told.words(["budget_exhausted"]).includes("budget_exhausted(first_result)")))
      },
      always: onlyItsTurn
    },
    {
      name: "a node that goes on when it is told to stop is left behind within the grace",
      script: [
        strikes("node.slow"),
        strikes("node.ignores_cancel"),
        speech,
        { when: { on: "command:push_item", delayMs: 100 }, act: { does: "type", words: 3 } }
      ],
      spec: { ...filtered(false), allowed_adaptive_actions: [] },
      holds: (told) => {
        const [cut, next] = told.turns
        assert.strictEqual(told.terminal(cut), "cancelled")
        assert.strictEqual(told.terminal(next), "commit")
      },
      always: onlyItsTurn
    }
  ]
}
