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

/** A room with an agent on this transport, and a way to send callers into it. */
const inRoom = <A, E>(
  body: (place: {
    readonly transport: Transport["Service"]
    readonly reports: RoomReports["Service"]
    readonly call: (identity: string, kind?: "sip" | "agent" | "egress") => Effect.Effect<PlainCaller>
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
    const until = (fact: () => boolean): Effect.Effect<void> =>
      Effect.suspend(() => fact() ? Effect.void : Effect.andThen(Effect.sleep(20), until(fact)))
    return yield* Effect.gen(function*() {
      return yield* Effect.scoped(body({
        transport: yield* Transport,
        reports: yield* RoomReports,
        recorder: recordingIngress(yield* Clock.Clock),
        until: (fact) =>
          Effect.timeoutOrElse(until(fact), { duration: 20_000, orElse: () => Effect.die(`never: ${String(fact)}`) }),
        call: (identity, kind) =>
          Effect.promise(async () =>
            await joinPlainCaller(
              url,
              await mint({ apiKey, apiSecret, room, identity, ...(kind === undefined ? {} : { kind }) })
            )
          )
      }))
    }).pipe(Effect.provide(layer, { local: true }))
  }).pipe(Effect.scoped)

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
        assert.deepStrictEqual(statesOf(recorder), ["connected", "audio_ended", "ended"])
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
})
