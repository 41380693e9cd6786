// The conformance suite of transports, over a real livekit-server and WebRTC. Needs real time.
import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import { nativeClient } from "@rspp/transports/livekit/NativeClient"
import * as RoomTransport from "@rspp/transports/livekit/RoomTransport"
import { RoomServiceClient } from "livekit-server-sdk"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { FarEnd, type Marks, transportConformance, type TransportHarness } from "../conformance/TransportConformance.ts"
import { liveKitServer } from "../support/LiveKitServer.ts"
import { joinPlainCaller, mint, type PlainCaller } from "../support/PlainCaller.ts"
import { framesWith, toneAmplitude } from "../support/Tones.ts"

const server = await liveKitServer()
const found = "missing" in server ? undefined : server
afterAll(async () => await found?.stop())

/** Opus keeps the pitch of a tone; each is a whole number of periods in a frame, so that stretches have no seams. */
const pitches = [0, 500, 900, 1_400, 2_100, 2_900, 3_700]

const tones: Marks = {
  frame: (mark) =>
    Int16Array.from(
      { length: frameSamples },
      (_, i) => Math.round(toneAmplitude * Math.sin(2 * Math.PI * pitches[mark]! * i / 16_000))
    ),
  count: (mark, heard) => framesWith(pitches[mark]!, heard),
  // The far end cuts its frames elsewhere, and its jitter buffer stretches and squeezes what it plays.
  smear: 3,
  tail: 2
}

let rooms = 0

const layer: TransportHarness["layer"] = ({ caller: words, lingerMs }) =>
  Layer.unwrap(Effect.gen(function*() {
    if (found === undefined) return yield* Effect.die("no server")
    yield* nativeClient
    const { url } = found
    const room = `conformance-${process.pid}-${rooms++}`
    const tokenOf = (identity: string, kind?: "agent") =>
      mint({ ...found, room, identity, ...(kind === undefined ? {} : { kind }) })
    const callers: Array<PlainCaller> = []
    const enter = async () => {
      const caller = await joinPlainCaller(url, await tokenOf("caller"))
      callers.push(caller)
      return caller
    }
    let cut = false
    const call = async (caller: PlainCaller) => {
      await caller.publish()
      await caller.say(words)
      // Media takes its time to get here, and back.
      await sleep(lingerMs + 500)
    }
    const first = yield* Effect.promise(enter)
    yield* Effect.forkScoped(Effect.promise(async () => {
      await call(first)
      if (!cut) await first.leave()
    }))
    yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all(callers.map((caller) => caller.leave()))))
    const rest = new RoomServiceClient(url.replace("ws", "http"), found.apiKey, found.apiSecret)
    const cutAndBack = Effect.gen(function*() {
      cut = true
      yield* Effect.promise(() => rest.removeParticipant(room, "caller"))
      yield* Effect.sleep(1_000)
      const again = yield* Effect.promise(enter)
      yield* Effect.promise(async () => {
        await call(again)
        await again.leave()
      })
    })
    const token = Redacted.make(yield* Effect.promise(() => tokenOf("agent", "agent")))
    return Layer.merge(
      RoomTransport.layer({ url, token, capacityMs: 200 }),
      Layer.succeed(FarEnd, { heard: Effect.sync(() => first.heard()), cutAndBack })
    )
  }))

transportConformance("RoomTransport, over a real livekit-server,", {
  layer,
  run: (effect) => effect,
  toleranceMs: 150,
  lossless: false,
  mayComeBack: true,
  marks: tones,
  cannot: { time: "the jitter buffer and the load of the machine decide when a frame comes" },
  ...("missing" in server ? { missing: server.missing } : {})
})
