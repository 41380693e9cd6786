import { assert } from "@effect/vitest"
import type { CallerAction } from "@rspp/simulation/Scenario"
import type { NamedScenario } from "../Call.ts"

/** The caller types on, each time while the agent speaks. */
const interruptions = (count: number): ReadonlyArray<CallerAction> =>
  Array.from({ length: count }, () => ({
    does: "type",
    words: 1,
    messages: 1,
    when: { after: "previous", delayMs: 440, patienceMs: 440 }
  }))

const during = (count: number) => ({
  actions: interruptions(count),
  faultsUntilMs: 10_000 + count * 460,
  hangUpMs: 90_000 + count * 460
})

export const scenario: NamedScenario = {
  id: "S18",
  sentence: "after 1,000 interruptions the number of open sockets is what it was",
  cases: [{
    name: "every connection of a simulated provider is given back",
    script: [
      { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } },
      { when: { on: "input:playback_started", nth: 3 }, act: { does: "type", words: 2 } }
    ],
    call: { ...during(1001), outputQueueMs: 60, reply: { sentences: [2, 2], chunkMs: 100, factor: 0.2 } },
    shiftedCall: during(10),
    seeds: [1],
    holds: (told, { sessions }) => {
      const interrupted = told.turns.filter((turn) => told.terminal(turn) === "cancelled")
      assert.isAtLeast(interrupted.length, 1000)
      const heard = new Set(told.signals("playback_started").map(({ turn_id }) => turn_id))
      assert.isAtLeast(interrupted.filter((turn) => heard.has(turn)).length, 900, "most were cut while they were heard")
      const { most = Infinity, opened = 0 } = sessions[0]?.connections ?? {}
      assert.isAtLeast(opened, 2000)
      assert.isAtMost(most, 4, "the most that were open at one time")
    },
    always: (_, { sessions }) =>
      assert.strictEqual(sessions[0]?.connections.open, 0, "connections that are open at the end")
  }]
}
