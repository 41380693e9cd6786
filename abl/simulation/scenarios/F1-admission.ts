import { assert } from "@effect/vitest"
import type { NamedScenario, ScenarioCase } from "../Call.ts"
import type { Told } from "../Told.ts"

/** A turn that was turned away has its decision, and never an `abort` or `close`. */
const turnedAwayBeforeItOpened = (told: Told): void => {
  const refused = told.signals(["reject", "defer"]).filter(({ turn_id }) => turn_id !== undefined)
  assert.lengthOf(
    [...told.decisions("reject"), ...told.decisions("defer")].filter(({ scope }) => scope === "turn"),
    refused.length
  )
  for (const { turn_id } of refused) assert.deepStrictEqual(told.signals(["abort", "commit", "close"], turn_id), [])
}

const segmentEdge = "sentences.segment.tts"

/** Before the turn, and at the three scheduling points (at enqueue: F4 too). */
export const scenario: NamedScenario = {
  id: "F1",
  sentence: "admission overload: `reject`/`defer` before the turn, `shed` at scheduling points",
  cases: [
    {
      name: "the quota of turns is exhausted",
      script: [
        { when: { atMs: 400 }, act: { does: "type", words: 2 } },
        { when: { on: "signal:commit" }, act: { does: "type", words: 2 } },
        { when: { on: "signal:commit", delayMs: 500 }, act: { does: "say", words: [300, 300] } }
      ],
      spec: { admission: { max_turns_per_session: 1 } },
      holds: (told) => {
        assert.lengthOf(told.turns, 1, "one was admitted, and not one more")
        const refused = told.words(["reject", "defer"])
        assert.isAtLeast(refused.length, 2)
        for (const word of refused) assert.match(word, /^(?:reject|defer)\(turn_quota_exhausted\)$/u)
        assert.strictEqual(told.terminal(told.turns[0]), "commit")
      },
      always: turnedAwayBeforeItOpened
    },
    {
      name: "texts that come in one instant are counted before they are accepted",
      script: [
        { when: { atMs: 400 }, act: { does: "type", words: 2, messages: 4 } },
        { when: { atMs: 420 }, act: { does: "type", words: 2 } }
      ],
      spec: { admission: { max_turns_per_session: 2 } },
      holds: (told) => assert.isAtMost(told.turns.length, 2),
      always: (told) => {
        assert.isAtMost(told.turns.length, 2)
        turnedAwayBeforeItOpened(told)
      }
    },
    {
      name: "an intent over the quota cuts nothing",
      script: [
        { when: { atMs: 400 }, act: { does: "type", words: 2 } },
        { when: { on: "input:playback_started", delayMs: 20 }, act: { does: "type", words: 2 } }
      ],
      spec: { admission: { max_turns_per_session: 1 } },
      holds: (told) => {
        assert.lengthOf(told.turns, 1)
        assert.include(told.words(["reject"]), "reject(turn_quota_exhausted)")
        assert.deepStrictEqual(told.signals("cancel"), [], "the reply that was heard goes on")
        assert.strictEqual(told.terminal(told.turns[0]), "commit")
      },
      always: turnedAwayBeforeItOpened
    },
    {
      name: "the rate of turns is exhausted",
      script: [
        { when: { atMs: 400 }, act: { does: "type", words: 2 } },
        { when: { on: "signal:commit" }, act: { does: "type", words: 2 } }
      ],
      spec: { admission: { max_turns_per_minute: 1 } },
      holds: (told) => {
        assert.lengthOf(told.turns, 1)
        assert.include(told.words(["reject"]), "reject(turn_rate_exceeded)")
      },
      always: turnedAwayBeforeItOpened
    },
    {
      name: "what the tenant may have is reserved before a turn is accepted",
      script: [
        { when: { atMs: 400 }, act: { does: "type", words: 2 } },
        { when: { on: "signal:commit" }, act: { does: "type", words: 2 } }
      ],
      spec: { admission: { max_concurrent_turns_per_tenant: 1, max_turns_per_minute_per_tenant: 1 } },
      holds: (told) => {
        assert.lengthOf(told.turns, 1)
        assert.include(told.words(["reject"]), "reject(tenant_turn_rate_exceeded)")
      },
      always: turnedAwayBeforeItOpened
    },
    {
      name: "what has waited for too long is shed as it is to be taken",
      script: [{ when: { atMs: 400 }, act: { does: "say", words: [300, 300] } }],
      spec: {
        allowed_adaptive_actions: ["degrade"],
        edge_buffer_policies: { [segmentEdge]: { max_latency_contribution_ms: 250 } }
      },
      call: { reply: { sentences: [6, 4, 4], chunkMs: 100, factor: 0.8 } },
      holds: (told) => {
        const [turn] = told.turns
        assert.include(told.words(["budget_exhausted"]), "budget_exhausted(edge_latency)")
        assert.include(told.words(["shed"]), "shed(edge_latency)")
        assert.strictEqual(told.decisions("shed")[0]?.scope, "edge_dequeue")
        assert.isNotEmpty(told.signals("drop_notice", turn))
        assert.strictEqual(told.terminal(turn), "commit")
      },
      always: (told) => assert.lengthOf(told.decisions("shed"), told.signals("shed").length)
    },
    ...(["pool_full", "pool_wait"] as const).map((reason): ScenarioCase => ({
      name: `a call is shed before its node is dispatched: ${reason}`,
      script: [{ when: { atMs: 400 }, act: { does: "say", words: [300, 300] } }],
      call: { pool: { llm: { running: 0, waiting: reason === "pool_full" ? 0 : 4, waitMs: 100 } } },
      holds: (told) => {
        const [turn] = told.turns
        assert.deepStrictEqual(told.words(["shed"], turn), [`shed(${reason})`])
        assert.strictEqual(told.decisions("shed")[0]?.scope, "node_dispatch")
        assert.strictEqual(told.terminal(turn), "provider_failure")
        assert.include(told.words(["provider_error"]), "provider_error(overload)")
      },
      always: (told) => assert.lengthOf(told.decisions("shed"), told.signals("shed").length)
    }))
  ]
}
