import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** Every call of a provider that began has ended. (That nothing is left, and that it took no longer than its budget, is L01 to L04.) */
const allEnded = (told: Told): void => {
  const started = told.commands("start_invocation").map(({ provider_invocation_id }) => provider_invocation_id)
  const ended = told.invocations.map(({ provider_invocation_id }) => provider_invocation_id)
  assert.sameMembers(started, ended)
}

export const scenario: NamedScenario = {
  id: "S13",
  sentence: "close of the session's scope has a budget; an overrun is an abort with a reason; nothing is left",
  cases: [
    {
      name: "a recogniser whose end never comes is cut off, and the call goes on",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/stt", with: { endLost: true } } },
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } }
      ],
      holds: (told) => {
        const [recognition] = told.invocations.filter(({ modality }) => modality === "stt")
        assert.strictEqual(recognition?.outcome_class, "timeout")
        const [end] = told.commands("mark_utterance").filter(({ mark }) => mark === "end")
        assert.isAtMost((recognition?.ms ?? Infinity) - (end?.ms ?? 0), 4001, "within its cap")
        assert.strictEqual(told.terminal(told.turns[0]), "commit")
      },
      always: allEnded
    },
    {
      name: "the caller hangs up and the end marker is lost",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/stt", with: { endLost: true, cancelMs: 2500 } } },
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } },
        { when: { on: "signal:turn_open", delayMs: 100 }, act: { does: "hang_up" } }
      ],
      call: { ending: "hang_up" },
      holds: (told) => {
        assert.strictEqual(told.terminal(told.turns[0]), "transport_disconnect_or_stall")
        assert.strictEqual(told.end, "ended")
      },
      always: allEnded
    },
    {
      name: "providers that do not die are left behind when the process stops",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/llm", with: { slowMs: 600, cancelMs: 3000 } } },
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } },
        { when: { on: "command:start_invocation:llm", delayMs: 200 }, act: { does: "shutdown" } }
      ],
      call: { ending: "shutdown" },
      holds: (told) => {
        const [turn] = told.turns
        assert.strictEqual(told.terminal(turn), "cancelled")
        const [stop] = told.inputs("shutdown")
        const last = told.records.at(-1)
        assert.isAtMost((last?.record === "end" ? last.runtime_timestamp_ms : Infinity) - (stop?.ms ?? 0), 500)
        assert.strictEqual(told.end, "interrupted")
      },
      always: allEnded
    }
  ]
}
