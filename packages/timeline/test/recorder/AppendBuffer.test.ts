// Holds I-ROOM-EVIDENCE, I-ROOM-MARKERS.
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { assert, describe, it } from "@effect/vitest"
import { encodeJson } from "../../src/format/JsonFrame.ts"
import { AppendBuffer, approximateBytes, markerBytes } from "../../src/recorder/AppendBuffer.ts"
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
const limits = { items: 10_000, bytes: 256 * 1024 }

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
    assert.strictEqual(fill(buffer, of("detail")), 160)
    assert.strictEqual(fill(buffer, of("record")), 0)
    assert.strictEqual(new AppendBuffer({ items: 200, bytes: 1e9 }).hasRoom(0), true)
    assert.strictEqual(buffer.hasRoom(0), false)
    assert.strictEqual(buffer.offer(group, 0), "kept")
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
