import { assert, describe, it } from "@effect/vitest"
import type { PayloadKind } from "@rspp/contracts/GraphDefinition"
import { failing, KernelHarness, passing, reply, silent, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions, ScriptedItem } from "./support/KernelHarness.ts"
import { edge, graphPipeline, node } from "./support/LiteralGraph.ts"

type Graph = Parameters<typeof graphPipeline>[0]

const session = (graph: Graph, options: HarnessOptions = {}) =>
  KernelHarness.ready({ ...options, pipeline: graphPipeline(graph) })

/** Which nodes were called, by modality and node, in order. */
const called = (harness: KernelHarness) =>
  harness.commands("start_invocation").filter(({ modality }) => modality !== "stt").map(({ node_id }) => node_id)
const given = (kind: PayloadKind, length: number, facts?: object): ScriptedItem["gives"][number] => ({
  kind,
  length,
  ...(facts === undefined ? {} : { facts })
})

const model = (id: string) => node(id, "language_model", { provider_id: `test/${id}` })
const tail = {
  nodes: [node("sentences", "sentence_segmenter"), node("tts", "text_to_speech", { provider_id: "test/voice" })],
  edges: [edge("sentences.segment.tts"), edge("tts.voice.output")]
}
const plainTail = [edge("llm.text.sentences"), ...tail.edges]

describe("a custom node", () => {
  const screened: Graph = {
    nodes: [
      node("router", "custom", { provider_id: "test/router" }),
      model("llm"),
      ...tail.nodes,
      node("screen", "text_filter")
    ],
    edges: [
      edge("turn.transcript.router"),
      edge("router.transcript.llm"),
      edge("llm.text.sentences"),
      edge("sentences.segment.screen"),
      edge("screen.segment.tts"),
      edge("tts.voice.output")
    ]
  }

  it("gets one item at a time, is told when no more come, and what it gives goes on", () => {
    const harness = session(screened)
    harness.type(7)
    harness.runFor(5000)
    assert.deepStrictEqual(called(harness), ["router", "llm", "screen", "tts", "tts"])
    const pushes = harness.commands("push_item")
    assert.deepStrictEqual(pushes.map(({ edge_id, handle }) => [edge_id, handle.length]), [
      ["turn.transcript.router", 7],
      ["sentences.segment.screen", 20],
      ["sentences.segment.screen", 30]
    ])
    assert.strictEqual(harness.commands("end_items").length, 2)
    assert.include(harness.signals, "commit")
    harness.hangUp()
  })

  it("answers for what the model is asked: its words, not the caller's", () => {
    const harness = session(screened, {
      node: (push) => push.payload_kind === "transcript" ? { ms: 5, gives: [given("transcript", 3)] } : passing(push)
    })
    harness.type(7)
    harness.runFor(100)
    const [llm] = harness.started("llm")
    assert.deepStrictEqual(llm?.conversation?.map(({ parts, role }) => [role, parts.map(({ chars }) => chars)]), [
      ["user", [3]]
    ])
    harness.hangUp()
  })

  it("that gives nothing ends the turn without speech", () => {
    const harness = session(screened, { node: () => ({ ms: 5, gives: [] }) })
    harness.type(7)
    harness.runFor(1000)
    assert.deepStrictEqual(called(harness), ["router"])
    assert.include(harness.signals, "commit")
    harness.hangUp()
  })

  it("that fails ends its turn, and nothing else (F2)", () => {
    const harness = session(screened, {
      node: () => ({ ms: 5, gives: [], end: "infrastructure_failure" })
    })
    harness.type(7)
    harness.runFor(1000)
    assert.include(harness.signals, "abort(node_timeout_or_failure)")
    harness.forget()
    harness.type(7)
    assert.include(harness.signals, "turn_open")
    harness.hangUp()
  })

  it("that hangs is warned, runs out of its budget, is cut off and ends its turn (F2)", () => {
    const harness = session(screened, { node: () => ({ ms: 5, gives: [], end: "never" }) })
    harness.type(7)
    harness.runFor(3000)
    const told = harness.signals.filter((signal) => /budget|abort/u.test(signal))
    assert.deepStrictEqual(told, [
      "budget_warning(node_budget)",
      "budget_exhausted(first_result)",
      "abort(node_timeout_or_failure)"
    ])
    assert.deepStrictEqual(harness.commands("notify_node").map(({ notice }) => notice), ["budget_warning"])
    assert.strictEqual(harness.invocations.find(({ node_id }) => node_id === "router")?.outcome_class, "timeout")
    harness.hangUp()
  })

  it("that is optional is gone round when it fails and the plan allows it: in order, nothing lost", () => {
    const graph: Graph = {
      ...screened,
      nodes: screened.nodes.map((one) => one.node_id === "screen" ? { ...one, optional: true } : one),
      actions: ["degrade"]
    }
    let pushed = 0
    const harness = session(graph, {
      llm: () => reply(10, 20, 30),
      node: (push) =>
        push.payload_kind === "segment" && ++pushed === 2
          ? { ms: 5, gives: [], end: "infrastructure_failure" }
          : passing(push)
    })
    harness.type(7)
    harness.runFor(9000)
    assert.include(harness.signals, "degrade(node_passed_by:infrastructure_failure)")
    assert.deepStrictEqual(harness.started("tts").map(({ text }) => text?.length), [10, 20, 30])
    assert.include(harness.signals, "commit")
    harness.hangUp()
  })

  it("is interrupted with its turn, and what it still gives is late", () => {
    const harness = session(screened, { node: () => ({ ms: 500, gives: [given("transcript", 3)] }) })
    harness.type(7)
    harness.runFor(50)
    harness.cancel()
    harness.runFor(1000)
    assert.include(harness.signals, "abort(cancelled)")
    assert.strictEqual(harness.commands("cancel_invocation").length, 1)
    assert.deepStrictEqual(called(harness), ["router"])
    harness.hangUp()
  })

  it("holds what comes to it while what comes after it is full", () => {
    const graph: Graph = {
      nodes: [model("llm"), ...tail.nodes, node("screen", "text_filter")],
      edges: [
        edge("turn.transcript.llm"),
        edge("llm.text.sentences"),
        edge("sentences.segment.screen"),
        edge("screen.segment.tts"),
        edge("tts.voice.output")
      ],
      policies: { "screen.segment.tts": { max_queue_items: 1, watermarks: { queue_items: { high: 1, low: 0 } } } }
    }
    const harness = session(graph, { llm: () => reply(10, 11, 12, 13, 14, 15), tts: () => speech(2000) })
    harness.type(7)
    harness.runFor(700)
    const before = harness.commands("push_item").length
    assert.isBelow(before, 6)
    harness.runFor(60_000)
    assert.deepStrictEqual(harness.started("tts").map(({ text }) => text?.length), [10, 11, 12, 13, 14, 15])
    harness.hangUp()
  })
})

describe("a conditional edge", () => {
  const graph: Graph = {
    nodes: [
      node("router", "custom", { provider_id: "test/router" }),
      model("llm"),
      model("small"),
      ...tail.nodes
    ],
    edges: [
      edge("turn.transcript.router"),
      edge("router.transcript.llm", { condition: { fact: "label", is: "equals", value: "question" } }),
      edge("router.transcript.small", { condition: { fact: "label", is: "not_equals", value: "question" } }),
      edge("llm.text.sentences"),
      edge("small.text.sentences"),
      ...tail.edges
    ]
  }
  const routed = (label: string | undefined) => {
    const harness = session(graph, {
      node: (push) =>
        push.payload_kind === "transcript"
          ? { ms: 5, gives: [given("transcript", 7, label === undefined ? undefined : { label })] }
          : { ms: 1, gives: [given("segment", push.handle.length)] }
    })
    harness.type(7)
    harness.runFor(5000)
    return harness
  }

  it.each([["question", "llm"], ["smalltalk", "small"]])("lets %s pass to %s alone", (label, id) => {
    const harness = routed(label)
    assert.deepStrictEqual(harness.started("llm").map(({ node_id }) => node_id), [id])
    assert.include(harness.signals, "commit")
    harness.hangUp()
  })

  it("lets nothing pass when the fact is not known", () => {
    const harness = routed(undefined)
    assert.deepStrictEqual(harness.started("llm"), [])
    assert.include(harness.signals, "commit")
    harness.hangUp()
  })
})

describe("a fan-out to two models and a select", () => {
  const graph = (select: object): Graph => ({
    nodes: [
      model("fast"),
      model("good"),
      node("s1", "sentence_segmenter"),
      node("s2", "sentence_segmenter"),
      node("best", "select", { select: { rule: "first", ...select } }),
      node("tts", "text_to_speech", { provider_id: "test/voice" })
    ],
    edges: [
      edge("turn.transcript.fast"),
      edge("turn.transcript.good"),
      edge("fast.text.s1"),
      edge("good.text.s2"),
      edge("s1.segment.best"),
      edge("s2.segment.best"),
      edge("best.segment.tts"),
      edge("tts.voice.output")
    ]
  })
  const preferred = { rule: "preferred", order: ["s2.segment.best", "s1.segment.best"], wait_ms: 300 }
  const run = (select: object, goodMs: number, end?: "overload") => {
    const harness = session(graph(select), {
      llm: ({ node_id }) =>
        node_id === "fast"
          ? { ...reply(11, 12), firstMs: 100 }
          : end === undefined
          ? { ...reply(21, 22), firstMs: goodMs }
          : failing(end, { firstMs: goodMs })
    })
    harness.type(7)
    harness.runFor(8000)
    return harness
  }
  const spoken = (harness: KernelHarness) => harness.started("tts").map(({ text }) => text?.length)
  const choice = (harness: KernelHarness) => harness.events.find(({ reason }) => reason?.startsWith("selected"))

  it("takes whoever is first, and cancels the other's work", () => {
    const harness = run({}, 400)
    assert.deepStrictEqual(spoken(harness), [11, 12])
    assert.deepStrictEqual([choice(harness)?.edge_id, choice(harness)?.reason], ["s1.segment.best", "selected:first"])
    const cancelled = harness.commands("cancel_invocation")
    assert.deepStrictEqual(cancelled.map(({ reason }) => reason), ["not_selected"])
    assert.strictEqual(harness.invocations.find(({ node_id }) => node_id === "good")?.outcome_class, "cancelled")
    assert.include(harness.signals, "commit")
    harness.hangUp()
  })

  it("takes the preferred one when it comes in time", () => {
    const harness = run(preferred, 350)
    assert.deepStrictEqual(spoken(harness), [21, 22])
    assert.strictEqual(choice(harness)?.reason, "selected:preferred")
    // What the other had said is told as lost.
    assert.isAbove(harness.signals.filter((signal) => signal.startsWith("drop_notice(not_selected")).length, 0)
    harness.hangUp()
  })

  it("takes the other one when the wait is over", () => {
    const harness = run(preferred, 900)
    assert.deepStrictEqual(spoken(harness), [11, 12])
    assert.strictEqual(choice(harness)?.reason, "selected:waited_long_enough")
    harness.hangUp()
  })

  it("does not wait for one that has failed, and the turn lives", () => {
    const harness = run({ ...preferred, wait_ms: 5000 }, 150, "overload")
    assert.deepStrictEqual(spoken(harness), [11, 12])
    assert.include(harness.signals, "provider_error(overload)")
    assert.isBelow(harness.signal("commit")?.runtime_timestamp_ms ?? 9999, 4000)
    harness.hangUp()
  })

  it("binds the spare of all models in place of one whose circuit is open, for that turn", () => {
    const harness = session(
      { ...graph({}), bindings: { "llm.fast": "test/fast", "llm.good": "test/good", "llm.fallback": "test/spare" } },
      { snapshots: { provider_health_snapshot: { providers: { "test/good": "open" } } } }
    )
    harness.type(7)
    harness.runFor(100)
    assert.sameMembers(harness.started("llm").map(({ provider_id }) => provider_id), ["test/fast", "test/spare"])
    harness.hangUp()
  })

  it("ends the turn when nobody is left", () => {
    const harness = session(graph({}), { llm: () => failing("overload") })
    harness.type(7)
    harness.runFor(8000)
    assert.include(harness.signals, "abort(provider_failure)")
    harness.hangUp()
  })
})

describe("a merge", () => {
  it("hands on in the order of arrival, with lineage", () => {
    const graph: Graph = {
      nodes: [
        model("a"),
        model("b"),
        node("s1", "sentence_segmenter"),
        node("s2", "sentence_segmenter"),
        node("both", "merge"),
        node("tts", "text_to_speech", { provider_id: "test/voice" })
      ],
      edges: [
        edge("turn.transcript.a"),
        edge("turn.transcript.b"),
        edge("a.text.s1"),
        edge("b.text.s2"),
        edge("s1.segment.both"),
        edge("s2.segment.both"),
        edge("both.segment.tts"),
        edge("tts.voice.output")
      ]
    }
    const harness = session(graph, {
      llm: ({ node_id }) => ({
        ...reply(node_id === "a" ? 11 : 21, node_id === "a" ? 12 : 22),
        firstMs: node_id === "a" ? 100 : 120
      })
    })
    harness.type(7)
    harness.runFor(8000)
    assert.deepStrictEqual(harness.started("tts").map(({ text }) => text?.length), [11, 21, 12, 22])
    const merged = harness.events.filter(({ reason }) => reason === "merged")
    assert.strictEqual(merged.length, 4)
    const known = new Set(harness.events.map(({ event_id }) => event_id))
    for (const { edge_id = "", merge_group_id, merged_from_event_ids } of merged) {
      assert.include(["s1.segment.both", "s2.segment.both"], edge_id, "the edge that it came by")
      assert.strictEqual(merge_group_id, "merge_turn_1_both")
      for (const id of merged_from_event_ids ?? []) assert.isTrue(known.has(id), id)
    }
    assert.include(harness.signals, "commit")
    harness.hangUp()
  })
})

describe("a fallback edge", () => {
  const models: Graph = {
    nodes: [model("llm"), model("spare"), ...tail.nodes],
    edges: [
      edge("turn.transcript.llm"),
      edge("llm.transcript.spare", { fallback_on: ["timeout"] }),
      edge("spare.text.sentences"),
      ...plainTail
    ],
    actions: ["fallback"]
  }

  it("takes a model's question to another one when it does not answer", () => {
    const harness = session(models, {
      llm: ({ node_id }) => node_id === "llm" ? silent : reply(15),
      node: (push) => ({ ms: 1, gives: [given("segment", push.handle.length)] })
    })
    harness.type(7)
    harness.runFor(6000)
    assert.include(harness.signals, "fallback(timeout)")
    assert.deepStrictEqual(harness.started("llm").map(({ node_id }) => node_id), ["llm", "spare"])
    assert.deepStrictEqual(harness.started("tts").map(({ text }) => text?.length), [15])
    assert.include(harness.signals, "commit")
    harness.hangUp()
  })

  it("is not taken for another cause, nor when the plan does not allow it", () => {
    const other = session(models, { llm: () => failing("overload") })
    other.type(7)
    other.runFor(3000)
    assert.include(other.signals, "abort(provider_failure)")
    const forbidden = session({ ...models, actions: [] }, { llm: () => silent })
    forbidden.type(7)
    forbidden.runFor(3000)
    assert.include(forbidden.signals, "abort(provider_failure)")
    other.hangUp()
    forbidden.hangUp()
  })

  it("gives the rest of a reply another voice, each sentence once and in order", () => {
    const graph: Graph = {
      nodes: [model("llm"), ...tail.nodes, node("tts2", "text_to_speech", { provider_id: "test/other" })],
      edges: [
        edge("turn.transcript.llm"),
        ...plainTail,
        edge("tts.segment.tts2", { fallback_on: ["error", "timeout"] }),
        edge("tts2.voice.output")
      ],
      actions: ["fallback"]
    }
    let calls = 0
    const harness = session(graph, {
      llm: () => reply(10, 20, 30),
      tts: ({ node_id }) => node_id === "tts" && ++calls === 2 ? failing("infrastructure_failure") : speech(300)
    })
    harness.type(7)
    harness.runFor(9000)
    assert.deepStrictEqual(
      harness.started("tts").map(({ node_id, text }) => [node_id, text?.length]),
      [["tts", 10], ["tts", 20], ["tts2", 20], ["tts2", 30]]
    )
    assert.include(harness.signals, "commit")
    assert.strictEqual(harness.signals.filter((signal) => signal === "playback_completed").length, 3)
    harness.hangUp()
  })
})

describe("a transcript sink", () => {
  it("gets what the caller said and what the agent says", () => {
    const harness = session({
      nodes: [model("llm"), ...tail.nodes, node("captions", "transcript_sink")],
      edges: [
        edge("turn.transcript.llm"),
        edge("turn.transcript.captions"),
        ...plainTail,
        edge("sentences.segment.captions")
      ]
    })
    harness.type(7)
    harness.runFor(5000)
    assert.deepStrictEqual(
      harness.commands("write_transcript").map(({ handle, role }) => [role, handle.length]),
      [["user", 7], ["assistant", 20], ["assistant", 30]]
    )
    assert.include(harness.signals, "commit")
    harness.hangUp()
  })
})

describe("a node that only looks on", () => {
  it("holds nothing up, and is let go when the turn is over", () => {
    const harness = session({
      nodes: [model("llm"), ...tail.nodes, node("watch", "custom", { provider_id: "test/watch" })],
      edges: [edge("turn.transcript.llm"), edge("turn.transcript.watch"), ...plainTail]
    }, { node: () => ({ ms: 5, gives: [], end: "never" }) })
    harness.type(7)
    harness.runFor(5000)
    assert.include(harness.signals, "commit")
    assert.notInclude(harness.signals, "abort(node_timeout_or_failure)")
    harness.hangUp()
  })
})
