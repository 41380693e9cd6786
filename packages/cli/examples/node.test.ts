import { assert, describe, it } from "@effect/vitest"
import { processNode } from "@rspp/providers/nodes/ProcessNode"
import { defineNode } from "@rspp/runtime/nodes/NodeDefinition"
import { blocked } from "@rspp/runtime/nodes/NodeFailure"
import { layerOf } from "@rspp/runtime/nodes/NodeRegistry"
import * as Kit from "@rspp/runtime/nodes/NodeTestKit"
import { Effect, Schema } from "effect"
import { join } from "node:path"

// The pieces between the marks are those of docs/nodes.md; a test holds the two together.

// <least>
const shout = defineNode({
  id: "example/shout",
  inputs: ["segment"],
  outputs: ["segment"],
  onItem: ({ text }) => text.toUpperCase()
})
// </least>

// <whole>
const Settings = Schema.Struct({
  words: Schema.Int.check(Schema.isGreaterThan(0)),
  forbidden: Schema.optionalKey(Schema.String)
})

/** Lets through so many words of a reply, unless the caller wants to speak. */
const brief = defineNode({
  id: "example/brief",
  inputs: ["segment"],
  outputs: ["segment"],
  settings: Settings,
  timeouts: { itemMs: 200 },
  start: ({ count, settings }) =>
    Effect.gen(function*() {
      let left = settings.words
      yield* Effect.addFinalizer(() => count("words_left", left))
      return {
        onItem: ({ text }) =>
          Effect.gen(function*() {
            const { forbidden } = settings
            if (forbidden !== undefined && text.includes(forbidden)) return yield* blocked("a forbidden word")
            const words = text.split(" ").slice(0, left)
            left -= words.length
            return words.length === 0 ? [] : [words.join(" ")]
          }),
        onBargeIn: () => {
          left = 0
        }
      }
    })
})
// </whole>

describe("Example: a node of one's own", () => {
  it.effect("is one function, at the least", () =>
    Effect.gen(function*() {
      const turn = yield* Kit.runTurn(shout, [Kit.text(0, "segment", "Good morning.")])
      assert.deepStrictEqual(turn.texts, ["GOOD MORNING."])
    }))

  // <test>
  it.effect("is tested on virtual time, event by event", () =>
    Effect.gen(function*() {
      const turn = yield* Kit.runTurn(brief, [
        Kit.text(0, "segment", "Our shop is open today."),
        Kit.bargeIn(2000),
        Kit.text(2500, "segment", "We close at nine.")
      ], { settings: { words: 7 } })
      assert.deepStrictEqual(turn.texts, ["Our shop is open today."])
      assert.deepStrictEqual(turn.counts, { words_left: 0 })
      assert.strictEqual(turn.outcome, "success")
    }))
  // </test>

  it.effect("says what it refuses, and what its settings must be", () =>
    Effect.gen(function*() {
      const settings = { words: 9, forbidden: "secret" }
      const turn = yield* Kit.runTurn(brief, [Kit.text(0, "segment", "A secret.")], { settings })
      assert.deepInclude(turn, { outcome: "blocked", reason: "a forbidden word" })
      const error = yield* Effect.flip(Kit.runTurn(brief, [], { settings: { words: 0 } }))
      assert.include(error.message, "the settings of node node are not those of example/brief")
    }))

  it.live("may be a program of its own", () =>
    Effect.gen(function*() {
      // <process>
      const numberWords = processNode({
        id: "example/number_words",
        command: [process.execPath, join(import.meta.dirname, "nodes/number-words.mjs")],
        inputs: ["segment"],
        outputs: ["segment"],
        timeouts: { startMs: 5000 },
        memoryMb: 128
      })
      // </process>
      const turn = yield* Kit.runTurn(numberWords, [Kit.text(0, "segment", "Room 12.")], { clock: "real" })
      assert.deepStrictEqual(turn.texts, ["Room twelve."])
    }))

  it("is registered by Layer", () => {
    // <register>
    const nodes = layerOf([shout, brief])
    // </register>
    assert.isObject(nodes)
  })
})
