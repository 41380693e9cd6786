// Holds I-INV-ONCE: what is on record of each provider call.
import { assert, describe, it } from "@effect/vitest"
import { KernelHarness, reply } from "./support/KernelHarness.ts"

describe("the facts of a call", () => {
  it("say what its provider used, and how many requests its adapter made for it", () => {
    const usage = { input_tokens: 42, output_tokens: 7 }
    const h = KernelHarness.ready({ llm: () => ({ ...reply(20), says: { attempts: 3, usage } }) })
    h.type()
    h.runFor(5000)
    const [model, voice] = h.invocations
    assert.deepInclude(model, { modality: "llm", attempts: 3, usage })
    assert.deepInclude(voice, { modality: "tts", attempts: 1 })
    assert.isFalse(voice !== undefined && "usage" in voice)
    h.hangUp()
  })
})
