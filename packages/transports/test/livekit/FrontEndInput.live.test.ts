// A real livekit-server, the front end's conventions in one room, and another client that sends what front ends send.
import type { Room } from "@livekit/rtc-node"
import { readFileSync } from "node:fs"
import { assert, it } from "vitest"
import { join, leave, until } from "./support/Rooms.ts"
import { onServer } from "./support/OnServer.ts"
import { leaving, scene } from "./support/Scene.ts"

/** A tone of 440 Hz, interleaved. */
const tone = (ms: number, rate: number, channels: number): Int16Array => {
  const samples = new Int16Array(Math.round(ms * rate / 1000) * channels)
  for (let i = 0; i < samples.length; i++) {
    samples[i] = Math.round(8000 * Math.sin(2 * Math.PI * 440 * Math.floor(i / channels) / rate))
  }
  return samples
}

/** How often the samples cross zero upwards. */
const crossings = (samples: Int16Array): number =>
  samples.reduce((count, sample, i) => count + (sample >= 0 && (samples[i - 1] ?? 0) < 0 ? 1 : 0), 0)

/** Loudness in steps of 20 ms. */
const loudness = (samples: Int16Array): ReadonlyArray<number> => {
  const levels: Array<number> = []
  for (let at = 0; at + 320 <= samples.length; at += 320) {
    levels.push(Math.sqrt(samples.subarray(at, at + 320).reduce((sum, sample) => sum + sample * sample, 0) / 320))
  }
  return levels
}

/** The correlation of the loudness of a recording and the part of a longer one that it is most like, shifted as needed. */
const likeness = (a: Int16Array, b: Int16Array): number => {
  const [x, y] = [loudness(a), loudness(b)]
  let best = -1
  for (let shift = -y.length; shift < x.length; shift++) {
    const pairs = y.flatMap((level, i) => {
      const other = x[i + shift]
      return other === undefined ? [] : [[other, level] as const]
    })
    if (pairs.length < 75) continue
    const mean = (side: 0 | 1) => pairs.reduce((sum, pair) => sum + pair[side], 0) / pairs.length
    const [m, n] = [mean(0), mean(1)]
    let [over, p, q] = [0, 0, 0]
    for (const [u, v] of pairs) {
      over += (u - m) * (v - n)
      p += (u - m) ** 2
      q += (v - n) ** 2
    }
    best = Math.max(best, over / Math.sqrt(p * q))
  }
  return best
}

const sendRecording = async (
  user: Room,
  bytes: Uint8Array,
  info: { readonly mimeType?: string; readonly attributes?: Record<string, string> }
): Promise<void> => {
  const writer = await user.localParticipant!.streamBytes({
    name: "preconnect-buffer",
    topic: "lk.agent.pre-connect-audio-buffer",
    destinationIdentities: ["agent"],
    ...info
  })
  await writer.write(bytes)
  await writer.close()
}

await onServer("What front ends send", (server) => {
  it("what the caller said before the agent came is heard, at the session's rate", async () => {
    const { extensions, user } = await scene(server, "early")
    const early = extensions.find(({ preConnectAudio }) => preConnectAudio !== undefined)
    const recorded = tone(1500, 48_000, 2)
    await sendRecording(user, new Uint8Array(recorded.buffer), {
      attributes: { trackId: "TR_user", sampleRate: "48000", channels: "2" }
    })
    const heard = await until("the recording is there", () => early?.preConnectAudio?.())
    assert.strictEqual(heard.length, 24_000)
    assert.closeTo(crossings(heard), 660, 2)
    assert.closeTo(Math.max(...heard), 8000, 200)
    assert.isUndefined(early?.preConnectAudio?.(), "it is given once")
  })

  it("so is what a browser recorded", async () => {
    const { extensions, user } = await scene(server, "browser")
    const early = extensions.find(({ preConnectAudio }) => preConnectAudio !== undefined)
    await sendRecording(user, readFileSync(new URL("fixtures/goforward.webm", import.meta.url)), {
      mimeType: "audio/webm;codecs=opus",
      attributes: { trackId: "TR_user", sampleRate: "44100", channels: "2" }
    })
    const heard = await until("the recording is there", () => early?.preConnectAudio?.())
    const wave = readFileSync(new URL("../../../../test/recordings/goforward.wav", import.meta.url))
    const spoken = new Int16Array(new Uint8Array(wave.subarray(44)).buffer)
    // The browser's microphone began somewhere in the recording, and was coded: it is the same speech all the same.
    assert.isAbove(likeness(heard, spoken), 0.9)
  })

  it("a recording that cannot be understood is said, and the call goes on without it", async () => {
    const { agent, extensions, user } = await scene(server, "unknown")
    const early = extensions.find(({ preConnectAudio }) => preConnectAudio !== undefined)
    await sendRecording(user, new Uint8Array(100), {
      mimeType: "video/mp4",
      attributes: { trackId: "TR_user", sampleRate: "48000", channels: "1" }
    })
    await until("the first is refused", () => agent.given.warnings.some((line) => line.includes("video/mp4")))
    await sendRecording(user, new Uint8Array(100), { attributes: { trackId: "TR_user" } })
    await until("the second is refused", () => agent.given.warnings.some((line) => line.includes("sampleRate")))
    const tooLong = tone(13_000, 16_000, 1)
    const sampleRate = { trackId: "TR_user", sampleRate: "16000", channels: "1" }
    await sendRecording(user, new Uint8Array(tooLong.buffer), { attributes: sampleRate })
    await until("the third is refused", () => agent.given.warnings.some((line) => line.includes("longer than")))
    assert.isUndefined(early?.preConnectAudio?.())
    await sendRecording(user, new Uint8Array(tone(500, 16_000, 1).buffer), { attributes: sampleRate })
    assert.strictEqual((await until("the last is there", () => early?.preConnectAudio?.())).length, 8000)
  })

  it("keys of a telephone are text, when that is wanted", async () => {
    const { agent, user } = await scene(server, "telephone", { digits: { prefix: "Keys: ", pauseMs: 300 } })
    const other = await join(server, { room: "telephone", identity: "other" })
    leaving.push(() => leave(other))
    await other.localParticipant?.publishDtmf(9, "9")
    for (const digit of ["1", "2", "3", "#", "4"]) {
      await user.localParticipant?.publishDtmf("0123456789*#".indexOf(digit), digit)
    }
    await until("both sequences came", () => agent.given.texts.length === 2)
    assert.deepStrictEqual(agent.given.texts.map(({ text }) => text), ["Keys: 123", "Keys: 4"])
  })

  it("chat of the caller reaches the session once, with its stream as its key; that of others does not", async () => {
    const { agent, user } = await scene(server, "chat")
    const other = await join(server, { room: "chat", identity: "other" })
    leaving.push(() => leave(other))
    await other.localParticipant?.sendText("let me in", { topic: "lk.chat" })
    await user.localParticipant?.sendText("x".repeat(17_000), { topic: "lk.chat" })
    const { streamId } = await user.localParticipant!.sendText("hello there", { topic: "lk.chat" })
    await until("the message came", () => agent.given.texts.length > 0)
    const encoded = (message: object) => new TextEncoder().encode(JSON.stringify(message))
    const options = { reliable: true, topic: "lk-chat-topic" }
    await user.localParticipant?.publishData(encoded({ id: "m1", message: "twice", ignoreLegacy: true }), options)
    await user.localParticipant?.publishData(encoded({ id: "m2", message: "an old client" }), options)
    await until("the old client's message came", () => agent.given.texts.length > 1)
    assert.deepStrictEqual(agent.given.texts, [
      { text: "hello there", key: streamId },
      { text: "an old client", key: "m2" }
    ])
  })

  it("the caller's key is pressed and released by remote calls, and by nobody else", async () => {
    const { agent, user } = await scene(server, "key")
    const call = (room: Room, method: string) =>
      room.localParticipant!.performRpc({ destinationIdentity: "agent", method, payload: "" })
    assert.strictEqual(await call(user, "start_turn"), "ok")
    assert.strictEqual(await call(user, "end_turn"), "ok")
    assert.strictEqual(await call(user, "cancel_turn"), "ok")
    assert.deepStrictEqual(agent.given.keys, ["pressed", "released", "cancelled"])
    const other = await join(server, { room: "key", identity: "other" })
    leaving.push(() => leave(other))
    const refused = await call(other, "start_turn").catch((error: unknown) => String(error))
    assert.match(refused, /only the caller/u)
    assert.deepStrictEqual(agent.given.keys, ["pressed", "released", "cancelled"])
  })
})
