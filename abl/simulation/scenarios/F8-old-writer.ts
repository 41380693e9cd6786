import { assert } from "@effect/vitest"
import type { SeedResult } from "@rspp/simulation/Run"
import type { NamedScenario, ScenarioCase } from "../Call.ts"
import { Told } from "../Told.ts"

/** The same call seen by the placement that took it over. */
export const successor = ({ sessions }: SeedResult): Told => {
  const [, other] = sessions
  if (other === undefined) throw new Error("no placement took the session over")
  return new Told(other)
}

/** The time of something in a timeline on the one wall clock that both placements have, in ms. */
export const wallMs = (told: Told, { ms }: { readonly ms: number }): number => told.header.wall_clock_start_ms + ms

/** Every turn and call of both placements has an id of its own, and no epoch was held by both. */
const nothingTwice = (old: Told, next: Told): void => {
  assert.strictEqual(old.header.session_id, next.header.session_id)
  const both = (ids: (told: Told) => ReadonlyArray<string>) => {
    const known = new Set(ids(old))
    return ids(next).filter((id) => known.has(id))
  }
  const calls = (told: Told) => told.invocations.map((one) => one.provider_invocation_id)
  const epochs = (told: Told) =>
    told.inputs("lease").filter(({ status }) => status === "issued" || status === "renewed")
      .map(({ authority_epoch }) => String(authority_epoch))
  assert.deepStrictEqual(both((told) => told.turns.filter((turn) => told.evidence(turn) !== undefined)), [])
  assert.deepStrictEqual(both(epochs), [])
  // A call that was begun after the last state was kept may be begun again: it gave nothing that was settled.
  assert.isAtMost(both(calls).length, calls(old).length)
}

/**
 * From the moment in which the successor has the session, nothing that the old placement says reaches anybody: no speech
 * is passed on, no turn opens, and what it wants to keep is refused.
 */
export const oldOneIsSilent = (old: Told, result: SeedResult): void => {
  const next = successor(result)
  const [issued] = next.inputs("lease").filter(({ status }) => status === "issued")
  if (issued === undefined) return
  const takenMs = wallMs(next, issued)
  for (const one of [...old.inputs("playback_started"), ...old.inputs("output_accepted")]) {
    assert.isAtMost(wallMs(old, one), takenMs, "the old placement is heard")
  }
  for (const one of old.signals(["turn_open", "commit"])) {
    assert.isAtMost(wallMs(old, one), takenMs, `the old placement says ${one.signal}`)
  }
  const kept = result.writes.findIndex(({ authority_epoch }) => authority_epoch > 1)
  if (kept < 0) return
  for (const { authority_epoch, taken } of result.writes.slice(kept)) {
    assert.strictEqual(taken, authority_epoch > 1, `a write of epoch ${authority_epoch}`)
  }
}

const markers = ["lease_rotated", "migration_start", "migration_finish", "session_handoff"] as const

/** The successor goes on where the other one was: markers, the next epoch, ids and the conversation. */
export const goesOn = (old: Told, result: SeedResult): void => {
  const next = successor(result)
  assert.deepStrictEqual(next.words(markers), [...markers])
  assert.strictEqual(next.signals("session_handoff")[0]?.authority_epoch, 2)
  const [resumed] = next.inputs("session_resumed")
  assert.strictEqual(resumed?.authority_epoch, 1)
  const [turn] = next.turns
  assert.strictEqual(next.terminal(turn), "commit")
  assert.strictEqual(next.evidence(turn).epoch_at_open, 2)
  const [asked] = next.commands("start_invocation").filter(({ modality }) => modality === "llm")
  assert.isAbove(asked?.conversation?.length ?? 0, 1, "the model is told what was said before")
  nothingTwice(old, next)
}

const speech = { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } } as const

/** As soon as the new placement has the session, the caller types. */
export const takeover: NonNullable<ScenarioCase["takeover"]> = {
  script: [{ when: { on: "input:lease:issued", delayMs: 20 }, act: { does: "type", words: 3 } }]
}

/** The placement stands still while it speaks, for longer than its lease lasts. */
export const halted = (forMs: number): ScenarioCase["script"] => [
  speech,
  { when: { on: "input:playback_started", delayMs: 400 }, act: { does: "halt", forMs } }
]

export const scenario: NamedScenario = {
  id: "F8",
  sentence:
    "failover: `lease_rotated`, `migration_start`, `migration_finish`, `session_handoff`, and `stale_epoch_reject` for the old writer; old placement: `authority_loss`",
  cases: [
    {
      name: "the lease goes to another placement while the agent speaks here",
      script: [
        speech,
        { when: { on: "input:playback_started" }, act: { does: "lease", order: "revoke" } }
      ],
      takeover,
      holds: (told, result) => {
        const [turn] = told.turns
        assert.strictEqual(told.terminal(turn), "authority_loss")
        assert.deepStrictEqual(told.evidence(turn).terminal, { kind: "abort", reason: "authority_loss" })
        goesOn(told, result)
      },
      always: oldOneIsSilent
    },
    {
      name: "news of the lost lease comes late: the old placement does not take it for a lease",
      script: [
        speech,
        { when: { on: "signal:turn_open" }, act: { does: "fault", kind: "authority.late_news" } },
        { when: { on: "input:lease:renewed", delayMs: 5 }, act: { does: "lease", order: "revoke" } }
      ],
      call: { leaseTtlMs: 5000, reply: { sentences: [8, 8], chunkMs: 100, factor: 0.2 } },
      takeover,
      holds: (told, result) => {
        assert.strictEqual(told.terminal(told.turns[0]), "authority_loss")
        assert.include(told.words(["stale_epoch_reject"]), "stale_epoch_reject(lease_of_a_lost_epoch)")
        goesOn(told, result)
      },
      always: oldOneIsSilent
    },
    {
      name: "the placement stands still for longer than its lease: it wakes up, and has nothing to say any more",
      script: halted(5000),
      call: { leaseTtlMs: 2000, reply: { sentences: [8, 8], chunkMs: 100, factor: 0.2 } },
      takeover,
      holds: (told, result) => {
        assert.strictEqual(told.terminal(told.turns[0]), "authority_loss")
        assert.isTrue(result.writes.some(({ taken }) => !taken), "what it wants to keep is refused")
        goesOn(told, result)
      },
      always: oldOneIsSilent
    }
  ]
}
