import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Ended } from "./support/Program.ts"
import { rspp, runAll } from "./support/Program.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-providers-check-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

describe("providers check", () => {
  const check = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) => () =>
    rspp(["providers", "check", ...args], { cwd, env })
  const runs = {
    nothing: check([]),
    named: check(["openai/speech"]),
    half: check([], { RSPP_LLM_BASE_URL: "http://127.0.0.1:9/v1" }),
    address: check([], { DEEPGRAM_API_KEY: "given", DEEPGRAM_BASE_URL: "nowhere" }),
    declared: check(["--providers", "providers.json", "--json"])
  }
  let ended: Record<keyof typeof runs, Ended>

  beforeAll(async () => {
    const mind = { adapter: "anthropic/messages", api_key: "env:NOT_SET_ANYWHERE" }
    writeFileSync(join(cwd, "providers.json"), JSON.stringify({ providers: { "main/mind": mind } }))
    ended = await runAll(runs)
  }, 120_000)

  it("is content where nothing is configured", () => {
    expect(ended.nothing).toMatchObject({ code: 0, stderr: "" })
    expect(ended.nothing.stdout).toContain("No hosted provider is configured")
    expect(ended.nothing.stdout).not.toContain("MISCONFIGURED")
  })

  it("cannot run for one that is named and not configured", () => {
    expect(ended.named.code).toBe(69)
    expect(ended.named.stdout).toContain("not configured")
  })

  it("fails where a provider is configured, and cannot run", () => {
    expect(ended.half.stdout).toMatch(/MISCONFIGURED +openai\/compatible .*model is not set.*RSPP_LLM_MODEL/u)
    expect(ended.half.code).toBe(1)
    expect(ended.address.stdout).toMatch(/MISCONFIGURED +deepgram\/streaming .*DEEPGRAM_BASE_URL/u)
    expect(ended.address.code).toBe(1)
  })

  it("fails where the providers file declares one whose secret is not there", () => {
    expect(ended.declared.code).toBe(1)
    const { providers } = JSON.parse(ended.declared.stdout) as { readonly providers: ReadonlyArray<object> }
    expect(providers).toContainEqual(expect.objectContaining({ provider_id: "main/mind", state: "misconfigured" }))
    expect(providers).toContainEqual(
      expect.objectContaining({ provider_id: "anthropic/messages", state: "not_configured" })
    )
  })
})
