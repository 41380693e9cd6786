import { assert } from "@effect/vitest"
import { frameMs, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

const edge = "input.caller_audio.stt"

const textOf = (told: Told): string | undefined => {
  const [final] = told.inputs("transcript").filter(({ finality }) => finality === "final")
  for (const record of told.records) {
    if (record.record === "payload" && record.handle_id === final?.handle.id) return record.text
  }
  return undefined
}

const lostFrames = (told: Told): number => told.inputs("media_loss").reduce((sum, { count }) => sum + count, 0)

/** The buffer is declared, and each frame that it had no room for has its notice. */
const lossesHaveNotices = (told: Told): void => {
  const { [edge]: policy } = told.header.pipeline.edge_buffer_policies
  assert.deepInclude(policy, { strategy: "merge", max_queue_items: 50, max_queue_ms: 1000, max_queue_bytes: 65_536 })
  const notices = told.signals("drop_notice").filter(({ edge_id }) => edge_id === edge)
  assert.lengthOf(notices, told.inputs("media_loss").length)
  for (const { seq_range } of notices) assert.isDefined(seq_range)
}

export const scenario: NamedScenario = {
  id: "S12",
  sentence: "audio before the recogniser is ready is held in a bounded, declared buffer",
  cases: [
    {
      name: "a recogniser that connects for 900 ms has every word",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/stt", with: { connectMs: 900 } } },
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } }
      ],
      spec: { recording_policy: { recording_level: "L2" } },
      holds: (told) => {
        assert.strictEqual(textOf(told), "de fi go")
        assert.strictEqual(lostFrames(told), 0)
        const [utterance] = told.commands("start_invocation")
        const [onset] = told.inputs("voice_activity")
        assert.isBelow(utterance?.from_sample ?? Infinity, onset?.sample_index ?? 0, "it begins before the onset")
        assert.strictEqual(told.terminal(told.turns[0]), "commit")
      },
      always: lossesHaveNotices
    },
    {
      name: "one that connects for 5 s has the first words, and the rest is told as lost",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/stt", with: { connectMs: 5000 } } },
        { when: { atMs: 400 }, act: { does: "say", words: [400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400] } }
      ],
      spec: { recording_policy: { recording_level: "L2" } },
      holds: (told) => {
        assert.match(textOf(told) ?? "", /^de fi go/u)
        assert.isAbove(lostFrames(told), 0)
        // What waits: the audio before the onset, and then what the edge declares, 1 s of 50 frames.
        const [loss] = told.inputs("media_loss")
        const [utterance] = told.commands("start_invocation")
        const heldMs = ((loss?.first ?? Infinity) - (utterance?.from_sample ?? 0)) / samplesPerMs
        assert.isAtMost(heldMs, 500 + 50 * frameMs + 300)
      },
      always: lossesHaveNotices
    }
  ]
}
