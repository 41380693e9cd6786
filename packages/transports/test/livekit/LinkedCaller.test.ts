import { DisconnectReason, ParticipantKind } from "@livekit/rtc-node"
import { LinkedCaller } from "@rspp/transports/livekit/LinkedCaller"
import { assert, describe, it } from "@effect/vitest"

const person = (identity: string, kind = ParticipantKind.STANDARD) => ({ identity, kind })
const linked = (options?: ConstructorParameters<typeof LinkedCaller>[1]) => {
  const caller = new LinkedCaller(0, options)
  caller.came(person("ann"))
  return caller
}

describe("LinkedCaller", () => {
  it("links the first person, telephone or connector, and nobody else", () => {
    const { AGENT, BRIDGE, CONNECTOR, EGRESS, INGRESS, SIP, STANDARD } = ParticipantKind
    for (const kind of [STANDARD, SIP, CONNECTOR]) {
      assert.deepStrictEqual(new LinkedCaller(0).came(person("x", kind)), { type: "linked", identity: "x" })
    }
    const caller = new LinkedCaller(0)
    for (const kind of [AGENT, EGRESS, INGRESS, BRIDGE]) assert.isUndefined(caller.came(person("machine", kind)))
    assert.isUndefined(caller.identity)
    assert.strictEqual(caller.came(person("ann"))?.type, "linked")
    assert.isUndefined(caller.came(person("bob")))
    assert.strictEqual(caller.identity, "ann")
  })

  it("links only the one who was named, of whatever kind", () => {
    const caller = new LinkedCaller(0, { identity: "bot" })
    assert.isUndefined(caller.came(person("ann")))
    assert.strictEqual(caller.came(person("bot", ParticipantKind.AGENT))?.type, "linked")
  })

  it.each([DisconnectReason.ROOM_DELETED, DisconnectReason.USER_REJECTED])(
    "is gone at once when it leaves for reason %s",
    (reason) => {
      const caller = linked()
      assert.strictEqual(caller.left("ann", reason, 10)?.type, "gone")
      assert.isFalse(caller.present)
      assert.strictEqual(caller.identity, "ann")
    }
  )

  it("is gone soon after it left, unless it comes again: a client that connects anew leaves first", () => {
    const left = () => {
      const caller = linked({ leaveMs: 100, returnMs: 1000 })
      assert.strictEqual(caller.left("ann", DisconnectReason.CLIENT_INITIATED, 10)?.type, "away")
      assert.isUndefined(caller.tick(109))
      return caller
    }
    assert.deepStrictEqual(left().tick(110), { type: "gone", message: "The caller left." })
    const again = left()
    assert.strictEqual(again.came(person("ann"))?.type, "back")
    assert.isUndefined(again.tick(5000))
  })

  it("has its whole time again when our own connection is there again", () => {
    const caller = linked({ returnMs: 1000 })
    caller.left("ann", undefined, 10)
    caller.resumed(900)
    assert.isUndefined(caller.tick(1899))
    assert.strictEqual(caller.tick(1900)?.type, "gone")
    const waiting = new LinkedCaller(0, { waitMs: 1000 })
    waiting.resumed(900)
    assert.isUndefined(waiting.tick(1899))
    assert.strictEqual(waiting.tick(1900)?.type, "gone")
  })

  it.each([
    undefined,
    DisconnectReason.DUPLICATE_IDENTITY,
    DisconnectReason.SIGNAL_CLOSE,
    DisconnectReason.CONNECTION_TIMEOUT,
    DisconnectReason.STATE_MISMATCH
  ])("is waited for when it is cut off for reason %s, and is back when it comes again", (reason) => {
    const caller = linked({ returnMs: 1000 })
    assert.strictEqual(caller.left("ann", reason, 10)?.type, "away")
    assert.isUndefined(caller.tick(1009))
    // The call is not handed to somebody else meanwhile (P1).
    assert.isUndefined(caller.came(person("bob")))
    assert.strictEqual(caller.came(person("ann"))?.type, "back")
    assert.isUndefined(caller.tick(9999))
  })

  it("is gone when it does not come back in time, once (P2)", () => {
    const caller = linked({ returnMs: 1000 })
    caller.left("ann", undefined, 10)
    assert.strictEqual(caller.tick(1010)?.type, "gone")
    assert.isUndefined(caller.tick(5000))
    assert.isUndefined(caller.came(person("ann")))
    assert.isUndefined(caller.left("ann", DisconnectReason.CLIENT_INITIATED, 6000))
  })

  it("is gone when nobody comes in time", () => {
    const caller = new LinkedCaller(100, { waitMs: 1000 })
    assert.isUndefined(caller.tick(1099))
    assert.strictEqual(caller.tick(1100)?.type, "gone")
    assert.isUndefined(caller.identity)
  })

  it("does not mind who else leaves", () => {
    assert.isUndefined(linked().left("bob", DisconnectReason.CLIENT_INITIATED, 1))
  })
})
