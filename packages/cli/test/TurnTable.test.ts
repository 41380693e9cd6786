import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { describe, expect, it } from "vitest"
import { makeStyle } from "../src/Screen.ts"
import { formatTurnTable, turnRows } from "../src/view/TurnTable.ts"

const input = (runtime_timestamp_ms: number, fields: object) =>
  ({
    record: "input",
    runtime_sequence: 0,
    runtime_timestamp_ms,
    lane: "DataLane",
    input: fields
  }) as unknown as TimelineRecord
const signal = (runtime_timestamp_ms: number, name: string, fields: object = {}) =>
  ({ record: "signal", signal: { signal: name, runtime_timestamp_ms, ...fields } }) as unknown as TimelineRecord
const proposed = (turn_id: string, at: number) =>
  ({
    record: "transition",
    runtime_timestamp_ms: at,
    turn_id,
    transition: { trigger: "turn_open_proposed" }
  }) as unknown as TimelineRecord
const start = (provider_invocation_id: string, turn_id: string) =>
  ({
    record: "command",
    command: { type: "start_invocation", provider_invocation_id, turn_id }
  }) as unknown as TimelineRecord
const audio = (first_sample_index: number, count: number, first_timestamp_ms: number, jitter?: ReadonlyArray<number>) =>
  ({
    record: "audio",
    first_sequence: 0,
    count,
    first_sample_index,
    first_timestamp_ms,
    ...(jitter === undefined ? {} : { jitter })
  }) as TimelineRecord

describe("latencies of a turn", () => {
  const spoken = [
    audio(0, 200, 20),
    input(1300, { type: "voice_activity", edge: "speech_ended", sample_index: 16_000 }),
    input(1300, { type: "timer", timer: "endpoint" }),
    input(1420, { type: "transcript", finality: "final" }),
    signal(1420, "turn_open_proposed", { provider_invocation_id: "inv_1" }),
    proposed("turn_1", 1420),
    signal(1421, "turn_open", { turn_id: "turn_1" }),
    start("inv_2", "turn_1"),
    input(1450, { type: "text_delta", provider_invocation_id: "inv_2" }),
    input(1460, { type: "text_delta", provider_invocation_id: "inv_2" }),
    start("inv_3", "turn_1"),
    input(1500, { type: "voice_chunk", provider_invocation_id: "inv_3" }),
    input(1520, { type: "playback_started", turn_id: "turn_1", segment_id: "s1" })
  ]

  it("count from the caller's last sample of speech, by stage", () => {
    const [row] = turnRows([...spoken, signal(3000, "commit", { turn_id: "turn_1" })])
    expect(row).toMatchObject({
      turn_id: "turn_1",
      speechEndMs: 1000,
      outcome: "committed",
      latencies: { endpoint: 300, final: 420, open: 421, model: 450, voice: 500, playback: 520 }
    })
  })

  it("tell how long after the cancel the agent was silent", () => {
    const [row] = turnRows([
      ...spoken,
      signal(2000, "cancel", { turn_id: "turn_1" }),
      input(2003, { type: "egress_fenced", turn_id: "turn_1" }),
      signal(2003, "abort", { turn_id: "turn_1", reason: "cancelled" })
    ])
    expect(row).toMatchObject({ outcome: "aborted", reason: "cancelled", cutMs: 3 })
  })

  it("leave out what did not happen: a refused turn has no reply", () => {
    const refused = spoken.slice(0, 6)
    const [row] = turnRows([...refused, signal(1420, "reject", { turn_id: "turn_1", reason: "turn_quota_exhausted" })])
    expect(row?.latencies).toEqual({ endpoint: 300, final: 420 })
    expect(row?.outcome).toBe("reject")
  })

  it("count from the proposal where nothing was spoken", () => {
    const [row] = turnRows([
      signal(500, "turn_open_proposed"),
      proposed("turn_1", 500),
      signal(504, "turn_open", { turn_id: "turn_1" })
    ])
    expect(row).toEqual({ turn_id: "turn_1", latencies: { open: 4 }, outcome: "open", invocations: [] })
  })

  it("do not take the utterance of one turn for that of the next", () => {
    const rows = turnRows([
      ...spoken,
      input(2300, { type: "voice_activity", edge: "speech_ended", sample_index: 32_000 }),
      input(2400, { type: "transcript", finality: "final" }),
      signal(2400, "turn_open_proposed", { provider_invocation_id: "inv_9" }),
      proposed("turn_2", 2400)
    ])
    expect(rows.map(({ latencies }) => latencies.final)).toEqual([420, 400])
    expect(rows[1]?.latencies.endpoint).toBeUndefined()
  })
})

describe("the table", () => {
  it("is aligned, and says how each turn ended", () => {
    const table = formatTurnTable([
      { turn_id: "turn_1", latencies: { endpoint: 300, playback: 1520 }, outcome: "committed", invocations: [] },
      { turn_id: "turn_2", latencies: {}, outcome: "defer", reason: "stale", invocations: [] }
    ], makeStyle(false))
    expect(table).toEqual([
      "turn    endpoint  final text  turn open  model text  voice  playback  outcome",
      "turn_1       300           -          -           -      -      1520  committed",
      "turn_2         -           -          -           -      -         -  deferred before it opened (stale)"
    ])
  })
})
