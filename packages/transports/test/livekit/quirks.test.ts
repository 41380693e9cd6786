// What was measured of LiveKit's native client and libraries, as far as no server is needed. The adapter relies on each of
// these facts, or works around it: when a new version turns one red, look at who does before it is changed here.
import { AgentSession, Job, ServerMessage, WorkerMessage } from "@livekit/protocol"
import {
  AudioFrame,
  AudioResampler,
  AudioSource,
  AudioStream,
  DisconnectReason,
  dispose,
  LocalAudioTrack,
  ParticipantKind,
  Room,
  TrackPublishOptions,
  TrackSource
} from "@livekit/rtc-node"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { afterAll, assert, describe, it } from "@effect/vitest"

const rateHz = 16_000
const frame = (value: number, rate = rateHz, channels = 1) =>
  new AudioFrame(new Int16Array(rate / 50 * channels).fill(value), rate, channels, rate / 50)

/** A track of this process that is heard in it, without any server. */
const loop = (queueMs: number) => {
  const source = new AudioSource(rateHz, 1, queueMs)
  const track = LocalAudioTrack.createAudioTrack("loop", source)
  const heard: Array<number> = []
  const reader = new AudioStream(track, { sampleRate: rateHz, numChannels: 1, frameSizeMs: 20 }).getReader()
  const sizes = new Set<number>()
  const reading = (async () => {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      sizes.add(next.value.data.length)
      for (const sample of next.value.data) heard.push(sample)
    }
  })()
  return {
    source,
    heard,
    sizes,
    count: (value: number) => heard.filter((sample) => sample === value).length / 320,
    until: async (fact: () => boolean) => {
      while (!fact()) await sleep(10)
    },
    close: async () => {
      await reader.cancel()
      await reading
      await track.close()
    }
  }
}

const outcomeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work
    return "ok"
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}

afterAll(async () => {
  await dispose()
  globalThis._ffiClientInstance = undefined
})

describe("the native client's audio", () => {
  it("loops from AudioSource over LocalAudioTrack to AudioStream without a server, in frames of 20 ms", async () => {
    const { close, count, sizes, source, until } = loop(1_000)
    for (let i = 0; i < 10; i++) await source.captureFrame(frame(1_234))
    await until(() => count(1_234) === 10)
    assert.deepStrictEqual([...sizes], [320])
    await close()
  })

  it("ignores the offset of a view: the start of its buffer is sent (R2)", async () => {
    const { close, count, source, until } = loop(1_000)
    const both = new Int16Array(640)
    both.fill(1_111, 0, 320).fill(2_222, 320)
    await source.captureFrame(new AudioFrame(both.subarray(320), rateHz, 1, 320))
    await until(() => count(1_111) + count(2_222) >= 1)
    assert.strictEqual(count(2_222), 0)
    await close()
  })

  it("copies a frame when it is captured: what is written to it later is not sent", async () => {
    const { close, count, source, until } = loop(1_000)
    const sent = frame(1_500)
    const capturing = source.captureFrame(sent)
    sent.data.fill(2_500)
    await capturing
    await until(() => count(1_500) + count(2_500) >= 1)
    assert.strictEqual(count(2_500), 0)
    await close()
  })

  it("takes what its queue holds at once, and the rest as fast as it plays", async () => {
    const { close, source } = loop(1_000)
    const began = performance.now()
    for (let i = 0; i < 45; i++) await source.captureFrame(frame(1_000))
    assert.isBelow(performance.now() - began, 800)
    for (let i = 45; i < 70; i++) await source.captureFrame(frame(1_000))
    // 70 frames into a queue of 50: 18 of them at least were waited for.
    assert.isAbove(performance.now() - began, 18 * 20)
    await close()
  })

  it("rejects a second capture while the first waits for a full queue (R1)", async () => {
    const source = new AudioSource(rateHz, 1, 100)
    const all = await Promise.all(Array.from({ length: 30 }, () => outcomeOf(source.captureFrame(frame(1)))))
    const rejected = all.filter((what) => what !== "ok")
    assert.isAtLeast(rejected.length, 10)
    assert.isTrue(rejected.every((what) => what.includes("InvalidState - failed to capture frame")), rejected[0])
    // And counts the rejected ones as queued: over 500 ms in a queue of 100 (R4).
    assert.isAbove(source.queuedDuration, 200)
    await source.close()
  })

  it("rejects audio of another rate, or of more channels", async () => {
    const source = new AudioSource(rateHz, 1, 100)
    const mismatch = "InvalidState - sample_rate and num_channels don't match"
    assert.include(await outcomeOf(source.captureFrame(frame(1, 48_000))), mismatch)
    assert.include(await outcomeOf(source.captureFrame(frame(1, rateHz, 2))), mismatch)
    await source.close()
  })

  it("drops its queue on clearQueue, but for two frames at most, and tells who waits for the playout (R3)", async () => {
    const { close, count, source, until } = loop(1_000)
    await source.captureFrame(frame(5))
    await until(() => count(5) === 1)
    const began = performance.now()
    for (let i = 0; i < 40; i++) await source.captureFrame(frame(3_000))
    const playout = source.waitForPlayout()
    source.clearQueue()
    const played = (performance.now() - began) / 20
    await playout
    assert.strictEqual(source.queuedDuration, 0)
    for (let i = 0; i < 5; i++) await source.captureFrame(frame(4_000))
    await until(() => count(4_000) >= 5)
    assert.isAtMost(count(3_000), played + 2)
    assert.strictEqual(count(4_000), 5)
    await close()
  })

  it("drops a capture that is in flight when the queue is cleared, once that is done again (R3)", async () => {
    const { close, count, source, until } = loop(1_000)
    for (let i = 0; i < 10; i++) {
      const capturing = source.captureFrame(frame(3_000))
      source.clearQueue()
      await capturing
      source.clearQueue()
    }
    await source.captureFrame(frame(4_000))
    await until(() => count(4_000) >= 1)
    assert.isAtMost(count(3_000), 2)
    await close()
  })

  it("queues in AudioStream without bound while nobody reads", async () => {
    const source = new AudioSource(rateHz, 1, 100)
    const track = LocalAudioTrack.createAudioTrack("unread", source)
    const reader = new AudioStream(track, { sampleRate: rateHz, numChannels: 1, frameSizeMs: 20 }).getReader()
    await sleep(1_500)
    let waiting = 0
    for (;;) {
      const next = await Promise.race([reader.read(), sleep(5)])
      if (next === undefined) break
      waiting += 1
    }
    assert.isAbove(waiting, 20)
    await reader.cancel()
    await track.close()
  })

  it("sends silence when nothing is captured", async () => {
    const { close, heard, until } = loop(100)
    await until(() => heard.length >= 16_000)
    assert.isTrue(heard.every((sample) => sample === 0))
    await close()
  })

  it("resamples in bursts with AudioResampler, which is why AudioStream does it", () => {
    const resampler = new AudioResampler(48_000, rateHz, 1)
    const out = Array.from(
      { length: 20 },
      () => resampler.push(frame(100, 48_000)).reduce((sum, { samplesPerChannel }) => sum + samplesPerChannel, 0)
    )
    assert.isTrue(out.includes(0))
    assert.isAbove(Math.max(...out), 500)
  })
})

describe("the native client's connections", () => {
  const token = "eyJhbGciOiJIUzI1NiJ9.eyJ2aWRlbyI6e319.-MnXj9Y9lNwxteU6hB9"
  const textOf = (url: string) => outcomeOf(new Room().connect(url, token, { autoSubscribe: false, dynacast: false }))
  const answering = async (status: number, text: string): Promise<string> => {
    const server = createServer((_, response) => void response.writeHead(status, { connection: "close" }).end(text))
    server.on("upgrade", (_, socket) => {
      socket.end(`HTTP/1.1 ${status} X\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`)
    })
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
    try {
      return await textOf(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
    } finally {
      server.close()
    }
  }

  it("fail as a ConnectError with a text, and nothing else to tell them apart by", async () => {
    const room = new Room()
    const cause: unknown = await room.connect("ws://127.0.0.1:1", token, { autoSubscribe: false, dynacast: false })
      .then(
        () => undefined,
        (error: unknown) => error
      )
    assert.instanceOf(cause, Error)
    assert.strictEqual(cause.constructor.name, "ConnectError")
    assert.deepStrictEqual(Object.keys(cause), [])
    assert.include(cause.message, "IO error: Connection refused")
  })

  it("have these texts, which RoomFailure.ts reads", async () => {
    assert.include(await textOf("no url"), "failed to parse the url: relative URL without a base")
    assert.include(await textOf("ftp://127.0.0.1"), "failed to parse the url: unsupported scheme")
    assert.include(await answering(404, "x"), "client error: 404 Not Found")
    assert.include(await answering(429, "x"), "client error: 429 Too Many Requests")
    assert.include(await answering(503, "x"), "server error: 503 Service Unavailable")
  })

  it("repeat what the server says in a 401, whole tokens too", async () => {
    const text = await answering(401, `invalid token: ${token}, error: x`)
    assert.include(text, "client error: 401 Unauthorized")
    assert.include(text, token)
  })

  it("end for these reasons, by these numbers", () => {
    const { UNKNOWN_REASON, CLIENT_INITIATED, DUPLICATE_IDENTITY, SERVER_SHUTDOWN, PARTICIPANT_REMOVED } =
      DisconnectReason
    const { ROOM_DELETED, STATE_MISMATCH, JOIN_FAILURE, MIGRATION, SIGNAL_CLOSE, ROOM_CLOSED } = DisconnectReason
    assert.deepStrictEqual(
      [
        UNKNOWN_REASON,
        CLIENT_INITIATED,
        DUPLICATE_IDENTITY,
        SERVER_SHUTDOWN,
        PARTICIPANT_REMOVED,
        ROOM_DELETED,
        STATE_MISMATCH,
        JOIN_FAILURE,
        MIGRATION,
        SIGNAL_CLOSE,
        ROOM_CLOSED
      ].map(Number),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    )
  })

  it("know these kinds of participants", () => {
    const { AGENT, BRIDGE, CONNECTOR, EGRESS, INGRESS, SIP, STANDARD } = ParticipantKind
    assert.deepStrictEqual(
      [STANDARD, INGRESS, EGRESS, SIP, AGENT, CONNECTOR, BRIDGE].map(Number),
      [0, 1, 2, 3, 4, 5, 6]
    )
  })

  it("have a listener that the adapter takes off itself", () => {
    assert.isFunction(Reflect.get(new Room(), "onFfiEvent"))
  })

  it("publish with plain options", () => {
    assert.instanceOf(new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE }), TrackPublishOptions)
  })
})

const run = async (script: string, environment: NodeJS.ProcessEnv) =>
  await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    cwd: import.meta.dirname,
    env: { ...environment, PATH: process.env["PATH"] },
    timeout: 60_000
  })

describe("a process with the native client", () => {
  const failedJoin = `
    import { dispose, Room } from "@livekit/rtc-node"
    await new Room().connect("ws://127.0.0.1:1", "x", { autoSubscribe: false, dynacast: false }).catch(() => {})
    await dispose()`

  it("exits by itself after dispose(), and not before", async () => {
    await run(failedJoin, { NODE_ENV: "production" })
    const kept = `
      import { AudioSource } from "@livekit/rtc-node"
      new AudioSource(16000, 1, 100)
      setTimeout(() => { process.stdout.write("still here"); process.exit(7) }, 500).unref()`
    const error: unknown = await run(kept, { NODE_ENV: "production" }).then(() => undefined, (cause: unknown) => cause)
    assert.include(error, { code: 7, stdout: "still here" })
  })

  it("is answered no more after dispose(), until the client is made anew", async () => {
    const { stdout } = await run(
      `
      import { AudioSource, AudioFrame, dispose } from "@livekit/rtc-node"
      const capture = () => new AudioSource(16000, 1, 100).captureFrame(new AudioFrame(new Int16Array(320), 16000, 1, 320))
        .then(() => "answered", () => "refused")
      const nothing = () => new Promise((resolve) => setTimeout(() => resolve("nothing"), 500))
      const said = [await capture()]
      await dispose()
      said.push(await Promise.race([new Promise((resolve, reject) => capture().then(resolve, reject)).catch(() => "refused"), nothing()]).catch(() => "refused"))
      globalThis._ffiClientInstance = undefined
      said.push(await capture())
      await dispose()
      console.log(said.join())`,
      { NODE_ENV: "production" }
    )
    assert.match(stdout.trim(), /^answered,(?:nothing|refused),answered$/u)
  })

  it("ends when an object of the client is collected after dispose(), which is why NativeRoom gives all of them back", async () => {
    const collecting = (first: string) => `
      import { AudioSource, dispose } from "@livekit/rtc-node"
      await (async () => {
        const source = new AudioSource(16000, 1, 100)
        ${first}
        await dispose()
      })()
      for (let i = 0; i < 5; i++) {
        globalThis.gc()
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      console.log("still here")`
    const args = { NODE_ENV: "production", NODE_OPTIONS: "--expose-gc" }
    assert.strictEqual((await run(collecting("await source.close()"), args)).stdout, "still here\n")
    const error: unknown = await run(collecting(""), args).then(() => undefined, (cause: unknown) => cause)
    assert.include(error, { code: 1, stdout: "" })
    assert.include((error as { readonly stderr: string }).stderr, "trying to drop an invalid handle")
  })

  it("has the client's debug log in its standard output, unless NODE_ENV is production", async () => {
    assert.include((await run(failedJoin, {})).stdout, "lk-rtc")
    assert.strictEqual((await run(failedJoin, { NODE_ENV: "production" })).stdout, "")
    assert.strictEqual(process.env["NODE_ENV"], "production", "vitest.workspace.ts keeps it out of the tests' output")
  })
})

describe("@livekit/protocol", () => {
  const require = createRequire(import.meta.url)
  const versionOf = (name: string): unknown => {
    const file = require.resolve(name).replace(/(node_modules\/@livekit\/[\w-]+)\/.*/u, "$1/package.json")
    return (JSON.parse(readFileSync(file, "utf8")) as { readonly version?: unknown }).version
  }

  it("is a version that has the agents' messages: 2.0.0, its latest tag, is older and has not", () => {
    assert.strictEqual(versionOf("@livekit/protocol"), "1.52.1")
    assert.strictEqual(versionOf("@livekit/rtc-node"), "1.1.0")
    assert.instanceOf(new AgentSession.AgentSessionMessage({}).toBinary(), Uint8Array)
    const fields = (type: { readonly fields: { readonly list: () => ReadonlyArray<{ readonly name: string }> } }) =>
      type.fields.list().map(({ name }) => name)
    assert.includeMembers(fields(Job), ["deployment", "attributes"])
    assert.includeMembers(fields(WorkerMessage), ["register", "availability", "update_worker", "update_job"])
    assert.includeMembers(fields(ServerMessage), ["register", "availability", "assignment", "termination"])
  })

  it("makes messages of plain objects that its constructors are given, and breaks on those that are assigned", () => {
    const room = { name: "r" }
    assert.strictEqual(Job.fromBinary(new Job({ room }).toBinary()).room?.name, "r")
    const job = new Job({})
    Object.assign(job, { room })
    assert.throws(() => job.toBinary(), /toBinary/u)
  })
})
