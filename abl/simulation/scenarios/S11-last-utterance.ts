import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** Each utterance comes to exactly one outcome: a proposal, nothing heard, or a loss that is told. */
const oneOutcome = (told: Told): void => {
  for (const { modality, provider_invocation_id: id } of told.commands("start_invocation")) {
    if (modality !== "stt") continue
    const outcomes = told.signals(["turn_open_proposed", "reject", "provider_error"])
      .filter(({ provider_invocation_id }) => provider_invocation_id === id)
    const heard = told.inputs("transcript")
      .filter(({ finality, provider_invocation_id }) => finality === "final" && provider_invocation_id === id)
    const nothing = outcomes.length === 0 && heard.every(({ handle }) => handle.length === 0)
    assert.isTrue(outcomes.length === 1 || nothing, `${id} has ${outcomes.length} outcomes`)
  }
}

const longSpeech = { does: "say", words: [300, 300, 300, 300, 300, 300] } as const

export const scenario: NamedScenario = {
  id: "S11",
  sentence: "disconnect during speech ends with one recorded outcome for that utterance",
  cases: [
    {
      name: "the caller hangs up in the middle of a word",
      script: [
        { when: { atMs: 400 }, act: longSpeech },
        { when: { on: "input:voice_activity:speech_started", delayMs: 700 }, act: { does: "hang_up" } }
      ],
      call: { ending: "hang_up" },
      holds: (told) => {
        assert.deepStrictEqual(told.turns, [])
        assert.deepStrictEqual(told.words(["reject", "ended"]), ["ended", "reject(transport_ended)"])
        const [decision] = told.decisions("reject")
        assert.strictEqual(decision?.phase, "pre_turn")
        assert.strictEqual(decision?.scope, "session")
        assert.strictEqual(told.end, "ended")
      },
      always: oneOutcome
    },
    {
      name: "the caller hangs up while the final text is waited for",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } },
        { when: { on: "command:mark_utterance:pause", delayMs: 60 }, act: { does: "hang_up" } }
      ],
      call: { ending: "hang_up" },
      holds: (told) => assert.deepStrictEqual(told.words(["reject"]), ["reject(transport_ended)"]),
      always: oneOutcome
    },
    {
      name: "the process is told to stop in the middle of a word",
      script: [
        { when: { atMs: 400 }, act: longSpeech },
        { when: { on: "input:voice_activity:speech_started", delayMs: 700 }, act: { does: "shutdown" } }
      ],
      call: { ending: "shutdown" },
      holds: (told) => {
        assert.deepStrictEqual(told.words(["reject"]), ["reject(shutdown)"])
        assert.strictEqual(told.end, "interrupted")
      },
      always: oneOutcome
    }
  ]
}
