// docs/providers.md: names every adapter with its variables and settings, and its files work as it says.
import { assert, describe, it } from "@effect/vitest"
import { adapters } from "@rspp/providers/Catalog"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { recordingPath, rspp } from "../support/Program.ts"
import { pageOf } from "./support/Page.ts"

const { blocks, namesFiles, text } = pageOf("providers.md")

const cwd = mkdtempSync(join(tmpdir(), "rspp-page-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const [providersFile = "", pipeline = ""] = blocks("yaml")
writeFileSync(join(cwd, "providers.yaml"), providersFile)
writeFileSync(join(cwd, "assistant.yaml"), pipeline)

describe("docs/providers.md", () => {
  it.effect("names every adapter, its variables and its settings", () =>
    Effect.gen(function*() {
      for (const known of adapters) {
        const { environment, settings } = yield* known.load
        assert.include(text, `\`${known.adapter}\``)
        for (const variable of Object.values(environment)) assert.include(text, `\`${variable}\``, known.adapter)
        const names = "fields" in settings ? Object.keys(settings.fields as object) : []
        assert.isAbove(names.length, 4, known.adapter)
        for (const name of names) assert.include(text, `\`${name}\``, known.adapter)
      }
    }))

  it("names only files that exist", () => namesFiles())

  it("has a providers file that gives its ids, and a call that says which key is missing", async () => {
    const listed = await rspp(cwd, "providers", "list", "--providers", "providers.yaml", "--json")
    assert.strictEqual(listed.code, 0, listed.stderr)
    for (const id of ["main/ears", "main/mind", "spare/mind", "main/voice"]) assert.include(listed.stdout, id)
    const run = await rspp(
      cwd,
      ...["run", "--providers", "providers.yaml", "--pipeline", "assistant.yaml", "--input", recordingPath("goforward")]
    )
    assert.strictEqual(run.code, 69, run.stderr)
    assert.match(run.stderr, /DEEPGRAM_API_KEY|file|ELEVENLABS_API_KEY/u)
  }, 60_000)
})
