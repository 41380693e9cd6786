import { assert } from "@effect/vitest"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import { Effect, Exit } from "effect"
import { calmSpec } from "../Call.ts"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** Whether a pipeline may be written like this. */
const isAccepted = (more: Readonly<Record<string, unknown>>): boolean =>
  Exit.isSuccess(Effect.runSyncExit(
    Effect.flatMap(SpecNormalizer, (normalizer) => normalizer.normalize(calmSpec(more))).pipe(
      Effect.provide(SpecNormalizer.layer)
    )
  ))

/** Each timer waits for the whole milliseconds that its rule declares, and none fires before it is due. */
const waitsAsDeclared = (told: Told): void => {
  const { pipeline, provider_caps, session_config } = told.header
  const caps = new Map(
    told.commands("start_invocation").map((one) => [
      one.provider_invocation_id,
      provider_caps[one.provider_id] ?? pipeline.provider_first_result_ms
    ])
  )
  const due = new Map<string, number>()
  for (const { due_ms, generation, ms, timer } of told.commands("arm_timer")) {
    assert.isTrue(Number.isInteger(due_ms) && due_ms >= ms, `${timer} is due at ${due_ms}, armed at ${ms}`)
    due.set(`${timer}/${generation}`, due_ms)
    const [kind = "", subject = ""] = timer.split(/:(.*)/su)
    if (kind === "budget.call") assert.strictEqual(due_ms - ms, caps.get(subject), timer)
    if (kind === "grace") assert.strictEqual(due_ms - ms, pipeline.cancellation_grace_ms, timer)
    if (kind === "budget.turn") assert.strictEqual(due_ms - ms, pipeline.budgets.turn_budget_ms, timer)
    // 100 ms, 200 ms: half to all of it, and not a thousandth.
    if (kind === "retry") {
      const attempt = told.invocations.find((one) => one.provider_invocation_id === subject)?.attempts ?? 0
      assert.isTrue(due_ms - ms >= 50 * attempt && due_ms - ms <= 100 * attempt, `${timer} waits ${due_ms - ms} ms`)
    }
    if (kind === "false_alarm") assert.strictEqual(due_ms - ms, session_config.barge_in.false_alarm_ms, timer)
  }
  for (const { generation, ms, timer } of told.inputs("timer")) {
    assert.isAtLeast(ms, due.get(`${timer}/${generation}`) ?? Infinity, `${timer} fired before it was due`)
  }
}

export const scenario: NamedScenario = {
  id: "S22",
  sentence: "durations are typed",
  cases: [{
    name: "a duration is a whole number of milliseconds where it is written, and is waited for as written",
    script: [
      { when: { atMs: 300 }, act: { does: "call", provider: "sim/llm", with: { slowMs: 5000 } } },
      { when: { atMs: 300 }, act: { does: "call", provider: "sim/llm", nth: 2, with: { fails: "overload" } } },
      { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
      { when: { on: "input:playback_started" }, act: { does: "noise", ms: 100 } }
    ],
    spec: {
      allowed_adaptive_actions: ["retry"],
      session_config: { barge_in: { false_alarm_ms: 100 } },
      budgets: { turn_budget_ms: 5000, path_budget_ms_default: 5000 }
    },
    holds: (told) => {
      const [turn] = told.turns
      const models = told.invocations.filter((one) => one.modality === "llm" && one.turn_id === turn)
      assert.deepStrictEqual(models.map(({ attempts, retry_decision }) => [attempts, retry_decision]), [
        [1, "retry"],
        [2, "retry"],
        [3, "none"]
      ])
      const waits = told.commands("arm_timer").filter(({ timer }) => timer.startsWith("retry:"))
      assert.lengthOf(waits, 2, "between the attempts")
      assert.strictEqual(models[0]?.total_latency_ms, 1000, "the cap in full, and not a thousandth of it")
      assert.strictEqual(told.terminal(turn), "commit")
      assert.isTrue(isAccepted({ session_config: { barge_in: { false_alarm_ms: 100 } } }))
      for (const wrong of [0.1, "100 ms", -1]) {
        assert.isFalse(isAccepted({ session_config: { barge_in: { false_alarm_ms: wrong } } }), String(wrong))
        assert.isFalse(isAccepted({ budgets: { turn_budget_ms: wrong } }), String(wrong))
      }
    },
    always: waitsAsDeclared
  }]
}
