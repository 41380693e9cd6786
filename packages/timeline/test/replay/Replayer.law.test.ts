import { assert, describe, layer } from "@effect/vitest"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect, Layer } from "effect"
import { Replayer } from "../../src/replay/Replayer.ts"
import { randomScript } from "../support/randomScript.ts"
import type { ScriptedTimeline } from "../support/ScriptedSession.ts"
import { scriptedSession } from "../support/ScriptedSession.ts"
import { SeededStream } from "../support/SeededStream.ts"

const sessions = 250
const changes = 400

interface Leaf {
  readonly path: ReadonlyArray<string>
  readonly value: unknown
}

const leavesOf = (value: unknown, path: ReadonlyArray<string> = []): ReadonlyArray<Leaf> =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, [...path, key]))
    : [{ path, value }]

const otherThan = (value: unknown): unknown =>
  typeof value === "number"
    ? value + 1
    : typeof value === "boolean"
    ? !value
    : typeof value === "string"
    ? `${value}x`
    : 0

const withLeaf = (value: unknown, [key, ...rest]: ReadonlyArray<string>, leaf: unknown): unknown => {
  if (key === undefined) return leaf
  const fields = value as Readonly<Record<string, unknown>>
  const changed = { ...fields, [key]: withLeaf(fields[key], rest, leaf) }
  return Array.isArray(value) ? Object.values(changed) : changed
}

/** Records that only come out of the kernel and the recorder: nothing of them is fed. */
const isOutput = ({ record }: TimelineRecord) =>
  record !== "audio" && record !== "input" && record !== "payload" && record !== "caller_audio"

/** The timeline with one field of one output record changed, and what was changed. */
const changedTimeline = (timeline: ScriptedTimeline, stream: SeededStream) => {
  const outputs = timeline.records.flatMap((record, at) => isOutput(record) ? [at] : [])
  const at = outputs[stream.between(0, outputs.length - 1)] ?? 0
  const record = timeline.records[at] as TimelineRecord
  // Why a recording was closed and what it could not keep is the recorder's to say: no kernel can tell.
  const leaves = leavesOf(record).filter(({ path }) => !["record", "reason", "not_captured"].includes(path[0] ?? ""))
  const { path, value } = leaves[stream.between(0, leaves.length - 1)] as Leaf
  const records = [...timeline.records]
  records[at] = withLeaf(record, path, otherThan(value)) as TimelineRecord
  return { timeline: { header: timeline.header, records }, what: `${record.record}.${path.join(".")}`, at }
}

describe("replay of sessions in which anything may happen", () => {
  layer(Layer.mergeAll(Replayer.layer, SessionKernel.layer))((it) => {
    it.effect(`is identical (${sessions} sessions)`, () =>
      Effect.gen(function*() {
        const kernels = yield* SessionKernel
        const replayer = yield* Replayer
        let turns = 0
        for (let seed = 0; seed < sessions; seed++) {
          const report = yield* replayer.replay(scriptedSession(kernels, randomScript(seed)))
          assert.deepStrictEqual([seed, report.identical, report.divergence?.message], [seed, true, undefined])
          turns += report.turns
        }
        assert.isAtLeast(turns, sessions / 2)
      }), 60_000)

    it.effect(
      `finds every single changed field of an output record (${changes} changes)`,
      () =>
        Effect.gen(function*() {
          const kernels = yield* SessionKernel
          const replayer = yield* Replayer
          const stream = new SeededStream(11, "changes")
          for (let change = 0; change < changes; change++) {
            const seed = change % 50
            const { at, timeline, what } = changedTimeline(scriptedSession(kernels, randomScript(seed)), stream)
            const { divergence, identical } = yield* replayer.replay(timeline)
            assert.deepStrictEqual([seed, what, identical], [seed, what, false])
            // The difference is found where it is, not later.
            const recorded = divergence?.recorded
            if (recorded !== undefined) assert.isAtMost(timeline.records.indexOf(recorded), at)
          }
        }),
      60_000
    )

    it.effect("is identical up to wherever a recording stops", () =>
      Effect.gen(function*() {
        const kernels = yield* SessionKernel
        const replayer = yield* Replayer
        const stream = new SeededStream(12, "cuts")
        for (let cut = 0; cut < 200; cut++) {
          const { header, records } = scriptedSession(kernels, randomScript(cut % 20))
          const length = stream.between(0, records.length)
          const report = yield* replayer.replay({ header, records: records.slice(0, length) })
          assert.deepStrictEqual([cut, report.identical, report.divergence?.message], [cut, true, undefined])
          assert.strictEqual(report.complete, records[length - 1]?.record === "end")
        }
      }), 60_000)

    it.effect("takes telemetry that the recorder dropped for what it is", () =>
      Effect.gen(function*() {
        const kernels = yield* SessionKernel
        const replayer = yield* Replayer
        let dropped = 0
        for (let seed = 0; seed < 100; seed++) {
          const { header, records } = scriptedSession(kernels, randomScript(seed))
          const kept = records.filter((record) => record.record !== "event" || record.event.lane !== "TelemetryLane")
          const end = kept.at(-1)
          if (end?.record === "end") kept[kept.length - 1] = { ...end, records: kept.length }
          const report = yield* replayer.replay({ header, records: kept })
          assert.deepStrictEqual([seed, report.identical, report.divergence?.message], [seed, true, undefined])
          dropped += report.missingTelemetry
        }
        assert.isAtLeast(dropped, 1)
      }), 60_000)
  })
})
