// Each class of divergence, planted into a recording by changing one field of it.
import { assert, describe, layer } from "@effect/vitest"
import { divergenceClasses } from "@rspp/contracts/Divergence"
import type { DivergenceClass } from "@rspp/contracts/Divergence"
import { validate } from "@rspp/contracts/Artifact"
import type { InputRecord, TimelineRecord } from "@rspp/contracts/Timeline"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import type { ReplayTimeline } from "@rspp/timeline/replay/Replayer"
import type { Script } from "@rspp/timeline/test/support/Script"
import { conversation } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { Effect, Layer } from "effect"

/** Two answered questions; the third answer is cut by the caller. */
const script: Script = {
  ...conversation(2, 4),
  speech: [
    ...conversation(3, 4).speech ?? [],
    { atMs: 21_300, lastsMs: 1500, words: 2, complete: true }
  ],
  providers: { sentences: [3, 3], sentenceChars: [40, 40] },
  lastsMs: 32_000
}

const recording = Effect.map(SessionKernel, (kernels): ReplayTimeline => scriptedSession(kernels, script))

type Kind = TimelineRecord["record"]
type Of<K extends Kind> = Extract<TimelineRecord, { readonly record: K }>

/** The recording with the first record of a kind that matches changed. */
const changed = <K extends Kind>(
  timeline: ReplayTimeline,
  kind: K,
  matches: (record: Of<K>) => boolean,
  change: (record: Of<K>) => TimelineRecord
): ReplayTimeline => {
  const at = timeline.records.findIndex((record) => record.record === kind && matches(record as Of<K>))
  assert.isAtLeast(at, 0, `there is no such ${kind}`)
  const records = [...timeline.records]
  records[at] = change(records[at] as Of<K>)
  return { ...timeline, records }
}

const input = (
  timeline: ReplayTimeline,
  type: InputRecord["input"]["type"],
  change: (record: InputRecord) => InputRecord
) => changed(timeline, "input", (record) => record.input.type === type, change)

const signal = (timeline: ReplayTimeline, name: string, fields: object) =>
  changed(timeline, "signal", (record) => record.signal.signal === name, (record) => ({
    ...record,
    signal: { ...record.signal, ...fields }
  }))

interface Planted {
  readonly what: string
  readonly plant: (timeline: ReplayTimeline) => ReplayTimeline
  readonly message: RegExp
}

const swapped = (timeline: ReplayTimeline): ReplayTimeline => {
  const records = [...timeline.records]
  const at = records.findIndex((record) => record.record === "decision")
  const [a, b] = [records[at], records[at + 1]]
  if (a === undefined || b === undefined) throw new Error("nothing to swap")
  records.splice(at, 2, b, a)
  return { ...timeline, records }
}

const without = (timeline: ReplayTimeline, at: number): ReplayTimeline => ({
  ...timeline,
  records: timeline.records.filter((_, index) => index !== at)
})

const indexOfSignal = (timeline: ReplayTimeline, name: string): number =>
  timeline.records.findIndex((record) => record.record === "signal" && record.signal.signal === name)

const planted: Readonly<Record<DivergenceClass, ReadonlyArray<Planted>>> = {
  OUTCOME_DIVERGENCE: [
    {
      what: "a turn that was cut is said to be committed",
      plant: (timeline) => signal(timeline, "abort", { signal: "commit" }),
      message: /signal commit of turn_3.*signal abort of turn_3/u
    },
    {
      what: "the reason of an abort",
      plant: (timeline) => signal(timeline, "abort", { reason: "provider_failure" }),
      message: /reason is "provider_failure" in the recording and "cancelled" in the replay/u
    },
    {
      what: "a decision",
      plant: (timeline) =>
        changed(timeline, "decision", () => true, (record) => ({
          ...record,
          decision: { ...record.decision, reason: "because" }
        })),
      message: /decision admit of turn_1: reason is "because"/u
    },
    {
      what: "the outcome of a provider call",
      plant: (timeline) =>
        changed(timeline, "invocation", () => true, (record) => ({
          ...record,
          invocation: { ...record.invocation, outcome_class: "overload" }
        })),
      message: /outcome_class is "overload" in the recording and "success" in the replay/u
    },
    {
      what: "evidence that counts one payload less",
      plant: (timeline) =>
        changed(timeline, "evidence", () => true, (record) => ({
          ...record,
          evidence: { ...record.evidence, payload_decisions: record.evidence.payload_decisions.slice(1) }
        })),
      message: /evidence of turn_1: payload_decisions/u
    },
    {
      what: "a signal that was taken out",
      plant: (timeline) => without(timeline, indexOfSignal(timeline, "barge_in")),
      message: /signal barge_in of turn_3 comes out of the replay but is not in the recording/u
    },
    {
      what: "a transcript that says nothing",
      plant: (timeline) =>
        changed(
          timeline,
          "input",
          ({ input }) => input.type === "transcript" && input.finality === "final",
          (record) => ({
            ...record,
            input: record.input.type === "transcript"
              ? { ...record.input, handle: { ...record.input.handle, length: 0 } }
              : record.input
          })
        ),
      message: /signal turn_open_proposed is in the recording but does not come out of the replay/u
    }
  ],
  PLAN_DIVERGENCE: [
    {
      what: "the hash of a plan",
      plant: (timeline) =>
        changed(timeline, "plan", () => true, (record) => ({
          ...record,
          plan: { ...record.plan, plan_hash: "0".repeat(64) }
        })),
      message: /plan of turn_1: plan_hash is "0000/u
    },
    {
      what: "a frozen field",
      plant: (timeline) =>
        changed(timeline, "plan", () => true, (record) => ({
          ...record,
          plan: { ...record.plan, budgets: { ...record.plan.budgets, turn_budget_ms: 9 } }
        })),
      message: /budgets.turn_budget_ms is 9 in the recording and 2000 in the replay/u
    },
    {
      what: "a snapshot that came in with another id",
      plant: (timeline) =>
        input(timeline, "snapshot", (record) => ({
          ...record,
          input: record.input.type === "snapshot"
            ? { ...record.input, snapshot: { ...record.input.snapshot, snapshot_id: "another" } }
            : record.input
        })),
      message: /plan of turn_1: plan_hash/u
    },
    {
      what: "the pipeline in the header",
      plant: (timeline) => ({
        ...timeline,
        header: {
          ...timeline.header,
          pipeline: {
            ...timeline.header.pipeline,
            budgets: { ...timeline.header.pipeline.budgets, turn_budget_ms: 1999 }
          }
        }
      }),
      message: /plan of turn_1: budgets.turn_budget_ms is 2000 in the recording and 1999 in the replay/u
    },
    {
      what: "the session config in the header",
      plant: (timeline) => ({
        ...timeline,
        header: {
          ...timeline.header,
          session_config: { ...timeline.header.session_config, late_event_policy: "remap" }
        }
      }),
      message: /session_config_hash/u
    }
  ],
  AUTHORITY_DIVERGENCE: [
    {
      what: "the epoch of a lease that came in",
      plant: (timeline) =>
        input(
          timeline,
          "lease",
          (record) => ({ ...record, input: { ...record.input, authority_epoch: 2 } })
        ),
      message: /signal lease_issued: authority_epoch is 1 in the recording and 2 in the replay/u
    },
    {
      what: "the epoch on a signal",
      plant: (timeline) => signal(timeline, "turn_open", { authority_epoch: 7 }),
      message: /signal turn_open of turn_1: authority_epoch is 7 in the recording and 1 in the replay/u
    },
    {
      what: "a lease signal that was taken out",
      plant: (timeline) => without(timeline, indexOfSignal(timeline, "lease_issued")),
      message: /signal lease_issued comes out of the replay but is not in the recording/u
    }
  ],
  ORDERING_DIVERGENCE: [
    { what: "two records that changed places", plant: swapped, message: /comes first in the recording/u },
    {
      what: "the number of an input",
      plant: (timeline) =>
        input(timeline, "voice_activity", (record) => ({ ...record, runtime_sequence: record.runtime_sequence + 1 })),
      message: /input voice_activity has number [0-9]+ in the recording, the replay is at [0-9]+: records are missing/u
    },
    {
      what: "the number of an output",
      plant: (timeline) => signal(timeline, "commit", { runtime_sequence: 3 }),
      message: /signal commit of turn_1: runtime_sequence is 3 in the recording/u
    },
    {
      what: "an input that was taken out",
      plant: (timeline) =>
        without(timeline, timeline.records.findIndex(({ record }, at) => record === "input" && at > 300)),
      message: /records are missing before it/u
    },
    {
      what: "a frame too many",
      plant: (timeline) => changed(timeline, "audio", () => true, (record) => ({ ...record, count: record.count + 1 })),
      message: /the replay is at/u
    }
  ],
  TIMING_DIVERGENCE: [
    {
      what: "the time of an input",
      plant: (timeline) =>
        input(timeline, "voice_activity", (record) => ({
          ...record,
          runtime_timestamp_ms: record.runtime_timestamp_ms + 5
        })),
      message: /runtime_timestamp_ms is [0-9]+ in the recording and [0-9]+ in the replay/u
    },
    {
      what: "the time of an output",
      plant: (timeline) =>
        changed(timeline, "signal", ({ signal }) => signal.signal === "cancel", (record) => ({
          ...record,
          signal: { ...record.signal, runtime_timestamp_ms: record.signal.runtime_timestamp_ms + 1 }
        })),
      message: /signal cancel of turn_3: runtime_timestamp_ms/u
    },
    {
      what: "when a timer is due",
      plant: (timeline) =>
        changed(
          timeline,
          "command",
          ({ command }) => command.type === "arm_timer" && command.timer === "endpoint",
          (record) => ({
            ...record,
            command: record.command.type === "arm_timer" ? { ...record.command, due_ms: 1 } : record.command
          })
        ),
      message: /command arm_timer endpoint: due_ms is 1 in the recording/u
    },
    {
      what: "a latency of a provider call",
      plant: (timeline) =>
        changed(timeline, "invocation", () => true, (record) => ({
          ...record,
          invocation: { ...record.invocation, total_latency_ms: 1 }
        })),
      message: /total_latency_ms is 1 in the recording/u
    }
  ]
}

describe("a recording in which one thing was changed", () => {
  layer(Layer.mergeAll(Replayer.layer, SessionKernel.layer))((it) => {
    for (const divergenceClass of divergenceClasses) {
      for (const { message, plant, what } of planted[divergenceClass]) {
        it.effect(`${divergenceClass}: ${what}`, () =>
          Effect.gen(function*() {
            const timeline = yield* recording
            const replayer = yield* Replayer
            assert.isTrue((yield* replayer.replay(timeline)).identical)
            const { divergence, identical, complete } = yield* replayer.replay(plant(timeline))
            assert.deepStrictEqual([identical, complete], [false, false])
            assert.match(divergence?.message ?? "", message)
            assert.strictEqual(divergence?.divergence_class, divergenceClass)
            const { differences: _, timing_difference_ms: __, at, recorded, replayed, ...artifact } = divergence ??
              { at: undefined }
            assert.isTrue(validate("divergence", artifact).ok)
            assert.isTrue(Number.isInteger(at?.runtime_sequence) && Number.isInteger(at?.runtime_timestamp_ms))
            if (recorded !== undefined && replayed !== undefined) assert.notDeepEqual(recorded, replayed)
          }))
      }
    }
  })
})
