import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

const edge = "input.caller_audio.stt"

/** In a sync domain that goes on after a loss, each loss has its notice and its discontinuity, in one step. */
const lossesAreMarked = (told: Told): void => {
  const losses = told.inputs("media_loss")
  const notices = told.signals("drop_notice").filter(({ edge_id }) => edge_id === edge)
  const breaks = told.signals("discontinuity")
  assert.lengthOf(notices, losses.length)
  assert.lengthOf(breaks, losses.length)
  breaks.forEach(({ discontinuity_id, ms, sync_domain }, index) => {
    assert.strictEqual(sync_domain, "caller")
    assert.isDefined(discontinuity_id)
    assert.strictEqual(ms, notices[index]?.ms)
  })
  assert.lengthOf(new Set(breaks.map(({ discontinuity_id }) => discontinuity_id)), breaks.length)
}

/** A domain that goes on; atomic drops, and a domain that cannot be recovered, are not there yet, so F5 stays open. */
export const scenario: NamedScenario = {
  id: "F5",
  sentence: "partial loss in a sync domain: `discontinuity`, or atomic `drop_notice`; ends the turn if not recoverable",
  cases: [{
    name: "frames of the caller are lost in a domain that goes on",
    script: [
      { when: { atMs: 300 }, act: { does: "call", provider: "sim/stt", with: { connectMs: 5000 } } },
      { when: { atMs: 400 }, act: { does: "say", words: Array.from({ length: 12 }, () => 400) } }
    ],
    spec: {
      edge_buffer_policies: {
        [edge]: {
          sync_drop_policy: {
            policy: "drop_with_discontinuity",
            scope: "edge_local",
            group_by: "sync_id",
            sync_domain: "caller"
          }
        }
      }
    },
    holds: (told) => assert.isNotEmpty(told.signals("discontinuity")),
    always: lossesAreMarked
  }]
}
