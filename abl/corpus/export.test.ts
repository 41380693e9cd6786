// `rspp timeline export`: every recording of the corpus as a Perfetto trace and as OTLP.
import { assert, describe, it } from "@effect/vitest"
import { perfettoTrace } from "@rspp/timeline/export/Perfetto"
import { recordedSpans } from "@rspp/timeline/export/OtlpTrace"
import { counterSamples, counterTracks } from "@rspp/timeline/export/TraceCounters"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { rspp } from "../support/Program.ts"
import { corpus, decode } from "./Corpus.ts"
import { breachesOfTraceFormat } from "./TraceRules.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-export-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
const call = join(import.meta.dirname, "real/barge-in.timeline")
const timelines = corpus().map(({ bytes, name }) => ({ name, timeline: decode(bytes) }))
const realCall = timelines.find(({ name }) => name === "real/barge-in.timeline")?.timeline

describe("the trace for Perfetto", () => {
  it("keeps the rules of the trace-event format in every recording of the corpus", () => {
    for (const { name, timeline } of timelines) {
      assert.deepStrictEqual(breachesOfTraceFormat([...perfettoTrace(timeline)].join("")), [], name)
    }
  })

  it("and a trace that breaks one is found", () => {
    const event = (fields: object) => ({ ph: "X", pid: 1, tid: 1, name: "slice", ts: 10, dur: 10, args: {}, ...fields })
    const planted: ReadonlyArray<readonly [string, ReadonlyArray<object>]> = [
      ["dur is a time", [event({ dur: -1 })]],
      ["ts is a time", [event({ ts: "10" })]],
      ["tid is a whole number", [event({ tid: undefined })]],
      ["no name", [event({ name: "" })]],
      ["crosses", [event({}), event({ ts: 15 })]],
      ["args are numbers", [event({ ph: "C", args: { value: null } })]],
      ["forward in time", [event({ ph: "C", args: { a: 1 } }), event({ ph: "C", ts: 5, args: { a: 1 } })]],
      ["s is g, p or t", [event({ ph: "i" })]],
      ["no such metadata", [event({ ph: "M", name: "colour" })]],
      ["no such phase", [event({ ph: "?" })]]
    ]
    for (const [says, traceEvents] of planted) {
      const breaches = breachesOfTraceFormat(JSON.stringify({ displayTimeUnit: "ms", traceEvents }))
      assert.isTrue(breaches.some((breach) => breach.includes(says)), `${says}: ${breaches.join("; ")}`)
    }
    assert.deepStrictEqual(breachesOfTraceFormat(`{"displayTimeUnit":"ms"}`), ["there is no list traceEvents"])
  })

  it("counts audio in and out, the voice queue, running calls and held edges, each back to nothing at the end", () => {
    if (realCall === undefined) return assert.fail("there is no such call")
    const samples = [...counterSamples(realCall.records)]
    const track = (name: string) => samples.filter(({ track }) => track === name).map(({ value }) => value)
    const frames = realCall.records.reduce((sum, record) => sum + (record.record === "audio" ? record.count : 0), 0)
    const accepted = realCall.records.reduce(
      (sum, record) =>
        sum + (record.record === "input" && record.input.type === "output_accepted" ? record.input.samples : 0),
      0
    )
    assert.strictEqual(track(counterTracks.audioIn).at(-1), frames * 20)
    assert.approximately(track(counterTracks.audioOut).at(-1) ?? 0, accepted / 16, 1e-6)
    for (
      const name of [
        counterTracks.voiceQueue,
        counterTracks.voiceChunks,
        counterTracks.running("stt"),
        counterTracks.running("llm"),
        counterTracks.running("tts"),
        counterTracks.held("tts.voice.output")
      ]
    ) {
      assert.isAbove(Math.max(...track(name)), 0, name)
      assert.strictEqual(track(name).at(-1), 0, name)
    }
  })

  it("never counts below nothing", () => {
    for (const { name, timeline } of timelines) {
      for (const { track, value } of counterSamples(timeline.records)) assert.isAtLeast(value, 0, `${name}: ${track}`)
    }
  })
})

describe("OTLP", () => {
  it("has a span for the session, each turn that opened and each call that ended, in every recording", () => {
    for (const { name, timeline } of timelines) {
      const spans = recordedSpans(timeline)
      const named = (wanted: (name: string) => boolean) => spans.filter((span) => wanted(span.name)).length
      const count = (wanted: (record: typeof timeline.records[number]) => boolean) =>
        timeline.records.filter(wanted).length
      assert.strictEqual(named((span) => span === "session"), 1, name)
      assert.strictEqual(
        named((span) => span === "turn"),
        count((record) => record.record === "signal" && record.signal.signal === "turn_open"),
        name
      )
      assert.strictEqual(
        named((span) => /^(?:stt|llm|tts|external) /u.test(span)),
        count((record) => record.record === "invocation"),
        name
      )
    }
  })
})

describe("rspp timeline export", () => {
  it("writes each format to a file and to standard output, the same bytes", async () => {
    for (const format of ["jsonl", "perfetto", "otlp"]) {
      const file = `call.${format}`
      const written = await rspp(cwd, "timeline", "export", call, "--format", format, "--output", file)
      assert.deepStrictEqual([written.code, written.stdout], [0, ""])
      assert.match(written.stderr, new RegExp(`^call\\.${format}: written`, "u"))
      const printed = await rspp(cwd, "timeline", "export", call, "--to", format)
      assert.strictEqual(printed.stdout, readFileSync(join(cwd, file), "utf8"))
    }
  }, 60_000)
})
