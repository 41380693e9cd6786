// Holds I-ROOM-EVIDENCE, I-ROOM-MARKERS, I-ROOM-RECORDS.
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { assert, describe, it } from "@effect/vitest"
import { encodeJson } from "../../src/format/JsonFrame.ts"
import { AppendBuffer, approximateBytes, detailFill, markerBytes } from "../../src/recorder/AppendBuffer.ts"
import { evidenceBaseBytes, evidenceInvocationBytes } from "../../src/recorder/EvidenceLedger.ts"
import type { Emission, Tier } from "../../src/recorder/RecordAssembler.ts"
import { recording, usualSession } from "./support/Recording.ts"

const input: TimelineRecord = {
  record: "input",
  runtime_sequence: 1,
  runtime_timestamp_ms: 1,
  lane: "DataLane",
  input: { type: "audio_ended" }
}
const of = (tier: Tier, ...records: ReadonlyArray<TimelineRecord>): Emission => ({
  tier,
  records: records.length === 0 ? [input] : records
})
const group = of(
  "baseline",
  ...recording((script) => void script.committed()).frames.find((frame) => frame.length > 1) ?? []
)
const limits = { items: 10_000, bytes: 512 * 1024 }

const fill = (buffer: AppendBuffer, emission: Emission, reserved = 0): number => {
  let kept = 0
  while (buffer.offer(emission, reserved) === "kept") kept++
  return kept
}

describe("the append buffer", () => {
  it("drops detail first, then records, and takes the evidence of an open turn when both are full", () => {
    const buffer = new AppendBuffer(limits)
    fill(buffer, of("detail"), evidenceBaseBytes)
    assert.strictEqual(buffer.droppedDetail, 1)
    assert.isAbove(fill(buffer, of("record"), evidenceBaseBytes), 10)
    assert.strictEqual(buffer.droppedRecords, 1)
    assert.strictEqual(buffer.offer(of("detail"), 0), "dropped")
    assert.strictEqual(buffer.offer(group, 0), "kept")
  })

  it("always has room for the terminals and closes of two turns", () => {
    const buffer = new AppendBuffer({ items: 1000, bytes: 32 * 1024 })
    fill(buffer, of("record"))
    const big: Emission = { ...group, records: [...group.records] }
    const room = markerBytes
    assert.isAtMost(2 * big.records.slice(1).reduce((sum, record) => sum + approximateBytes(record), 0), room)
    assert.strictEqual(buffer.offer(of("baseline", ...group.records.slice(1)), 0), "kept")
    assert.strictEqual(buffer.offer(of("baseline", ...group.records.slice(1)), 0), "kept")
  })

  it("keeps the markers of a group whose evidence has no room", () => {
    const buffer = new AppendBuffer({ items: 1000, bytes: 32 * 1024 })
    fill(buffer, of("record"))
    const many = group.records.map((record) =>
      record.record !== "evidence" ? record : {
        ...record,
        evidence: { ...record.evidence, invocations: Array.from({ length: 10 }, () => record.evidence.invocations[0]!) }
      }
    )
    assert.strictEqual(buffer.offer(of("baseline", ...many), 0), "stripped")
    assert.deepStrictEqual(buffer.take().at(-1)?.records, many.slice(1))
  })

  it("is bounded by items as well", () => {
    const buffer = new AppendBuffer({ items: 200, bytes: 1e9 })
    assert.strictEqual(fill(buffer, of("detail")), 71)
    assert.strictEqual(buffer.hasRoom(0), true)
    assert.strictEqual(buffer.fill, 71 / 200)
    assert.strictEqual(fill(buffer, of("record")), 200 - 64)
    assert.strictEqual(buffer.droppedDetail, 1 + 71)
    assert.strictEqual(buffer.hasRoom(0), false)
    assert.strictEqual(buffer.offer(group, 0), "kept")
  })

  it("says how full it is, of items or of bytes, whichever is more", () => {
    const buffer = new AppendBuffer(limits)
    assert.strictEqual(buffer.fill, 0)
    fill(buffer, of("detail"))
    assert.isAbove(buffer.fill, 0.94)
    assert.isAtMost(buffer.fill, detailFill)
    while (buffer.waitingBytes > 0) {
      buffer.take()
      const { fill: before } = buffer
      buffer.written()
      assert.isBelow(buffer.fill, before)
    }
    assert.strictEqual(buffer.fill, 0)
  })

  it("lets detail that waits go for records, the newest first, and never the other way round", () => {
    const buffer = new AppendBuffer(limits)
    const detail = (sequence: number): Emission => of("detail", { ...input, runtime_sequence: sequence })
    let details = 0
    while (buffer.offer(detail(details), 0) === "kept") details++
    const records = fill(buffer, of("record"))
    assert.strictEqual(buffer.droppedDetail, 1 + details)
    assert.strictEqual(records, fill(new AppendBuffer(limits), of("record")))
    const some = new AppendBuffer(limits)
    for (let sequence = 0; sequence < details; sequence++) some.offer(detail(sequence), 0)
    for (let n = 0; n < 60; n++) assert.strictEqual(some.offer(of("record"), 0), "kept")
    const gone = some.droppedDetail
    assert.isAbove(gone, 0)
    const left: Array<number> = []
    for (let batch = some.take(); batch.length > 0; batch = some.take()) {
      for (const { records: [first], tier } of batch) {
        if (tier === "detail" && first?.record === "input") left.push(first.runtime_sequence)
      }
      some.written()
    }
    assert.deepStrictEqual(left, Array.from({ length: details - gone }, (_, sequence) => sequence))
  })

  it("gives the writer as much as it writes at once, and something always", () => {
    const buffer = new AppendBuffer({ items: 10_000, bytes: 4 * 1024 * 1024 })
    for (let n = 0; n < 300; n++) buffer.offer(of("record"), 0)
    assert.deepStrictEqual([buffer.take().length, buffer.take().length, buffer.take().length], [128, 128, 44])
    buffer.written()
    const large: Emission = of("detail", {
      record: "caller_audio",
      first_sample_index: 0,
      pcm_base64: "A".repeat(300_000)
    })
    buffer.offer(large, 0)
    buffer.offer(large, 0)
    assert.deepStrictEqual([buffer.take().length, buffer.take().length, buffer.take().length], [1, 1, 0])
  })

  it("counts what was taken until it is written", () => {
    const buffer = new AppendBuffer(limits)
    fill(buffer, of("record"))
    buffer.take()
    assert.strictEqual(buffer.offer(of("record"), 0), "dropped")
    assert.isFalse(buffer.hasRoom(0))
    buffer.written()
    assert.strictEqual(buffer.offer(of("record"), 0), "kept")
    assert.isTrue(buffer.hasRoom(0))
  })

  it("says that there is no room while a record has none", () => {
    const buffer = new AppendBuffer(limits)
    fill(buffer, of("record"), evidenceBaseBytes)
    assert.isFalse(buffer.hasRoom(evidenceBaseBytes))
  })
})

describe("the estimate of a record's size", () => {
  it("is not less than its JSON", () => {
    for (const level of ["L0", "L2"] as const) {
      const { header, records } = recording(usualSession, { level })
      for (const record of [header, ...records]) {
        assert.isAtMost(encodeJson([record]).length, approximateBytes(record), record.record)
      }
    }
  })

  it("and the room that is kept for evidence hold for a turn of many sentences", () => {
    const { records } = recording((script) => {
      const { turn } = script.open()
      for (let i = 0; i < 200; i++) {
        const [tts, start] = script.start("tts", turn)
        script.outputs(start).ended(tts, "tts", { turn_id: turn, first_result_ms: 123_456, reason: "end_of_segment" })
      }
      script.end(turn, "commit")
    })
    const evidence = records.find((record) => record.record === "evidence")
    assert(evidence?.record === "evidence")
    const size = encodeJson([evidence]).length
    assert.isAtMost(size, approximateBytes(evidence))
    assert.isAtMost(size, evidenceBaseBytes + 201 * evidenceInvocationBytes)
    // The measured sizes that the constants are made of.
    assert.isAtMost(size / 201, evidenceInvocationBytes / 2)
  })
})
