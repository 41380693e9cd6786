import { assert, describe, it } from "@effect/vitest"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { jsonLines } from "../../src/export/JsonLines.ts"
import { perfettoTrace } from "../../src/export/Perfetto.ts"
import { clock, timelineText } from "../../src/export/TimelineText.ts"
import { recording, usualSession } from "../recorder/support/Recording.ts"
import type { Script } from "../recorder/support/Script.ts"

const play = (script: Script): void => {
  usualSession(script)
  script.input({ type: "voice_activity", edge: "speech_ended", sample_index: script.sample })
  script.input({ type: "playback_started", turn_id: "turn_3", segment_id: "turn_3_seg_1" })
  script.wait(100).input({ type: "playback_completed", turn_id: "turn_3", segment_id: "turn_3_seg_1", samples: 1600 })
}
const timeline = recording(play)

describe("JSON lines", () => {
  it("are the header and every record, one a line", () => {
    const text = [...jsonLines(timeline)].join("")
    assert.isTrue(text.endsWith("}\n"))
    const parsed = text.trimEnd().split("\n").map((line) => JSON.parse(line) as TimelineRecord)
    assert.deepStrictEqual(parsed, [timeline.header, ...timeline.records])
  })
})

describe("text", () => {
  const lines = (filter = {}) => [...timelineText(timeline, filter)]

  it("has a line for every record, with when, who, which turn and what", () => {
    assert.strictEqual(lines().length, timeline.records.length + 1)
    const open = lines({ signal: "turn_open" })
    assert.strictEqual(open.length, 3)
    assert.match(open[0] ?? "", /^00:00\.703 +\d+  RK-03 +turn_1 +turn_open$/u)
    assert.match(lines({ signal: "abort" })[0] ?? "", /RK-03 +turn_2 +abort cancelled$/u)
    assert.match(lines({ kind: "audio" })[0] ?? "", /caller +30 frames, samples 0 to 9599$/u)
    assert.match(lines({ kind: "supplement" })[0] ?? "", /supplement acknowledged \d+ late_outputs 2 invocations 1$/u)
    assert.match(lines({ kind: "end" })[0] ?? "", /ended, \d+ records$/u)
  })

  it("can be of one turn: with its recognition, its timers and its evidence", () => {
    const kinds = new Set(lines({ turn: "turn_2" }).map((line) => line.split(/ +turn_2 +/u)[1]?.split(" ")[0]))
    assert.includeMembers([...kinds], ["transcript", "timer", "cancel", "abort", "evidence", "supplement", "close"])
    assert.isTrue(lines({ turn: "turn_2" }).every((line) => line.includes("turn_2")))
  })

  it("can be of one kind of one turn", () => {
    assert.strictEqual(lines({ turn: "turn_1", kind: "transition" }).length, 4)
  })

  it("ends with the tear, if there is one", () => {
    const torn = { ...timeline, tear: { offset: 4711, reason: "checksum" as const, recordsBefore: 9 } }
    assert.match(
      [...timelineText(torn)].at(-1) ?? "",
      /^-- the bytes that follow were changed \(byte 4711, after 9 records\)/u
    )
  })

  it("never shows a token", () => {
    const records = recording((script) => {
      script.input({ type: "lease", authority_epoch: 1, status: "issued", ttl_ms: 5, lease_token: "secret" })
    }).records
    const [, lease = ""] = [...timelineText({ header: timeline.header, records })]
    assert.match(lease, /lease authority_epoch 1 status issued/u)
    assert.notInclude(lease, "secret")
  })

  it("writes times as a clock", () => {
    assert.deepStrictEqual([0, 61_001, 3_600_000, 36_061_500].map(clock), [
      "00:00.000",
      "01:01.001",
      "1:00:00.000",
      "10:01:01.500"
    ])
  })
})

describe("the trace for Perfetto", () => {
  interface Event {
    readonly ph: string
    readonly tid: number
    readonly name: string
    readonly ts?: number
    readonly dur?: number
    readonly args: Readonly<Record<string, unknown>>
  }
  const trace = (records: ReadonlyArray<TimelineRecord>) =>
    (JSON.parse([...perfettoTrace({ header: timeline.header, records })].join("")) as {
      readonly traceEvents: ReadonlyArray<Event>
    }).traceEvents
  const events = trace(timeline.records)
  const track = (title: string) => {
    const tid = events.find((event) => event.name === "thread_name" && event.args["name"] === title)?.tid
    return events.filter((event) => event.ph === "X" && event.tid === tid)
  }

  it("has a track for turns, speech of both sides, each modality, and signals", () => {
    assert.deepStrictEqual(track("turns").map((event) => event.name), [
      "turn_1 commit",
      "turn_2 abort",
      "turn_3 abort"
    ])
    assert.strictEqual(track("caller speech").length, 1)
    assert.strictEqual(track("tts").length, 3)
    assert.deepStrictEqual(track("agent speech").map((event) => [event.name, event.dur]), [["turn_3_seg_1", 100_000]])
    const instants = events.filter((event) => event.ph === "i")
    assert.strictEqual(instants.length, timeline.records.filter((record) => record.record === "signal").length)
  })

  it("draws no slice over another in one track, and none backwards", () => {
    const overlapping = recording((script) => {
      const { turn } = script.open()
      const [one, startOne] = script.start("tts", turn)
      script.outputs(startOne).wait(10)
      const [two, startTwo] = script.start("tts", turn)
      script.outputs(startTwo).wait(10).ended(one, "tts", { turn_id: turn, started_ms: script.now - 20 })
      script.wait(10).ended(two, "tts", { turn_id: turn, started_ms: script.now - 20 })
      script.end(turn, "commit")
    }).records
    for (const all of [events, trace(overlapping)]) {
      const ends = new Map<number, number>()
      for (const { ph, tid, ts = 0, dur = 0 } of all) {
        if (ph !== "X") continue
        assert.isAtLeast(dur, 0)
        assert.isAtLeast(ts, ends.get(tid) ?? 0)
        ends.set(tid, ts + dur)
      }
    }
    assert.strictEqual(trace(overlapping).filter((event) => event.args["name"] === "tts 2").length, 1)
  })

  it("draws what never ended up to the end of the recording", () => {
    const open = recording((script) => void script.open()).records
    const slices = trace(open).filter((event) => event.ph === "X").map((event) => event.name)
    assert.includeMembers(slices, ["turn_1 open", "scripted/llm running", "speech"])
  })
})
