import { assert, describe, it } from "@effect/vitest"
import { timeOf } from "@rspp/contracts/TimelineStamp"
import { filtered, laneOf, parseMoment } from "../../src/export/RecordFilter.ts"
import type { RecordFilter } from "../../src/export/RecordFilter.ts"
import { recording, usualSession } from "../recorder/support/Recording.ts"

const timeline = recording(usualSession)
const select = (filter: RecordFilter) => [...filtered(timeline, filter)]

describe("the records that a filter selects", () => {
  it("are all without one, the header first", () => {
    assert.deepStrictEqual(select({}).map(({ record }) => record), [timeline.header, ...timeline.records])
  })

  it("are divided by lane without rest", () => {
    const lanes = (["ControlLane", "DataLane", "TelemetryLane"] as const).map((lane) => select({ lane }))
    assert.strictEqual(lanes.reduce((sum, { length }) => sum + length, 0), timeline.records.length + 1)
    assert.isTrue(lanes[1]?.every(({ record }) => laneOf(record) === "DataLane"))
    assert.isAbove(lanes[1]?.length ?? 0, 0)
    assert.isTrue(select({ kind: "signal" }).every(({ record }) => laneOf(record) === "ControlLane"))
  })

  it("are those of a stretch of time, with what has no time of its own and audio that reaches into it", () => {
    const [open] = select({ signal: "turn_open" })
    const at = open?.atMs ?? 0
    const from = select({ fromMs: at }).filter(({ record }) => record.record !== "audio")
    assert.isTrue(from.every(({ atMs }) => atMs >= at))
    const before = select({ toMs: at - 1 })
    assert.isTrue(before.every(({ record }) => (timeOf(record) ?? 0) < at))
    const quiet = ({ record }: { readonly record: { readonly record: string } }) => record.record !== "audio"
    assert.strictEqual(from.length + before.filter(quiet).length, select({}).filter(quiet).length)
    const evidence = select({ kind: "evidence" })[0]
    assert.includeMembers(
      select({ fromMs: evidence?.atMs ?? 0, toMs: evidence?.atMs ?? 0 }).map(({ record }) => record.record),
      ["evidence"]
    )
    const run = select({ kind: "audio" }).find(({ record }) => record.record === "audio" && record.count > 10)
    assert.strictEqual(
      select({ kind: "audio", fromMs: (run?.atMs ?? 0) + 100, toMs: (run?.atMs ?? 0) + 100 }).length,
      1
    )
  })
})

describe("a moment", () => {
  it("is read as seconds, a clock or milliseconds", () => {
    assert.deepStrictEqual(
      ["0", "12", "3.4", "3.412s", "00:03.412", "1:02", "1:00:00", "10:01:01.500", "3412ms"].map(parseMoment),
      [0, 12_000, 3400, 3412, 3412, 62_000, 3_600_000, 36_061_500, 3412]
    )
  })

  it("is nothing else", () => {
    for (const text of ["", "x", "-1", "1.2345", "1:2:3:4", ":3", "3.4ms", "1 s"]) {
      assert.isUndefined(parseMoment(text), text)
    }
  })
})
