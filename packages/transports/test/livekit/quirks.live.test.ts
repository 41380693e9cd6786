// What was measured of LiveKit's native client against a real server: see quirks.test.ts. No code of the adapter runs here.
import { dispose, Room, RoomEvent } from "@livekit/rtc-node"
import { RoomServiceClient } from "livekit-server-sdk"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { liveKitServer } from "../support/LiveKitServer.ts"
import { joinPlainCaller, mint } from "../support/PlainCaller.ts"
import { amplitudeOf, tone } from "../support/Tones.ts"

const server = await liveKitServer()
const found = "missing" in server ? undefined : server
const title = "missing" in server ? `not run: ${server.missing}` : "against a real server"
afterAll(async () => {
  await dispose()
  globalThis._ffiClientInstance = undefined
  await found?.stop()
})

let rooms = 0
const newRoom = () => `quirks-${process.pid}-${rooms++}`
const join = async (room: string, identity: string) => {
  const place = found!
  return await joinPlainCaller(place.url, await mint({ ...place, room, identity }))
}
const reasonOf = (room: Room): Promise<number> =>
  new Promise((resolve) => void room.once(RoomEvent.Disconnected, resolve))
const rest = () => new RoomServiceClient(found!.url.replace("ws", "http"), found!.apiKey, found!.apiSecret)
const listeners = () => globalThis._ffiClientInstance?.listenerCount("ffi_event") ?? 0

describe.skipIf(found === undefined)(`the native client, ${title}`, () => {
  it("is disconnected for reason 2 when another joins under its identity", async () => {
    const room = newRoom()
    const older = await join(room, "agent")
    const reason = reasonOf(older.room)
    const newer = await join(room, "agent")
    assert.strictEqual(await reason, 2)
    assert.isTrue(newer.room.isConnected)
    await newer.leave()
    await older.leave()
  })

  it("is disconnected for reason 4 when it is removed, and for reason 5 when the room is deleted", async () => {
    const room = newRoom()
    const first = await join(room, "first")
    const removed = reasonOf(first.room)
    await rest().removeParticipant(room, "first")
    assert.strictEqual(await removed, 4)
    const second = await join(room, "second")
    const deleted = reasonOf(second.room)
    await rest().deleteRoom(room)
    assert.strictEqual(await deleted, 5)
    await first.leave()
    await second.leave()
  })

  it("has a room take its listener off on disconnect(), and not when the server ends it", async () => {
    const room = newRoom()
    const before = listeners()
    const left = await join(room, "left")
    left.room.on(RoomEvent.Disconnected, () => {})
    await left.leave()
    assert.strictEqual(left.room.listenerCount(RoomEvent.Disconnected), 0)
    assert.strictEqual(listeners(), before)
    const removed = await join(room, "removed")
    const reason = reasonOf(removed.room)
    await rest().removeParticipant(room, "removed")
    await reason
    await removed.room.disconnect()
    // This is why NativeRoom.ts takes it off itself.
    assert.strictEqual(listeners(), before + 1)
    await removed.leave()
    assert.strictEqual(listeners(), before)
  })

  it("plays silence where no packets come, so that frames prove nothing about the line", async () => {
    const room = newRoom()
    const hears = await join(room, "hears")
    const says = await join(room, "says")
    await says.publish()
    await says.say(tone(500, 16_000))
    while (amplitudeOf(500, hears.heard().slice(-1_600)) < 1_000) await sleep(20)
    says.mute(true)
    while (hears.heard().slice(-8_000).some((sample) => sample !== 0)) await sleep(20)
    const count = hears.heardAt().length
    while (hears.heardAt().length < count + 50) await sleep(20)
    await says.leave()
    await hears.leave()
  })

  it("lists what comes in as statistics of the publisher's connection, audio by its packets, loss and jitter", async () => {
    const room = newRoom()
    const hears = await join(room, "hears")
    const says = await join(room, "says")
    await says.publish()
    await says.say(tone(500, 8_000))
    const { publisherStats, subscriberStats } = await hears.room.getRtcStats()
    const inbound = [...publisherStats, ...subscriberStats].flatMap(({ stats }) =>
      stats.case === "inboundRtp" && stats.value.stream?.kind === "audio" ? [stats.value] : []
    )
    assert.strictEqual(inbound.length, 1)
    const { received, inbound: track, rtc, stream } = inbound[0]!
    assert.isAbove(Number(received?.packetsReceived), 5)
    assert.isNumber(received?.jitter)
    assert.isDefined(received?.packetsLost)
    assert.isDefined(track?.concealedSamples)
    assert.isString(rtc?.id)
    assert.isNumber(stream?.ssrc)
    await says.leave()
    await hears.leave()
  })
})
