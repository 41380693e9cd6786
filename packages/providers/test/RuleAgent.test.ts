import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as RuleAgent from "@rspp/providers/llm/RuleAgent"
import { ProvidersConfig } from "@rspp/providers/ProvidersConfig"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { languageModelConformance } from "./conformance/LanguageModel.ts"

languageModelConformance({
  name: "the rule agent",
  layer: RuleAgent.layer,
  messages: [{ role: "user", text: "Which folder should I save the message to?" }]
})

const reply = Effect.fnUntraced(function*(text: string, said = 0) {
  const agent = yield* LanguageModel
  const before = Array.from({ length: said }, () => ({ role: "assistant", text: "…" } as const))
  return (yield* Stream.runCollect(agent.reply([...before, { role: "user", text }]))).join("")
})

describe("rule agent", () => {
  it.live("understands variants of the same words, with digits and punctuation", () =>
    Effect.gen(function*() {
      for (const text of ["go forward ten meters", "Go forward, 10 meters!", "Please go forward ten metres."]) {
        assert.match(yield* reply(text), /^Okay, I will go forward ten met(er|re)s\./u)
      }
      assert.match(yield* reply("Which folder should I say this message to?"), /^There are a few good places/u)
      assert.match(yield* reply("Good-bye. thank you for trying it."), /^Goodbye/u)
    }).pipe(Effect.provide(RuleAgent.layer)))

  it.live("lets several replies take turns, and answers the last thing said", () =>
    Effect.gen(function*() {
      assert.notStrictEqual(yield* reply("Go somewhere.", 0), yield* reply("Go somewhere.", 1))
      assert.strictEqual(yield* reply("Go somewhere.", 0), yield* reply("Go somewhere.", 2))
    }).pipe(Effect.provide(RuleAgent.layer)))

  it.live("says back what it has no rule for, and asks again when it heard nothing", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* reply("the weather is fine,"),
        "I heard you say this. the weather is fine. Please tell me more about it."
      )
      assert.match(yield* reply("  "), /say that again/u)
      // Braces in the caller's words are words, not a template.
      assert.match(yield* reply("so {text} it is"), /so \{text\} it is/u)
    }).pipe(Effect.provide(RuleAgent.layer)))

  it.live("uses the rules file that is set, and says what is wrong with it", () =>
    Effect.gen(function*() {
      const path = join(mkdtempSync(join(tmpdir(), "rspp-rules-")), "rules.json")
      const withFile = (content: unknown) => {
        writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content))
        return Layer.provide(RuleAgent.layerNoDeps, ProvidersConfig.layerWith({ rulesFile: path }))
      }
      const rules = {
        rules: [{ name: "color", patterns: ["\\bcolor (?<color>\\w+)"], replies: ["You like {color}."] }],
        otherwise: { replies: ["What?"] },
        nothingHeard: { replies: ["Hm?"] }
      }
      const said = yield* Effect.provide(reply("My color: GREEN!"), withFile(rules), { local: true })
      assert.strictEqual(said, "You like green.")
      for (
        const [content, expected] of [
          ["{", /JSON/u],
          [{ ...rules, otherwise: { replies: [] } }, /otherwise/u],
          [{ ...rules, extra: 1 }, /extra/u],
          [{ ...rules, rules: [{ name: "x", patterns: ["("], replies: ["y"] }] }, /regular expression/u]
        ] as const
      ) {
        const error = yield* Effect.flip(Effect.provide(reply("x"), withFile(content), { local: true }))
        assert.strictEqual(error._tag, "ProviderUnavailable")
        assert.match(error.message, expected)
        assert.include(error.message, path)
      }
    }))
})
