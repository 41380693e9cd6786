import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** Whatever is spoken in a turn was made by a call of that turn. */
const chunksKeepTheirTurn = (told: Told): void => {
  const turnOf = new Map(told.commands("start_invocation").map((one) => [one.provider_invocation_id, one.turn_id]))
  const calls = new Map(
    told.inputs("voice_chunk").map(({ handle, provider_invocation_id }) => [
      handle.id,
      provider_invocation_id
    ])
  )
  for (const { handle_id, turn_id } of told.commands("enqueue_output")) {
    assert.strictEqual(turnOf.get(calls.get(handle_id) ?? ""), turn_id, `the turn of ${handle_id}`)
  }
}

const cut = (told: Told): void => {
  const [first, next] = told.turns
  assert.strictEqual(told.terminal(first), "cancelled")
  assert.strictEqual(told.terminal(next), "commit")
  const late = told.events("late_dropped")
  for (const one of late) assert.deepStrictEqual(one, { turn: first, late: true })
  const { invocations } = told.supplement(first) ?? { invocations: [] }
  const dropped = [...told.evidence(first).invocations, ...invocations]
    .reduce((sum, { late_outputs_dropped }) => sum + late_outputs_dropped, 0)
  assert.isAtLeast(dropped, late.length, "the evidence counts what came late")
}

/** Something came after the cut, in one of the seeds at least. */
const cameLate = (all: ReadonlyArray<Told>): void =>
  assert.isTrue(all.some((told) => told.events("late_dropped").length > 0))

/** Words come so far apart, in ms: a token every 10 ms, and some of them at a time. */
const wordGapMs = 14

const seeds = Array.from({ length: 12 }, (_, i) => i + 1)

export const scenario: NamedScenario = {
  id: "S05",
  sentence: "a chunk belongs to the turn of its invocation for ever",
  cases: [
    {
      name: "sounds of the cut turn are still on their way",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/tts", with: { burst: true } } },
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
        { when: { on: "input:voice_chunk" }, act: { does: "type", words: 3 } }
      ],
      call: { reply: { sentences: [8], chunkMs: 20, factor: 0.2 } },
      seeds,
      holds: cut,
      together: cameLate,
      always: chunksKeepTheirTurn
    },
    {
      name: "words and sentences of the cut turn are still on their way",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
        // The instant in which the fifth word comes, and with it the first sentence.
        { when: { on: "input:text_delta", nth: 4, delayMs: wordGapMs }, act: { does: "type", words: 3 } }
      ],
      seeds,
      holds: cut,
      together: cameLate,
      always: chunksKeepTheirTurn
    }
  ]
}
