// The adapter against a real livekit-server, with a caller made of plain rtc-node. Needs real time.
import { ParticipantKind } from "@livekit/rtc-node"
import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import { Transport } from "@rspp/runtime/ports/Transport"
import { nativeClient } from "@rspp/transports/livekit/NativeClient"
import type { RoomOptions } from "@rspp/transports/livekit/RoomTransport"
import * as RoomTransport from "@rspp/transports/livekit/RoomTransport"
import { RoomReports } from "@rspp/transports/livekit/RoomReports"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Redacted } from "effect"
import type { Scope } from "effect"
import { RoomServiceClient } from "livekit-server-sdk"
import { type ChildProcess, spawn } from "node:child_process"
import { type AddressInfo, connect, createServer } from "node:net"
import { join } from "node:path"
import { recordingIngress } from "../conformance/TransportConformance.ts"
import { liveKitServer } from "../support/LiveKitServer.ts"
import { joinPlainCaller, mint, type PlainCaller } from "../support/PlainCaller.ts"
import { framesWith, tone } from "../support/Tones.ts"

const server = await liveKitServer()
const found = "missing" in server ? undefined : server
const title = "missing" in server ? `not run: ${server.missing}` : "a room of a real livekit-server"
afterAll(async () => await found?.stop())

let rooms = 0
const ms = (count: number) => count * 16

const poll = (fact: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => fact() ? Effect.void : Effect.andThen(Effect.sleep(20), poll(fact)))

/** Waits for a fact, and dies when it never comes true. */
const untilFact = (fact: () => boolean): Effect.Effect<void> =>
  Effect.timeoutOrElse(poll(fact), { duration: 30_000, orElse: () => Effect.die(`never: ${String(fact)}`) })

/** A room with an agent on this transport, and a way to send callers into it. */
const inRoom = <A, E>(
  body: (place: {
    readonly transport: Transport["Service"]
    readonly reports: RoomReports["Service"]
    readonly room: string
    readonly call: (
      identity: string,
      kind?: "sip" | "agent" | "egress"
    ) => Effect.Effect<PlainCaller, never, Scope.Scope>
    readonly recorder: ReturnType<typeof recordingIngress>
    /** Waits for a fact. */
    readonly until: (fact: () => boolean) => Effect.Effect<void>
  }) => Effect.Effect<A, E, Scope.Scope>,
  options?: Partial<RoomOptions>
) =>
  Effect.gen(function*() {
    // The caller is in this process too: its native client is not to go with the agent's room.
    yield* nativeClient
    const { apiKey, apiSecret, url } = found!
    const room = `room-${process.pid}-${rooms++}`
    const token = yield* Effect.promise(() => mint({ apiKey, apiSecret, room, identity: "agent", kind: "agent" }))
    const layer = RoomTransport.layer({ url, token: Redacted.make(token), ...options })
    return yield* Effect.gen(function*() {
      return yield* Effect.scoped(body({
        room,
        transport: yield* Transport,
        reports: yield* RoomReports,
        recorder: recordingIngress(yield* Clock.Clock),
        until: untilFact,
        call: (identity, kind) =>
          Effect.promise(async () =>
            await joinPlainCaller(
              url,
              await mint({ apiKey, apiSecret, room, identity, ...(kind === undefined ? {} : { kind }) })
            )
          ).pipe(Effect.tap((caller) => Effect.addFinalizer(() => Effect.promise(caller.leave))))
      }))
    }).pipe(Effect.provide(layer, { local: true }))
  }).pipe(Effect.scoped)

/** A process that is killed when the test ends; `said` is what it wrote. */
const child = (script: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const file = join(import.meta.dirname, "../support", script)
      const started = spawn(process.execPath, ["--expose-gc", file, ...args], {
        stdio: ["ignore", "pipe", "inherit"],
        env: { ...process.env, NODE_ENV: "production" }
      })
      let said = ""
      started.stdout.on("data", (data: Buffer) => {
        said += data.toString()
      })
      return { process: started, said: () => said }
    }),
    ({ process: started }) =>
      Effect.callback<void>((resume) => {
        if (started.exitCode !== null || started.signalCode !== null) return resume(Effect.void)
        started.once("exit", () => resume(Effect.void))
        started.kill("SIGKILL")
      })
  )

const exitOf = (started: ChildProcess): Effect.Effect<number | null> =>
  Effect.callback((resume) => {
    if (started.exitCode !== null || started.signalCode !== null) return resume(Effect.succeed(started.exitCode))
    started.once("exit", (code) => resume(Effect.succeed(code)))
  })

const rest = () => new RoomServiceClient(found!.url.replace("ws", "http"), found!.apiKey, found!.apiSecret)
const tokenFor = (room: string, identity: string, kind?: "agent") =>
  Effect.promise(() => mint({ ...found!, room, identity, ...(kind === undefined ? {} : { kind }) }))

const statesOf = ({ events }: ReturnType<typeof recordingIngress>) =>
  events.flatMap((event) =>
    event.type === "connection" ? [event.state] : event.type === "audio_ended" ? ["audio_ended"] : []
  )

describe.skipIf(found === undefined)(`RoomTransport, ${title}`, () => {
  it.live("carries a call: the caller is heard, hears the agent, and ends it by leaving", () =>
    inRoom(({ call, recorder, reports, transport, until }) =>
      Effect.gen(function*() {
        const session = yield* transport.open({ session_id: "s1" })
        const running = yield* Effect.forkScoped(session.run(recorder.ingress))
        const voice = tone(700, ms(1000))
        // The agent speaks before anybody listens: its words wait.
        const speaking = yield* Effect.forkScoped(Effect.gen(function*() {
          for (let at = 0; at < voice.length; at += frameSamples) {
            yield* session.output.capture(voice.subarray(at, at + frameSamples))
          }
        }))
        const caller = yield* call("caller")
        yield* Effect.promise(() => caller.publish())
        yield* Effect.promise(() => caller.say(tone(440, ms(1000))))
        yield* until(() => recorder.frames().filter(({ frame }) => framesWith(440, frame.samples) > 0).length >= 45)
        yield* Fiber.join(speaking)
        yield* until(() => framesWith(700, caller.heard()) >= 45)
        assert.isAtMost(framesWith(700, caller.heard()), 53)
        assert.strictEqual([...caller.room.remoteParticipants.values()][0]?.kind, ParticipantKind.AGENT)
        yield* Effect.promise(() => caller.leave())
        yield* Fiber.join(running)
        assert.deepStrictEqual(statesOf(recorder), ["connected", "disconnected", "audio_ended", "ended"])
        const frames = recorder.frames()
        frames.forEach(({ frame }, i) => {
          assert.strictEqual(frame.samples.length, frameSamples)
          assert.strictEqual(frame.samples.buffer.byteLength, frameSamples * 2)
          assert.strictEqual(frame.sampleIndex % frameSamples, 0)
          if (i > 0) assert.isAbove(frame.sampleIndex, frames[i - 1]!.frame.sampleIndex)
        })
        assert.strictEqual((yield* Effect.flip(session.output.capture(tone(440, 320))))._tag, "TransportFailure")
        const report = yield* reports.report
        assert.strictEqual(report?.caller, "caller")
        assert.strictEqual(report?.frames, frames.length)
        assert.strictEqual(report?.captured_samples, ms(1000))
      })
    ))

  it.live("waits for a caller who was cut off, and goes on when it is back; the positions are the clock's", () =>
    inRoom(({ call, recorder, reports, room, transport, until }) =>
      Effect.gen(function*() {
        const session = yield* transport.open({ session_id: "s1" })
        const running = yield* Effect.forkScoped(session.run(recorder.ingress))
        const first = yield* call("caller")
        yield* Effect.promise(() => first.publish())
        yield* until(() => recorder.frames().length >= 10)
        yield* Effect.promise(() => rest().removeParticipant(room, "caller"))
        yield* until(() => statesOf(recorder).includes("disconnected"))
        yield* Effect.promise(() => first.leave())
        // Somebody else does not take the call over.
        const other = yield* call("other")
        const again = yield* call("caller")
        yield* Effect.promise(() => again.publish())
        const before = recorder.frames().length
        yield* Effect.promise(() => again.say(tone(440, ms(300))))
        yield* until(() => recorder.frames().slice(before).some(({ frame }) => framesWith(440, frame.samples) > 0))
        yield* Effect.promise(() => other.leave())
        yield* Effect.promise(() => again.leave())
        yield* Fiber.join(running)
        assert.deepStrictEqual(statesOf(recorder), [
          "connected",
          "disconnected",
          "connected",
          "disconnected",
          "audio_ended",
          "ended"
        ])
        assert.strictEqual((yield* reports.report)?.caller_returns, 1)
        const frames = recorder.frames()
        const spanMs = frames.at(-1)!.atMs - frames[0]!.atMs
        const spanSamples = frames.at(-1)!.frame.sampleIndex - frames[0]!.frame.sampleIndex
        assert.closeTo(spanSamples / 16, spanMs, 400)
      })
    ))

  it.live("ends when a caller who was cut off does not come back in time", () =>
    inRoom(({ call, recorder, room, transport, until }) =>
      Effect.gen(function*() {
        const session = yield* transport.open({ session_id: "s1" })
        const running = yield* Effect.forkScoped(session.run(recorder.ingress))
        yield* call("caller")
        yield* until(() => statesOf(recorder).includes("connected"))
        yield* Effect.promise(() => rest().removeParticipant(room, "caller"))
        yield* Fiber.join(running)
        assert.deepStrictEqual(statesOf(recorder), ["connected", "disconnected", "audio_ended", "ended"])
      }), { callerReturnMs: 300 }))

  it.live("knows a caller who came and left before the session was ready", () =>
    inRoom(({ call, recorder, transport, until }) =>
      Effect.gen(function*() {
        const session = yield* transport.open({ session_id: "s1" })
        const watcher = yield* call("watcher", "agent")
        const caller = yield* call("caller")
        // The server tells the others a while after.
        yield* until(() => watcher.room.remoteParticipants.has("caller"))
        yield* Effect.promise(() => caller.leave())
        yield* until(() => !watcher.room.remoteParticipants.has("caller"))
        yield* Effect.sleep(100)
        yield* session.run(recorder.ingress)
        // It might have come back.
        assert.deepStrictEqual(statesOf(recorder), ["connected", "disconnected", "audio_ended", "ended"])
      })
    ))

  it.live("ends in good order when the room is deleted", () =>
    inRoom(({ call, recorder, room, transport, until }) =>
      Effect.gen(function*() {
        const session = yield* transport.open({ session_id: "s1" })
        const running = yield* Effect.forkScoped(session.run(recorder.ingress))
        yield* call("caller")
        yield* until(() => statesOf(recorder).includes("connected"))
        yield* Effect.promise(() => rest().deleteRoom(room))
        yield* Fiber.join(running)
        assert.deepStrictEqual(statesOf(recorder), ["connected", "audio_ended", "ended"])
      })
    ))

  it.live("fails, and lets nothing more out, when another takes its identity", () =>
    inRoom(({ call, recorder, room, transport, until }) =>
      Effect.gen(function*() {
        const session = yield* transport.open({ session_id: "s1" })
        const running = yield* Effect.forkScoped(session.run(recorder.ingress))
        const caller = yield* call("caller")
        yield* Effect.promise(() => caller.publish())
        yield* until(() => recorder.frames().length > 0)
        const writing = yield* Effect.forkScoped(Effect.forever(session.output.capture(tone(700, frameSamples))))
        yield* until(() => framesWith(700, caller.heard()) > 10)
        const token = yield* tokenFor(room, "agent", "agent")
        const taker = yield* Effect.promise(() => joinPlainCaller(found!.url, token))
        const failure = yield* Effect.flip(Fiber.join(running))
        assert.include(failure.message, "took its place")
        assert.strictEqual((yield* Effect.flip(Fiber.join(writing))).message, failure.message)
        assert.deepStrictEqual(statesOf(recorder), ["connected", "disconnected"])
        const count = framesWith(700, caller.heard())
        yield* Effect.sleep(300)
        assert.isAtMost(framesWith(700, caller.heard()), count + 5)
        yield* Effect.promise(() => taker.leave())
        yield* Effect.promise(() => caller.leave())
      })
    ))

  it.live("fills a muted track with silence, tells no stall of it, and hears it again", () =>
    inRoom(({ call, recorder, transport, until }) =>
      Effect.gen(function*() {
        const session = yield* transport.open({ session_id: "s1" })
        yield* Effect.forkScoped(session.run(recorder.ingress))
        const caller = yield* call("caller")
        yield* Effect.promise(() => caller.publish())
        const talking = yield* Effect.forkScoped(Effect.promise(async (signal) => {
          for (let at = 0; !signal.aborted; at += frameSamples) await caller.say(tone(440, frameSamples * 5, at))
        }))
        const loud = (from: number) =>
          recorder.frames().slice(from).filter(({ frame }) => framesWith(440, frame.samples) > 0).length
        yield* until(() => loud(0) > 20)
        caller.mute(true)
        // Voice activity needs silence to end what was being said: frames go on to come.
        yield* until(() => {
          const last = recorder.frames().slice(-60)
          return last.length === 60 && last.every(({ frame }) => framesWith(440, frame.samples) === 0)
        })
        yield* Effect.sleep(1_000)
        assert.deepStrictEqual(statesOf(recorder), ["connected"])
        const muted = recorder.frames().length
        caller.mute(false)
        yield* until(() => loud(muted) > 20)
        assert.deepStrictEqual(statesOf(recorder), ["connected"])
        yield* Fiber.interrupt(talking)
        yield* Effect.promise(() => caller.leave())
      }), { silenceMs: 600, stallMs: 900 }))

  it.live("tells silence, then a stall, of a caller whose process stands still, and that it is back", () =>
    inRoom(({ recorder, reports, room, transport, until }) =>
      Effect.gen(function*() {
        const session = yield* transport.open({ session_id: "s1" })
        yield* Effect.forkScoped(session.run(recorder.ingress))
        const caller = yield* child("speaking-caller.ts", found!.url, yield* tokenFor(room, "caller"))
        yield* until(() => recorder.frames().some(({ frame }) => framesWith(440, frame.samples) > 0))
        yield* Effect.sync(() => caller.process.kill("SIGSTOP"))
        yield* until(() => statesOf(recorder).includes("stall"))
        yield* Effect.sync(() => caller.process.kill("SIGCONT"))
        yield* until(() => statesOf(recorder).at(-1) === "connected")
        assert.deepStrictEqual(statesOf(recorder).slice(0, 4), ["connected", "silence", "stall", "connected"])
        const report = yield* reports.report
        assert.isAtLeast(report!.silences, 1)
        assert.isAtLeast(report!.stalls, 1)
        assert.isAbove(report!.packets_received, 0)
      }), { stallMs: 4_000 }))

  it.live("leaves again when a join that took too long succeeds after all", () =>
    Effect.gen(function*() {
      yield* nativeClient
      const target = new URL(found!.url)
      let open = () => {}
      const opened = new Promise<void>((resolve) => {
        open = resolve
      })
      // A way to the server on which nothing moves until it is opened.
      let carried = 0
      let closed = false
      const gate = createServer((client) => {
        client.on("error", () => {}).on("close", () => {
          closed = true
        })
        const carry = async () => {
          await opened
          const server = connect(Number(target.port), target.hostname)
          server.on("error", () => {}).on("data", (data) => {
            carried += data.length
          })
          client.pipe(server).pipe(client)
        }
        void carry()
      })
      yield* Effect.callback<void>((resume) => void gate.listen(0, "127.0.0.1", () => resume(Effect.void)))
      const { port } = gate.address() as AddressInfo
      const room = `late-${process.pid}`
      const layer = RoomTransport.layer({
        url: `ws://127.0.0.1:${port}`,
        token: Redacted.make(yield* tokenFor(room, "agent", "agent")),
        connectTimeoutMs: 500
      })
      const failure = yield* Effect.flatMap(Transport, (transport) => transport.open({ session_id: "s1" })).pipe(
        Effect.scoped,
        Effect.provide(layer),
        Effect.flip
      )
      assert.deepInclude(failure.cause, { _tag: "RoomJoinError", code: "timeout", retryable: true })
      open()
      yield* untilFact(() => closed)
      // More than a refusal: the server's answer to a join.
      assert.isAbove(carried, 1_000)
      yield* Effect.sleep(500)
      assert.deepStrictEqual(yield* Effect.promise(() => rest().listParticipants(room)), [])
      gate.close()
    }).pipe(Effect.scoped))

  it.live("lets a process go on, and exit by itself, after its last room, and after a join that failed", () =>
    Effect.gen(function*() {
      yield* nativeClient
      const room = `exit-${process.pid}`
      const agent = yield* child("one-call.ts", found!.url, yield* tokenFor(room, "agent", "agent"))
      const caller = yield* Effect.promise(async () =>
        await joinPlainCaller(found!.url, await mint({ ...found!, room, identity: "caller" }))
      )
      yield* untilFact(() => agent.said().includes("connected"))
      yield* Effect.promise(() => caller.leave())
      assert.strictEqual(yield* exitOf(agent.process), 0)
      assert.strictEqual(agent.said(), "joined\nconnected\ndisconnected\nended\ndone\n")
      const silent = createServer(() => {})
      yield* Effect.callback<void>((resume) => void silent.listen(0, "127.0.0.1", () => resume(Effect.void)))
      const { port } = silent.address() as AddressInfo
      const failing = yield* child("one-call.ts", `ws://127.0.0.1:${port}`, "token")
      assert.strictEqual(yield* exitOf(failing.process), 0)
      assert.include(failing.said(), "did not answer in time")
      silent.close()
    }).pipe(Effect.scoped))

  it.live("tells extensions who is there, and delivers what was said before the agent came first", () => {
    const told: Array<string> = []
    const early = tone(900, ms(400))
    return inRoom(({ call, recorder, reports, transport, until }) =>
      Effect.gen(function*() {
        const session = yield* transport.open({ session_id: "s1" })
        const running = yield* Effect.forkScoped(session.run(recorder.ingress))
        const caller = yield* call("caller")
        yield* Effect.promise(() => caller.publish())
        yield* Effect.promise(() => caller.say(tone(440, ms(200))))
        yield* until(() => recorder.frames().some(({ frame }) => framesWith(440, frame.samples) > 0))
        yield* Effect.promise(() => caller.leave())
        yield* Fiber.join(running)
        assert.deepStrictEqual(told, ["beforeConnect", "joined, track TR_", "linked caller", "scope closed"])
        const frames = recorder.frames()
        assert.isTrue(frames.slice(0, 20).every(({ frame }) => framesWith(900, frame.samples) === 1))
        assert.isFalse(frames.slice(20).some(({ frame }) => framesWith(900, frame.samples) === 1))
        frames.forEach(({ frame }, i) => assert.strictEqual(frame.sampleIndex, i * frameSamples))
        assert.strictEqual((yield* reports.report)?.preconnect_frames, 20)
      }), {
      extensions: [{
        beforeConnect: ({ isConnected }) => void told.push(isConnected ? "too late" : "beforeConnect"),
        joined: ({ agentTrackSid, caller }) =>
          Effect.acquireRelease(
            Effect.sync(() =>
              void told.push(`joined, track ${agentTrackSid()?.slice(0, 3)}${caller()?.identity ?? ""}`)
            ),
            () => Effect.sync(() => void told.push("scope closed"))
          ),
        linked: ({ identity }) => void told.push(`linked ${identity}`),
        preConnectAudio: () => early
      }]
    })
  })

  it.live("leaves no listener behind, however a call ends", () =>
    Effect.gen(function*() {
      yield* nativeClient
      const listeners = () => globalThis._ffiClientInstance?.listenerCount("ffi_event") ?? 0
      const before = listeners()
      for (const end of ["caller", "room", "scope", "room"] as const) {
        yield* inRoom(({ call, recorder, room, transport, until }) =>
          Effect.gen(function*() {
            const session = yield* transport.open({ session_id: "s1" })
            const running = yield* Effect.forkScoped(session.run(recorder.ingress))
            const caller = yield* call("caller")
            yield* Effect.promise(() => caller.publish())
            yield* until(() => recorder.frames().length > 5)
            if (end === "caller") yield* Effect.promise(() => caller.leave())
            if (end === "room") yield* Effect.promise(() => rest().deleteRoom(room))
            if (end !== "scope") yield* Fiber.join(running)
          })
        )
      }
      yield* untilFact(() => listeners() <= before)
    }).pipe(Effect.scoped))
})
