import { assert, describe, it } from "@effect/vitest"
import { PayloadStore, rememberedInterims, rememberedTexts } from "@rspp/runtime/session/PayloadStore"

describe("payloads", () => {
  it("give a handle that says nothing of the words but their length and a keyed hash", () => {
    const one = new PayloadStore("one").text("hello there", { words: 2 })
    const same = new PayloadStore("one").text("hello there", { words: 2 })
    const other = new PayloadStore("two").text("hello there", { words: 2 })
    assert.deepStrictEqual(one, same)
    assert.notStrictEqual(one.hash, other.hash)
    assert.match(one.hash ?? "", /^[0-9a-f]{64}$/u)
    assert.strictEqual(one.length, 11)
    assert.notInclude(JSON.stringify(one), "hello")
  })

  it("are bounded: the oldest text goes first, and interim texts push none of the conversation out", () => {
    const payloads = new PayloadStore("key")
    const first = payloads.text("first")
    const interims = Array.from({ length: 5000 }, (_, i) => payloads.text(`interim ${i}`, undefined, "interim"))
    assert.strictEqual(payloads.readText(first.id), "first")
    assert.strictEqual(payloads.readText(interims.at(-1)!.id), "interim 4999")
    assert.strictEqual(interims.filter(({ id }) => payloads.readText(id) !== undefined).length, rememberedInterims)
    for (let i = 0; i < rememberedTexts; i++) payloads.text(`line ${i}`)
    assert.isUndefined(payloads.readText(first.id))
    assert.isUndefined(payloads.readText(payloads.text("delta", undefined, "no").id))
  })

  it("give speech out once, and what is left of a turn goes with it", () => {
    const payloads = new PayloadStore("key")
    const samples = new Int16Array(320).fill(5)
    const taken = payloads.audio(samples, "turn_1")
    const left = payloads.audio(samples, "turn_1")
    const others = payloads.audio(samples, "turn_2")
    assert.strictEqual(payloads.takeAudio(taken.id), samples)
    assert.isUndefined(payloads.takeAudio(taken.id))
    payloads.dropAudio("turn_1")
    assert.isUndefined(payloads.takeAudio(left.id))
    assert.strictEqual(payloads.takeAudio(others.id), samples)
    assert.isUndefined(payloads.takeAudio(payloads.audio(samples, undefined).id))
    assert.strictEqual(payloads.waitingAudio, 0)
  })
})
