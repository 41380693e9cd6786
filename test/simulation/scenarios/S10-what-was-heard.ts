import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** The model is never told more of a reply than its segments have characters. */
const neverMore = (told: Told): void => {
  const lengths = new Map(told.inputs("segment").map(({ handle }) => [handle.id, handle.length]))
  for (const { conversation = [] } of told.commands("start_invocation")) {
    for (const { parts, role } of conversation) {
      if (role !== "assistant") continue
      for (const { chars, handle_id } of parts) assert.isAtMost(chars, lengths.get(handle_id) ?? 0)
    }
  }
}

/** Truncation is shown here; that the uncertainty is stated is not, so S10 stays open. */
export const scenario: NamedScenario = {
  id: "S10",
  sentence: "the reply is truncated to what delivery reports say was heard, with the uncertainty stated",
  cases: [{
    name: "the reply counts up to where it was cut",
    script: [
      { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
      { when: { on: "input:playback_started", delayMs: 800 }, act: { does: "type", words: 3 } }
    ],
    holds: (told) => {
      const [cut, next] = told.turns
      const asked = told.commands("start_invocation").find((one) => one.modality === "llm" && one.turn_id === next)
      const said = asked?.conversation?.filter(({ role }) => role === "assistant") ?? []
      assert.lengthOf(said, 1)
      const [part] = said[0]?.parts ?? []
      const sentence = told.inputs("segment").find(({ handle }) => handle.id === part?.handle_id)?.handle.length ?? 0
      const [first] = told.segments(cut)
      const heard = Math.floor((sentence * (first?.cancelled ?? 0)) / (first?.enqueued ?? 1))
      assert.isAbove(heard, 0)
      assert.isBelow(heard, sentence)
      assert.strictEqual(part?.chars, heard)
      assert.lengthOf(said[0]?.parts ?? [], 1, "the sentence that was not heard is not remembered")
    },
    always: neverMore
  }]
}
