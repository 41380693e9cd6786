import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** Whatever failed before: each call has ended, each turn has its terminal and evidence, and the recording its end. */
const allIsClosed = (told: Told): void => {
  for (const turn of told.turns) {
    assert.lengthOf(told.signals(["commit", "abort"], turn), 1)
    assert.lengthOf(told.signals("close", turn), 1)
    assert.strictEqual(told.evidence(turn).turn_id, turn)
  }
  const ended = told.invocations.map(({ provider_invocation_id }) => provider_invocation_id)
  assert.sameMembers(told.commands("start_invocation").map((one) => one.provider_invocation_id), ended)
  assert.isDefined(told.end)
}

const speech = { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } } as const
const unwilling = {
  when: { atMs: 300 },
  act: { does: "call", provider: "sim/tts", with: { cancelMs: 3000 } }
} as const

export const scenario: NamedScenario = {
  id: "S20",
  sentence: "finalizers run whatever fails before them",
  cases: [
    {
      name: "the transport breaks while the voice does not die, the disk is full and the control plane is gone",
      script: [
        unwilling,
        speech,
        { when: { on: "input:voice_chunk" }, act: { does: "fault", kind: "recorder.full", forMs: 60_000 } },
        { when: { on: "input:voice_chunk" }, act: { does: "fault", kind: "authority.partition", forMs: 30_000 } },
        { when: { on: "input:playback_started" }, act: { does: "fault", kind: "transport.break" } }
      ],
      call: { faultsUntilMs: 60_000, hangUpMs: 120_000 },
      holds: (told) => {
        assert.strictEqual(told.terminal(told.turns[0]), "transport_disconnect_or_stall")
        assert.strictEqual(told.end, "failed")
      },
      always: allIsClosed
    },
    {
      name: "the process is told to stop while an adapter throws and the evidence is refused",
      script: [
        speech,
        { when: { on: "command:start_invocation:llm" }, act: { does: "fault", kind: "recorder.full", forMs: 60_000 } },
        {
          when: { on: "command:start_invocation:llm" },
          act: { does: "call", provider: "sim/tts", with: { fails: "defect" } }
        },
        { when: { on: "command:start_invocation:tts" }, act: { does: "shutdown" } }
      ],
      call: { ending: "shutdown" },
      holds: (told) => {
        assert.match(told.terminal(told.turns[0]), /^(?:cancelled|provider_failure)$/u)
        assert.strictEqual(told.end, "interrupted")
      },
      always: allIsClosed
    }
  ]
}
