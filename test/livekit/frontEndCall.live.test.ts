// A whole session in a room of a real livekit-server, seen by another client as LiveKit's front ends see it.
import { Session } from "@rspp/runtime/session/Session"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import * as MemoryRecorder from "@rspp/timeline/recorder/MemoryRecorder"
import { frontEnd, observersOf } from "@rspp/transports/livekit/frontend/FrontEnd"
import { nativeClient } from "@rspp/transports/livekit/NativeClient"
import * as RoomTransport from "@rspp/transports/livekit/RoomTransport"
import { onServer } from "@rspp/transports/test/livekit/support/OnServer"
import { until, watch } from "@rspp/transports/test/livekit/support/Rooms"
import type { Server, Watcher } from "@rspp/transports/test/livekit/support/Rooms"
import { joinPlainCaller, mint } from "@rspp/transports/test/support/PlainCaller"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { assert, it } from "vitest"
import { roomSession, tone } from "../support/RoomSession.ts"
import { scriptedSpec } from "../support/ScriptedCall.ts"

const timesOf = (states: ReadonlyArray<string>, which: string): number =>
  states.filter((state) => state === which).length

const times = { recogniserMs: 120, modelMs: 20, voiceMs: 5 }

/** An agent in a room: a session with scripted providers, and what front ends expect. */
const agent = Effect.fnUntraced(function*(
  server: Server,
  room: string,
  call: { readonly heard: ReadonlyArray<string>; readonly replies: ReadonlyArray<string> }
) {
  const token = yield* Effect.promise(() => mint({ ...server, room, identity: "agent", kind: "agent" }))
  const extensions = frontEnd()
  const spec = yield* scriptedSpec()
  return yield* Effect.flatMap(Session, ({ run }) =>
    run({
      session_id: `ses_${room}`,
      tenant_id: "tests",
      pipeline: spec.pipeline,
      seed: 7,
      payloadKey: "a key for tests",
      clock: "realtime"
    })).pipe(
      Effect.provideService(SessionObservers, observersOf(extensions)),
      Effect.provide(
        roomSession(spec, call, times).pipe(Layer.provide([
          RoomTransport.layer({ url: server.url, token: Redacted.make(token), extensions }),
          MemoryRecorder.layer()
        ])),
        { local: true }
      )
    )
})

const told = ({ streams }: Watcher, sender: string, final?: string): ReadonlyArray<string> =>
  streams.filter(({ closed, info, sender: of }) =>
    closed && of === sender && (final === undefined || info.attributes?.["lk.transcription_final"] === final)
  ).map(({ chunks }) => chunks.join(""))

await onServer("A call as front ends see it", (server) => {
  it("a spoken and a typed question: states, words of both sides, one microphone track, and the end", async () => {
    const room = "whole-call"
    await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      // The caller is in this process too: its native client is not to go with the agent's room.
      yield* nativeClient
      const session = yield* Effect.forkChild(agent(server, room, {
        heard: ["what time is it"],
        replies: ["It is late. Go to bed.", "Very well."]
      }))
      yield* Effect.promise(async () => {
        const token = await mint({ ...server, room, identity: "user" })
        const user = await joinPlainCaller(server.url, token)
        const watcher = watch(user.room)
        const { sid } = await user.publish()
        await until("the agent listens", () => watcher.states.at(-1) === "listening")
        await user.say(tone(440, 1000))
        await until(
          "the agent has answered",
          () =>
            timesOf(watcher.states, "speaking") === 1 && watcher.states.at(-1) === "listening" &&
            told(watcher, "agent").length === 1
        )
        const { streamId } = await user.room.localParticipant!.sendText("and now?", { topic: "lk.chat" })
        assert.isNotEmpty(streamId)
        await until(
          "the agent has answered again",
          () =>
            timesOf(watcher.states, "speaking") === 2 && watcher.states.at(-1) === "listening" &&
            told(watcher, "agent").length === 2
        )

        assert.deepStrictEqual(told(watcher, "agent"), ["It is late. Go to bed.", "Very well."])
        assert.deepStrictEqual(told(watcher, "user", "true"), ["what time is it"])
        assert.deepStrictEqual(
          watcher.states.filter((state) => state !== "initializing" && state !== "thinking"),
          ["listening", "speaking", "listening", "speaking", "listening"]
        )
        const of = (sender: string) =>
          new Set(
            watcher.streams.filter((seen) => seen.sender === sender).map(({ info }) =>
              info.attributes?.["lk.transcribed_track_id"]
            )
          )
        const tracks = [...user.room.remoteParticipants.get("agent")?.trackPublications.keys() ?? []]
        assert.lengthOf(tracks, 1)
        assert.deepStrictEqual(of("agent"), new Set(tracks))
        assert.deepStrictEqual(of("user"), new Set([sid]))
        await user.leave()
      })
      const summary = yield* Fiber.join(session)
      assert.isAbove(summary.durationMs, 0)
    })))
  })
})
