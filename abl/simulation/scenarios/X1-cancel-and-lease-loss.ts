import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/**
 * Precedence at one arbitration point: authority loss, then an accepted cancel. Whatever comes before the terminal of the
 * turn counts, in whichever order the two came in; what comes after it changes nothing.
 */
const strongestPrevails = (told: Told): void => {
  const lost = told.inputs("lease").filter(({ status }) => status === "revoked")
  for (const turn of told.turns) {
    const ends = told.signals(["commit", "abort"], turn)
    assert.lengthOf(ends, 1)
    assert.lengthOf(told.signals("close", turn), 1)
    const [end] = ends
    if (end?.signal !== "abort") continue
    const [open] = told.signals("turn_open", turn)
    const before = lost.some(({ at }) => at < end.at && at > (open?.at ?? 0))
    if (before) assert.strictEqual(end.reason, "authority_loss", `${turn} lost its authority before it ended`)
    else assert.notStrictEqual(end.reason, "authority_loss")
    assert.strictEqual(told.evidence(turn).terminal.reason, end.reason)
  }
}

const seeds = Array.from({ length: 16 }, (_, i) => i + 1)

/** In one instant, once in the one order and once in the other. */
const bothWays = (all: ReadonlyArray<Told>): void => {
  const reasons = all.map((told) => told.terminal(told.turns[0]))
  assert.includeMembers(reasons, ["authority_loss", "cancelled"])
}

const inOneInstant = (told: Told): void => {
  const [cancel] = told.signals("cancel")
  const [revoked] = told.inputs("lease").filter(({ status }) => status === "revoked")
  if (cancel !== undefined) assert.strictEqual(cancel.ms, revoked?.ms)
}

export const scenario: NamedScenario = {
  id: "X1",
  sentence: "cancel with lease loss in one instant: authority loss prevails over the cancel, and the turn ends once",
  cases: [
    {
      name: "the caller types and the lease is revoked while the agent speaks",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
        { when: { on: "input:playback_started", delayMs: 500 }, act: { does: "type", words: 2 } },
        { when: { on: "input:playback_started", delayMs: 500 }, act: { does: "lease", order: "revoke" } }
      ],
      seeds,
      shiftSeeds: [1, 2, 3],
      holds: inOneInstant,
      together: bothWays,
      always: strongestPrevails
    },
    {
      name: "the lease is revoked in the step in which a barge-in becomes a cancel",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
        { when: { on: "input:playback_started", delayMs: 100 }, act: { does: "say", words: [400, 400, 400] } },
        { when: { on: "signal:cancel" }, act: { does: "lease", order: "revoke" } }
      ],
      call: { reply: { sentences: [8, 8], chunkMs: 100, factor: 0.2 } },
      seeds,
      shiftSeeds: [1, 2, 3],
      holds: inOneInstant,
      always: strongestPrevails
    }
  ]
}
