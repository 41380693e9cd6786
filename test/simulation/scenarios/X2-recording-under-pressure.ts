import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

const level = { recording_policy: { recording_level: "L2" } }

/** Each downgrade, limit and word of the recorder, in order. */
const story = (told: Told): ReadonlyArray<string> =>
  [
    ...told.inputs("recording_pressure").map(({ at, level: to, reason }) => ({ at, what: `says ${to} ${reason}` })),
    ...told.signals("recording_level_downgraded").map(({ at, reason }) => ({ at, what: `told ${reason}` })),
    ...told.commands("limit_recording").map(({ at, level: to }) => ({ at, what: `limit ${to}` })),
    ...told.signals(["turn_open", "close"]).map(({ at, signal }) => ({ at, what: signal }))
  ].sort((a, b) => a.at - b.at).map(({ what }) => what)

/** Nothing that was said is on record behind the first downgrade, until the limit is L2 again. */
const nothingSaid = (told: Told): void => {
  let lowered = false
  for (const record of told.records) {
    if (record.record === "command" && record.command.type === "limit_recording") {
      lowered = record.command.level !== "L2"
    }
    if (!lowered) continue
    assert.notStrictEqual(record.record, "caller_audio")
    if (record.record === "payload") assert.strictEqual(record.action, "mask")
  }
}

export const scenario: NamedScenario = {
  id: "X2",
  sentence:
    "a disk or a store that does not keep up: `recording_level_downgraded`, one step at a time, and up again at a turn boundary; a turn ends for it only when not even its evidence has room",
  cases: [
    {
      name: "a store that is behind, and catches up while the turn goes on",
      script: [
        { when: { atMs: 400 }, act: { does: "type", words: 3 } },
        { when: { atMs: 1000 }, act: { does: "fault", kind: "store.behind", forMs: 6500 } }
      ],
      spec: level,
      call: { reply: { sentences: [24], chunkMs: 100, factor: 0.2 }, faultsUntilMs: 20_000 },
      holds: (told) => {
        assert.deepStrictEqual(story(told).slice(0, 9), [
          "turn_open",
          "says L1 export_lag",
          "told export_lag:L2_to_L1",
          "limit L1",
          "says L0 export_lag",
          "told export_lag:L1_to_L0",
          "limit L0",
          "says L2 eased",
          "close"
        ])
        assert.strictEqual(story(told)[9], "limit L2")
        const [turn] = told.turns
        assert.strictEqual(told.terminal(turn), "commit")
        assert.strictEqual(told.evidence(turn).recording_level, "L0")
        const end = told.records.at(-1)
        assert(end?.record === "end")
        assert.strictEqual(end.not_captured?.caller_audio, "part")
        assert.deepStrictEqual(end.not_captured?.lowered_turns?.[0]?.first_turn, turn)
      },
      always: nothingSaid
    },
    {
      name: "a store that is behind a recording at L1",
      script: [
        { when: { atMs: 400 }, act: { does: "type", words: 3 } },
        { when: { atMs: 1000 }, act: { does: "fault", kind: "store.behind", forMs: 5600 } }
      ],
      spec: { recording_policy: { recording_level: "L1" } },
      call: {
        reply: { sentences: [15], chunkMs: 1000, factor: 0.2 },
        faultsUntilMs: 9000,
        ending: "hang_up",
        hangUpMs: 8500
      },
      holds: (told) => {
        assert.deepStrictEqual(story(told).slice(0, 4), [
          "turn_open",
          "says L0 export_lag",
          "told export_lag:L1_to_L0",
          "limit L0"
        ])
        assert.include(story(told), "limit L1")
        assert.strictEqual(told.evidence(told.turns[0]).recording_level, "L0")
      }
    },
    {
      name: "pressure that comes back before the turn has closed",
      script: [
        { when: { atMs: 400 }, act: { does: "type", words: 3 } },
        { when: { atMs: 1000 }, act: { does: "fault", kind: "store.behind", forMs: 2600 } },
        { when: { atMs: 4600 }, act: { does: "fault", kind: "store.behind", forMs: 5000 } }
      ],
      spec: level,
      call: { reply: { sentences: [18], chunkMs: 100, factor: 0.2 }, faultsUntilMs: 20_000 },
      holds: (told) => {
        assert.deepStrictEqual(story(told).slice(0, 7), [
          "turn_open",
          "says L1 export_lag",
          "told export_lag:L2_to_L1",
          "limit L1",
          "says L2 eased",
          "says L1 export_lag",
          "close"
        ])
        assert.notStrictEqual(story(told)[7], "limit L2")
        assert.strictEqual(told.evidence(told.turns[0]).recording_level, "L1")
      },
      always: nothingSaid
    },
    {
      name: "a disk that stands still while nobody speaks",
      script: [
        { when: { atMs: 400 }, act: { does: "type", words: 3 } },
        { when: { atMs: 7000 }, act: { does: "fault", kind: "recorder.stalled", forMs: 10_000 } },
        { when: { atMs: 19_000 }, act: { does: "say", words: [300, 300] } }
      ],
      spec: level,
      call: { faultsUntilMs: 26_000 },
      holds: (told) => {
        assert.deepStrictEqual(story(told).slice(2, 10), [
          "says L1 append_queue_fill",
          "told append_queue_fill:L2_to_L1",
          "limit L1",
          "says L0 append_queue_fill",
          "told append_queue_fill:L1_to_L0",
          "limit L0",
          "says L2 eased",
          "limit L2"
        ])
        assert.isAtLeast(told.turns.length, 2)
        for (const turn of told.turns) {
          assert.strictEqual(told.terminal(turn), "commit")
          assert.strictEqual(told.evidence(turn).recording_level, "L2")
        }
      },
      always: nothingSaid
    },
    {
      name: "a disk that stands still until not even evidence has room",
      script: [
        { when: { atMs: 400 }, act: { does: "fault", kind: "recorder.stalled", forMs: 30_000 } },
        { when: { atMs: 1000 }, act: { does: "say", words: [300, 300, 300, 300] } },
        ...[8000, 11_000, 14_000, 17_000, 20_000, 23_000].map((atMs) => ({
          when: { atMs },
          act: { does: "say", words: [300, 300] } as const
        })),
        { when: { atMs: 32_000 }, act: { does: "say", words: [300, 300] } }
      ],
      spec: level,
      call: { faultsUntilMs: 40_000 },
      holds: (told) => {
        assert.deepStrictEqual(told.words(["recording_level_downgraded"]).slice(0, 2), [
          "recording_level_downgraded(append_queue_fill:L2_to_L1)",
          "recording_level_downgraded(append_queue_fill:L1_to_L0)"
        ])
        const ends = told.turns.map((turn) => told.terminal(turn))
        // What was said makes way for the evidence of the first turns; then there is nothing left to make way.
        assert.strictEqual(ends[0], "commit")
        assert.include(ends, "recording_evidence_unavailable")
        assert.strictEqual(ends.at(-1), "commit")
        assert.strictEqual(told.evidence(told.turns.at(-1)).recording_level, "L2")
      },
      always: nothingSaid
    }
  ]
}
