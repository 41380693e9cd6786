// Holds I-SLO-NOTRUN.
// The SLO report: every number of it is recomputed by independent.ts, which shares no code with it, and each gate is turned
// red, alone, by a session that ran badly or a recording that was changed.
import { assert, describe, it, layer } from "@effect/vitest"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { defaultSessionConfig } from "@rspp/contracts/SessionConfig"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { jsonLines } from "@rspp/timeline/export/JsonLines"
import { timelineBytes } from "@rspp/timeline/export/RegressionFixture"
import type { Timeline } from "@rspp/timeline/format/TimelineDecoder"
import { criticalPathObserver, criticalPaths } from "@rspp/timeline/latency/CriticalPath"
import type { TurnPath } from "@rspp/timeline/latency/TurnPath"
import { sloGates } from "@rspp/timeline/slo/SloGates"
import type { SloGate } from "@rspp/timeline/slo/SloGates"
import { failsReport, sloReport } from "@rspp/timeline/slo/SloReport"
import type { SloReport } from "@rspp/timeline/slo/SloReport"
import { sloTimeline } from "@rspp/timeline/slo/SloTimeline"
import { busyScript } from "@rspp/timeline/test/support/recording"
import { randomScript } from "@rspp/timeline/test/support/randomScript"
import type { Script } from "@rspp/timeline/test/support/Script"
import { conversation } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { simplePipeline } from "@rspp/timeline/test/support/SimplePipeline"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { Effect } from "effect"
import { corpus, decode } from "../corpus/Corpus.ts"
import { changed, without } from "../support/Planted.ts"
import { runScriptedCall, speech } from "../support/ScriptedCall.ts"
import { recompute } from "./independent.ts"

type Recording = Pick<Timeline, "header" | "records" | "tear">
type Recomputed = ReturnType<typeof recompute>

const run = (script: Script) =>
  Effect.map(
    SessionKernel,
    (kernels) =>
      scriptedSession(kernels, {
        ...script,
        header: { behaviour_flags: Object.values(behaviourFlags), ...script.header }
      })
  )

const reportOf = (...timelines: ReadonlyArray<Recording>): SloReport =>
  sloReport(timelines.map((timeline, n) => sloTimeline(`${n}.timeline`, timeline)))

/** What both say, and nothing that only one of them does. */
const numbers = ({ critical_path, gates, kernel_overhead, refused, timelines, turns }: Recomputed | SloReport) => ({
  timelines,
  turns,
  refused,
  gates: gates.map(({ gate, samples, verdict, ...more }) => ({
    gate,
    samples,
    verdict,
    value: "value" in more ? more.value : undefined
  })),
  critical_path,
  kernel_overhead
})

const agree = (...timelines: ReadonlyArray<Recording>): SloReport => {
  const report = reportOf(...timelines)
  const again = recompute(timelines.map((timeline, n) => ({ file: `${n}.timeline`, lines: [...jsonLines(timeline)] })))
  assert.deepStrictEqual(numbers(report), numbers(again))
  return report
}

const red = ({ gates }: SloReport): ReadonlyArray<SloGate> =>
  gates.filter(({ verdict }) => verdict === "fail").map(({ gate }) => gate)

const typed: Script = {
  seed: 1,
  lastsMs: 9000,
  inputs: [{ atMs: 500, input: { type: "typed_text", handle: { id: "h_in", payload_class: "text_raw", length: 12 } } }]
}

/** A caller who is answered, and who cuts the second answer. */
const cutIn: Script = {
  ...conversation(2, 5),
  speech: [
    { atMs: 400, lastsMs: 900, words: 3, complete: true },
    { atMs: 9000, lastsMs: 900, words: 4, complete: true },
    { atMs: 11_000, lastsMs: 1400, words: 2, complete: true }
  ],
  lastsMs: 22_000,
  providers: { sentences: [2, 2], sentenceChars: [40, 40] }
}

const patient = (min_ms: number) => {
  const endpointing = { ...defaultSessionConfig.endpointing, min_ms, max_ms: 3000, unfinished_ms: min_ms }
  return simplePipeline({ session_config: { ...defaultSessionConfig, endpointing } })
}

/** The records with another one right after the first that matches. */
const doubled = (timeline: Recording, name: string): Recording => {
  const at = timeline.records.findIndex(({ record, ...rest }) =>
    record === "signal" && "signal" in rest && rest.signal.signal === name
  )
  const found = timeline.records[at]
  if (found?.record !== "signal") return assert.fail(`there is no ${name}`)
  const second: TimelineRecord = { ...found, signal: { ...found.signal, event_id: "evt_second" } }
  return { ...timeline, records: timeline.records.toSpliced(at + 1, 0, second) }
}

interface Planted {
  readonly gate: SloGate
  readonly what: string
  readonly script: Script
  readonly change?: (timeline: Recording) => Recording
  /** Gates that must be red with it. */
  readonly also?: ReadonlyArray<SloGate>
}

const planted: ReadonlyArray<Planted> = [
  {
    gate: "turn_open_ms",
    what: "what the tenant may have is reserved only after 200 ms",
    script: {
      ...conversation(1),
      snapshots: { maxTenantTurns: 4 },
      on: (output, { at, now }) => {
        if (output.record !== "command" || output.command.type !== "reserve_turn") return
        at(now + 200, { type: "turn_reserved", reservation_id: output.command.reservation_id, granted: true })
      }
    }
  },
  {
    gate: "first_output_ms",
    what: "a model and a voice that are slow, and still within their budgets",
    script: { ...typed, providers: { modelMs: [900, 900], voiceMs: [850, 850], sentenceChars: [12, 12] } }
  },
  {
    gate: "cancel_fence_ms",
    what: "an egress that reports its fence 400 ms late",
    script: { ...cutIn, fenceMs: 400 }
  },
  {
    gate: "cancel_fence_ms",
    what: "an egress that never reports its fence",
    script: { ...cutIn, fenceMs: 400 },
    // Evidence has the time of the fence: a turn without one is incomplete, too.
    also: ["evidence_complete"],
    change: (timeline) => ({
      ...timeline,
      records: timeline.records.filter((record) => record.record !== "input" || record.input.type !== "egress_fenced")
    })
  },
  {
    gate: "stale_epoch_outputs_accepted",
    what: "speech that was handed to egress under another epoch",
    script: conversation(1),
    change: (timeline) =>
      changed(
        timeline,
        "command",
        ({ command }) => command.type === "enqueue_output",
        (record) =>
          record.command.type === "enqueue_output"
            ? { ...record, command: { ...record.command, authority_epoch: 7 } }
            : record
      )
  },
  {
    gate: "stale_epoch_outputs_accepted",
    what: "a lease that was revoked while the agent spoke, and nobody fell silent",
    script: conversation(1),
    change: (timeline) => {
      const at = timeline.records.findIndex((record) =>
        record.record === "input" && record.input.type === "playback_started"
      )
      const { records } = timeline
      const found = records[at]
      if (found?.record !== "input") return assert.fail("nothing was played")
      const lease = { type: "lease", authority_epoch: 1, status: "revoked", ttl_ms: 0 } as const
      return { ...timeline, records: records.toSpliced(at, 0, { ...found, input: lease }) }
    }
  },
  {
    gate: "evidence_complete",
    what: "a turn whose evidence was dropped",
    script: conversation(2),
    change: (timeline) => without(timeline, (record) => record.record === "evidence")
  },
  {
    gate: "evidence_complete",
    what: "evidence that says another time than the record",
    script: conversation(2),
    change: (timeline) =>
      changed(timeline, "evidence", () => true, (record) => ({
        ...record,
        evidence: {
          ...record.evidence,
          times: { ...record.evidence.times, open_ms: record.evidence.times.open_ms + 1 }
        }
      }))
  },
  {
    gate: "exactly_one_terminal",
    what: "a second commit",
    script: conversation(2),
    change: (one) => doubled(one, "commit")
  },
  {
    gate: "exactly_one_terminal",
    what: "a second close",
    script: conversation(2),
    change: (one) => doubled(one, "close")
  },
  {
    gate: "response_ms",
    what: "a session that waits 2600 ms for the caller to go on",
    script: { ...conversation(2), header: { pipeline: patient(2600) } }
  }
]

describe("the critical path of a real session", () => {
  it.live("is the same live, at an observer of the session, as from its recording", () =>
    Effect.gen(function*() {
      const live: Array<TurnPath> = []
      const { timeline } = yield* VirtualTime.run(runScriptedCall({
        script: makeCallScript([
          { say: speech(900) },
          { say: speech(700) },
          { say: speech(1100), at: { after: "agent_started", delay_ms: 700 } }
        ]),
        heard: ["what is the time", "tell me a long story", "stop that please"],
        replies: [
          "It is noon. The sun is high.",
          "There was a man who walked a very long way. He never came home again. Nobody knows why he did that.",
          "I have stopped."
        ]
      })).pipe(Effect.provideService(SessionObservers, [criticalPathObserver((path) => void live.push(path))]))
      const recorded = criticalPaths(timeline.records)
      assert.deepStrictEqual(recorded.map(({ outcome }) => outcome), ["committed", "aborted", "committed"])
      assert.deepStrictEqual(live, recorded)
      for (const { at } of recorded) assert.isDefined(at.speech_end_ms)
      assert.deepStrictEqual(red(agree(timeline)), [])
    }))
})

describe("the SLO report", () => {
  it("has the numbers that a second program computes from the exported lines, of the recordings of the corpus", () => {
    const files = corpus().filter(({ name }, n) => name.startsWith("real/") || n % 3 === 0)
    const report = agree(...files.map(({ bytes }) => decode(bytes)))
    assert.isAbove(report.turns, 80)
    assert.deepStrictEqual(red(report), [])
    assert.deepStrictEqual(report.gates.map(({ gate }) => gate), [...sloGates])
    // Each gate had something to look at.
    for (const { gate, samples } of report.gates) assert.isAbove(samples, 0, gate)
  })

  it("does not pass what it could not look at", () => {
    const report = agree()
    assert.deepStrictEqual(new Set(report.gates.map(({ verdict }) => verdict)), new Set(["not_run"]))
    assert.isFalse(failsReport(report, false))
    assert.isTrue(failsReport(report, true))
  })

  layer(SessionKernel.layer)((it) => {
    it.effect("has them of sessions with cuts, failures, refusals and jitter", () =>
      Effect.gen(function*() {
        const scripts = [busyScript(8, 3), cutIn, typed, ...[11, 12, 13, 14, 15, 16].map((seed) => randomScript(seed))]
        const report = agree(...(yield* Effect.forEach(scripts, run)))
        assert.isAbove(report.turns, 20)
      }))

    for (const { also = [], change = (one: Recording) => one, gate, script, what } of planted) {
      it.effect(`${[gate, ...also].join(" and ")} is red, and nothing else: ${what}`, () =>
        Effect.gen(function*() {
          const good = agree(yield* run(gate === "first_output_ms" ? typed : cutIn))
          assert.deepStrictEqual(red(good), [])
          const report = agree(change(yield* run(script)))
          assert.deepStrictEqual(red(report), [gate, ...also], JSON.stringify(report.gates))
          const found = report.gates.find((one) => one.gate === gate)?.findings[0]
          assert.strictEqual(found?.file, "0.timeline")
          assert.match(found?.turn_id ?? "", /^turn_[0-9]+$/u)
        }))
    }

    it.effect("leaves slow turns on the happy path, and takes those off it in which a provider failed", () =>
      Effect.gen(function*() {
        const slow = { modelMs: [900, 900], voiceMs: [850, 850], sentenceChars: [12, 12] } as const
        const failing = {
          ...typed,
          faults: [{ modality: "llm", call: 1, outcome: "overload", retryable: true }]
        } as const
        const report = agree(yield* run({ ...typed, providers: slow }), yield* run(failing))
        const gate = report.gates.find((one) => one.gate === "first_output_ms")
        assert.strictEqual(gate?.samples, 1)
        assert.deepStrictEqual(report.turns_detail.map(({ trouble }) => trouble !== undefined), [false, true])
      }))

    it.effect("does not judge the end of a turn that was open where the recording was cut off, and says so", () =>
      Effect.gen(function*() {
        const { header, records } = yield* run(conversation(2))
        const commit = records.findLastIndex((record) =>
          record.record === "signal" && record.signal.signal === "commit"
        )
        const bytes = timelineBytes({ header, records: records.slice(0, commit - 3) })
        const torn = decode(bytes)
        const report = agree(torn)
        assert.deepStrictEqual(report.cut_off, [{ file: "0.timeline", open: ["turn_2"] }])
        assert.deepStrictEqual(red(report), [])
        const samples = Object.fromEntries(report.gates.map((gate) => [gate.gate, gate.samples]))
        assert.deepInclude(samples, { turn_open_ms: 2, response_ms: 2, evidence_complete: 1, exactly_one_terminal: 1 })
      }))
  })
})
