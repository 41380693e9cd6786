// Nodes of an author in whole calls: the real session, kernel and host, scripted caller and providers, virtual time.
import { assert, describe, it } from "@effect/vitest"
import { builtInNodes } from "@rspp/providers/nodes/BuiltInNodes"
import { defineNode } from "@rspp/runtime/nodes/NodeDefinition"
import type { AnyNode, NodeRun, NodeTimeouts } from "@rspp/runtime/nodes/NodeDefinition"
import { broken } from "@rspp/runtime/nodes/NodeFailure"
import { layerOf } from "@rspp/runtime/nodes/NodeRegistry"
import type { TranscriptLine } from "@rspp/runtime/ports/TranscriptSink"
import { TranscriptSink } from "@rspp/runtime/ports/TranscriptSink"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { runScriptedCall, speech } from "../support/ScriptedCall.ts"

const base = [
  { node_id: "input", node_type: "audio_input" },
  { node_id: "vad", node_type: "voice_activity" },
  { node_id: "stt", node_type: "speech_to_text" },
  { node_id: "turns", node_type: "turn_detector" },
  { node_id: "llm", node_type: "language_model" },
  { node_id: "sentences", node_type: "sentence_segmenter" },
  { node_id: "tts", node_type: "text_to_speech" },
  { node_id: "output", node_type: "audio_output" }
]
const edge = (from_node_id: string, to_node_id: string, payload_kind: string, more: Record<string, unknown> = {}) => ({
  from_node_id,
  to_node_id,
  payload_kind,
  ...more
})
const toModel = [
  edge("input", "vad", "caller_audio"),
  edge("input", "stt", "caller_audio"),
  edge("vad", "turns", "voice_edge"),
  edge("stt", "turns", "interim_transcript"),
  edge("stt", "turns", "transcript"),
  edge("turns", "llm", "transcript")
]
const toVoice = [edge("sentences", "tts", "segment"), edge("tts", "output", "voice")]

/** The plain chain with one more node between the segmenter and the voice. */
const between = (node: Record<string, unknown>, more: ReadonlyArray<Record<string, unknown>> = []) => ({
  nodes: [...base, { node_id: "mine", ...node }],
  edges: [
    ...toModel,
    edge("llm", "sentences", "text"),
    edge("sentences", "mine", "segment"),
    edge("mine", "tts", "segment"),
    edge("tts", "output", "voice"),
    ...more
  ]
})

const call = Effect.fnUntraced(function*(
  spec: Record<string, unknown>,
  nodes: ReadonlyArray<AnyNode> = [],
  steps: Parameters<typeof makeCallScript>[0] = [{ say: speech(900) }]
) {
  const lines: Array<TranscriptLine> = []
  const fiber = yield* Effect.forkChild(
    runScriptedCall({
      script: makeCallScript(steps),
      heard: ["tell me more", "and now"],
      replies: ["My number is 555 1234. Call me any time.", "Very well."],
      spec
    }).pipe(
      Effect.provide(layerOf([...builtInNodes, ...nodes])),
      Effect.provideService(TranscriptSink, { write: (line) => Effect.sync(() => void lines.push(line)) })
    )
  )
  yield* TestClock.adjust("2 minutes")
  const { timeline } = yield* Fiber.join(fiber)
  const { records } = timeline
  const replay = yield* Effect.provide(
    Effect.flatMap(Replayer, (replayer) => replayer.replay(timeline)),
    Replayer.layer,
    { local: true }
  )
  assert.strictEqual(replay.divergence?.message, undefined)
  assert.isTrue(replay.identical)
  const invocations = records.flatMap((record) => record.record === "invocation" ? [record.invocation] : [])
  const signals = records.flatMap((record) => record.record === "signal" ? [record.signal] : [])
  return {
    lines,
    mine: invocations.filter(({ node_id }) => node_id === "mine"),
    invocations,
    signals,
    ends: signals.filter(({ signal }) => signal === "commit" || signal === "abort").map(({ reason, signal }) =>
      signal === "abort" ? `${signal} ${reason}` : signal
    )
  }
})

const custom = { node_type: "custom", provider_id: "test/mine" }
const mine = (run: NodeRun<"segment", "segment"> & { readonly timeouts?: NodeTimeouts }) =>
  defineNode({ id: "test/mine", inputs: ["segment"], outputs: ["segment"], ...run })

describe("a node in a call", () => {
  it.effect("stands between the model and the voice, and is replayed", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const { ends, mine: [work] } = yield* call(between(custom), [
        mine({ onItem: ({ text }) => void heard.push(text) })
      ])
      assert.deepStrictEqual(heard, ["My number is 555 1234.", "Call me any time."])
      assert.deepStrictEqual(ends, ["commit"])
      assert.deepInclude(work, { modality: "external", provider_id: "test/mine", outcome_class: "success" })
    }))

  it.effect("that filters text says what the caller hears and what is written down", () =>
    Effect.gen(function*() {
      const { lines } = yield* call({
        nodes: [
          ...base,
          { node_id: "mine", node_type: "text_filter", settings: { mask: "digits", replacement: "#" } },
          { node_id: "sink", node_type: "transcript_sink" }
        ],
        edges: [
          ...toModel,
          edge("turns", "sink", "transcript"),
          edge("llm", "sentences", "text"),
          edge("sentences", "mine", "segment"),
          edge("mine", "tts", "segment"),
          edge("mine", "sink", "segment"),
          edge("tts", "output", "voice")
        ]
      })
      assert.deepStrictEqual(lines.map(({ role, text }) => `${role}: ${text}`), [
        "user: tell me more",
        "assistant: My number is # #.",
        "assistant: Call me any time."
      ])
    }))

  it.effect("may stand between the model and the segmenter, which then works alone", () =>
    Effect.gen(function*() {
      const { ends, invocations } = yield* call({
        nodes: [...base, { node_id: "mine", node_type: "text_filter", settings: { mask: "digits" } }],
        edges: [...toModel, edge("llm", "mine", "text"), edge("mine", "sentences", "text"), ...toVoice]
      })
      assert.deepStrictEqual(ends, ["commit"])
      const outside = invocations.filter(({ modality }) => modality === "external").map(({ provider_id }) =>
        provider_id
      )
      assert.deepStrictEqual([...outside].sort(), ["builtin/sentence_segmenter", "builtin/text_filter"])
      assert.isAtLeast(invocations.filter(({ modality }) => modality === "tts").length, 2)
    }))

  it.effect("that blocks ends the turn, and the call goes on", () =>
    Effect.gen(function*() {
      const { ends, mine } = yield* call(between({ node_type: "text_filter", settings: { deny: "number" } }), [], [
        { say: speech(900) },
        { say: speech(900), at: { after: "previous", delay_ms: 4000 } }
      ])
      assert.deepStrictEqual(ends, ["abort node_timeout_or_failure", "commit"])
      assert.deepStrictEqual(mine.map(({ outcome_class }) => outcome_class), ["blocked", "success"])
    }))
})

describe("a node that crashes in a call", () => {
  const crashing = mine({
    onItem: ({ text }) => {
      if (text.includes("number")) throw new Error("a fault of the author's")
      return text
    }
  })

  it.effect("ends its turn; the session lives, and the next turn is answered", () =>
    Effect.gen(function*() {
      const { ends, mine } = yield* call(between(custom), [crashing], [
        { say: speech(900) },
        { say: speech(900), at: { after: "previous", delay_ms: 4000 } }
      ])
      assert.deepStrictEqual(ends, ["abort node_timeout_or_failure", "commit"])
      assert.deepInclude(mine[0], { outcome_class: "infrastructure_failure", reason: "node_defect" })
    }))

  it.effect("is passed by where it is optional and the plan lets it", () =>
    Effect.gen(function*() {
      const { ends, invocations } = yield* call({
        ...between({ ...custom, optional: true }),
        allowed_adaptive_actions: ["degrade"]
      }, [crashing])
      assert.deepStrictEqual(ends, ["commit"])
      assert.isAtLeast(invocations.filter(({ modality }) => modality === "tts").length, 2)
    }))

  it.effect("does not touch another call in the same process", () =>
    Effect.gen(function*() {
      const fine = mine({ onItem: ({ text }) => text })
      const [bad, good] = yield* Effect.all([call(between(custom), [crashing]), call(between(custom), [fine])])
      assert.deepStrictEqual([bad.ends, good.ends], [["abort node_timeout_or_failure"], ["commit"]])
    }))
})

describe("a caller who cuts in on a node", () => {
  const steps = [
    { say: speech(900) },
    { say: speech(1500), at: { after: "agent_started", delay_ms: 300 } }
  ] as const

  it.effect("has it told, and stopped", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const { ends, mine: [work] } = yield* call(between(custom), [
        mine({
          onItem: ({ text }) => text.startsWith("My") ? text : Effect.as(Effect.sleep(4000), text),
          onBargeIn: () => void told.push("barge-in"),
          onCancel: (reason) => void told.push(reason),
          timeouts: { itemMs: 5000 }
        })
      ], steps)
      assert.deepStrictEqual(told.slice(0, 2), ["barge-in", "barge_in"])
      assert.strictEqual(ends[0], "abort cancelled")
      assert.deepInclude(work, { outcome_class: "cancelled" })
    }))

  it.effect("does not wait for one that ignores it: it is cut off, and that is on record", () =>
    Effect.gen(function*() {
      const { ends, mine: [work] } = yield* call(between(custom), [
        mine({
          onItem: ({ text }) =>
            text.startsWith("My")
              ? text
              : Effect.uninterruptible(Effect.as(Effect.sleep(4000), text)),
          timeouts: { itemMs: 9000 }
        })
      ], steps)
      assert.strictEqual(ends[0], "abort cancelled")
      assert.deepInclude(work, { outcome_class: "cancelled", reason: "cut_off" })
      assert.strictEqual((work?.cancel_ack_ms ?? 0) - (work?.cancel_sent_ms ?? 0), 75)
    }))
})

describe("a pipeline whose nodes cannot run", () => {
  it.effect("does not start a call", () =>
    Effect.gen(function*() {
      const failure = (spec: Record<string, unknown>, nodes: ReadonlyArray<AnyNode>) =>
        Effect.map(Effect.flip(call(spec, nodes)), (error) => (error as { readonly _tag: string })._tag)
      assert.strictEqual(yield* failure(between(custom), []), "NodeMissing")
      assert.strictEqual(
        yield* failure(between({ node_type: "text_filter", settings: { mask: "/(/" } }), []),
        "NodeSettingsInvalid"
      )
      const deaf = defineNode({ id: "test/mine", inputs: ["transcript"], outputs: ["transcript"], onItem: () => {} })
      assert.strictEqual(yield* failure(between(custom), [deaf]), "NodeMismatch")
    }))

  it.effect("waits for no node that fails as it starts", () =>
    Effect.gen(function*() {
      const node = defineNode({
        id: "test/mine",
        inputs: ["segment"],
        outputs: ["segment"],
        scope: "session",
        start: () => Effect.fail(broken("no licence"))
      })
      const { ends, mine } = yield* call(between(custom), [node])
      assert.deepStrictEqual(ends, ["abort node_timeout_or_failure"])
      assert.strictEqual(mine[0]?.reason, "no licence")
    }))
})
