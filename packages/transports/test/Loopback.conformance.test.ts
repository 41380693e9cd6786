import * as NodeServices from "@effect/platform-node/NodeServices"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import * as LoopbackTransport from "@rspp/transports/loopback/LoopbackTransport"
import * as MemoryTransport from "@rspp/transports/loopback/MemoryTransport"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { readAudioFile } from "@rspp/transports/loopback/WaveFile"
import { Effect, FileSystem, Layer } from "effect"
import { exactMarks, FarEnd, transportConformance, type TransportHarness } from "./conformance/TransportConformance.ts"

const memory: TransportHarness["layer"] = ({ caller, lingerMs }) => {
  const script = makeCallScript([{ say: caller }], { hang_up: { after: "previous", delay_ms: lingerMs } })
  return Layer.effect(
    FarEnd,
    Effect.map(MemoryTransport.MemoryTracks, (memory) => ({ heard: Effect.map(memory.tracks, ({ agent }) => agent) }))
  ).pipe(Layer.provideMerge(MemoryTransport.layer({ script })))
}

const files: TransportHarness["layer"] = ({ caller, lingerMs }) =>
  Layer.unwrap(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const reply = `${yield* fs.makeTempDirectoryScoped()}/reply.wav`
    const script = makeCallScript([{ say: caller }], { hang_up: { after: "previous", delay_ms: lingerMs } })
    const heard = readAudioFile(reply).pipe(
      Effect.map(({ samples }) => samples),
      Effect.provideService(FileSystem.FileSystem, fs),
      Effect.orDie
    )
    return Layer.merge(LoopbackTransport.layer({ script, reply }), Layer.succeed(FarEnd, { heard }))
  })).pipe(Layer.provide(NodeServices.layer), Layer.orDie)

const virtual: TransportHarness["run"] = (effect) => VirtualTime.run(effect)

const nothingToCut = "a scripted caller has no connection that could be cut"
const standsStill = "virtual time stands still when the thread does"
const exact = { lossless: true, marks: exactMarks }

transportConformance("MemoryTransport in virtual time", {
  layer: memory,
  run: virtual,
  toleranceMs: 0,
  ...exact,
  cannot: { late: standsStill, reconnect: nothingToCut }
})
transportConformance("LoopbackTransport in virtual time", {
  layer: files,
  run: virtual,
  toleranceMs: 0,
  ...exact,
  cannot: { late: standsStill, reconnect: nothingToCut }
})
transportConformance("MemoryTransport at real time", {
  layer: memory,
  run: (effect) => effect,
  toleranceMs: 150,
  ...exact,
  cannot: { reconnect: nothingToCut }
})
