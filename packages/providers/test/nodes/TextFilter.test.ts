import { assert, describe, it } from "@effect/vitest"
import { parsePatterns } from "@rspp/providers/nodes/Patterns"
import { textFilter } from "@rspp/providers/nodes/TextFilter"
import { runTurn, text } from "@rspp/runtime/nodes/NodeTestKit"
import { Effect } from "effect"

const filter = (said: string, settings: Record<string, string>, kind: "segment" | "transcript" = "segment") =>
  Effect.map(
    runTurn(textFilter, [text(0, kind, said)], { settings }),
    ({ outcome, reason, texts }) => texts[0] ?? `${outcome}: ${reason}`
  )

describe("builtin/text_filter", () => {
  it.effect("lets everything through that it has no setting for", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* filter("Call 555 1234.", {}), "Call 555 1234.")
    }))

  it.effect("masks sets, words and expressions", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [mask: string, said: string, passed: string]> = [
        ["digits", "Room 12 on floor 3", "Room * on floor *"],
        ["email", "to ann.b+c@mail.example.org, or @home", "to *, or @home"],
        ["phone", "at +49 (30) 1234-567 or 12", "at * or 12"],
        ["card", "card 4111 1111 1111 1111, order 4111", "card *, order 4111"],
        ["url", "see https://example.org/a?b=c now", "see * now"],
        ["spoken_digits", "it is four two seven, and one more", "it is *, and one more"],
        ["acme", "Acme and acme", "* and *"],
        ["/b[aeiou]+d/i", "Bad bed", "* *"],
        ["/a,b/, /c\\/d/", "a,b c/d", "* *"],
        ["digits, a.b", "a.b axb 1", "* axb *"]
      ]
      for (const [mask, said, passed] of cases) {
        assert.strictEqual(yield* filter(said, { mask, replacement: "*" }), passed, mask)
      }
      assert.strictEqual(yield* filter("12", { mask: "digits", replacement: "$& and $1" }), "$& and $1")
    }))

  it.effect("blocks what is denied, each time", () =>
    Effect.gen(function*() {
      const settings = { deny: "/secret/g" }
      assert.strictEqual(yield* filter("a secret, a secret", settings), "blocked: the text is not allowed here")
      const turn = yield* runTurn(textFilter, [text(0, "segment", "fine"), text(0, "segment", "a secret")], {
        settings
      })
      assert.deepInclude(turn, { outcome: "blocked", texts: ["fine"], counts: { denied: 1 } })
    }))

  it.effect("cuts no word of text that streams", () =>
    Effect.gen(function*() {
      const turn = yield* runTurn(
        textFilter,
        ["My mail is an", "n@exam", "ple.org and", " 55", "5"].map((delta, i) => text(i, "text", delta)),
        { settings: { mask: "email, /\\b555\\b/", replacement: "*" } }
      )
      assert.strictEqual(turn.texts.join(""), "My mail is * and *")
      const long = yield* runTurn(textFilter, Array.from({ length: 20 }, (_, i) => text(i, "text", "x".repeat(100))))
      assert.strictEqual(long.texts.join("").length, 2000)
      assert.isAbove(long.texts.length, 2)
    }))

  it.effect("takes no settings that it cannot act on", () =>
    Effect.gen(function*() {
      for (
        const [mask, said] of [
          ["/(/", "is no regular expression"],
          ["phone_numbers", "there is no set of patterns phone_numbers"],
          ["a, /b", "it cannot be read from"],
          ["a".repeat(2001), "2000 characters at most"],
          [Array.from({ length: 33 }, () => "a").join(","), "32 patterns at most"]
        ] as const
      ) {
        const failure = yield* Effect.flip(runTurn(textFilter, [], { settings: { mask } }))
        assert.include(failure.message, said)
      }
      const unknown = yield* Effect.flip(runTurn(textFilter, [], { settings: { masks: "digits" } }))
      assert.strictEqual(unknown._tag, "NodeSettingsInvalid")
    }))

  it("looks through long text without going back and forth in it", () => {
    const patterns = parsePatterns("digits, spoken_digits, email, phone, card, url")
    assert.isArray(patterns)
    // Were a repetition without a bound, this would take minutes.
    const long = `${"a".repeat(65_000)} ${"1 ".repeat(30_000)} ${"one ".repeat(15_000)}`
    for (const pattern of patterns as ReadonlyArray<RegExp>) long.replace(pattern, "")
  })
})
