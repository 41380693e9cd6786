// A livekit-server that dies in a call, and one that comes back. Each test has a server of its own, which it kills.
import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import { Transport } from "@rspp/runtime/ports/Transport"
import { findServer, startServer } from "@rspp/transports/livekit/LocalServer"
import { nativeClient } from "@rspp/transports/livekit/NativeClient"
import { RoomReports } from "@rspp/transports/livekit/RoomReports"
import * as RoomTransport from "@rspp/transports/livekit/RoomTransport"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Redacted } from "effect"
import { recordingIngress } from "../conformance/TransportConformance.ts"
import { joinPlainCaller, mint } from "../support/PlainCaller.ts"
import { framesWith, tone } from "../support/Tones.ts"

const found = findServer() !== undefined
if (!found && process.env["RSPP_REQUIRE_LIVEKIT"] === "1") {
  throw new Error("RSPP_REQUIRE_LIVEKIT is set, and there is no livekit-server on PATH")
}

const until = (fact: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => fact() ? Effect.void : Effect.andThen(Effect.sleep(20), until(fact)))

/** A call that is up: the agent hears the caller, and the caller the agent. */
const callUp = Effect.gen(function*() {
  yield* nativeClient
  const server = yield* startServer
  const place = { apiKey: server.apiKey, apiSecret: server.apiSecret, room: "room" }
  const token = yield* Effect.promise(() => mint({ ...place, identity: "agent", kind: "agent" }))
  const context = yield* Effect.context<Transport | RoomReports>().pipe(
    Effect.provide(RoomTransport.layer({ url: server.url, token: Redacted.make(token), callerReturnMs: 60_000 }))
  )
  const session = yield* Effect.provide(Effect.flatMap(Transport, ({ open }) => open({ session_id: "s1" })), context)
  const recorder = recordingIngress(yield* Clock.Clock)
  const running = yield* Effect.forkScoped(session.run(recorder.ingress))
  const caller = yield* Effect.acquireRelease(
    Effect.promise(async () => await joinPlainCaller(server.url, await mint({ ...place, identity: "caller" }))),
    (joined) => Effect.promise(joined.leave)
  )
  yield* Effect.promise(() => caller.publish())
  yield* Effect.forkScoped(Effect.promise(async (signal) => {
    for (let at = 0; !signal.aborted; at += 1_600) await caller.say(tone(440, 1_600, at))
  }))
  const writing = yield* Effect.forkScoped(
    Effect.forever(Effect.suspend(() => session.output.capture(tone(700, frameSamples))))
  )
  const heardSince = (from: number) =>
    recorder.frames().slice(from).filter(({ frame }) => framesWith(440, frame.samples) > 0).length
  const states = () => recorder.events.flatMap((event) => event.type === "connection" ? [event.state] : [])
  yield* until(() => heardSince(0) > 20 && framesWith(700, caller.heard()) > 20)
  const report = Effect.provide(Effect.flatMap(RoomReports, (reports) => reports.report), context)
  return { server, session, running, writing, caller, recorder, heardSince, states, report }
})

const rounds = 4

const reason = found ? "" : " (not run: there is no livekit-server on PATH that could be killed)"
describe.skipIf(!found)(`a server that dies in a call${reason}`, () => {
  it.live(
    "is told at once as reconnecting, and fails the call when it does not come back",
    () =>
      Effect.gen(function*() {
        const { running, server, session, states, writing } = yield* callUp
        yield* server.kill
        yield* until(() => states().includes("reconnecting"))
        const failure = yield* Effect.flip(Fiber.join(running))
        assert.include(failure.message, "was lost")
        assert.notInclude(failure.message, "eyJ")
        assert.deepStrictEqual(states(), ["connected", "reconnecting", "disconnected"])
        // Neither the writer nor anybody later is stuck.
        assert.strictEqual((yield* Effect.flip(Fiber.join(writing))).message, failure.message)
        assert.strictEqual(
          (yield* Effect.flip(session.output.capture(tone(700, frameSamples)))).message,
          failure.message
        )
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "is reconnected to each time it is there again: both hear each other, and positions went on",
    () =>
      Effect.gen(function*() {
        const { caller, heardSince, recorder, report, server, states } = yield* callUp
        // Who of the two is back first is chance, and what the other tells then may come in the middle of one's own return.
        for (let round = 1; round <= rounds; round++) {
          const told = states().length
          yield* server.kill
          yield* until(() => states().slice(told).includes("reconnecting"))
          yield* Effect.orDie(server.start)
          yield* until(() => states().length > told && states().at(-1) === "connected")
          const frames = recorder.frames().length
          const heard = caller.heard().length
          yield* until(() => heardSince(frames) > 20 && framesWith(700, caller.heard().subarray(heard)) > 20)
        }
        assert.isAtLeast((yield* report)!.reconnects, rounds)
        const delivered = recorder.frames()
        delivered.forEach(({ frame }, i) => {
          if (i > 0) assert.isAtLeast(frame.sampleIndex, delivered[i - 1]!.frame.sampleIndex + frameSamples)
        })
        const [first] = delivered
        const last = delivered.at(-1)!
        assert.closeTo((last.frame.sampleIndex - first!.frame.sampleIndex) / 16, last.atMs - first!.atMs, 1_000)
      }).pipe(Effect.scoped),
    120_000
  )
})
