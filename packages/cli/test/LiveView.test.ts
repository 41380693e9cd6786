import type { InputRecord } from "@rspp/contracts/Timeline"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import { describe, expect, it } from "vitest"
import { makeStyle } from "../src/Screen.ts"
import { formatViewLine, LiveView } from "../src/view/LiveView.ts"

const words: Readonly<Record<string, string>> = { h1: "Go for", h2: "Go forward.", h3: "I will.", empty: "" }
const view = () => new LiveView((id) => words[id])
const input = (runtime_timestamp_ms: number, fields: object) =>
  ({
    record: "input",
    runtime_sequence: 1,
    runtime_timestamp_ms,
    lane: "DataLane",
    input: fields
  }) as unknown as InputRecord
const handle = (id: string) => ({ id, payload_class: "text_raw", length: 11 })
const signal = (name: string, fields: object = {}): ReadonlyArray<KernelOutput> => [
  { record: "signal", signal: { signal: name, runtime_timestamp_ms: 7, ...fields } } as unknown as KernelOutput
]
const heard = (id: string, finality: string) => input(5, { type: "transcript", finality, handle: handle(id) })

describe("the live view", () => {
  it("shows what is heard so far as passing, and for good once the turn is proposed", () => {
    const live = view()
    expect(live.input(heard("h1", "partial"))).toMatchObject([{ who: "you", text: "Go for …", passing: true }])
    expect(live.input(heard("h2", "final"))).toMatchObject([{ text: "Go forward. …", passing: true }])
    expect(live.outputs(signal("turn_open_proposed", { provider_invocation_id: "inv_1" }))).toMatchObject([
      { who: "you", text: `"Go forward."`, passing: false, spoken: "Go forward." }
    ])
  })

  it("says a sentence of the agent when it is heard, not when it is made", () => {
    const live = view()
    const start = { type: "start_invocation", segment_id: "s1", text: handle("h3") }
    expect(live.outputs([{ record: "command", command: start } as unknown as KernelOutput])).toEqual([])
    expect(live.input(input(9, { type: "playback_started", turn_id: "turn_1", segment_id: "s1" }))).toMatchObject([
      { atMs: 9, who: "agent", text: `"I will."`, spoken: "I will." }
    ])
  })

  it("tells the cut: the pause, the cancel, the silence, and what was heard of the sentence", () => {
    const live = view()
    const start = { type: "start_invocation", segment_id: "s1", text: handle("h3") }
    live.outputs([{ record: "command", command: start } as unknown as KernelOutput])
    live.input(input(9, { type: "playback_started", turn_id: "turn_1", segment_id: "s1" }))
    const lines = [
      ...live.outputs(signal("barge_in", { reason: "speech_started" })),
      ...live.outputs(signal("cancel", { turn_id: "turn_1", reason: "barge_in" })),
      ...live.input(input(9, { type: "egress_fenced", turn_id: "turn_1", dropped_samples: 32_000 })),
      ...live.outputs(signal("abort", { turn_id: "turn_1", reason: "cancelled" })),
      ...live.input(input(9, { type: "playback_cancelled", turn_id: "turn_1", samples: 8000 }))
    ]
    expect(lines.map(({ text, who }) => `${who}: ${text}`)).toEqual([
      "cut: you speak over the agent: it pauses",
      "cut: turn 1 is cancelled: barge_in",
      "cut: the agent is silent; 2.0 s of speech were dropped",
      "turn: turn 1 aborts: cancelled",
      `cut: 0.5 s of "I will." were heard, and nothing after that`
    ])
  })

  it("gives a failing provider's own words, and says nothing of a fence that drops nothing", () => {
    const live = view()
    const invocation = { provider_invocation_id: "inv_2", reason: "It could not be reached" }
    const [line] = live.outputs([
      ...signal("provider_error", { turn_id: "turn_2", reason: "timeout", provider_invocation_id: "inv_2" }),
      { record: "invocation", invocation } as unknown as KernelOutput
    ])
    expect(line?.text).toBe("turn 2: provider error: timeout (It could not be reached)")
    expect(live.input(input(9, { type: "egress_fenced", turn_id: "turn_2", dropped_samples: 0 }))).toEqual([])
  })

  it("tells a false alarm, a refusal and a failing provider", () => {
    const live = view()
    const texts = [
      ...live.outputs(signal("barge_in", { reason: "false_alarm" })),
      ...live.outputs(signal("reject", { turn_id: "turn_5", reason: "turn_quota_exhausted" })),
      ...live.outputs(signal("provider_error", { turn_id: "turn_2", reason: "timeout" }))
    ].map(({ text }) => text)
    expect(texts).toEqual([
      "it was nothing: the agent goes on",
      "turn 5 is refused before it opens: turn_quota_exhausted",
      "turn 2: provider error: timeout"
    ])
  })

  it("is silent about what only a machine wants to know", () => {
    const live = view()
    for (const name of ["watermark", "flow_xoff", "credit_grant", "output_accepted", "lease_issued"]) {
      expect(live.outputs(signal(name))).toEqual([])
    }
    expect(live.input(input(1, { type: "timer", timer: "endpoint", generation: 1 }))).toEqual([])
    expect(live.input(heard("empty", "final"))).toEqual([])
  })

  it("is a line with the time, the speaker and the words", () => {
    const line = { atMs: 2671, who: "you", text: `"Go."`, tone: "plain", passing: false } as const
    expect(formatViewLine(line, makeStyle(false))).toBe(`   2.671  you    "Go."`)
  })
})
