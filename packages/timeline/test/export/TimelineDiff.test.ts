import { assert, describe, it } from "@effect/vitest"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { timelineDiff } from "../../src/export/TimelineDiff.ts"
import { recording, usualSession } from "../recorder/support/Recording.ts"

const a = recording(usualSession)

const changedAt = (at: number, change: (record: TimelineRecord) => TimelineRecord) => ({
  header: a.header,
  records: a.records.map((record, index) => index === at ? change(record) : record)
})
const indexOf = (signal: string, nth = 1) => {
  let seen = 0
  return a.records.findIndex((record) =>
    record.record === "signal" && record.signal.signal === signal && ++seen === nth
  )
}

describe("a comparison of two recordings", () => {
  it("finds nothing in the same recording", () => {
    assert.deepStrictEqual(timelineDiff(a, recording(usualSession)), {
      identical: true,
      header: [],
      turns: [],
      signals: []
    })
  })

  it("finds any one record that was changed, and names it with its fields", () => {
    for (let at = 0; at < a.records.length; at++) {
      const b = changedAt(at, (record) => ({ ...record, planted: true }) as unknown as TimelineRecord)
      const { first, identical } = timelineDiff(a, b)
      assert.isFalse(identical)
      assert.strictEqual(first?.ordinal, at + 1)
      assert.deepStrictEqual(first?.fields, [{ path: "planted", b: true }])
    }
  })

  it("finds what one has and the other has not", () => {
    const at = indexOf("abort")
    const b = { header: a.header, records: a.records.toSpliced(at, 1) }
    const { first, signals, turns } = timelineDiff(a, b)
    assert.strictEqual(first?.ordinal, at + 1)
    assert.strictEqual(first?.a, "signal abort")
    assert.deepInclude(signals[0], { signal: "abort", turn_id: "turn_2", reason: "cancelled" })
    assert.isUndefined(signals[0]?.b_ms)
    assert.deepStrictEqual(turns.map(({ turn_id }) => turn_id), ["turn_2"])
    assert.strictEqual(turns[0]?.a?.ending, "abort (cancelled)")
    assert.isUndefined(turns[0]?.b?.ending)
    assert.deepInclude(timelineDiff(b, a).signals[0], { signal: "abort" })
    const shorter = { header: a.header, records: a.records.slice(0, 20) }
    assert.deepInclude(timelineDiff(a, shorter).first, { ordinal: 21 })
    assert.notProperty(timelineDiff(a, shorter).first, "b")
  })

  it("finds a signal at another time, and its turn", () => {
    const at = indexOf("turn_open", 2)
    const b = changedAt(at, (record) =>
      record.record === "signal"
        ? { ...record, signal: { ...record.signal, runtime_timestamp_ms: record.signal.runtime_timestamp_ms + 7 } }
        : record)
    const { signals, turns } = timelineDiff(a, b)
    assert.lengthOf(signals, 1)
    assert.strictEqual((signals[0]?.b_ms ?? 0) - (signals[0]?.a_ms ?? 0), 7)
    assert.deepStrictEqual(turns.map(({ fields, turn_id }) => [turn_id, fields.map(({ path }) => path)]), [
      ["turn_2", ["open_ms"]]
    ])
  })

  it("reads one session under the id of the other, and says that they are two", () => {
    const text = JSON.stringify([a.header, ...a.records]).replaceAll(a.header.session_id, "ses_another")
    const [header, ...records] = JSON.parse(text) as [typeof a.header, ...Array<TimelineRecord>]
    const { first, header: differs, identical } = timelineDiff(a, { header, records })
    assert.isUndefined(first)
    assert.isFalse(identical)
    assert.deepStrictEqual(differs, [{ path: "session_id", a: a.header.session_id, b: "ses_another" }])
  })
})
