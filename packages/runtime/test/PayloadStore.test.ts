import { assert, describe, it } from "@effect/vitest"
import { PayloadStore } from "@rspp/runtime/session/PayloadStore"

const chunk = () => new Int16Array(1600)

describe("payload store", () => {
  it("gives each chunk of speech out once", () => {
    const store = new PayloadStore("key")
    store.expect("inv_1")
    const { id } = store.audio(chunk(), "inv_1")
    assert.strictEqual(store.takeAudio(id)?.length, 1600)
    assert.isUndefined(store.takeAudio(id))
    assert.strictEqual(store.waitingAudio, 0)
  })

  it("lets go of the speech of a call that was cut, and keeps none that comes after", () => {
    const store = new PayloadStore("key")
    store.expect("inv_1")
    store.expect("inv_2")
    store.audio(chunk(), "inv_1")
    store.audio(chunk(), "inv_1")
    const kept = store.audio(chunk(), "inv_2")
    store.release("inv_1")
    assert.strictEqual(store.waitingAudio, 1)
    const late = store.audio(chunk(), "inv_1")
    assert.isUndefined(store.takeAudio(late.id))
    assert.isDefined(store.takeAudio(kept.id))
    assert.strictEqual(store.waitingAudio, 0)
  })

  it("hashes with the key: the same words under another key have another hash", () => {
    const words = "the same words"
    const [a, b, other] = [new PayloadStore("a"), new PayloadStore("a"), new PayloadStore("b")].map((store) =>
      store.text(words).hash
    )
    assert.strictEqual(a, b)
    assert.notStrictEqual(a, other)
    assert.strictEqual(a, "c7e2988eee9f0de98ad2007c526fc403d26b53971fc947826d672e9fdfed060b")
  })
})
