import { assert, describe, it } from "@effect/vitest"
import { isComplete } from "@rspp/providers/stt/TurnCue"

describe("turn cue", () => {
  it("takes a whole sentence for complete", () => {
    for (
      const text of [
        "Go forward ten meters.",
        "Yes!",
        "Where is it?",
        "\"Goodbye.\"",
        "Which folder should I save it to?"
      ]
    ) {
      assert.isTrue(isComplete(text), text)
    }
  })

  it("expects more after no final mark, after an ellipsis and after a function word", () => {
    for (
      const text of [
        "",
        "Go forward",
        "Unless to be rather cold,",
        "Well...",
        "I want to go to the.",
        "And then I.",
        "Is it the?"
      ]
    ) {
      assert.isFalse(isComplete(text), text)
    }
  })
})
