import { frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { Transport } from "@rspp/runtime/ports/Transport"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import * as MemoryTransport from "@rspp/transports/loopback/MemoryTransport"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { readAudioStream, WaveFileError } from "@rspp/transports/loopback/WaveFile"
import { waveHeader } from "@rspp/transports/loopback/WaveWriter"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Stream } from "effect"
import { TimerHeap, type Timer } from "../src/internal/TimerHeap.ts"
import { Track } from "../src/internal/Track.ts"

/** Seeded numbers, so that a failure can be run again (mulberry32). */
const numbers = (seed: number) => {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return { below: (n: number) => Math.floor(next() * n), chance: (p: number) => next() < p }
}

const seeds = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

describe("laws", () => {
  it("timers come out by time, then in the order in which they were set, and never when cancelled", () => {
    for (const seed of seeds(50)) {
      const random = numbers(seed)
      const heap = new TimerHeap()
      const live: Array<Timer> = []
      const fired: Array<Timer> = []
      let now = 0
      for (let step = 0; step < 3_000; step++) {
        const move = live.length === 0 ? 0 : random.below(4)
        if (move < 2) {
          live.push(heap.add(now + random.below(50), () => {}))
        } else if (move === 2) {
          heap.cancel(live.splice(random.below(live.length), 1)[0]!)
        } else {
          now += random.below(5)
          const due = live.filter((timer) => timer.atNs <= now).sort((a, b) => a.atNs - b.atNs || a.id - b.id)
          for (const expected of due) {
            const timer = heap.take(now)
            assert.strictEqual(timer?.id, expected.id, `seed ${seed}`)
            fired.push(timer!)
            live.splice(live.indexOf(timer!), 1)
          }
          assert.isUndefined(heap.take(now), `seed ${seed}`)
        }
      }
      assert.isAbove(fired.length, 100)
    }
  })

  it("a track gives back what was written, silence elsewhere, nothing that was cut, each sample once", () => {
    for (const seed of seeds(40)) {
      const random = numbers(seed)
      const track = new Track()
      const model: Array<number> = []
      const taken: Array<number> = []
      for (let step = 0; step < 200; step++) {
        const end = model.length
        if (random.chance(0.6)) {
          const at = end + (random.chance(0.3) ? random.below(3_000) : 0)
          const samples = Int16Array.from({ length: 1 + random.below(200) }, () => 1 + random.below(30_000))
          track.write(at, samples)
          while (model.length < at) model.push(0)
          model.push(...samples)
        } else if (random.chance(0.4)) {
          const at = track.taken + random.below(Math.max(1, end - track.taken))
          track.truncate(at)
          model.length = Math.min(model.length, at)
        } else {
          const at = track.taken + random.below(4_000)
          taken.push(...track.take(at))
          while (model.length < at) model.push(0)
        }
        assert.strictEqual(track.end, Math.max(model.length, taken.length), `seed ${seed}`)
      }
      taken.push(...track.take(track.end))
      assert.deepStrictEqual(Int16Array.from(taken), Int16Array.from(model), `seed ${seed}`)
    }
  })

  it.live(
    "what is heard is what was captured, where it was captured, without what was cleared",
    () =>
      Effect.gen(function*() {
        for (const seed of seeds(60)) {
          const random = numbers(seed)
          const script = makeCallScript([{ say: new Int16Array(1) }], { hang_up: { after: "start", delay_ms: 20_000 } })
          const heard: Array<number> = []
          const { agent } = yield* VirtualTime.run(
            Effect.gen(function*() {
              yield* Effect.scoped(Effect.gen(function*() {
                const session = yield* (yield* Transport).open({ session_id: "s1" })
                yield* Effect.forkScoped(
                  session.run({
                    audio: () => true,
                    connection: () => {},
                    text: () => {},
                    pushToTalk: () => {},
                    audioEnded: () => {}
                  })
                )
                const { output } = session
                const now = Effect.map(Clock.monotonicTimeNanos, (ns) => Math.floor(Number(ns) / 62_500))
                let queueEnd = 0
                for (let step = 0; step < 300; step++) {
                  if (random.chance(0.8)) {
                    const samples = new Int16Array(1 + random.below(frameSamples)).fill(step + 1)
                    yield* output.capture(samples)
                    const start = Math.max(queueEnd, yield* now)
                    queueEnd = start + samples.length
                    for (let i = start; i < queueEnd; i++) heard[i] = step + 1
                  } else if (random.chance(0.6)) {
                    yield* Effect.sleep(Duration.nanos(BigInt(1 + random.below(60_000_000))))
                  } else {
                    const at = yield* now
                    assert.strictEqual(output.clear(), Math.max(0, queueEnd - at), `seed ${seed}`)
                    queueEnd = Math.min(queueEnd, at)
                    heard.length = Math.min(heard.length, at)
                  }
                  const queued = output.queuedSamples()
                  assert.isAtMost(queued, 200 * samplesPerMs, `seed ${seed}`)
                  assert.strictEqual(queued, Math.max(0, queueEnd - (yield* now)), `seed ${seed}`)
                }
                yield* Effect.sleep(200)
              }))
              return yield* (yield* MemoryTransport.MemoryTracks).tracks
            }).pipe(Effect.provide(MemoryTransport.layer({ script }), { local: true }))
          )
          const expected = Int16Array.from({ length: agent.length }, (_, i) => heard[i] ?? 0)
          assert.isAtLeast(agent.length, heard.length)
          assert.deepStrictEqual(agent, expected, `seed ${seed}`)
        }
      }),
    60_000
  )

  it.effect("whatever the bytes are, reading ends with samples or with a WaveFileError", () =>
    Effect.gen(function*() {
      const good = new Uint8Array([...waveHeader(1, 2_000), ...new Uint8Array(2_000).map((_, i) => i)])
      let read = 0
      for (const seed of seeds(3_000)) {
        const random = numbers(seed)
        let bytes = good.slice(0, random.chance(0.3) ? random.below(good.length) : good.length)
        if (random.chance(0.1)) bytes = Uint8Array.from({ length: random.below(200) }, () => random.below(256))
        for (let n = random.below(4); n > 0 && bytes.length > 0; n--) {
          bytes[random.below(Math.min(48, bytes.length))] = random.chance(0.3) ? 255 : random.below(256)
        }
        const exit = yield* Effect.exit(readAudioStream(Stream.make(bytes), `seed ${seed}`))
        if (Exit.isSuccess(exit)) read++
        else {assert.isTrue(
            exit.cause.reasons.every((r) => r._tag === "Fail" && r.error instanceof WaveFileError),
            `seed ${seed}`
          )}
      }
      assert.isAbove(read, 300)
      assert.isBelow(read, 2_700)
    }), 60_000)
})
