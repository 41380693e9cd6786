import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"

/** The old placement's half; the new placement, and its markers, come with the takeover, so F8 stays open. */
export const scenario: NamedScenario = {
  id: "F8",
  sentence:
    "failover: `lease_rotated`, `migration_start`, `migration_finish`, `session_handoff`, and `stale_epoch_reject` for the old writer; old placement: `authority_loss`",
  cases: [{
    name: "the lease goes to another placement while the agent speaks here",
    script: [
      { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
      { when: { on: "input:playback_started", delayMs: 400 }, act: { does: "lease", order: "rotate_away" } }
    ],
    holds: (told) => {
      const [turn] = told.turns
      assert.strictEqual(told.terminal(turn), "authority_loss")
      const [fence] = told.commands("fence_output")
      const after = told.inputs("playback_started").filter(({ at, turn_id }) =>
        at > (fence?.at ?? 0) && turn_id === turn
      )
      assert.deepStrictEqual(after, [], "the old writer is heard no more")
    }
  }]
}
