import { assert } from "@effect/vitest"
import type { ScriptedCall, ScriptedEvent } from "@rspp/simulation/Script"
import type { NamedScenario, ScenarioCase } from "../Call.ts"
import type { Told } from "../Told.ts"

const speech: ScriptedEvent = { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } }
const call = (provider: string, what: ScriptedCall): ScriptedEvent => ({
  when: { atMs: 300 },
  act: { does: "call", provider, with: what }
})

/** A failed call of a turn is told, its facts are in the turn's evidence, and a turn that ends for it says so. */
const failuresAreTold = (told: Told): void => {
  const failed = told.invocations.filter(({ outcome_class }) =>
    outcome_class !== "success" && outcome_class !== "cancelled"
  )
  for (const { ms, provider_invocation_id, turn_id } of failed) {
    if (turn_id === undefined) continue
    const ended = told.signals(["commit", "abort"], turn_id)[0]
    // What fails after its turn has ended is in the supplement, and concerns nobody.
    if (ended !== undefined && ended.ms < ms) continue
    const errors = told.signals("provider_error").filter((one) => one.provider_invocation_id === provider_invocation_id)
    assert.isAtLeast(errors.length, 1, `${provider_invocation_id} failed`)
  }
  for (const turn of told.turns) {
    if (told.terminal(turn) === "provider_failure") assert.isNotEmpty(told.signals("provider_error", turn))
  }
}

interface Kind {
  readonly name: string
  readonly with: ScriptedCall
  readonly outcome: string
}

const kinds: ReadonlyArray<Kind> = [
  { name: "timeout", with: { slowMs: 9000 }, outcome: "timeout" },
  { name: "rate limit", with: { fails: "overload" }, outcome: "overload" },
  {
    name: "disconnect before the first word",
    with: { truncated: { after: 0, says: true } },
    outcome: "infrastructure_failure"
  },
  { name: "blocked", with: { fails: "blocked" }, outcome: "blocked" },
  { name: "an adapter that throws", with: { fails: "defect" }, outcome: "infrastructure_failure" }
]

const facts = (told: Told, turn: string | undefined) => {
  const late = told.supplement(turn)?.invocations ?? []
  return [...told.evidence(turn).invocations, ...late].filter(({ modality }) => modality === "llm")
    .map(({ outcome_class, provider_id, retry_decision }) => [provider_id, outcome_class, retry_decision])
}

const ends = (kind: Kind): ScenarioCase => ({
  name: `${kind.name}, with no way on: provider_failure`,
  script: [call("sim/llm", kind.with), speech],
  spec: { allowed_adaptive_actions: [] },
  seeds: [1, 2],
  holds: (told) => {
    const [turn] = told.turns
    assert.deepStrictEqual(told.words(["provider_error"], turn), [`provider_error(${kind.outcome})`])
    assert.deepStrictEqual(told.words(["abort", "close"], turn), ["abort(provider_failure)", "close"])
    assert.deepStrictEqual(told.evidence(turn).terminal, { kind: "abort", reason: "provider_failure" })
    assert.deepStrictEqual(facts(told, turn), [["sim/llm", kind.outcome, "none"]])
    assert.strictEqual(told.terminal(told.turns.at(-1)), "commit", "the next turn is answered")
  },
  always: failuresAreTold
})

const goesOn = (kind: Kind, action: "provider_switch" | "fallback"): ScenarioCase => ({
  name: `${kind.name}: ${action}`,
  script: [call("sim/llm", kind.with), speech],
  spec: { allowed_adaptive_actions: [action] },
  call: { fallbacks: { "llm.fallback": "sim/llm-b" } },
  seeds: [1, 2],
  holds: (told) => {
    const [turn] = told.turns
    assert.deepStrictEqual(told.words(["provider_error", action], turn), [
      `provider_error(${kind.outcome})`,
      `${action}(${kind.outcome})`
    ])
    assert.strictEqual(told.terminal(turn), "commit")
    assert.deepStrictEqual(facts(told, turn), [["sim/llm", kind.outcome, action], ["sim/llm-b", "success", "none"]])
  },
  always: failuresAreTold
})

export const scenario: NamedScenario = {
  id: "F3",
  sentence:
    "provider failure: `provider_error`, then `provider_switch`/`fallback`; if it ends the turn, `provider_failure`",
  cases: [
    ...kinds.map(ends),
    ...kinds.map((kind, index) => goesOn(kind, index % 2 === 0 ? "provider_switch" : "fallback")),
    {
      name: "rate limit: the same provider once more",
      script: [call("sim/llm", { fails: "overload" }), speech],
      spec: { allowed_adaptive_actions: ["retry"] },
      holds: (told) => {
        const [turn] = told.turns
        assert.deepStrictEqual(facts(told, turn), [["sim/llm", "overload", "retry"], ["sim/llm", "success", "none"]])
        const keys = told.commands("start_invocation").filter((one) => one.modality === "llm" && one.turn_id === turn)
        assert.lengthOf(new Set(keys.map(({ idempotency_key }) => idempotency_key)).size === 1 ? keys : [], 2)
        assert.strictEqual(told.terminal(turn), "commit")
      },
      always: failuresAreTold
    },
    {
      name: "rate limit: the same provider once more, when it had asked to",
      script: [call("sim/llm", { fails: "overload", retryAfterMs: 700 }), speech],
      spec: { allowed_adaptive_actions: ["retry", "provider_switch"] },
      call: { fallbacks: { "llm.fallback": "sim/llm-b" } },
      seeds: [1, 2],
      holds: (told) => {
        const [turn] = told.turns
        assert.deepStrictEqual(facts(told, turn), [["sim/llm", "overload", "retry"], ["sim/llm", "success", "none"]])
        const [first, second] = told.commands("start_invocation").filter((one) =>
          one.modality === "llm" && one.turn_id === turn
        )
        const failed = told.inputs("invocation_ended").find((one) =>
          one.provider_invocation_id === first?.provider_invocation_id
        )
        const waitedMs = (second?.ms ?? 0) - (failed?.ms ?? 0)
        assert.isTrue(waitedMs >= 750 && waitedMs <= 800, `it waited for ${waitedMs} ms`)
        assert.strictEqual(told.terminal(turn), "commit")
      },
      always: failuresAreTold
    },
    {
      name: "rate limit: longer than the turn can wait, so another provider at once",
      script: [call("sim/llm", { fails: "overload", retryAfterMs: 20_000 }), speech],
      spec: { allowed_adaptive_actions: ["retry", "provider_switch"] },
      call: { fallbacks: { "llm.fallback": "sim/llm-b" } },
      seeds: [1, 2],
      holds: (told) => {
        const [turn] = told.turns
        assert.deepStrictEqual(told.words(["provider_error", "provider_switch"], turn), [
          "provider_error(overload)",
          "provider_switch(overload)"
        ])
        assert.isEmpty(told.commands("arm_timer").filter(({ timer }) => timer.startsWith("retry:")))
        assert.strictEqual(told.terminal(turn), "commit")
      },
      always: failuresAreTold
    },
    {
      name: "a voice that is lost in the middle: the reply goes on without speech",
      script: [call("sim/tts", { truncated: { after: 3, says: true } }), speech],
      spec: { allowed_adaptive_actions: ["degrade"] },
      holds: (told) => {
        const [turn] = told.turns
        assert.deepStrictEqual(told.words(["provider_error", "degrade"], turn), [
          "provider_error(infrastructure_failure)",
          "degrade(speech_unavailable)"
        ])
        assert.strictEqual(told.terminal(turn), "commit")
      },
      always: failuresAreTold
    },
    {
      name: "a voice that is lost in the middle, with no way on",
      script: [call("sim/tts", { truncated: { after: 3, says: true } }), speech],
      spec: { allowed_adaptive_actions: [] },
      holds: (told) => assert.strictEqual(told.terminal(told.turns[0]), "provider_failure"),
      always: failuresAreTold
    },
    {
      name: "a recogniser that fails: the utterance is lost, and that is told",
      script: [call("sim/stt", { fails: "unavailable" }), speech],
      holds: (told) => {
        assert.deepStrictEqual(told.words(["provider_error"]), ["provider_error(infrastructure_failure)"])
        assert.lengthOf(told.turns, 1, "the caller's last words are answered")
      },
      always: failuresAreTold
    }
  ]
}
