// Holds I-OUT-FENCE, I-OUT-EPOCH, I-OUT-QUEUE.
import { assert, describe, it } from "@effect/vitest"
import type { InputOf, SessionInput } from "@rspp/contracts/SessionInput"
import { EgressWriter } from "@rspp/runtime/connection/EgressWriter"
import { frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Capturing } from "./support/ModelQueue.ts"
import { ModelQueue } from "./support/ModelQueue.ts"
import { numbers } from "./support/SeededNumbers.ts"

interface Sentence {
  readonly id: string
  readonly samples: Array<number>
  chunks: number
  ended: boolean
}

const cases = Number(process.env["RSPP_EGRESS_CASES"] ?? 400)

/** One call of some turns, each spoken to its end or cut, with pauses in between; what is heard is compared to the model. */
const world = Effect.fnUntraced(function*(seed: number) {
  const random = numbers(seed)
  const capturing = (["at once", "later", "in flight"] satisfies ReadonlyArray<Capturing>)[seed % 3]!
  const queue = yield* ModelQueue.make({
    capacityMs: 20 + random.below(181),
    capturing,
    delayMs: () => 1 + random.below(15)
  })
  // How exactly a position is known: to the sample, or to the frame that was on its way.
  const slack = capturing === "at once" ? 0 : frameSamples
  const reports: Array<SessionInput> = []
  const writer = yield* EgressWriter.make(queue, (input) => void reports.push(input), {
    epoch: () => 1,
    leaseHolds: () => true
  })
  const running = yield* Effect.forkChild(writer.run)
  let ordinal = 0
  let wanted: ReadonlyArray<number> = []
  const told = <T extends SessionInput["type"]>(type: T, turn: string) =>
    reports.filter((report): report is InputOf<T> =>
      report.type === type && "turn_id" in report && report.turn_id === turn
    )

  for (let turn = 1; turn <= 3; turn++) {
    const turnId = `turn_${turn}`
    const before = queue.heard.length
    assert.deepStrictEqual(queue.heard.slice(-50), wanted.slice(-50), `seed ${seed}: heard so far`)
    const sentences: Array<Sentence> = []
    let paused = false
    let fenced = false
    const spoken = () => sentences.flatMap((sentence) => sentence.samples)
    const isDone = () => {
      queue.play()
      return queue.heard.length - before === spoken().length
    }

    const steps = 4 + random.below(30)
    for (let step = 0; step < steps && !fenced; step++) {
      const open = sentences.at(-1)
      switch (random.below(8)) {
        case 0:
        case 1:
        case 2: {
          const into = open === undefined || open.ended
            ? { id: `${turnId}_seg_${sentences.length + 1}`, samples: [], chunks: 0, ended: false }
            : open
          if (into !== open) sentences.push(into)
          // Chunks of any length, tiny ones too.
          const length = 1 + random.below(random.chance(0.3) ? 60 : 2_000)
          const samples = Int16Array.from({ length }, () => 1 + (ordinal++ % 30_000))
          into.samples.push(...samples)
          into.chunks += 1
          writer.enqueue(turnId, into.id, 1, samples)
          break
        }
        case 3:
          if (open !== undefined && !open.ended) {
            open.ended = true
            writer.endSegment(turnId, open.id)
          }
          break
        case 4:
          paused = true
          writer.pause(turnId)
          break
        case 5:
          paused = false
          writer.resume(turnId)
          break
        case 6:
          if (!random.chance(0.15)) break
          fenced = true
          break
        case 7: {
          const heard = queue.heard.length
          yield* TestClock.adjust(random.below(random.chance(0.2) ? 400 : 40))
          queue.play()
          if (paused) {
            assert.strictEqual(queue.heard.length, heard, `seed ${seed}: nothing is heard while ${turnId} is paused`)
          }
        }
      }
    }
    const open = sentences.at(-1)
    if (fenced || random.chance(0.3)) {
      queue.play()
      const heard = queue.heard.length - before
      const done = told("playback_completed", turnId).length
      writer.fence(turnId)
      writer.enqueue(turnId, open?.id ?? `${turnId}_seg_1`, 1, new Int16Array(400).fill(-7))
      writer.resume(turnId)
      yield* TestClock.adjust(500)
      queue.play()
      assert.strictEqual(queue.heard.length - before, heard, `seed ${seed}: nothing of ${turnId} after its fence`)
      assert.deepStrictEqual(
        queue.heard.slice(before),
        spoken().slice(0, heard),
        `seed ${seed}: what was heard of ${turnId} is how it began`
      )
      const [fence, ...others] = told("egress_fenced", turnId)
      assert.lengthOf(others, 0)
      assert.closeTo(fence!.dropped_samples, spoken().length - heard, slack, `seed ${seed}: dropped of ${turnId}`)
      const said = [...told("playback_completed", turnId), ...told("playback_cancelled", turnId)]
      const sum = said.reduce((samples, report) => samples + report.samples, 0)
      assert.closeTo(sum, heard, slack, `seed ${seed}: what is told of ${turnId} is what was heard`)
      assert.isAtLeast(said.length, done)
    } else {
      if (open !== undefined && !open.ended) {
        open.ended = true
        writer.endSegment(turnId, open.id)
      }
      writer.resume(turnId)
      for (let waited = 0; waited < 40 && !isDone(); waited++) yield* TestClock.adjust(500)
      assert.deepStrictEqual(queue.heard.slice(before), spoken(), `seed ${seed}: all of ${turnId}, in order, once`)
      // A caller who speaks just then: there is nothing left to resume, and the next turn is heard all the same.
      for (let i = 0; i < 5; i++) yield* TestClock.adjust(20)
      if (random.chance(0.3)) writer.pause(turnId)
      for (const { chunks: _, id, samples } of sentences) {
        const of = { turn_id: turnId, segment_id: id }
        const accepted = told("output_accepted", turnId).filter((report) => report.segment_id === id)
        assert.deepStrictEqual(accepted, [{ type: "output_accepted", ...of, samples: samples.length }], `seed ${seed}`)
        const completed = told("playback_completed", turnId).filter((report) => report.segment_id === id)
        assert.deepStrictEqual(
          completed,
          [{ type: "playback_completed", ...of, samples: samples.length }],
          `seed ${seed}`
        )
      }
      assert.lengthOf(told("playback_cancelled", turnId), 0, `seed ${seed}`)
      const dequeued = told("egress_dequeued", turnId)
      assert.strictEqual(dequeued.length, sentences.reduce((sum, sentence) => sum + sentence.chunks, 0))
      assert.strictEqual(dequeued.reduce((sum, report) => sum + report.samples, 0), spoken().length, `seed ${seed}`)
    }
    const starts = told("playback_started", turnId).map((report) => report.segment_id)
    const ends = [...told("playback_completed", turnId), ...told("playback_cancelled", turnId)]
    assert.strictEqual(new Set(starts).size, starts.length, `seed ${seed}: each sentence starts once`)
    assert.strictEqual(new Set(ends.map((end) => end.segment_id)).size, ends.length, `seed ${seed}: and ends once`)
    for (const end of ends) {
      if (end.samples > slack) assert.include(starts, end.segment_id!, `seed ${seed}: what was heard had started`)
    }
    queue.play()
    wanted = [...queue.heard]
  }
  assert.isAtMost(queue.most, queue.capacityMs * samplesPerMs, `seed ${seed}: the queue's bound`)
  yield* Fiber.interrupt(running)
})

describe("egress, whatever the order of speech, pauses and cuts", () => {
  it.effect(
    `each sample is heard once and in order, or dropped by a fence, in ${cases} calls`,
    () =>
      Effect.gen(function*() {
        const only = process.env["RSPP_SEED"]
        if (only !== undefined) return yield* world(Number(only))
        for (let seed = 1; seed <= cases; seed++) yield* world(seed)
      }),
    60_000
  )

  it.effect("a frame that a transport would have held back is checked when it leaves, not before", () =>
    Effect.gen(function*() {
      const queue = yield* ModelQueue.make({ capacityMs: 100 })
      let listens = false
      const output = {
        capacityMs: queue.capacityMs,
        capture: queue.capture,
        queuedSamples: queue.queuedSamples,
        clear: queue.clear,
        accepts: () => listens
      }
      const reports: Array<SessionInput> = []
      let epoch = 1
      const authority = { epoch: () => epoch, leaseHolds: () => true }
      const writer = yield* EgressWriter.make(output, (input) => void reports.push(input), authority)
      const running = yield* Effect.forkChild(writer.run)
      const samples = new Int16Array(frameSamples * 2).fill(1)
      writer.enqueue("turn_1", "turn_1_seg_1", 1, samples)
      yield* TestClock.adjust(1_000)
      assert.lengthOf(reports, 0)
      // Another took the session over meanwhile.
      epoch = 2
      listens = true
      yield* TestClock.adjust(1_000)
      queue.play()
      assert.lengthOf(queue.heard, 0)
      assert.deepInclude(reports[0], { type: "output_rejected", reason: "stale_epoch", samples: samples.length })
      writer.enqueue("turn_2", "turn_2_seg_1", 2, samples)
      yield* TestClock.adjust(1_000)
      queue.play()
      assert.lengthOf(queue.heard, samples.length)
      yield* Fiber.interrupt(running)
    }))
})
