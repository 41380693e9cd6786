import { assert, describe, it } from "@effect/vitest"
import { callBegins, callerIsSilent, conversationOf } from "@rspp/providers/llm/Conversation"
import type { Message } from "@rspp/runtime/ports/LanguageModel"

/** A small seeded generator. */
const seeded = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

const of = (...messages: ReadonlyArray<readonly [Message["role"], string]>) =>
  conversationOf(messages.map(([role, text]) => ({ role, text })))

const turns = (...said: ReadonlyArray<readonly [Message["role"], string]>) =>
  of(...said).turns.map(({ role, text }) => [role, text])

describe("Conversation for vendors", () => {
  it("keeps what is in order already", () => {
    assert.deepStrictEqual(of(["system", "Be brief."], ["user", "a"], ["assistant", "b"], ["user", "c"]), {
      system: "Be brief.",
      turns: [{ role: "user", text: "a" }, { role: "assistant", text: "b" }, { role: "user", text: "c" }]
    })
  })

  it("joins what one side said in a row, and leaves blank messages out", () => {
    assert.deepStrictEqual(
      turns(["user", "a"], ["assistant", " \n"], ["user", "b"], ["assistant", "c"], ["assistant", "d"], ["user", "e"]),
      [["user", "a\nb"], ["assistant", "c\nd"], ["user", "e"]]
    )
  })

  it("begins and ends with the user, also where the caller said nothing", () => {
    assert.deepStrictEqual(turns(), [["user", callBegins]])
    assert.deepStrictEqual(turns(["system", "Greet."]), [["user", callBegins]])
    assert.deepStrictEqual(turns(["assistant", "Hi."], ["user", "a"]), [
      ["user", callBegins],
      ["assistant", "Hi."],
      ["user", "a"]
    ])
    assert.deepStrictEqual(turns(["assistant", "Hi."]), [
      ["user", callBegins],
      ["assistant", "Hi."],
      ["user", callerIsSilent]
    ])
  })

  it("puts system messages apart, wherever they stand, the prompt before them", () => {
    const { system, turns } = conversationOf([
      { role: "system", text: "One." },
      { role: "user", text: "a" },
      { role: "system", text: "Two." },
      { role: "user", text: "b" }
    ], "First.")
    assert.strictEqual(system, "First.\n\nOne.\n\nTwo.")
    assert.deepStrictEqual(turns, [{ role: "user", text: "a\nb" }])
    assert.isUndefined(of(["user", "a"], ["system", ""]).system)
  })

  it("always alternates, begins and ends with the user, and loses no word", () => {
    const random = seeded(1)
    const pick = <A>(some: ReadonlyArray<A>): A => some[Math.floor(random() * some.length)]!
    for (let round = 0; round < 500; round++) {
      const messages = Array.from({ length: Math.floor(random() * 9) }, (): Message => ({
        role: pick(["system", "user", "assistant"]),
        text: pick(["", " ", "one", "two words"])
      }))
      const { system = "", turns } = conversationOf(messages)
      assert.strictEqual(turns.length % 2, 1)
      turns.forEach(({ role, text }, index) => {
        assert.strictEqual(role, index % 2 === 0 ? "user" : "assistant")
        assert.notStrictEqual(text.trim(), "")
      })
      const said = turns.map(({ text }) => text).filter((text) => text !== callBegins && text !== callerIsSilent)
      const wordsOf = (roles: ReadonlyArray<string>) =>
        messages.filter(({ role, text }) => roles.includes(role) && text.trim() !== "").map(({ text }) => text)
      assert.strictEqual(said.join("\n"), wordsOf(["user", "assistant"]).join("\n"))
      assert.strictEqual(system, wordsOf(["system"]).join("\n\n"))
    }
  })
})
