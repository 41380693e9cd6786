import { decodeOptions, formatIssue, guessKind, isArtifactKind, validate } from "@rspp/contracts/Artifact"
import { modules } from "@rspp/contracts/Module"
import { outcomeEmitters } from "@rspp/contracts/Outcome"
import { simpleProfile } from "@rspp/contracts/Profile"
import { signalEmitters, signalNames } from "@rspp/contracts/Signal"
import { EventRecord } from "@rspp/contracts/Event"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { validFixtures } from "./corpus.ts"

describe("validate", () => {
  const transition = { from_state: "Idle", trigger: "commit", to_state: "Terminal", deterministic: true }

  it("names the field and the rule, in one line", () => {
    const verdict = validate("turn_transition", transition)
    assert.deepStrictEqual(verdict.ok ? [] : verdict.issues.map(formatIssue), [
      "from_state: commit is legal only from Active [transition.commit.from-state]"
    ])
  })

  it("reports every problem of form at once", () => {
    const verdict = validate("turn_transition", { from_state: "Nowhere", trigger: 1, deterministic: true, note: "x" })
    assert.sameMembers(verdict.ok ? [] : verdict.issues.map(({ path, rule }) => `${path.join(".")} ${rule}`), [
      "from_state enum",
      "trigger enum",
      "to_state required",
      "note additionalProperties"
    ])
  })

  it("judges any JSON value without throwing", () => {
    for (const value of [null, true, 0, "", [], {}, [[]], undefined]) {
      assert.isFalse(validate("timeline_record", value).ok)
      assert.isFalse(validate("session_config", value).ok)
    }
  })

  it("gives back the very value that it accepted", () => {
    for (const { artifact, kind } of validFixtures) {
      const verdict = validate(kind, artifact)
      assert.isTrue(verdict.ok && verdict.value === artifact)
    }
  })

  it("decodes an accepted artifact to an equal plain object", () => {
    const event = validFixtures.find(({ kind, name }) => kind === "event" && name === "everything")?.artifact
    assert.deepStrictEqual(Schema.decodeUnknownSync(EventRecord, decodeOptions)(event), event as EventRecord)
  })
})

describe("guessKind", () => {
  it("does not guess what it does not know", () => {
    for (const value of [null, 1, "event", [], {}, { name: "x" }, { snapshot_kind: "weather_snapshot" }]) {
      assert.isUndefined(guessKind(value))
    }
  })

  it("knows the names of kinds", () => {
    assert.isTrue(isArtifactKind("control_signal"))
    assert.isFalse(isArtifactKind("toString"))
  })
})

describe("tables", () => {
  it("has the 45 modules of the contract, and emitters among them", () => {
    assert.strictEqual(Object.keys(modules).length, 45)
    for (const code of [...signalEmitters, ...outcomeEmitters]) assert.property(modules, code)
    assert.strictEqual(new Set(Object.values(modules).map(({ module }) => module)).size, 45)
  })

  it("has the 43 signals of the contract", () => {
    assert.strictEqual(signalNames.length, 43)
  })
})

describe("profile simple/v1", () => {
  const { budgets, edge_buffer_policies: edges } = simpleProfile

  it("has the bounds of the contract", () => {
    const bounds = Object.fromEntries(
      Object.entries(edges).map(([kind, policy]) => [kind, [
        policy.strategy,
        policy.max_queue_items,
        policy.max_queue_ms,
        policy.max_queue_bytes,
        policy.max_block_time_ms
      ]])
    )
    const text: ReadonlyArray<unknown> = ["block", 256, 1000, 65_536, 200]
    assert.deepStrictEqual<Record<string, ReadonlyArray<unknown>>>(bounds, {
      caller_audio: ["merge", 50, 1000, 65_536, undefined],
      voice_edge: text,
      interim_transcript: ["latest_only", 1, 500, 8192, undefined],
      transcript: text,
      text,
      segment: text,
      voice: ["block", 1000, 20_000, 1_048_576, 200]
    })
  })

  it("has the budgets of the contract", () => {
    assert.deepStrictEqual(Object.values(budgets), [2000, 800, 2000, 200])
    assert.deepStrictEqual([simpleProfile.provider_first_result_ms, simpleProfile.cancellation_grace_ms], [1000, 75])
    assert.deepStrictEqual(simpleProfile.snapshot_outcomes, {
      stale: "defer",
      missing: "reject",
      incompatible: "reject"
    })
    assert.strictEqual(simpleProfile.recording_policy.recording_level, "L0")
  })

  it("has high watermarks at 75 % and low ones at 50 %, low below high", () => {
    for (const [kind, { max_queue_items, max_queue_ms, watermarks }] of Object.entries(edges)) {
      for (
        const [bound, watermark] of [[max_queue_items, watermarks.queue_items], [
          max_queue_ms,
          watermarks.queue_ms
        ]] as const
      ) {
        assert.strictEqual(watermark?.high, Math.max(1, Math.floor(bound * 0.75)), kind)
        assert.strictEqual(watermark?.low, Math.floor(bound * 0.5), kind)
        assert.isBelow(watermark?.low ?? Number.NaN, watermark?.high ?? Number.NaN, kind)
      }
    }
  })
})

describe("contracts/pipelines", () => {
  const folder = fileURLToPath(new URL("../pipelines/", import.meta.url))
  // Those in YAML are read where YAML is: in the tests of the control package.
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
    it(`${file} is a pipeline spec`, () => {
      const spec: unknown = JSON.parse(readFileSync(folder + file, "utf8"))
      assert.strictEqual(guessKind(spec), "pipeline_spec")
      assert.isTrue(validate("pipeline_spec", spec).ok)
    })
  }
})
