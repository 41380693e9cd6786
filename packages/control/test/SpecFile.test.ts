import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { parsePath, formatPath } from "../src/internal/FieldPath.ts"
import { findJsonFault } from "../src/internal/JsonSyntax.ts"
import { describeSpecError, parseSpecText } from "../src/SpecFile.ts"
import { SpecError } from "../src/SpecError.ts"

const fails = (text: string, file = "pipeline.yaml") => Effect.flip(parseSpecText(text, file))

describe("a spec in YAML", () => {
  it.effect("is read into a plain value", () =>
    Effect.gen(function*() {
      const { value } = yield* parseSpecText("schema_version: v1.0\nnodes:\n  - { node_id: a }\n", "p.yml")
      assert.deepStrictEqual(value, { schema_version: "v1.0", nodes: [{ node_id: "a" }] })
    }))

  it.effect("with a syntax error is refused with its line", () =>
    Effect.gen(function*() {
      const error = yield* fails("schema_version: v1.0\npipeline_id: 'demo\nbudgets: {}\n")
      assert.strictEqual(error.code, "syntax")
      assert.match(error.message, /^pipeline\.yaml:\d+:\d+: Missing closing 'quote$/u)
      const flow = yield* fails("schema_version: v1.0\nbudgets: { turn_budget_ms: 1\npipeline_id: demo\n")
      assert.strictEqual(flow.line, 3)
    }))

  it.effect("with a tab as indentation is refused with its line", () =>
    Effect.gen(function*() {
      const error = yield* fails("budgets:\n\tturn_budget_ms: 1\n")
      assert.deepStrictEqual([error.code, error.line], ["syntax", 2])
    }))

  it.effect("with a key twice is refused at the second one", () =>
    Effect.gen(function*() {
      const error = yield* fails("pipeline_id: a\nbudgets: {}\npipeline_id: b\n")
      assert.deepStrictEqual([error.code, error.line, error.column], ["duplicate_key", 3, 1])
    }))

  it.effect("with a second document is refused", () =>
    Effect.gen(function*() {
      const error = yield* fails("pipeline_id: a\n---\npipeline_id: b\n")
      assert.deepStrictEqual([error.code, error.line], ["syntax", 2])
    }))

  it.effect("with a custom tag is refused", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* fails("pipeline_id: !env SECRET\n")).code, "syntax")
    }))

  it.effect("whose aliases explode is refused", () =>
    Effect.gen(function*() {
      const levels = Array.from(
        { length: 8 },
        (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(", ")}]`
      )
      const error = yield* fails(`l0: &l0 [x]\n${levels.join("\n")}\n`)
      assert.strictEqual(error.code, "too_many_aliases")
    }))

  it.effect("that is empty is refused", () =>
    Effect.gen(function*() {
      for (const text of ["", " \n", "# only a comment\n", "\uFEFF"]) {
        assert.strictEqual((yield* fails(text)).code, "empty")
      }
    }))

  it.effect("that is larger than the limit is refused before it is parsed", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* fails("#".repeat(1_048_577))).code, "too_large")
    }))
})

describe("a spec in JSON", () => {
  it.effect("is read into a plain value", () =>
    Effect.gen(function*() {
      const { value } = yield* parseSpecText("\uFEFF{\"schema_version\":\"v1.0\",\"budgets\":{}}", "p.json")
      assert.deepStrictEqual(value, { schema_version: "v1.0", budgets: {} })
    }))

  it.effect("with a syntax error is refused with its line, however short it is", () =>
    Effect.gen(function*() {
      const error = yield* fails("{\n  \"a\": 1,\n  \"b\": }\n", "p.json")
      assert.deepStrictEqual(
        [error.code, error.line, error.column, error.message],
        ["syntax", 3, 8, "p.json:3:8: expected a value, found \"}\""]
      )
      assert.strictEqual(
        (yield* fails("{\"a\": [1,2", "p.json")).message,
        "p.json:1:11: expected \",\" or \"]\", the text ends"
      )
      assert.strictEqual(
        (yield* fails("{\"a\": 1,}", "p.json")).message,
        "p.json:1:9: expected a key in double quotes, found \"}\""
      )
      assert.strictEqual((yield* fails("a: 1", "p.json")).message, "p.json:1:1: expected a value, found \"a\"")
    }))

  it.effect("with a key twice is refused at the second one", () =>
    Effect.gen(function*() {
      const error = yield* fails("{\"a\": 1,\n \"a\": 2}", "p.json")
      assert.deepStrictEqual([error.code, error.line, error.column], ["duplicate_key", 2, 2])
    }))

  it("is judged as JSON.parse judges it", () => {
    const texts = [
      "1",
      "-0.5e+3",
      "01",
      "1.",
      "\"\\u12\"",
      "\"\t\"",
      "[]",
      "[1,]",
      "{}",
      "{\"a\":{}}",
      "nul",
      "true x",
      "\"é\"",
      "[[[]]]",
      "",
      "\u00a01"
    ]
    for (const text of texts) {
      const accepted = (() => {
        try {
          JSON.parse(text)
          return true
        } catch {
          return false
        }
      })()
      assert.strictEqual(findJsonFault(text) === undefined, accepted, JSON.stringify(text))
    }
  })
})

it.effect("a file that is neither is refused by its name", () =>
  Effect.gen(function*() {
    assert.strictEqual((yield* fails("pipeline_id: a", "pipeline.toml")).code, "unknown_format")
  }))

describe("the place of a field", () => {
  it.effect("is that of its key, in both formats", () =>
    Effect.gen(function*() {
      const yaml = yield* parseSpecText("a:\n  - b: 1\n    \"c.d\":\n      e: 2\n", "p.yaml")
      assert.deepStrictEqual(yaml.locate("a[0][\"c.d\"].e"), { line: 4, column: 7 })
      assert.deepStrictEqual(yaml.locate("a[0].missing"), { line: 2, column: 5 })
      assert.deepStrictEqual(yaml.locate(""), { line: 1, column: 1 })
      const json = yield* parseSpecText("{\n \"a\": [\n  {\"b\": 1}]}", "p.json")
      assert.deepStrictEqual(json.locate("a[0].b"), { line: 3, column: 4 })
      const error = new SpecError({
        code: "bad_value",
        path: "a[0].b",
        rule: "r",
        message: "a[0].b is wrong",
        hint: "Do better."
      })
      assert.strictEqual(describeSpecError(error, json), "p.json:3:4: a[0].b is wrong. Do better.")
    }))

  it("has a path with one reading", () => {
    for (const path of [["a", "b"], ["a", 0, "b"], ["p", "tts.voice.output", "x"], ["p", "a[0].\"b\"\\", 3]]) {
      assert.deepStrictEqual(parsePath(formatPath(path)), path)
    }
  })
})
