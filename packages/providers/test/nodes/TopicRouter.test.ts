import { assert, describe, it } from "@effect/vitest"
import { topicRouter } from "@rspp/providers/nodes/TopicRouter"
import { runTurn, text } from "@rspp/runtime/nodes/NodeTestKit"
import { Effect } from "effect"

describe("example/topic_router", () => {
  it.effect("labels a transcript by its words, and leaves them as they are", () =>
    Effect.gen(function*() {
      const said = {
        "What time is it": "question",
        "um, could you tell me where the station is": "question",
        "You are open on Sunday?": "question",
        "Hello there": "smalltalk",
        "How are you today?": "smalltalk",
        "Well thank you so much": "smalltalk",
        "I had a long day": "smalltalk",
        "": "smalltalk"
      }
      for (const [words, label] of Object.entries(said)) {
        const { outputs } = yield* runTurn(topicRouter, [text(0, "transcript", words, { complete: true })])
        assert.deepStrictEqual(outputs.map(({ facts, text }) => [text, facts.label, facts.complete]), [[
          words,
          label,
          true
        ]])
      }
    }))
})
