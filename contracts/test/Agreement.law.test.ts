import { type ArtifactKind, validate } from "@rspp/contracts/Artifact"
import { assert, describe, it } from "@effect/vitest"
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js"
import { independent, schemaText } from "./corpus.ts"
import { type Mutated, mutatedBy } from "./mutants.ts"

const rounds = 15_000

/** Both verdicts on a mutant, as a report when they differ. */
const disagreement = (seed: number, mutant: Mutated, validator: ValidateFunction): string | undefined => {
  const here = validate(mutant.kind, mutant.value)
  const there = validator(mutant.value)
  return here.ok === there ? undefined : [
    `seed ${seed}: ${mutant.kind}/${mutant.name}, ${mutant.steps.join("; ")}`,
    `Effect Schema: ${here.ok ? "accepts" : JSON.stringify(here.issues)}`,
    `JSON Schema: ${there ? "accepts" : JSON.stringify(validator.errors)}`,
    JSON.stringify(mutant.value)
  ].join("\n")
}

describe("agreement of Effect Schema and JSON Schema", () => {
  it(`reaches the same verdict in both on ${rounds} mutations of the fixtures`, () => {
    const accepted = new Map<ArtifactKind, number>()
    const rejected = new Map<ArtifactKind, number>()
    let judged = 0
    for (let seed = 1; seed <= rounds; seed++) {
      const mutant = mutatedBy(seed)
      if (mutant === undefined) continue
      const report = disagreement(seed, mutant, independent[mutant.kind])
      if (report !== undefined) assert.fail(report)
      const counts = independent[mutant.kind](mutant.value) ? accepted : rejected
      counts.set(mutant.kind, (counts.get(mutant.kind) ?? 0) + 1)
      judged++
    }
    assert.isAbove(judged, rounds * 0.95)
    // The law says nothing unless both verdicts occur, for every kind.
    for (const kind of Object.keys(independent) as ReadonlyArray<ArtifactKind>) {
      assert.isAbove(accepted.get(kind) ?? 0, 0, `${kind} accepted`)
      assert.isAbove(rejected.get(kind) ?? 0, 0, `${kind} rejected`)
    }
  }, 120_000)

  const planted: ReadonlyArray<readonly [ArtifactKind, string, string]> = [
    ["turn_transition", "\"enum\":[\"Opening\"]", "\"enum\":[\"Opening\",\"Idle\"]"],
    ["decision_outcome", "\"enum\":[\"tenant\",\"session\"]", "\"enum\":[\"tenant\",\"session\",\"turn\"]"],
    ["control_signal", "\"then\":{\"required\":[\"turn_id\"]}", "\"then\":{}"],
    ["event", "\"minItems\":1", "\"minItems\":0"],
    ["resolved_turn_plan", "\"then\":{\"required\":[\"max_block_time_ms\"]}", "\"then\":{}"],
    ["session_config", "\"additionalProperties\":false", "\"additionalProperties\":true"],
    ["graph_definition", "\"^sha256:[0-9a-f]{64}$\"", "\"^[sS][hH][aA]256:[0-9a-fA-F]{64}$\""]
  ]
  for (const [kind, original, drifted] of planted) {
    it(`finds planted drift: ${kind} with ${drifted}`, () => {
      const text = JSON.stringify(JSON.parse(schemaText(kind)))
      assert.include(text, original)
      const validator = new Ajv2020({ strict: false }).compile(JSON.parse(text.replaceAll(original, drifted)))
      const found = Array.from({ length: 20_000 }, (_, index) => index + 1).some((seed) => {
        const mutant = mutatedBy(seed, kind)
        return mutant !== undefined && disagreement(seed, mutant, validator) !== undefined
      })
      assert.isTrue(found)
    }, 60_000)
  }
})
