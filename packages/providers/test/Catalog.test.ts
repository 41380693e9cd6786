import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { execFileSync } from "node:child_process"
import { catalog, catalogWith, defaultLanguageModel, find } from "@rspp/providers/Catalog"
import * as SileroVoiceActivity from "@rspp/providers/vad/SileroVoiceActivity"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"

const withEnvironment = (env: Record<string, string>) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))

describe("Catalog", () => {
  it.live("can run every embedded provider of this installation", () =>
    Effect.gen(function*() {
      for (const entry of catalog) {
        if (entry.provider_id.startsWith("embedded/")) yield* entry.check
      }
    }))

  it.live("says what a provider that cannot run is missing", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(find("llm", "openai/compatible")!.check)
      assert.match(error.remedy, /RSPP_LLM_BASE_URL/u)
    }).pipe(withEnvironment({})))

  it.live("refuses settings of a provider that takes none", () =>
    Effect.gen(function*() {
      const settings = () => Effect.succeed({})
      const error = yield* Effect.flip(
        catalogWith({ "main/voice": { adapter: "embedded/flite", voice: "rms" } }, settings)
      )
      assert.match(error.message, /embedded\/flite takes no settings, and main\/voice has voice/u)
      yield* catalogWith({ "main/voice": { adapter: "embedded/flite" } }, settings)
    }))

  it.live("names each entry as the provider names itself", () =>
    Effect.gen(function*() {
      const rules = find("llm", "embedded/rules")!
      const flite = find("tts", "embedded/flite")!
      assert.strictEqual((yield* Effect.provide(LanguageModel, rules.layer)).descriptor.provider_id, rules.provider_id)
      assert.strictEqual((yield* Effect.provide(TextToSpeech, flite.layer)).descriptor.provider_id, flite.provider_id)
      assert.strictEqual(find("vad", SileroVoiceActivity.providerId)?.modality, "vad")
      assert.strictEqual(find("tts", "embedded/rules"), undefined)
      assert.strictEqual(new Set(catalog.map((entry) => entry.provider_id)).size, catalog.length)
    }))

  it.live("prefers a server that is set", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* defaultLanguageModel.pipe(withEnvironment({})), "embedded/rules")
      const env = { RSPP_LLM_BASE_URL: "http://host/v1", RSPP_LLM_MODEL: "m" }
      assert.strictEqual(yield* defaultLanguageModel.pipe(withEnvironment(env)), "openai/compatible")
    }))

  it("loads no provider by being imported", () => {
    const program =
      "await import('@rspp/providers/Catalog'); console.log(JSON.stringify(process.getActiveResourcesInfo()));" +
      "console.log(Object.keys(process.report.getReport().sharedObjects.filter((s) => s.includes('sherpa'))).length)"
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], {
      encoding: "utf8",
      cwd: new URL("..", import.meta.url)
    })
    assert.match(output, /\n0\n$/u)
  })
})
