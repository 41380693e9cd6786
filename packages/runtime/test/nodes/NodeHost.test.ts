// Holds I-NODE-ORDER, I-NODE-ISOLATED, I-NODE-LIMIT, I-NODE-SCOPE: nodes in the host and runner of a session, in virtual
// time.
import { assert, describe, it } from "@effect/vitest"
import { defineNode } from "@rspp/runtime/nodes/NodeDefinition"
import { blocked, broken } from "@rspp/runtime/nodes/NodeFailure"
import {
  bargeIn,
  budgetExhausted,
  budgetWarning,
  cancel,
  falseAlarm,
  hold,
  release,
  runTurn,
  runTurns,
  text,
  voice
} from "@rspp/runtime/nodes/NodeTestKit"
import { Effect, Random, Schema, Stream } from "effect"

const graceMs = 75
const after = <A>(ms: number, value: A) => Effect.as(Effect.sleep(ms), value)
const segments = { inputs: ["segment"], outputs: ["segment"] } as const

describe("a node", () => {
  it.effect("is given one item at a time, in order, and each is done when all that it gave is out", () =>
    Effect.gen(function*() {
      let working = 0
      const node = defineNode({
        ...segments,
        id: "test/slow",
        onItem: ({ text }) =>
          Effect.gen(function*() {
            assert.strictEqual(++working, 1)
            yield* Effect.sleep(100)
            working--
            return [`${text}-a`, `${text}-b`]
          }),
        onEnd: () => "last"
      })
      const turn = yield* runTurn(node, [text(0, "segment", "1"), text(0, "segment", "2"), text(50, "segment", "3")])
      assert.deepStrictEqual(turn.texts, ["1-a", "1-b", "2-a", "2-b", "3-a", "3-b", "last"])
      assert.deepStrictEqual(turn.doneMs, [100, 200, 300])
      assert.deepInclude(turn, { endedMs: 300, outcome: "success", reason: undefined })
    }))

  it.effect("gives values, effects, streams or nothing", () =>
    Effect.gen(function*() {
      const node = defineNode({
        ...segments,
        id: "test/any",
        onItem: ({ text }) => {
          switch (text) {
            case "value":
              return "v"
            case "list":
              return [{ text: "l1" }, "l2"]
            case "effect":
              return Effect.succeed("e")
            case "stream":
              return Stream.make("s1", "s2")
            default:
              return undefined
          }
        }
      })
      const turn = yield* runTurn(
        node,
        ["value", "nothing", "list", "effect", "stream"].map((name) => text(0, "segment", name))
      )
      assert.deepStrictEqual(turn.texts, ["v", "l1", "l2", "e", "s1", "s2"])
      assert.lengthOf(turn.doneMs, 5)
    }))

  it.effect("keeps what is known of its item, and adds to it", () =>
    Effect.gen(function*() {
      const node = defineNode({
        id: "test/label",
        inputs: ["transcript"],
        outputs: ["transcript"],
        onItem: ({ text }) => ({ text: `${text} indeed`, label: "praise" })
      })
      const turn = yield* runTurn(node, [text(0, "transcript", "well done", { words: 2, complete: true })])
      assert.deepStrictEqual(turn.outputs[0]?.facts, { words: 3, complete: true, label: "praise" })
    }))

  it.effect("works on voice, in pieces of 100 ms at most", () =>
    Effect.gen(function*() {
      const node = defineNode({
        id: "test/louder",
        inputs: ["voice"],
        outputs: ["voice"],
        onItem: ({ samples }) => ({ samples: samples.map((sample) => sample * 2) })
      })
      const turn = yield* runTurn(node, [voice(0, new Int16Array(16_000).fill(3))])
      assert.deepStrictEqual(turn.outputs.map(({ samples }) => samples), Array.from({ length: 10 }, () => 1600))
      assert.strictEqual(turn.outputs[0]?.facts.duration_ms, 100)
    }))

  it.effect("hears of a barge-in, a false alarm and a budget while it works", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const node = defineNode({
        ...segments,
        id: "test/ears",
        onItem: () => after(500, "done"),
        onBargeIn: ({ nowMs }) => void heard.push(`barge-in ${nowMs()}`),
        onFalseAlarm: ({ nowMs }) => void heard.push(`false alarm ${nowMs()}`),
        onBudgetWarning: ({ budget }) => {
          heard.push(`budget ${budget.remainingMs()}`)
          return "what I have"
        }
      })
      const turn = yield* runTurn(node, [text(0, "segment", "x"), bargeIn(100), falseAlarm(200), budgetWarning(300)])
      assert.deepStrictEqual(heard, ["barge-in 100", "false alarm 200", "budget 700"])
      assert.deepStrictEqual(turn.outputs.map(({ atMs, text }) => [atMs, text]), [[300, "what I have"], [500, "done"]])
    }))

  it.effect("has settings, state, chance and telemetry from its context, and nothing ambient", () =>
    Effect.gen(function*() {
      const node = defineNode({
        ...segments,
        id: "test/context",
        settings: Schema.Struct({ greeting: Schema.String }),
        start: (context) =>
          Effect.sync(() => {
            context.state.session.set("turns", ((context.state.session.get("turns") as number | undefined) ?? 0) + 1)
            return {
              onItem: ({ text }) =>
                Effect.gen(function*() {
                  context.state.turn.set(text, true)
                  yield* context.log("greeted")
                  yield* context.count("greetings")
                  return [
                    `${context.settings.greeting} ${
                      String(context.state.session.get("turns"))
                    } ${context.state.turn.keys().join()}`,
                    `${context.random("a").next()} ${yield* Random.next}`
                  ]
                })
            }
          })
      })
      const turns = [[text(0, "segment", "x"), text(0, "segment", "y")], [text(0, "segment", "z")]]
      const options = { settings: { greeting: "hi" }, seed: 3 }
      const one = yield* runTurns(node, turns, options)
      const texts = one.turns.flatMap((turn) => turn.texts)
      assert.deepStrictEqual([texts[0], texts[2], texts[4]], ["hi 1 x", "hi 1 x,y", "hi 2 z"])
      assert.strictEqual(new Set([texts[1], texts[3], texts[5]]).size, 3)
      assert.deepStrictEqual(one.counts, { greetings: 3 })
      assert.lengthOf(one.logs, 3)
      const two = yield* runTurns(node, turns, options)
      assert.deepStrictEqual(two, one)
      const other = yield* runTurns(node, turns, { ...options, seed: 4 })
      assert.notDeepEqual(other, one)
    }))

  it.effect("of a session starts once, and anew after it failed", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const node = defineNode({
        ...segments,
        id: "test/session",
        scope: "session",
        start: (_context) =>
          Effect.gen(function*() {
            events.push("start")
            yield* Effect.addFinalizer(() => Effect.sync(() => events.push("close")))
            return {
              onItem: ({ text }, { turnId }) => {
                if (text === "bad") throw new Error("bad")
                return `${turnId}`
              }
            }
          })
      })
      const { turns } = yield* runTurns(node, [
        [text(0, "segment", "x")],
        [text(0, "segment", "x")],
        [text(0, "segment", "bad")],
        [text(0, "segment", "x")]
      ])
      assert.deepStrictEqual(turns.map(({ outcome, texts }) => texts[0] ?? outcome), [
        "turn_1",
        "turn_2",
        "infrastructure_failure",
        "turn_4"
      ])
      assert.deepStrictEqual(events, ["start", "close", "start", "close"])
    }))

  it.effect("of a session that cannot start fails each turn, and tries again with the next", () =>
    Effect.gen(function*() {
      let tries = 0
      const node = defineNode({
        ...segments,
        id: "test/session",
        scope: "session",
        start: (_context) =>
          ++tries < 3
            ? Effect.andThen(Effect.sleep(10), Effect.fail(broken("not yet")))
            : Effect.succeed({ onItem: () => "x" })
      })
      const one = [text(0, "segment", "x")]
      const { turns } = yield* runTurns(node, [one, one, one])
      assert.deepStrictEqual(turns.map(({ outcome, reason }) => reason ?? outcome), ["not yet", "not yet", "success"])
      // a start that hangs
      const hangs = defineNode({ ...segments, id: "test/session", scope: "session", start: () => Effect.never })
      const hung = yield* runTurns(hangs, [one, one])
      assert.deepStrictEqual(hung.turns.map(({ reason }) => reason), ["start_timeout", "start_timeout"])
    }))
})

describe("a node that fails", () => {
  const one = [text(0, "segment", "x")]
  const failing = (onItem: () => never | Effect.Effect<string>) => defineNode({ ...segments, id: "test/bad", onItem })

  it.effect("by throwing or dying ends its own work, as an infrastructure failure", () =>
    Effect.gen(function*() {
      const throws = yield* runTurn(
        failing(() => {
          throw new Error("the caller said so")
        }),
        one
      )
      assert.deepInclude(throws, { outcome: "infrastructure_failure", reason: "node_defect" })
      assert.include(throws.logs.join(), "the caller said so")
      const dies = yield* runTurn(failing(() => Effect.die("no")), one)
      assert.deepInclude(dies, { outcome: "infrastructure_failure", reason: "node_defect" })
      const starts = yield* runTurn(defineNode({ ...segments, id: "test/bad", start: () => Effect.die("no") }), one)
      assert.deepInclude(starts, { outcome: "infrastructure_failure", reason: "node_defect" })
    }))

  it.effect("by a failure of its own ends in that failure's class", () =>
    Effect.gen(function*() {
      const refuses = yield* runTurn(
        defineNode({ ...segments, id: "test/bad", onItem: () => Effect.fail(blocked("not here")) }),
        one
      )
      assert.deepInclude(refuses, { outcome: "blocked", reason: "not here" })
      assert.deepStrictEqual(refuses.doneMs, [])
      const breaks = yield* runTurn(
        defineNode({
          ...segments,
          id: "test/bad",
          onItem: () => Stream.concat(Stream.make("a"), Stream.fail(broken("gone")))
        }),
        one
      )
      assert.deepInclude(breaks, { outcome: "infrastructure_failure", reason: "gone", texts: ["a"] })
    }))

  it.effect("in a hook fails as in its work", () =>
    Effect.gen(function*() {
      const node = defineNode({
        ...segments,
        id: "test/bad",
        onItem: () => after(500, "x"),
        onBargeIn: () => Effect.die("no")
      })
      const turn = yield* runTurn(node, [...one, bargeIn(100)])
      assert.deepInclude(turn, { outcome: "infrastructure_failure", reason: "node_defect", endedMs: 100 })
    }))

  it.effect("by giving what it does not declare is told so", () =>
    Effect.gen(function*() {
      const gives = (output: unknown) =>
        Effect.map(
          runTurn(defineNode({ ...segments, id: "test/bad", onItem: () => output as string }), one),
          ({ outcome, reason }) => `${outcome}: ${reason}`
        )
      assert.strictEqual(
        yield* gives({ text: "x", kind: "transcript" }),
        "infrastructure_failure: it gave transcript, which it does not declare"
      )
      assert.strictEqual(
        yield* gives({ samples: new Int16Array(1) }),
        "infrastructure_failure: it gave what it does not declare"
      )
      assert.strictEqual(yield* gives(7), "infrastructure_failure: it gave neither text nor voice")
      assert.strictEqual(
        yield* gives("x".repeat(65_537)),
        "infrastructure_failure: it gave more than 65536 characters at once"
      )
      const two = defineNode({
        id: "test/two",
        inputs: ["transcript"],
        outputs: ["text", "segment"],
        onItem: () => "which?"
      })
      const turn = yield* runTurn(two, [text(0, "transcript", "x")])
      assert.strictEqual(turn.reason, "it did not say which kind it gave")
    }))

  it.effect("by keeping too much is stopped", () =>
    Effect.gen(function*() {
      const node = defineNode({
        ...segments,
        id: "test/hoard",
        onItem: (_, { state }) => {
          for (let i = 0; i < 300; i++) state.session.set(`${i}`, i)
        }
      })
      assert.deepInclude(yield* runTurn(node, one), { outcome: "infrastructure_failure", reason: "node_defect" })
    }))
})

describe("a node's time", () => {
  const one = [text(0, "segment", "x")]

  it.effect("to start, for an item and to stop is limited", () =>
    Effect.gen(function*() {
      const timeouts = { startMs: 100, itemMs: 200, stopMs: 300 }
      const slow = { ...segments, id: "test/slow", timeouts }
      const starts = yield* runTurn(
        defineNode({ ...slow, start: () => after(101, { onItem: () => "x" }) }),
        one
      )
      assert.deepInclude(starts, { outcome: "timeout", reason: "start_timeout", endedMs: 100 })
      const works = yield* runTurn(defineNode({ ...slow, onItem: () => after(201, "x") }), one)
      assert.deepInclude(works, { outcome: "timeout", reason: "item_timeout", endedMs: 200, texts: [] })
      const stops = yield* runTurn(
        defineNode({ ...slow, onItem: () => after(199, "x"), onEnd: () => after(301, "y") }),
        one
      )
      assert.deepInclude(stops, { outcome: "timeout", reason: "stop_timeout", endedMs: 499, texts: ["x"] })
      const closes = yield* runTurn(
        defineNode({
          ...slow,
          start: (_context) => Effect.as(Effect.addFinalizer(() => Effect.never), { onItem: () => "x" })
        }),
        one
      )
      assert.deepInclude(closes, { outcome: "timeout", reason: "stop_timeout, cut_off", endedMs: 300 + graceMs })
    }))

  it.effect("is what the pipeline allows a provider, where it says nothing", () =>
    Effect.gen(function*() {
      const turn = yield* runTurn(defineNode({ ...segments, id: "test/slow", onItem: () => Effect.never }), one, {
        capMs: 400
      })
      assert.deepInclude(turn, { outcome: "timeout", reason: "item_timeout", endedMs: 400 })
    }))

  it.effect("does not run while what it gives waits for room", () =>
    Effect.gen(function*() {
      const node = defineNode({
        ...segments,
        id: "test/talks",
        timeouts: { itemMs: 100 },
        onItem: () => Stream.make("a", "b").pipe(Stream.mapEffect((word) => after(40, word)))
      })
      const turn = yield* runTurn(node, [hold(0), ...one, release(5000)])
      assert.deepStrictEqual(turn.outputs.map(({ atMs }) => atMs), [40, 5040])
      assert.strictEqual(turn.outcome, "success")
    }))

  it.effect("ends though it cannot be interrupted: it is cut off", () =>
    Effect.gen(function*() {
      const turn = yield* runTurn(
        defineNode({
          ...segments,
          id: "test/deaf",
          timeouts: { itemMs: 200 },
          onItem: () => Effect.uninterruptible(after(5000, "late"))
        }),
        one
      )
      assert.deepInclude(turn, { outcome: "timeout", reason: "item_timeout, cut_off", endedMs: 200 + graceMs })
      assert.lengthOf(turn.outputs, 0)
    }))

  it.effect("tells it when it is used up", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const node = defineNode({
        ...segments,
        id: "test/slow",
        timeouts: { itemMs: 200 },
        onItem: () => Effect.never,
        onBudgetExhausted: () => void told.push("exhausted"),
        onCancel: (reason) => void told.push(reason)
      })
      yield* runTurn(node, one)
      yield* runTurn(node, [...one, budgetExhausted(100)])
      yield* runTurn(node, [...one, cancel(100, "barge_in")])
      assert.deepStrictEqual(told, ["exhausted", "item_timeout", "exhausted", "timeout", "barge_in"])
    }))
})

describe("a cancel", () => {
  const one = [text(0, "segment", "x")]

  it.effect("interrupts the work, tells the node and closes what it opened, in this order", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const say = (what: string) => Effect.sync(() => void events.push(what))
      const node = defineNode({
        ...segments,
        id: "test/tidy",
        start: (_context) =>
          Effect.as(Effect.addFinalizer(() => say("closed")), {
            onItem: () => Effect.onInterrupt(after(500, "x"), () => say("interrupted")),
            onCancel: (reason) => Effect.andThen(say(`told of ${reason}`), Effect.succeed("too late"))
          })
      })
      const turn = yield* runTurn(node, [...one, cancel(100)])
      assert.deepStrictEqual(events, ["interrupted", "told of barge_in", "closed"])
      assert.deepInclude(turn, { outcome: "cancelled", endedMs: 100, texts: [] })
      assert.deepStrictEqual(turn.outputs.map(({ late, text }) => [text, late]), [["too late", true]])
    }))

  it.effect("lets a node finish its item that says so; what comes of it is late", () =>
    Effect.gen(function*() {
      const node = defineNode({
        ...segments,
        id: "test/finishes",
        cancel: "finish_item",
        onItem: ({ text }) => after(100, text)
      })
      const turn = yield* runTurn(node, [text(0, "segment", "1"), text(0, "segment", "2"), cancel(150)])
      assert.deepStrictEqual(turn.outputs.map(({ late, text }) => [text, late]), [["1", false], ["2", true]])
      assert.deepInclude(turn, { outcome: "cancelled", endedMs: 200 })
      const idle = yield* runTurn(node, [...one, cancel(150)])
      assert.deepInclude(idle, { outcome: "cancelled", endedMs: 150 })
    }))

  it.effect("that is ignored past the grace cuts the node off, and that is recorded", () =>
    Effect.gen(function*() {
      for (
        const node of [
          defineNode({ ...segments, id: "test/deaf", onItem: () => Effect.uninterruptible(after(500, "late")) }),
          defineNode({ ...segments, id: "test/slow", cancel: "finish_item", onItem: () => after(500, "late") }),
          defineNode({ ...segments, id: "test/hangs", onItem: () => Effect.never, onCancel: () => Effect.never })
        ]
      ) {
        const turn = yield* runTurn(node, [...one, cancel(100)])
        assert.deepInclude(
          turn,
          { outcome: "cancelled", reason: "cut_off", endedMs: 100 + graceMs, outputs: [] },
          node.id
        )
      }
    }))

  it.effect("of a node that starts, waits or ends is taken at once", () =>
    Effect.gen(function*() {
      const never = defineNode({ ...segments, id: "test/never", start: () => Effect.never })
      assert.deepInclude(yield* runTurn(never, [cancel(0)]), { outcome: "cancelled", endedMs: 0 })
      const idle = defineNode({ ...segments, id: "test/idle", onItem: () => "x" })
      assert.deepInclude(yield* runTurn(idle, [...one, cancel(30)]), { outcome: "cancelled", endedMs: 30 })
    }))

  it.effect("closes a node of the session no more than any other of its turns", () =>
    Effect.gen(function*() {
      let starts = 0
      const node = defineNode({
        ...segments,
        id: "test/session",
        scope: "session",
        start: (_context) =>
          Effect.sync(() => {
            starts++
            return { onItem: () => after(100, "x") }
          })
      })
      const { turns } = yield* runTurns(node, [[...one, cancel(50)], one])
      assert.deepStrictEqual(turns.map(({ outcome }) => outcome), ["cancelled", "success"])
      assert.strictEqual(starts, 1)
    }))
})
