import { assert, describe, it } from "@effect/vitest"
import { parseSpecText } from "@rspp/control/SpecFile"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import { CallScriptFile } from "@rspp/transports/loopback/CallScript"
import { Effect, Schema } from "effect"
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

const root = dirname(dirname(import.meta.dirname))
const read = (path: string) => readFileSync(join(root, path), "utf8")
const pages = ["README.md", "DESIGN.md"]
const block = (language: string) =>
  new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "u").exec(read("README.md"))?.[1] ?? ""

describe("The README", () => {
  it.each(pages)("%s names only files that exist", (page) => {
    const named = [...read(page).matchAll(/`((?:packages|contracts|test|scripts)\/[^`\s…]*)`|\]\(([^)#:]+)\)/gu)]
      .map(([, code, link]) => code ?? link ?? "")
    assert.isAbove(named.length, 0)
    for (const path of named) assert.isTrue(existsSync(join(root, path)), `${page} names ${path}`)
  })

  it.effect("shows a pipeline that is accepted", () =>
    Effect.gen(function*() {
      const spec = yield* parseSpecText(block("yaml"), "assistant.yaml")
      const { pipeline } = yield* (yield* SpecNormalizer).normalize(spec.value)
      assert.strictEqual(pipeline.session_config.barge_in.min_ms, 400)
    }).pipe(Effect.provide(SpecNormalizer.layer)))

  it.effect("shows a call script that is accepted", () =>
    Effect.gen(function*() {
      const script = yield* Schema.decodeUnknownEffect(CallScriptFile, { onExcessProperty: "error" })(
        JSON.parse(block("json"))
      )
      assert.lengthOf(script.steps, 3)
    }))

  it("names every environment variable of the program, and no other", () => {
    const used = new Set<string>()
    for (const path of globSync("packages/*/src/**/*.ts", { cwd: root })) {
      for (const [name] of read(path).matchAll(/RSPP_[A-Z_]+/gu)) used.add(name)
    }
    const named = new Set([...read("README.md").matchAll(/RSPP_[A-Z_]+/gu)].map(([name]) => name))
    assert.deepStrictEqual([...named].sort(), [...used].sort())
  })

  it("shows a provider that runs as an example", () => {
    assert.include(read("packages/cli/examples/swap-provider.test.ts"), block("ts"))
  })
})
