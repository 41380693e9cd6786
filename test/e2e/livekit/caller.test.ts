import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, it } from "vitest"
import { recordingPath } from "../../support/Program.ts"
import { CallerProcess } from "./support/CallerProcess.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { Lobby } from "./support/Lobby.ts"
import { readWave } from "./support/Waves.ts"

// The instrument is looked at first: two callers talk with each other, so that what the other files say about an agent
// is not an artefact of the caller.

const files = mkdtempSync(join(tmpdir(), "rspp-caller-"))
afterAll(() => rmSync(files, { recursive: true, force: true }))

await liveKitSuite("a caller, heard by another", (lobby) => {
  const pair = async () => {
    const room = Lobby.roomName()
    const one = await CallerProcess.join(await lobby.seat(room, "one"))
    const two = await CallerProcess.join(await lobby.seat(room, "two", { agent: true }))
    await Promise.all([one.next("track"), two.next("track"), one.next("micSubscribed"), two.next("micSubscribed")])
    return { one, two, room, [Symbol.asyncDispose]: async () => void await Promise.all([one.vanish(), two.vanish()]) }
  }

  it("hears a second of tone as a second of sound, right after it was said", async () => {
    await using call = await pair()
    const { one, two } = call
    await one.do({ do: "tone", hz: 440, ms: 1000 })
    const [saying, said, heard] = await Promise.all([one.next("saying"), one.next("said"), two.next("heard")])
    expect(said.monoMs - saying.monoMs).toBeGreaterThan(900)
    expect(heard.endedMs - heard.beganMs).toBeGreaterThan(900)
    expect(heard.endedMs - heard.beganMs).toBeLessThan(1200)
    expect(heard.receivedBeganMs).toBeGreaterThanOrEqual(heard.beganMs)
    expect(heard.peak).toBeGreaterThan(4_000)
    // Both clocks are those of this machine; nothing is heard before it was said.
    expect(two.all("hearing")[0]?.wallMs).toBeGreaterThan(saying.wallMs - 20)
  })

  it("keeps what it heard, and both sides, in files", async () => {
    await using call = await pair()
    const { one, two } = call
    await one.say(recordingPath("goforward"))
    await two.next("heard")
    await two.do({ do: "write", heard: join(files, "heard.wav"), stereo: join(files, "both.wav") })
    const said = readWave(recordingPath("goforward"))
    const heard = readWave(join(files, "heard.wav"))
    const both = readWave(join(files, "both.wav"))
    expect(heard).toMatchObject({ rate: 16_000, channels: 1 })
    expect(heard.samples.length).toBeGreaterThan(said.samples.length / 2)
    expect(both).toMatchObject({ rate: 16_000, channels: 2 })
    const loudest = (side: number) => both.samples.reduce((most, s, i) => i % 2 === side ? Math.max(most, s) : most, 0)
    expect(loudest(0)).toBe(0)
    expect(loudest(1)).toBeGreaterThan(1000)
  })

  it("is not heard while it is muted, while it goes on, and is heard again", async () => {
    await using call = await pair()
    const { one, two } = call
    await one.do({ do: "mute" })
    await two.next("trackMuted")
    await one.do({ do: "tone", hz: 440, ms: 600, id: "muted" })
    await one.next("said", ({ id }) => id === "muted")
    await one.do({ do: "silence", ms: 500, id: "pause" })
    await one.next("said", ({ id }) => id === "pause")
    await one.do({ do: "unmute" })
    await two.next("trackUnmuted")
    await one.do({ do: "tone", hz: 440, ms: 600, id: "open" })
    const open = await one.next("saying", ({ id }) => id === "open")
    await two.next("heard")
    expect(two.all("hearing").map(({ wallMs }) => wallMs > open.wallMs - 20)).toEqual([true])
  })

  it("sees participants of every kind, their attributes, texts as they are written, bytes and data", async () => {
    await using call = await pair()
    const { one, two } = call
    expect(await one.next("participant")).toMatchObject({ identity: "two", kind: "AGENT" })
    expect(await two.next("participant")).toMatchObject({ identity: "one", kind: "STANDARD" })
    await two.do({ do: "attributes", set: { "lk.agent.state": "listening" } })
    expect(await one.next("attributes")).toMatchObject({ identity: "two", changed: { "lk.agent.state": "listening" } })
    await one.do({ do: "text", topic: "lk.chat", text: "Grüße", attributes: { of: "a test" } })
    expect(await two.next("text")).toMatchObject({
      topic: "lk.chat",
      from: "one",
      text: "Grüße",
      attributes: { of: "a test" }
    })
    await one.do({ do: "preConnect", file: recordingPath("goforward"), to: "two" })
    expect(await two.next("bytes")).toMatchObject({
      from: "one",
      size: readWave(recordingPath("goforward")).samples.length * 2,
      attributes: { sampleRate: "16000", channels: "1", trackId: one.all("published")[0]?.sid }
    })
    await one.do({ do: "data", topic: "a topic", text: "{}" })
    expect(await two.next("data")).toMatchObject({ topic: "a topic", from: "one", text: "{}" })
  })

  it("is connected anew, and is heard then", async () => {
    await using call = await pair()
    const { one, two } = call
    for (const what of ["signal", "full"] as const) {
      const from = { one: one.facts.now, two: two.facts.now }
      await one.do({ do: "simulate", what })
      await one.next("connection", ({ state }) => state === "reconnected", { from: from.one })
      await one.do({ do: "tone", hz: 440, ms: 600, id: what })
      await two.next("heard", () => true, { from: from.two })
    }
  })

  it("leaves with a word, and ends with 0", async () => {
    await using call = await pair()
    const { one, two } = call
    expect(await one.leave()).toBe(0)
    expect(await two.next("participantLeft")).toMatchObject({ identity: "one", reason: "CLIENT_INITIATED" })
  })

  it("says why it cannot join, without the token", async () => {
    const { token, url } = await lobby.seat(Lobby.roomName(), "nobody")
    await using caller = CallerProcess.start()
    caller.send({ do: "join", url, token: `${token.slice(0, -4)}AAAA` })
    const { message } = await caller.next("joinFailed")
    expect(message).not.toMatch(/eyJ/u)
  })
})
