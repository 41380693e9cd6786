import { artifactKinds, formatIssue, guessKind, validate } from "@rspp/contracts/Artifact"
import { type DecisionOutcome, outcomeKinds, outcomePhases, outcomeRules, outcomeTable } from "@rspp/contracts/Outcome"
import { eventRules, mediaTimeRules } from "@rspp/contracts/Event"
import { terminalRules } from "@rspp/contracts/Evidence"
import { type ControlSignal, signalNames, signalRegistry, signalRules } from "@rspp/contracts/Signal"
import { legalTransitions, transitionRules, type TurnTransition } from "@rspp/contracts/Turn"
import { edgePolicyRules, edgeWatermarkRules, syncDropRules } from "@rspp/contracts/TurnPlan"
import { assert, describe, it } from "@effect/vitest"
import { independent, invalidFixtures, validFixtures } from "./corpus.ts"

describe("fixtures", () => {
  it("accepts every valid fixture, here and in an independent validator", () => {
    for (const { artifact, kind, name } of validFixtures) {
      const verdict = validate(kind, artifact)
      assert.isTrue(verdict.ok, `${kind}/${name}: ${verdict.ok ? "" : verdict.issues.map(formatIssue).join("; ")}`)
      assert.isTrue(independent[kind](artifact), `${kind}/${name}: ${JSON.stringify(independent[kind].errors)}`)
    }
  })

  it("rejects every invalid fixture, here and in an independent validator", () => {
    for (const { artifact, kind, name } of invalidFixtures) {
      assert.isFalse(validate(kind, artifact).ok, `${kind}/${name}`)
      assert.isFalse(independent[kind](artifact), `${kind}/${name}`)
    }
  })

  it("names the field and the rule that an invalid fixture breaks", () => {
    for (const { artifact, field, kind, name, rule } of invalidFixtures) {
      const verdict = validate(kind, artifact)
      const issues = verdict.ok ? [] : verdict.issues
      assert.isTrue(
        issues.some((issue) => issue.rule === rule && issue.path.join(".") === field),
        `${kind}/${name}: wants ${rule} at ${field}, got ${issues.map(formatIssue).join("; ")}`
      )
      for (const issue of issues) assert.isAbove(issue.message.length, 0, `${kind}/${name}`)
    }
  })

  it("gives each invalid fixture a reason", () => {
    for (const { kind, name, reason } of invalidFixtures) assert.isAbove(reason?.length ?? 0, 0, `${kind}/${name}`)
  })

  it("guesses the kind of every valid fixture", () => {
    for (const { artifact, kind, name } of validFixtures) {
      const guess = guessKind(artifact)
      const wanted = kind === "timeline_record" && name === "header" ? "timeline_header" : kind
      assert.strictEqual(guess, wanted, `${kind}/${name}`)
    }
  })
})

describe("coverage, computed from the tables", () => {
  const valid = <A>(kind: string) =>
    validFixtures.filter((fixture) => fixture.kind === kind).map((fixture) => fixture.artifact as A)
  const broken = new Set(invalidFixtures.map((fixture) => fixture.rule))

  it("has a valid and an invalid fixture of every kind", () => {
    for (const kind of artifactKinds) {
      assert.isTrue(validFixtures.some((fixture) => fixture.kind === kind), kind)
      assert.isTrue(invalidFixtures.some((fixture) => fixture.kind === kind), kind)
    }
  })

  it("has each signal from each of its emitters, and one from a wrong emitter", () => {
    const signals = valid<ControlSignal>("control_signal")
    for (const signal of signalNames) {
      for (const emitter of signalRegistry[signal].emitters) {
        assert.isTrue(signals.some((s) => s.signal === signal && s.emitted_by === emitter), `${signal} by ${emitter}`)
      }
      assert.isTrue(broken.has(`signal.${signal}.emitted-by`), `${signal} by another`)
    }
  })

  it("has each signal without each of the fields that it must carry", () => {
    for (const signal of signalNames) {
      for (const field of signalRegistry[signal].requires) {
        assert.isTrue(
          invalidFixtures.some((fixture) =>
            fixture.kind === "control_signal" && fixture.name === `${signal}.without-${field}`
          ),
          `${signal} without ${field}`
        )
      }
    }
  })

  it("has each legal transition, and each with a wrong end and a wrong start", () => {
    const transitions = valid<TurnTransition>("turn_transition")
    for (const { from_state, to_state, trigger } of legalTransitions) {
      assert.isTrue(
        transitions.some((t) => t.trigger === trigger && t.from_state === from_state && t.to_state === to_state),
        trigger
      )
      assert.isTrue(broken.has(`transition.${trigger}.from-state`), trigger)
      assert.isTrue(broken.has(`transition.${trigger}.to-state`), trigger)
    }
  })

  it("has each outcome in each of its phases and scopes, and one from a wrong emitter", () => {
    const outcomes = valid<DecisionOutcome>("decision_outcome")
    for (const kind of outcomeKinds) {
      const { emitters, phases }: {
        readonly emitters: ReadonlyArray<string>
        readonly phases: Partial<Record<string, ReadonlyArray<string>>>
      } = outcomeTable[kind]
      for (const phase of outcomePhases) {
        for (const scope of phases[phase] ?? []) {
          assert.isTrue(
            outcomes.some((o) => o.outcome_kind === kind && o.phase === phase && o.scope === scope),
            `${kind} in ${phase} with ${scope}`
          )
        }
      }
      for (const emitter of emitters) {
        assert.isTrue(
          outcomes.some((o) => o.outcome_kind === kind && o.emitted_by === emitter),
          `${kind} by ${emitter}`
        )
      }
      assert.isTrue(broken.has(`outcome.${kind}.emitted-by`), `${kind} by another`)
    }
  })

  const rules = [
    eventRules,
    mediaTimeRules,
    signalRules,
    transitionRules,
    outcomeRules,
    edgePolicyRules,
    edgeWatermarkRules,
    syncDropRules,
    terminalRules
  ].flat()

  it("has an invalid fixture for every conditional rule", () => {
    // A control signal always carries its epoch, so a row that asks for nothing else cannot be broken by that alone.
    const always = signalNames.filter((signal) =>
      signalRegistry[signal].requires.every((field) => field === "authority_epoch")
    )
    const exempt = new Set(always.map((signal) => `signal.${signal}.requires`))
    assert.deepStrictEqual(rules.map((rule) => rule.id).filter((id) => !broken.has(id) && !exempt.has(id)), [])
  })

  it("gives each rule an id of its own", () => {
    const byId = new Map<string, unknown>()
    for (const rule of rules) {
      assert.isTrue(!byId.has(rule.id) || byId.get(rule.id) === rule, rule.id)
      byId.set(rule.id, rule)
    }
  })
})
