import { assert, describe, it } from "@effect/vitest"
import { makeBackchannel } from "@rspp/runtime/listening/Backchannel"

const is = makeBackchannel(["Mhm", "uh-huh", "i see", "I", "okay", "that's right"])

describe("a text is nothing but signs of attention", () => {
  it.each(["mhm", "Mhm.", "Okay, okay!", "uh huh", "Uh-huh, I see.", "i i see", "That’s right; okay"])("%s", (text) => {
    assert.strictEqual(is?.(text), true)
  })
  it.each(["", "...", "mhm but", "see", "okays", "is that right", "that is right", "no"])("not: %s", (text) => {
    assert.strictEqual(is?.(text), false)
  })
  it("never, where there are none", () => {
    assert.isUndefined(makeBackchannel([]))
    assert.isUndefined(makeBackchannel(["?!"]))
  })
})
