import type { AudioFrame } from "@rspp/runtime/ports/AudioFrame"
import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import { CallerAudio, fillMs, preConnectWaitMs, queueFrames } from "@rspp/transports/livekit/CallerAudio"
import { assert, describe, it } from "@effect/vitest"

/** An intake whose tasks run when the test says so. */
const intake = (accept: (frame: AudioFrame) => boolean = () => true) => {
  const delivered: Array<AudioFrame> = []
  let tasks: Array<() => void> = []
  const audio = new CallerAudio((frame) => {
    delivered.push(frame)
    return accept(frame)
  }, (task) => void tasks.push(task))
  const run = () => {
    while (tasks.length > 0) {
      const now = tasks
      tasks = []
      for (const task of now) task()
    }
  }
  return { audio, delivered, run, indices: () => delivered.map(({ sampleIndex }) => sampleIndex / frameSamples) }
}

const frame = (value: number) => new Int16Array(frameSamples).fill(value)
const values = (frames: ReadonlyArray<AudioFrame>) => frames.map(({ samples }) => samples[0])
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

describe("CallerAudio", () => {
  it("delivers frames in order, without gaps however unevenly they come (A1)", () => {
    const { audio, delivered, indices, run } = intake()
    // A second that stood still, and then all of it at once.
    const times = range(0, 300).map((i) => i >= 50 && i < 98 ? 2_000 : i * 20)
    times.forEach((atMs, i) => {
      audio.arrived(frame(i + 1), atMs)
      if (atMs !== 2_000) run()
    })
    run()
    assert.deepStrictEqual(indices(), range(0, 300))
    assert.deepStrictEqual(values(delivered), range(1, 301))
    assert.deepInclude(audio.counts, { frames: 300, dropped_frames: 0, gap_samples: 0, filled_frames: 0 })
  })

  it("drops the oldest of more than a second, counts them, and keeps positions true (A2)", () => {
    const { audio, delivered, indices, run } = intake()
    for (const i of range(0, 70)) audio.arrived(frame(i), i * 20)
    run()
    assert.strictEqual(queueFrames, 50)
    assert.deepStrictEqual(indices(), range(20, 70))
    assert.deepStrictEqual(values(delivered), range(20, 70))
    assert.strictEqual(audio.counts.dropped_frames, 20)
  })

  it("counts what the session refuses, and goes on", () => {
    const { audio, run } = intake(({ sampleIndex }) => sampleIndex !== frameSamples)
    for (const i of range(0, 5)) audio.arrived(frame(i), i * 20)
    run()
    assert.deepInclude(audio.counts, { frames: 5, refused_frames: 1 })
  })

  it("moves on by the clock when another stream begins", () => {
    const { audio, indices, run } = intake()
    for (const i of range(0, 10)) audio.arrived(frame(i), i * 20)
    audio.restarted()
    for (const i of range(0, 3)) audio.arrived(frame(i), 7_000 + i * 20)
    run()
    assert.deepStrictEqual(indices(), [...range(0, 10), 350, 351, 352])
    assert.strictEqual(audio.counts.gap_samples, 340 * frameSamples)
  })

  it("moves on when the stream stays behind the clock for a second: that audio will not come", () => {
    const { audio, indices, run } = intake()
    for (const i of range(0, 10)) audio.arrived(frame(i), i * 20)
    // Half a second is missing.
    for (const i of range(0, 100)) {
      audio.arrived(frame(i), 700 + i * 20)
      run()
    }
    assert.strictEqual(indices().at(-1), 134)
    assert.strictEqual(audio.counts.gap_samples, 25 * frameSamples)
  })

  it("puts silence in the place of a stream that stopped, for a while (A3)", () => {
    const { audio, delivered, run } = intake()
    audio.fill(50)
    assert.strictEqual(audio.counts.frames, 0)
    for (const i of range(0, 10)) audio.arrived(frame(9), i * 20)
    for (let now = 300; now < 30_000; now += 100) {
      audio.fill(now)
      run()
    }
    const filled = delivered.slice(10)
    assert.strictEqual(audio.counts.filled_frames, filled.length)
    assert.closeTo(filled.length * 20, fillMs, 150)
    assert.isTrue(filled.every(({ samples }) => samples.every((x) => x === 0)))
    assert.strictEqual(new Set(filled.map(({ samples }) => samples.buffer)).size, filled.length)
    // What follows is where the clock is.
    audio.restarted()
    audio.arrived(frame(5), 30_000)
    run()
    assert.strictEqual(delivered.at(-1)?.sampleIndex, 1_500 * frameSamples)
    assert.deepStrictEqual(
      delivered.slice(0, -1).map(({ sampleIndex }) => sampleIndex / frameSamples),
      range(0, delivered.length - 1)
    )
  })

  it("delivers what was said before the agent came first, when it comes in time", () => {
    const { audio, delivered, indices, run } = intake()
    let earlier: Int16Array | undefined
    audio.awaitEarlier(() => earlier, preConnectWaitMs)
    for (const i of range(0, 100)) {
      audio.arrived(frame(1_000 + i), i * 20)
      run()
    }
    assert.strictEqual(delivered.length, 0)
    // 1 s and a bit that does not fill a frame: its oldest samples are left out.
    earlier = new Int16Array(frameSamples * 50 + 100).fill(7)
    audio.arrived(frame(1_100), 2_000)
    run()
    assert.deepStrictEqual(values(delivered), [...range(0, 50).map(() => 7), ...range(1_000, 1_101)])
    assert.deepStrictEqual(indices(), range(0, 151))
    assert.deepInclude(audio.counts, { preconnect_frames: 50, dropped_frames: 0, gap_samples: 0 })
    // The clock agrees: live frames go on without a jump.
    for (const i of range(101, 400)) {
      audio.arrived(frame(i), i * 20)
      run()
    }
    assert.deepStrictEqual(indices(), range(0, 450))
  })

  it("waits for it no longer than was said", () => {
    const { audio, delivered, run } = intake()
    audio.awaitEarlier(() => undefined, 1_000)
    for (const i of range(0, 60)) {
      audio.arrived(frame(i), i * 20)
      run()
    }
    assert.deepStrictEqual(values(delivered), range(0, 60))
  })

  it("delivers nothing after it was stopped, but what was asked for (A4)", () => {
    const flushed = intake()
    flushed.audio.arrived(frame(1), 0)
    flushed.audio.stop(true)
    assert.strictEqual(flushed.delivered.length, 1)
    const cut = intake()
    cut.audio.arrived(frame(1), 0)
    cut.audio.stop(false)
    cut.audio.arrived(frame(2), 20)
    cut.run()
    assert.strictEqual(cut.delivered.length, 0)
  })
})
