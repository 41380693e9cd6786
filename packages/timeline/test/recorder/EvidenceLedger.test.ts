// Holds I-EVIDENCE-RECEIVED, I-EVIDENCE-SAME.
import { assert, describe, it } from "@effect/vitest"
import type { PayloadClass } from "@rspp/contracts/Event"
import { payloadClasses } from "@rspp/contracts/Event"
import { redactionActions } from "@rspp/contracts/Evidence"
import { lowerLevel, recordingLevels } from "@rspp/contracts/TurnPlan"
import { EvidenceLedger, evidenceBaseBytes, evidenceInvocationBytes } from "../../src/recorder/EvidenceLedger.ts"
import { maskText, redactionFor } from "../../src/recorder/Redaction.ts"
import { makeHeader } from "./support/Fixture.ts"
import { Script } from "./support/Script.ts"

const keep = (skip: ReadonlyArray<string> = []) => {
  const ledger = new EvidenceLedger(makeHeader())
  const target = {
    audio: () => ledger.audio(),
    input: (record: Parameters<EvidenceLedger["input"]>[0]) => ledger.input(record),
    outputs: (outputs: ReadonlyArray<Parameters<EvidenceLedger["output"]>[0]>) => {
      for (const output of outputs) ledger.output(output)
    },
    payload: () => {},
    callerAudio: () => {}
  }
  return { ledger, script: new Script(target, makeHeader(), skip) }
}

const ahead = ["terminal", "times.terminal_ms", "epoch_at_terminal", "times.close_ms"]

describe("the ledger of a turn", () => {
  it("says what has not arrived so far", () => {
    const { ledger, script } = keep()
    assert.isUndefined(ledger.missing("turn_1"))
    const { turn } = script.open()
    assert.deepStrictEqual(ledger.missing(turn), ahead)
    assert.isTrue(ledger.isReady(turn))
    script.end(turn, "commit")
    assert.deepStrictEqual(ledger.missing(turn), [])
  })

  for (
    const [skipped, missing] of [
      ["turn_open_proposed", ["times.proposed_ms"]],
      ["admit", ["admission"]],
      ["plan", ["plan_hash"]],
      ["turn_open", ["times.open_ms", "epoch_at_open"]]
    ] as const
  ) {
    it(`makes no evidence without ${skipped}`, () => {
      const { ledger, script } = keep([skipped])
      const { turn } = script.open()
      assert.isFalse(ledger.isReady(turn))
      script.end(turn, "commit")
      assert.deepStrictEqual(ledger.missing(turn), missing)
      assert.isUndefined(ledger.evidence(turn))
    })
  }

  it("takes no proposal of an earlier turn for its own", () => {
    const { ledger, script } = keep()
    script.committed()
    const late = new Script(
      {
        audio: () => {},
        input: () => {},
        outputs: (outputs) => outputs.forEach((output) => ledger.output(output)),
        payload: () => {},
        callerAudio: () => {}
      },
      makeHeader(),
      ["turn_open_proposed"]
    )
    late.turns = 1
    late.open()
    assert.include([...ledger.missing("turn_2") ?? []], "times.proposed_ms")
  })

  it("takes the proposal of the intent that opens when others were turned away meanwhile", () => {
    const play = (refused: "reject" | "stale_epoch_reject"): number | undefined => {
      const { ledger, script } = keep()
      script.wait(10).outputs(script.signal("turn_open_proposed", "RK-02"))
      script.input({ type: "typed_text", handle: { id: "h_1", payload_class: "text_raw", length: 3 } })
      script.wait(10).outputs(
        script.signal("turn_open_proposed", "RK-02"),
        script.transition("turn_0", "Idle", "turn_open_proposed", "Opening"),
        script.transition("turn_0", "Opening", refused, "Idle")
      )
      script.wait(10)
      const target = new Script(
        {
          audio: () => {},
          input: (record) => ledger.input(record),
          outputs: (outputs) => outputs.forEach((output) => ledger.output(output)),
          payload: () => {},
          callerAudio: () => {}
        },
        makeHeader(),
        ["turn_open_proposed"]
      )
      target.now = script.now
      const { turn } = target.open()
      assert.isTrue(ledger.isReady(turn), refused)
      target.end(turn, "commit")
      const evidence = ledger.evidence(turn)
      assert.include((evidence?.payload_decisions ?? []).map(({ payload_class }) => payload_class), "text_raw", refused)
      return evidence?.times.proposed_ms
    }
    // `reject` is the older one's, which makes way; what is of another epoch is turned away at once, before the older one.
    assert.deepStrictEqual([play("reject"), play("stale_epoch_reject")], [20, 10])
  })

  it("makes evidence once", () => {
    const { ledger, script } = keep()
    const turn = script.committed()
    assert.isDefined(ledger.evidence(turn))
    assert.isUndefined(ledger.evidence(turn))
  })

  it("has no time that was not seen", () => {
    const { ledger, script } = keep()
    const { turn } = script.open()
    script.end(turn, "abort", "provider_failure")
    const evidence = ledger.evidence(turn)
    assert.isFalse(Object.hasOwn(evidence?.times ?? {}, "first_output_ms"))
    assert.isUndefined(evidence?.cancel)
  })

  it("knows the first output by speech that was not late", () => {
    const { ledger, script } = keep()
    const { turn } = script.open()
    script.wait(5).outputs(
      script.event({ turn_id: turn, payload_class: "text_raw" }),
      script.event({ turn_id: turn, lane: "TelemetryLane" })
    )
    script.wait(5).outputs({ ...script.event({ turn_id: turn }) })
    const first = script.now
    script.wait(5).outputs(script.event({ turn_id: turn }))
    script.end(turn, "commit")
    assert.strictEqual(ledger.evidence(turn)?.times.first_output_ms, first)
  })

  it("forgets a turn that did not open, and one that was sealed", () => {
    const { ledger, script } = keep()
    script.outputs(
      script.signal("turn_open_proposed", "RK-02"),
      script.transition("turn_0", "Idle", "turn_open_proposed", "Opening"),
      script.transition("turn_0", "Opening", "defer", "Idle")
    )
    const turn = script.committed()
    assert.deepStrictEqual(ledger.unsealed, [turn])
    ledger.evidence(turn)
    assert.isUndefined(ledger.seal(turn, script.now))
    assert.isUndefined(ledger.missing("turn_0"))
    assert.isUndefined(ledger.missing(turn))
    assert.deepStrictEqual(ledger.unsealed, [])
  })

  it("keeps room for the turns that are open, by their invocations", () => {
    const { ledger, script } = keep()
    assert.strictEqual(ledger.reservedBytes, 0)
    const { turn } = script.open()
    assert.strictEqual(ledger.reservedBytes, evidenceBaseBytes + evidenceInvocationBytes)
    script.end(turn, "commit")
    assert.strictEqual(ledger.reservedBytes, 0)
  })
})

describe("a cancel", () => {
  const cancels = (...scopes: ReadonlyArray<"session" | "turn" | "node" | "provider_invocation">) => {
    const { ledger, script } = keep()
    const { turn, llm } = script.open()
    for (const scope of scopes) {
      script.wait(10).outputs(
        script.signal("cancel", "RK-16", scope === "session" ? { scope } : { scope, turn_id: turn }),
        script.command({ type: "cancel_invocation", provider_invocation_id: llm, reason: "cancelled" })
      )
    }
    script.wait(1).input({ type: "egress_fenced", turn_id: turn, dropped_samples: 0 })
    script.end(turn, "abort", "cancelled")
    return ledger.evidence(turn)?.cancel
  }

  it("counts from the first of its width", () => {
    assert.strictEqual(cancels("turn", "turn")?.accepted_ms, cancels("turn")?.accepted_ms)
    assert.strictEqual(cancels("turn", "provider_invocation")?.scope, "turn")
  })

  it("gives way to a wider one", () => {
    assert.strictEqual(cancels("provider_invocation", "turn")?.scope, "turn")
    assert.strictEqual(cancels("turn", "session")?.scope, "session")
  })

  it("of the session is one of the turn that is open", () => {
    assert.strictEqual(cancels("session")?.scope, "session")
  })

  it("is acknowledged when all invocations that were told to stop have said so", () => {
    const { ledger, script } = keep()
    const { turn, llm } = script.open()
    const [tts, start] = script.start("tts", turn)
    script.outputs(
      start,
      script.signal("cancel", "RK-16", { scope: "turn", turn_id: turn }),
      script.command({ type: "cancel_invocation", provider_invocation_id: llm, reason: "cancelled" }),
      script.command({ type: "cancel_invocation", provider_invocation_id: tts, reason: "cancelled" })
    )
    script.wait(2).ended(llm, "llm", { turn_id: turn, outcome_class: "cancelled", cancel_ack_ms: script.now })
    script.input({ type: "egress_fenced", turn_id: turn, dropped_samples: 0 })
    script.input({
      type: "output_rejected",
      turn_id: turn,
      authority_epoch: 1,
      reason: "fenced",
      samples: 320
    })
    script.end(turn, "abort", "cancelled")
    const evidence = ledger.evidence(turn)
    assert.isUndefined(evidence?.cancel?.acknowledged_ms)
    assert.strictEqual(evidence?.cancel?.late_outputs_dropped, 1)
    script.wait(3).ended(tts, "tts", { turn_id: turn, outcome_class: "cancelled", cancel_ack_ms: script.now })
    assert.strictEqual(ledger.seal(turn, script.now)?.cancel?.acknowledged_ms, script.now)
  })
})

describe("redaction", () => {
  // CONTRACT section 11, column timeline: what each class and level allows.
  const allowed: Record<PayloadClass, ReadonlyArray<ReadonlyArray<string>>> = {
    audio_raw: [["drop"], ["mask", "hash"], ["allow", "mask", "hash", "drop"]],
    text_raw: [["drop", "hash"], ["mask"], ["allow", "mask", "hash", "drop"]],
    PII: [["hash", "drop"], ["hash", "drop"], ["hash", "drop"]],
    PHI: [["drop", "hash"], ["drop", "hash"], ["drop", "hash"]],
    derived_summary: [["allow"], ["allow"], ["allow"]],
    metadata: [["allow"], ["allow"], ["allow"]]
  }
  for (const payloadClass of payloadClasses) {
    it(`of ${payloadClass} is what the contract says, at each level`, () => {
      for (const [i, level] of recordingLevels.entries()) {
        const action = redactionFor(payloadClass, level, { behaviour_flags: [4] })
        assert.include(redactionActions, action)
        assert.include([...allowed[payloadClass][i] ?? []], action)
      }
    })
  }

  it("masks letters and digits of every script, and leaves the rhythm", () => {
    assert.strictEqual(maskText("Grüße, 東京 42 – ok? é"), "*****, ** ** – **? *")
    assert.strictEqual(maskText("e\u0301t\u0301"), "****")
  })

  it("goes by the lower of two levels", () => {
    assert.strictEqual(lowerLevel("L2", "L1"), "L1")
    assert.strictEqual(lowerLevel("L0", "L2"), "L0")
  })
})
