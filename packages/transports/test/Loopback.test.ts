import * as NodeServices from "@effect/platform-node/NodeServices"
import { frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { Transport, type TransportIngress, type TransportSession } from "@rspp/runtime/ports/Transport"
import { type CallReport, CallReports } from "@rspp/transports/loopback/CallReport"
import { type CallScript, loadCallScript, makeCallScript, singleCallScript } from "@rspp/transports/loopback/CallScript"
import * as LoopbackTransport from "@rspp/transports/loopback/LoopbackTransport"
import * as MemoryTransport from "@rspp/transports/loopback/MemoryTransport"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { readAudioFile } from "@rspp/transports/loopback/WaveFile"
import { writeWaveFile } from "@rspp/transports/loopback/WaveWriter"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, FileSystem, PlatformError, type Scope } from "effect"
import { speechLength } from "../src/internal/Caller.ts"
import { recordingIngress } from "./conformance/TransportConformance.ts"

const ms = (count: number) => count * samplesPerMs
const speech = (lengthMs: number, value = 1_000) => new Int16Array(ms(lengthMs)).fill(value)
const frame20 = (value: number) => new Int16Array(frameSamples).fill(value)

const quiet: TransportIngress = {
  audio: () => true,
  connection: () => {},
  text: () => {},
  pushToTalk: () => {},
  audioEnded: () => {}
}

/** The agent: says `lengthMs` of `value` from `atMs` of session time on. */
const reply = (session: TransportSession, atMs: number, lengthMs: number, value = 2_000) =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const now = Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    yield* Effect.sleep(Duration.millis(atMs - now))
    for (let said = 0; said < lengthMs; said += 20) yield* session.output.capture(frame20(value))
  })

interface Call {
  readonly caller: Int16Array
  readonly agent: Int16Array
  readonly report: CallReport
}

/** A call in memory and virtual time, with `agent` at the other end. Session time zero is time zero. */
const call = (
  script: CallScript,
  agent: (session: TransportSession) => Effect.Effect<unknown, unknown, Scope.Scope>,
  ingress = quiet
): Effect.Effect<Call, unknown> =>
  VirtualTime.run(
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* (yield* Transport).open({ session_id: "s1" })
        yield* Effect.forkScoped(agent(session))
        yield* session.run(ingress)
      }))
      const { agent: heard, caller } = yield* (yield* MemoryTransport.MemoryTracks).tracks
      return { agent: heard, caller, report: (yield* (yield* CallReports).report)! }
    }).pipe(Effect.provide(MemoryTransport.layer({ script }), { local: true }))
  )

/** Where samples of `value` are: `[first, last + 1]`. */
const span = (track: Int16Array, value: number) => [track.indexOf(value), track.lastIndexOf(value) + 1]

describe("the caller", () => {
  it.live("plays one recording, hears the answer out, and hangs up", () =>
    Effect.gen(function*() {
      const { agent, caller, report } = yield* call(singleCallScript(speech(1_000)), (session) =>
        reply(session, 1_800, 3_000))
      assert.deepStrictEqual(span(caller, 1_000), [0, ms(1_000)])
      assert.deepStrictEqual(span(agent, 2_000), [ms(1_800), ms(4_800)])
      // 1.2 s of quiet after the answer, to the end of the frame.
      assert.strictEqual(report.samples, ms(6_000))
      assert.strictEqual(report.frames, 300)
      assert.deepStrictEqual(report.caller, [{ index: 0, start: 0, end: ms(1_000) }])
      assert.deepStrictEqual(report.agent, [{ start: ms(1_800), end: ms(4_800), cut: false }])
      assert.deepStrictEqual(report.notices, [])
    }))

  it.live("begins nothing after its last step's time, and hangs up when it has heard the answer out", () =>
    Effect.gen(function*() {
      const script = makeCallScript(Array.from({ length: 9 }, () => ({ say: speech(1_000) })), { last_step_ms: 1_500 })
      const { report } = yield* call(script, (session) => reply(session, 1_800, 3_000))
      assert.deepStrictEqual(report.caller, [{ index: 0, start: 0, end: ms(1_000) }])
      assert.strictEqual(report.samples, ms(6_000))
      assert.deepStrictEqual(report.notices, [])
    }))

  it.live("does not take the gap between two sentences for the end of the answer", () =>
    Effect.gen(function*() {
      const { report } = yield* call(singleCallScript(speech(500)), (session) =>
        Effect.andThen(reply(session, 1_000, 800), reply(session, 2_900, 500)))
      assert.deepStrictEqual(
        report.agent.map(({ end }) =>
          end
        ),
        [ms(1_800), ms(3_400)]
      )
      assert.strictEqual(report.samples, ms(4_600))
    }))

  it.live("waits for a slow start, and no longer than the bound when nobody answers", () =>
    Effect.gen(function*() {
      const slow = yield* call(singleCallScript(speech(500)), (session) => reply(session, 6_300, 200))
      assert.strictEqual(slow.report.samples, ms(7_700))
      const silent = yield* call(singleCallScript(speech(500)), () => Effect.void)
      assert.strictEqual(silent.report.samples, ms(6_500))
      assert.match(silent.report.notices.join(), /hung up without an answer: no agent audio within 6000 ms/)
    }))

  it.live("holds its key while it says what the script wants it to, and no longer", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      let frames = 0
      const ingress: TransportIngress = {
        ...quiet,
        audio: () => {
          frames++
          return true
        },
        pushToTalk: (state) => void heard.push(`${state} ${frames}`)
      }
      const script = makeCallScript([
        { say: speech(500), hold_key: true },
        { say: speech(300), at: { after: "previous", delay_ms: 200 } },
        { say: speech(100), hold_key: true, at: { after: "previous", delay_ms: 0 } }
      ])
      yield* call(script, () => Effect.void, ingress)
      assert.deepStrictEqual(heard, ["pressed 0", "released 25", "pressed 50", "released 55"])
    }))

  it.live("counts an answer that begins in the recording's trailing silence", () =>
    Effect.gen(function*() {
      const recording = new Int16Array(ms(4_000))
      recording.set(speech(1_000))
      const { report } = yield* call(singleCallScript(recording), (session) => reply(session, 1_500, 1_000))
      // The answer ended at 2.5 s; the caller stays until the recording has been played.
      assert.strictEqual(report.samples, ms(4_000))
      assert.deepStrictEqual(report.notices, [])
    }))

  it.live("cuts in while the agent speaks, and then waits for the answer to the cut", () =>
    Effect.gen(function*() {
      const script = makeCallScript([
        { say: speech(1_000) },
        { say: speech(900, 1_100), at: { after: "agent_started", delay_ms: 2_500 } }
      ])
      const { agent, caller, report } = yield* call(script, (session) =>
        Effect.gen(function*() {
          const long = yield* Effect.forkChild(reply(session, 1_800, 20_000))
          yield* Effect.sleep(Duration.millis(4_800))
          yield* Fiber.interrupt(long)
          session.output.clear()
          yield* reply(session, 6_500, 1_000, 2_100)
        }))
      assert.deepStrictEqual(span(caller, 1_100), [ms(4_300), ms(5_200)])
      assert.deepStrictEqual(span(agent, 2_000), [ms(1_800), ms(4_800)])
      assert.deepStrictEqual(report.agent.map(({ cut }) => cut), [true, false])
      assert.strictEqual(report.samples, ms(8_700))
    }))

  it.live("waits for the next answer when the cut comes after the caller's last word", () =>
    Effect.gen(function*() {
      const script = makeCallScript([
        { say: speech(1_000) },
        { say: speech(300, 1_100), at: { after: "agent_started", delay_ms: 1_000 } },
        { say: speech(400, 1_200), at: { after: "agent_started", delay_ms: 200 } }
      ])
      const { caller } = yield* call(script, (session) =>
        Effect.gen(function*() {
          const long = yield* Effect.forkChild(reply(session, 1_800, 20_000))
          yield* Effect.sleep(Duration.millis(3_300))
          yield* Fiber.interrupt(long)
          session.output.clear()
          yield* reply(session, 6_000, 1_000)
        }))
      assert.deepStrictEqual(span(caller, 1_100), [ms(2_800), ms(3_100)])
      assert.deepStrictEqual(span(caller, 1_200), [ms(6_200), ms(6_600)])
    }))

  it.live("starts each step at its sample, within a frame, and never over the one before", () =>
    Effect.gen(function*() {
      const script = makeCallScript([
        { say: speech(33, 1_000), at: { after: "start", delay_ms: 7 } },
        { say: speech(1, 1_100), at: { after: "previous", delay_ms: 3 } },
        { say: speech(50, 1_200), at: { after: "start", delay_ms: 20 } }
      ], { hang_up: { after: "previous", delay_ms: 0 } })
      const { caller, report } = yield* call(script, () => Effect.void)
      assert.deepStrictEqual(span(caller, 1_000), [ms(7), ms(40)])
      assert.deepStrictEqual(span(caller, 1_100), [ms(43), ms(44)])
      assert.deepStrictEqual(span(caller, 1_200), [ms(44), ms(94)])
      assert.strictEqual(report.samples, ms(100))
      assert.strictEqual(caller.filter((x) => x === 0).length, ms(100 - 33 - 1 - 50))
    }))

  it.live("types as well as speaks, and lets an agent go first", () =>
    Effect.gen(function*() {
      const script = makeCallScript([
        { text: "hello", at: { after: "agent_finished", delay_ms: 100 } },
        { text: "one more", at: { after: "previous", delay_ms: 200 } }
      ], { hang_up: { after: "previous", delay_ms: 0 } })
      const events: Array<ReturnType<typeof recordingIngress>["events"][number]> = []
      yield* call(script, (session) => reply(session, 300, 500), {
        ...quiet,
        text: (text) => void events.push({ type: "text", text, atMs: 0 })
      })
      assert.deepStrictEqual(events.map((event) => event.type === "text" ? event.text : ""), ["hello", "one more"])
    }))

  it.live("hangs up at the bound, whatever the agent does", () =>
    Effect.gen(function*() {
      const script = makeCallScript([{ say: speech(100) }], { max_call_ms: 5_000 })
      const { report } = yield* call(script, (session) => reply(session, 200, 60_000))
      assert.strictEqual(report.samples, ms(5_000))
      assert.match(report.notices.join(), /after 5000 ms, the bound/)
    }))

  it.live("delivers frame n when its last sample has been spoken, without drift", () =>
    Effect.gen(function*() {
      const atMs: Array<number> = []
      const clock: { now: () => number } = { now: () => 0 }
      const script = makeCallScript([{ say: speech(5_000) }], { hang_up: { after: "previous", delay_ms: 0 } })
      yield* call(script, () =>
        Effect.map(Clock.Clock, (c) => {
          clock.now = () => Number(c.monotonicTimeNanosUnsafe()) / 1e6
        }), { ...quiet, audio: () => atMs.push(clock.now()) > 0 })
      assert.deepStrictEqual(atMs, Array.from({ length: 250 }, (_, n) => (n + 1) * 20))
    }))

  it.live("counts frames that the session refuses", () =>
    Effect.gen(function*() {
      const script = makeCallScript([{ say: speech(200) }], { hang_up: { after: "previous", delay_ms: 0 } })
      const { caller, report } = yield* call(script, () => Effect.void, {
        ...quiet,
        audio: ({ sampleIndex }) => sampleIndex % (2 * frameSamples) === 0
      })
      assert.strictEqual(report.frames, 10)
      assert.strictEqual(report.lost_frames, 5)
      assert.deepStrictEqual(span(caller, 1_000), [0, ms(200)])
    }))

  it("knows a recording's last word from its trailing silence", () => {
    assert.strictEqual(speechLength(new Int16Array(100)), 0)
    assert.strictEqual(speechLength(Int16Array.from([0, 1_000, -30, 20, 0])), 2)
    assert.strictEqual(speechLength(Int16Array.from([10, -10])), 2)
  })
})

describe("the agent's output", () => {
  const idle = makeCallScript([{ say: speech(20) }], { hang_up: { after: "start", delay_ms: 2_000 } })

  it.live("is cut at the sample that is playing", () =>
    Effect.gen(function*() {
      for (const cutMs of [100.0625, 123.4, 150, 219.95]) {
        let dropped = 0
        const { agent } = yield* call(idle, (session) =>
          Effect.gen(function*() {
            const talk = yield* Effect.forkChild(reply(session, 40, 1_000))
            yield* Effect.sleep(Duration.micros(BigInt(Math.round(cutMs * 1_000))))
            yield* Fiber.interrupt(talk)
            dropped = session.output.clear()
            return yield* Effect.never
          }))
        const [, end] = span(agent.subarray(0, ms(300)), 2_000)
        assert.isAtMost(Math.abs(end! - cutMs * samplesPerMs), 1, `cut at ${cutMs} ms`)
        assert.isAtLeast(dropped, ms(160))
      }
    }))

  it.live("plays a late capture when it comes: what ran dry is silence", () =>
    Effect.gen(function*() {
      const { agent, report } = yield* call(idle, (session) =>
        Effect.gen(function*() {
          yield* session.output.capture(frame20(2_000))
          yield* Effect.sleep(Duration.micros(50_500n))
          yield* session.output.capture(frame20(2_100))
        }))
      assert.deepStrictEqual(span(agent, 2_000), [0, ms(20)])
      assert.deepStrictEqual(span(agent, 2_100), [808, 808 + frameSamples])
      assert.deepStrictEqual(report.agent, [{ start: 0, end: 808 + frameSamples, cut: false }])
    }))

  it.live("waits exactly until there is room, with the capacity that was chosen", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      yield* VirtualTime.run(
        Effect.scoped(Effect.gen(function*() {
          const session = yield* (yield* Transport).open({ session_id: "s1" })
          assert.strictEqual(session.output.capacityMs, 60)
          for (let i = 0; i < 6; i++) {
            yield* session.output.capture(frame20(1))
            times.push(Number(yield* Clock.monotonicTimeNanos) / 1e6)
          }
        })).pipe(Effect.provide(MemoryTransport.layer({ script: idle, capacityMs: 60 }), { local: true }))
      )
      assert.deepStrictEqual(times, [0, 0, 0, 20, 40, 60])
    }))

  it.live("refuses a capacity outside of 20 to 200 ms, frames that are too long, and a second call", () =>
    VirtualTime.run(Effect.gen(function*() {
      const open = Effect.flatMap(Transport, (transport) => transport.open({ session_id: "s1" }))
      const bad = yield* Effect.flip(Effect.scoped(open)).pipe(
        Effect.provide(MemoryTransport.layer({ script: idle, capacityMs: 201 }), { local: true })
      )
      assert.match(bad.message, /20 to 200 ms, not 201 ms/)
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* open
        const long = yield* Effect.flip(session.output.capture(new Int16Array(321)))
        assert.match(long.message, /321 samples/)
        assert.match((yield* Effect.flip(open)).message, /one call/)
      })).pipe(Effect.provide(MemoryTransport.layer({ script: idle }), { local: true }))
    })))
})

/** Deinterleaves a stereo WAV through raw reading of its bytes. */
const stereoTracks = (path: string) =>
  Effect.gen(function*() {
    const bytes = yield* (yield* FileSystem.FileSystem).readFile(path)
    const both = new Int16Array(bytes.buffer.slice(bytes.byteOffset + 44, bytes.byteOffset + bytes.length))
    const caller = Int16Array.from({ length: both.length / 2 }, (_, i) => both[2 * i]!)
    const agent = Int16Array.from({ length: both.length / 2 }, (_, i) => both[2 * i + 1]!)
    return { caller, agent, channels: bytes[22] }
  })

describe("the files of a call", () => {
  const withDirectory = <A, E>(
    body: (dir: string) => Effect.Effect<A, E, FileSystem.FileSystem | Scope.Scope | NodeServices.NodeServices>
  ) =>
    Effect.scoped(Effect.gen(function*() {
      return yield* body(yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped())
    })).pipe(Effect.provide(NodeServices.layer))

  it.live("hold both sides, aligned by sample, from the opening of the session", () =>
    withDirectory((dir) =>
      Effect.gen(function*() {
        const script = makeCallScript([
          { say: speech(500), at: { after: "start", delay_ms: 10 } },
          { say: speech(500, 1_100) }
        ])
        const options = { script, reply: `${dir}/reply.wav`, stereo: `${dir}/call.wav` }
        yield* VirtualTime.run(
          Effect.scoped(Effect.gen(function*() {
            const session = yield* (yield* Transport).open({ session_id: "s1" })
            // The session takes a while to start: both tracks count from the opening.
            yield* Effect.sleep(Duration.micros(12_625n))
            yield* Effect.forkScoped(Effect.andThen(reply(session, 1_000, 700), reply(session, 4_100, 400, 2_100)))
            yield* session.run(quiet)
          })).pipe(Effect.provide(LoopbackTransport.layer(options), { local: true }))
        )
        const { agent, caller, channels } = yield* stereoTracks(options.stereo)
        assert.strictEqual(channels, 2)
        const origin = 202
        assert.deepStrictEqual(span(caller, 1_000), [origin + ms(10), origin + ms(510)])
        assert.deepStrictEqual(span(agent, 2_000), [ms(1_000), ms(1_700)])
        assert.deepStrictEqual(span(caller, 1_100), [ms(2_900), ms(3_400)])
        assert.deepStrictEqual(span(agent, 2_100), [ms(4_100), ms(4_500)])
        const mono = yield* readAudioFile(options.reply)
        assert.deepStrictEqual(mono.samples, agent)
      })
    ))

  it.live("hold everything up to an interruption, and are valid", () =>
    withDirectory((dir) =>
      Effect.gen(function*() {
        const options = { script: singleCallScript(speech(60_000)), reply: `${dir}/r.wav`, stereo: `${dir}/s.wav` }
        yield* VirtualTime.run(Effect.gen(function*() {
          const session = yield* Effect.forkChild(
            Effect.scoped(Effect.gen(function*() {
              const session = yield* (yield* Transport).open({ session_id: "s1" })
              yield* Effect.forkScoped(reply(session, 1_000, 60_000))
              yield* session.run(quiet)
            })).pipe(Effect.provide(LoopbackTransport.layer(options), { local: true }))
          )
          yield* Effect.sleep(Duration.millis(3_555))
          yield* Fiber.interrupt(session)
        }))
        const { agent, caller } = yield* stereoTracks(options.stereo)
        // The caller up to the last whole frame, the agent to the sample.
        assert.deepStrictEqual(span(caller, 1_000), [0, ms(3_540)])
        assert.deepStrictEqual(span(agent, 2_000), [ms(1_000), ms(3_555)])
        assert.strictEqual((yield* readAudioFile(options.reply)).samples.length, ms(3_555))
      })
    ))

  it.live("play real recordings at real time, with the pace kept", () =>
    withDirectory((dir) =>
      Effect.gen(function*() {
        const options = {
          script: makeCallScript([{ say: speech(500) }], { agent_quiet_ms: 200 }),
          stereo: `${dir}/s.wav`
        }
        const started = performance.now()
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* (yield* Transport).open({ session_id: "s1" })
          yield* Effect.forkScoped(Effect.gen(function*() {
            yield* Effect.sleep(600)
            for (let i = 0; i < 15; i++) yield* session.output.capture(frame20(2_000))
          }))
          yield* session.run(quiet)
        })).pipe(Effect.provide(LoopbackTransport.layer(options), { local: true }))
        const { agent } = yield* stereoTracks(options.stereo)
        const [start, end] = span(agent, 2_000)
        assert.closeTo(start!, ms(600), ms(150))
        assert.closeTo(end! - start!, ms(300), ms(50))
        assert.closeTo(performance.now() - started, 1_120, 400)
      })
    ))

  it.live("that cannot be created or written fail with the path and the reason", () =>
    withDirectory((dir) =>
      Effect.gen(function*() {
        const openWith = (options: Partial<LoopbackTransport.LoopbackOptions>) =>
          Effect.flatMap(Transport, (transport) => transport.open({ session_id: "s1" })).pipe(
            Effect.scoped,
            Effect.provide(LoopbackTransport.layer({ script: singleCallScript(speech(20)), ...options }), {
              local: true
            }),
            Effect.flip
          )
        assert.match(
          (yield* openWith({ reply: `${dir}/no/such/r.wav` })).message,
          /no\/such\/r\.wav.*directory does not exist/
        )
        assert.match((yield* openWith({ stereo: dir })).message, /cannot be written: .*EISDIR/)

        // A disk that fills up in the middle of the call.
        const fs = yield* FileSystem.FileSystem
        const full = PlatformError.systemError({
          _tag: "Unknown",
          module: "FileSystem",
          method: "writeAll",
          cause: new Error("ENOSPC: no space left on device, write")
        })
        const filling: FileSystem.FileSystem = {
          ...fs,
          open: (path, options) =>
            Effect.map(fs.open(path, options), (file) => {
              let left = 100_000
              return Object.assign(Object.create(file) as typeof file, {
                writeAll: (bytes: Uint8Array) => {
                  left -= bytes.length
                  return left < 0 ? Effect.fail(full) : file.writeAll(bytes)
                },
                seek: (offset: bigint, from: FileSystem.SeekMode) => file.seek(offset, from)
              })
            })
        }
        const options = { script: singleCallScript(speech(30_000)), reply: `${dir}/full.wav` }
        const error = yield* VirtualTime.run(
          Effect.scoped(Effect.gen(function*() {
            const session = yield* (yield* Transport).open({ session_id: "s1" })
            return yield* Effect.flip(session.run(quiet))
          })).pipe(
            Effect.provide(LoopbackTransport.layer(options), { local: true }),
            Effect.provideService(FileSystem.FileSystem, filling)
          )
        )
        assert.match(error.message, /full\.wav cannot be written: ENOSPC/)
      })
    ))

  it.live(
    "cost little: an hour of virtual call is written in seconds",
    () =>
      withDirectory((dir) =>
        Effect.gen(function*() {
          const script = makeCallScript([{ say: speech(1_000) }], { hang_up: { after: "start", delay_ms: 3_600_000 } })
          const options = { script, reply: `${dir}/r.wav`, stereo: `${dir}/s.wav` }
          const started = performance.now()
          yield* VirtualTime.run(
            Effect.scoped(Effect.gen(function*() {
              const session = yield* (yield* Transport).open({ session_id: "s1" })
              yield* Effect.forkScoped(reply(session, 2_000, 3_590_000))
              yield* session.run(quiet)
            })).pipe(Effect.provide(LoopbackTransport.layer(options), { local: true }))
          )
          const took = performance.now() - started
          assert.isBelow(took, 30_000)
          const { samples } = yield* readAudioFile(options.reply)
          assert.strictEqual(samples.length, ms(3_600_000))
          assert.deepStrictEqual(span(samples, 2_000), [ms(2_000), ms(3_592_000)])
        })
      ),
    60_000
  )
})

describe("a call script's file", () => {
  const inDirectory = <A, E>(
    files: Record<string, string>,
    body: (dir: string) => Effect.Effect<A, E, NodeServices.NodeServices>
  ) =>
    Effect.scoped(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const dir = yield* fs.makeTempDirectoryScoped()
      yield* writeWaveFile(`${dir}/a.wav`, speech(100))
      yield* writeWaveFile(`${dir}/stereo.wav`, speech(100), 2)
      for (const [name, text] of Object.entries(files)) yield* fs.writeFileString(`${dir}/${name}`, text)
      return yield* body(dir)
    })).pipe(Effect.provide(NodeServices.layer))

  it.live("names recordings relative to itself; the defaults are filled in", () =>
    inDirectory({
      "s.json": JSON.stringify({
        steps: [
          { say: "a.wav" },
          { say: "stereo.wav", at: { after: "agent_started", delay_ms: 2500 } },
          { text: "bye", at: { after: "previous" } },
          { say: "a.wav" }
        ],
        hang_up: { after: "agent_finished", delay_ms: 500 },
        agent_quiet_ms: 900
      })
    }, (dir) =>
      Effect.gen(function*() {
        const { notices, script } = yield* loadCallScript(`${dir}/s.json`)
        assert.deepStrictEqual(script.steps.map(({ at }) => [at.after, at.delay_ms]), [
          ["start", 0],
          ["agent_started", 2500],
          ["previous", 0],
          ["agent_finished", 0]
        ])
        const [first, second, third] = script.steps
        assert.isTrue("say" in first! && first.say.length === ms(100))
        assert.isTrue("say" in second! && second.say.length === ms(50))
        assert.deepInclude(third!, { text: "bye" })
        assert.deepStrictEqual(script.hang_up, { after: "agent_finished", delay_ms: 500 })
        assert.strictEqual(script.agent_quiet_ms, 900)
        assert.strictEqual(script.reply_timeout_ms, 6_000)
        assert.match(notices.join(), /stereo\.wav is stereo/)
      })))

  it.live("is refused with the field that is wrong", () =>
    inDirectory({
      "broken.json": "{ \"steps\": [",
      "empty.json": "{ \"steps\": [] }",
      "after.json": "{ \"steps\": [{ \"say\": \"a.wav\", \"at\": { \"after\": \"later\" } }] }",
      "delay.json": "{ \"steps\": [{ \"say\": \"a.wav\", \"at\": { \"after\": \"start\", \"delay_ms\": -1 } }] }",
      "extra.json": "{ \"steps\": [{ \"say\": \"a.wav\" }], \"hangup\": 1 }",
      "audio.json": "{ \"steps\": [{ \"say\": \"none.wav\" }] }"
    }, (dir) =>
      Effect.gen(function*() {
        const load = (name: string) => Effect.flip(loadCallScript(`${dir}/${name}`))
        const expectations: ReadonlyArray<readonly [string, string, RegExp]> = [
          ["none.json", "missing", /no such file/],
          ["broken.json", "not_json", /not JSON/],
          ["empty.json", "invalid", /steps/],
          ["after.json", "invalid", /after/],
          ["delay.json", "invalid", /delay_ms/],
          ["extra.json", "invalid", /hangup/],
          ["audio.json", "missing", /none\.wav cannot be played: there is no such file/]
        ]
        for (const [name, code, words] of expectations) {
          const error = yield* load(name)
          assert.strictEqual(error.code, code, `${name}: ${error.message}`)
          assert.match(error.message, words)
        }
      })))
})
