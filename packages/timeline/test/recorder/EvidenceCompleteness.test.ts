import type { BaselineEvidence } from "@rspp/contracts/Evidence"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { assert, describe, it } from "@effect/vitest"
import { evidenceCompleteness, formatIncomplete } from "../../src/recorder/EvidenceCompleteness.ts"
import { recording, usualSession } from "./support/Recording.ts"
import type { Script } from "./support/Script.ts"

const judge = (play: (script: Script) => void, skip: ReadonlyArray<string> = []) =>
  evidenceCompleteness(recording(play, { skip }).records)

const committed = (script: Script) => void script.committed()
const cut = (script: Script) => void script.settled(script.cut())

/** The recording of `play` with the evidence of its first turn changed. */
const altered = (play: (script: Script) => void, change: (evidence: BaselineEvidence) => object) => {
  const records = recording(play).records.map((record): TimelineRecord =>
    record.record === "evidence" && record.evidence.turn_id === "turn_1"
      ? { record: "evidence", evidence: change(record.evidence) as BaselineEvidence }
      : record
  )
  return evidenceCompleteness(records)[0]
}

const without = (evidence: object, ...path: ReadonlyArray<string>): object => {
  const [key = "", ...rest] = path
  const { [key]: value, ...others } = evidence as Record<string, unknown>
  return rest.length === 0 ? others : { ...others, [key]: without(value as object, ...rest) }
}

describe("turns", () => {
  it("that committed, were cut, or were refused evidence but got it, are complete", () => {
    const turns = judge(usualSession)
    assert.deepStrictEqual(turns.map((turn) => [turn.turn_id, turn.complete]), [
      ["turn_1", true],
      ["turn_2", true],
      ["turn_3", true]
    ])
    assert.deepStrictEqual(formatIncomplete(turns), [])
  })

  it("that were turned away before they opened are not looked at", () => {
    assert.deepStrictEqual(
      judge((script) => {
        script.outputs(
          script.signal("turn_open_proposed", "RK-02"),
          script.transition("turn_1", "Idle", "turn_open_proposed", "Opening"),
          script.signal("reject", "RK-25", { reason: "quota" }),
          script.transition("turn_1", "Opening", "reject", "Idle")
        )
      }),
      []
    )
  })

  it("that spoke nothing are complete without a first output", () => {
    assert.deepStrictEqual(
      judge((script) => {
        const { turn, llm } = script.open()
        script.ended(llm, "llm", { turn_id: turn })
        script.end(turn, "abort", "provider_failure")
      }).map((turn) => turn.complete),
      [true]
    )
  })

  it("of an authority that moved while they were open carry the markers", () => {
    const { records } = recording((script) => {
      const { turn, llm } = script.open()
      script.ended(llm, "llm", { turn_id: turn })
      script.epoch = 2
      script.outputs(script.signal("lease_rotated", "CP-07"), script.signal("migration_start", "CP-08"))
      script.end(turn, "abort", "authority_loss")
    })
    const evidence = records.find((record) => record.record === "evidence")
    assert(evidence?.record === "evidence")
    assert.deepStrictEqual([evidence.evidence.epoch_at_open, evidence.evidence.epoch_at_terminal], [1, 2])
    assert.deepStrictEqual(evidence.evidence.migration_markers.map((marker) => marker.split(":")[0]), [
      "lease_rotated",
      "migration_start"
    ])
    assert.isTrue(evidenceCompleteness(records)[0]?.complete)
  })
})

describe("a piece that never arrived makes the turn incomplete:", () => {
  // What the kernel left out, and what is then missing.
  const cases: ReadonlyArray<readonly [(script: Script) => void, string, string]> = [
    [committed, "turn_open_proposed", "evidence"],
    [committed, "admit", "evidence"],
    [committed, "plan", "evidence"],
    [committed, "close", "close"],
    [cut, "cancel", "cancel"],
    [cut, "egress_fenced", "cancel.fenced_ms"],
    [committed, "invocation:llm", "invocations.inv_2"],
    [committed, "invocation:tts", "invocations.inv_3"]
  ]
  for (const [play, skipped, missing] of cases) {
    it(`${skipped} → ${missing}`, () => {
      const [turn] = judge(play, [skipped])
      assert.isFalse(turn?.complete)
      assert.include([...turn?.missing ?? []], missing)
    })
  }

  it("the terminal", () => {
    const [turn] = judge((script) => void script.open())
    assert.includeMembers([...turn?.missing ?? []], ["terminal", "close", "evidence"])
  })
})

describe("a field that is taken out of the evidence is missed:", () => {
  const required = [
    "or02_evidence_schema_version",
    "session_id",
    "pipeline_version",
    "plan_id",
    "plan_hash",
    "execution_profile",
    "epoch_at_open",
    "epoch_at_terminal",
    "admission",
    "snapshot_provenance",
    "determinism",
    "determinism.seed",
    "determinism.merge_rule_id",
    "determinism.merge_rule_version",
    "determinism.ordering_markers",
    "determinism.nondeterministic_input_refs",
    "times.proposed_ms",
    "times.open_ms",
    "times.first_output_ms",
    "times.terminal_ms",
    "times.close_ms",
    "terminal",
    "terminal.reason",
    "cancel",
    "cancel.scope",
    "cancel.accepted_ms",
    "cancel.late_outputs_dropped",
    "invocations",
    "payload_decisions",
    "migration_markers"
  ]
  for (const field of required) {
    it(`without ${field}`, () => {
      const turn = altered(cut, (evidence) => without(evidence, ...field.split(".")))
      assert.isFalse(turn?.complete)
      const expected = field === "cancel" ? "cancel.accepted_ms" : field
      assert.include([...turn?.missing ?? []], expected)
    })
  }

  for (const field of ["sent_ms", "fenced_ms", "acknowledged_ms"]) {
    it(`cancel.${field}, when the supplement does not have it either`, () => {
      const records = recording(cut).records.map((record) =>
        record.record === "evidence"
          ? { ...record, evidence: without(record.evidence, "cancel", field) as BaselineEvidence }
          : record.record === "supplement"
          ? { ...record, supplement: without(record.supplement, "cancel", field) as typeof record.supplement }
          : record
      )
      assert.deepStrictEqual(evidenceCompleteness(records)[0]?.missing, [`cancel.${field}`])
    })
  }

  it("an invocation", () => {
    const turn = altered(committed, (evidence) => ({ ...evidence, invocations: evidence.invocations.slice(1) }))
    assert.deepStrictEqual(turn?.missing, ["invocations.inv_1"])
  })

  it("the decision on a class of payload", () => {
    const turn = altered(committed, (evidence) => ({
      ...evidence,
      payload_decisions: evidence.payload_decisions.filter((decision) => decision.payload_class !== "text_raw")
    }))
    assert.deepStrictEqual(turn?.missing, ["payload_decisions.text_raw"])
  })
})

describe("evidence that no record bears out is contradicted:", () => {
  it("an invented first output", () => {
    const turn = altered((script) => {
      const { turn, llm } = script.open()
      script.ended(llm, "llm", { turn_id: turn })
      script.end(turn, "commit")
    }, (evidence) => ({ ...evidence, times: { ...evidence.times, first_output_ms: evidence.times.open_ms } }))
    assert.deepStrictEqual(turn?.contradicted, ["times.first_output_ms: no record says it"])
  })

  it("another time, hash, epoch, reason or fence", () => {
    const wrong: ReadonlyArray<(evidence: BaselineEvidence) => object> = [
      (evidence) => ({ ...evidence, times: { ...evidence.times, open_ms: evidence.times.open_ms + 1 } }),
      (evidence) => ({ ...evidence, plan_hash: "0".repeat(64) }),
      (evidence) => ({ ...evidence, epoch_at_terminal: 9 }),
      (evidence) => ({ ...evidence, terminal: { kind: "abort", reason: "provider_failure" } }),
      (evidence) => ({ ...evidence, terminal: { kind: "commit", reason: "cancelled" } }),
      (evidence) => ({ ...evidence, admission: { ...evidence.admission, event_id: "evt_0" } }),
      (evidence) => ({ ...evidence, cancel: { ...evidence.cancel, accepted_ms: 1 } }),
      (evidence) => ({ ...evidence, invocations: evidence.invocations.map((facts) => ({ ...facts, attempts: 2 })) })
    ]
    for (const change of wrong) {
      const turn = altered(cut, change)
      assert.isFalse(turn?.complete, String(change))
      assert.isAbove(turn?.contradicted.length ?? 0, 0)
    }
  })

  it("two terminals, two closes, two evidences", () => {
    const twice = (kind: (record: TimelineRecord) => boolean) =>
      evidenceCompleteness(recording(committed).records.flatMap((record) => kind(record) ? [record, record] : [record]))
    assert.match(twice((record) => record.record === "evidence")[0]?.contradicted[0] ?? "", /evidence: there are 2/u)
    for (const name of ["commit", "close"]) {
      const [turn] = twice((record) => record.record === "signal" && record.signal.signal === name)
      assert.isFalse(turn?.complete, name)
    }
  })

  it("but not for want of records that were lost", () => {
    const { records } = recording(committed)
    const lossy = records.filter((record) => record.record !== "event")
    assert.isTrue(evidenceCompleteness(lossy)[0]?.complete)
  })
})

describe("what comes after the supplement was sealed", () => {
  it("is late, not missing", () => {
    const [turn] = judge((script) => {
      const { turn, tts } = script.cut()
      script.wait(75).outputs(script.command({ type: "seal_supplement", turn_id: turn }))
      script.wait(10).ended(tts, "tts", { turn_id: turn, outcome_class: "cancelled", cancel_ack_ms: script.now })
    })
    assert.deepStrictEqual(turn, {
      turn_id: "turn_1",
      complete: true,
      missing: [],
      contradicted: [],
      late: ["invocations.inv_3", "cancel.acknowledged_ms"]
    })
  })

  it("is missed when it never came at all", () => {
    const [turn] = judge((script) => {
      const { turn } = script.cut()
      script.wait(75).outputs(script.command({ type: "seal_supplement", turn_id: turn }))
    })
    assert.deepStrictEqual(turn?.missing, ["invocations.inv_3"])
  })

  it("may be a cut that only ended what was still playing", () => {
    const late = (wait: number) =>
      judge((script) => {
        const turn = script.committed()
        if (wait > 75) script.outputs(script.command({ type: "seal_supplement", turn_id: turn }))
        script.wait(wait).outputs(
          script.signal("cancel", "RK-16", { turn_id: turn, scope: "turn" }),
          script.command({ type: "fence_output", turn_id: turn, authority_epoch: 1, reason: "cancelled" })
        )
        script.input({ type: "egress_fenced", turn_id: turn, dropped_samples: 5 }, "ControlLane")
        if (wait <= 75) script.outputs(script.command({ type: "seal_supplement", turn_id: turn }))
      })[0]
    assert.deepStrictEqual([late(10)?.complete, late(10)?.late], [true, []])
    assert.deepStrictEqual([late(100)?.complete, late(100)?.late], [true, ["cancel"]])
  })
})
