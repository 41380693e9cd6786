// docs/slo.md: every command on the page ends as the page says, and its example is what the program prints.
import { assert, describe, it } from "@effect/vitest"
import { contractBounds, latencyGates, SloBoundsFile, sloGates, tightened } from "@rspp/timeline/slo/SloGates"
import { pathStages } from "@rspp/timeline/latency/TurnPath"
import { troubleSignals } from "@rspp/timeline/latency/CriticalPath"
import { Schema } from "effect"
import { mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { endsAsItSays, pageOf, root } from "./support/Page.ts"

const { blocks, commands, namesFiles, text } = pageOf("slo.md")

const cwd = mkdtempSync(join(tmpdir(), "rspp-slo-page-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
symlinkSync(join(root, "test"), join(cwd, "test"))

describe("docs/slo.md", () => {
  it("shows what the program prints, and commands that end as it says", async () => {
    const [example = "", ...others] = await Promise.all(
      commands.map(async (line) => (await endsAsItSays(cwd, line)).stdout)
    )
    assert.strictEqual(example, blocks("text")[0])
    assert.isAbove(others.length, 3)
  }, 120_000)

  it("names each gate with its bound, each stage, and each signal that ends the happy path", () => {
    for (const name of [...sloGates, ...pathStages, ...troubleSignals]) assert.include(text, `\`${name}\``)
    for (const gate of latencyGates) {
      const row = text.split("\n").find((line) => line.startsWith(`| \`${gate}\` |`)) ?? ""
      for (const bound of Object.values(contractBounds[gate])) assert.include(row, `≤ ${bound} ms`)
    }
  })

  it("has bounds that are accepted", () => {
    const bounds = Schema.decodeUnknownSync(SloBoundsFile)(JSON.parse(blocks("json")[0] ?? ""), {
      onExcessProperty: "error"
    })
    assert.isTrue(tightened(bounds).ok)
  })

  it("names only files that exist", namesFiles)
})
