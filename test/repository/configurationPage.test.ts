// docs/configuration.md is what scripts/generate-configuration-reference.ts makes of the Schemas, every setting on it says
// what it is, and every variable that the sources read is there.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { variables, variablesIn, variablesOf } from "../../scripts/environment.ts"
import { bulletsOf, gather, lacking, pageOf, settingsOf } from "../../scripts/generate-configuration-reference.ts"
import { pageOf as page, root } from "./support/Page.ts"

const { namesFiles, text } = page("configuration.md")

describe("docs/configuration.md", () => {
  it.effect("has every setting, as the program decodes it", () =>
    Effect.gen(function*() {
      const parts = yield* gather(root)
      assert.deepStrictEqual(lacking([...parts.files, ...parts.adapters]), [])
      assert.strictEqual(text, pageOf(parts), "run: node scripts/generate-configuration-reference.ts")
      for (const { name } of parts.files.flatMap(({ settings }) => settings)) assert.include(text, `| \`${name}\` |`)
      assert.include(text, "| `barge_in.min_ms` | integer | `500` | ≥ 0 |")
      assert.include(text, "| `spare_connections` | number | `1` | 0 to 8 |")
    }))

  it("names every variable that the sources read, and no other", () => {
    const read = variablesOf(root)
    assert.isAbove(read.size, 30)
    for (const [name, path] of read) assert.include(text, `| \`${name}\` |`, `${path} reads ${name}`)
    for (const { name } of variables) assert.isTrue(read.has(name), `nothing reads ${name}`)
  })

  it("links only to files that are there", namesFiles)
})

describe("what the page is made of", () => {
  it("finds variables however they are read", () => {
    const source = [
      "process.env[\"A_KEY\"]",
      "process.env.B_KEY",
      "const { C_KEY: key = \"\", D_KEY = \"\" } = process.env",
      "Config.String(\"E_KEY\")",
      "environment: { api_key: \"F_KEY\" }",
      "const name = \"RSPP_G\""
    ].join("\n")
    assert.deepStrictEqual(variablesIn(source), ["A_KEY", "B_KEY", "C_KEY", "D_KEY", "E_KEY", "F_KEY", "RSPP_G"])
  })

  it("takes name, type, bounds, default and meaning from a schema, and misses a meaning", () => {
    const schema = Schema.Struct({
      size: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })).annotate({ description: "How large." }),
      items: Schema.Array(Schema.Struct({ bare: Schema.optionalKey(Schema.String) }))
    })
    const settings = settingsOf(schema, { size: 4 })
    assert.deepStrictEqual(settings, [
      { name: "size", type: "integer", bounds: "1 to 9", fallback: "`4`", meaning: "How large." },
      { name: "items[].bare", type: "string", bounds: "", fallback: "–", meaning: "" }
    ])
    assert.deepStrictEqual(lacking([{ title: "File", intro: [], settings }]), [
      "File: items[].bare says nothing of itself"
    ])
  })

  it("reads what a docstring lists", () => {
    const found = bulletsOf(
      "/**\n * Some.\n *\n * - `a`, `b`: both,\n *   in two lines.\n * - `c`: one; `d`: the other.\n */"
    )
    assert.deepStrictEqual([...found], [["a", "both, in two lines."], ["b", "both, in two lines."], ["c", "one"], [
      "d",
      "the other."
    ]])
  })
})
