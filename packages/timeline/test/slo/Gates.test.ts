// The parts of the SLO report: percentiles, bounds, endings, outputs by epoch.
import { assert, describe, it } from "@effect/vitest"
import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { nearestRank, spreadOf } from "../../src/slo/Percentile.ts"
import { contractBounds, tightened } from "../../src/slo/SloGates.ts"
import { outputsByEpoch } from "../../src/slo/StaleOutputs.ts"
import { endings } from "../../src/slo/Terminals.ts"
import { SeededStream } from "../support/SeededStream.ts"

describe("a percentile", () => {
  it("is the smallest value that at least that part of the values does not exceed", () => {
    const stream = new SeededStream(1, "values")
    for (let n = 0; n < 500; n++) {
      const values = Array.from({ length: stream.between(1, 60) }, () => stream.between(0, 1000))
      const sorted = values.toSorted((a, b) => a - b)
      for (const part of [0.5, 0.95, 1]) {
        const found = nearestRank(sorted, part) ?? -1
        const upTo = (limit: number) => values.filter((value) => value <= limit).length
        assert.include(values, found)
        assert.isAtLeast(upTo(found), part * values.length)
        assert.isBelow(upTo(found - 1), part * values.length)
      }
    }
  })

  it("is nothing of nothing", () => {
    assert.isUndefined(spreadOf([]))
    assert.deepStrictEqual(spreadOf([7]), { p50_ms: 7, p95_ms: 7, max_ms: 7 })
    const twenty = Array.from({ length: 20 }, (_, n) => n + 1)
    assert.deepStrictEqual(spreadOf(twenty), { p50_ms: 10, p95_ms: 19, max_ms: 20 })
  })
})

describe("bounds", () => {
  it("are the contract's, can be made stricter, and never wider", () => {
    assert.deepStrictEqual(tightened({}), { ok: true, bounds: contractBounds })
    const strict = tightened({ response_ms: { p95_ms: 900 }, turn_open_ms: { p50_ms: 5 } })
    assert.deepStrictEqual(strict, {
      ok: true,
      bounds: {
        ...contractBounds,
        response_ms: { p50_ms: 1500, p95_ms: 900 },
        turn_open_ms: { p50_ms: 5, p95_ms: 120 }
      }
    })
    assert.deepStrictEqual(tightened({ cancel_fence_ms: { p95_ms: 151 } }), {
      ok: false,
      wider: [{ gate: "cancel_fence_ms", percentile: "p95_ms", asked: 151, contract: 150 }]
    })
  })
})

const signal = (name: "turn_open" | "commit" | "abort" | "close", turn_id = "turn_1"): TimelineRecord => ({
  record: "signal",
  signal: {
    schema_version: "v1.0",
    event_scope: "turn",
    session_id: "s",
    turn_id,
    pipeline_version: "p",
    event_id: "e",
    lane: "ControlLane",
    transport_sequence: null,
    runtime_sequence: 0,
    authority_epoch: 1,
    runtime_timestamp_ms: 0,
    wall_clock_timestamp_ms: 0,
    payload_class: "metadata",
    signal: name,
    emitted_by: "RK-03",
    ...(name === "abort" ? { reason: "cancelled" } : {})
  }
})

describe("the ending of a turn", () => {
  const of = (...names: ReadonlyArray<Parameters<typeof signal>[0]>) =>
    endings(names.map((name) => signal(name))).get("turn_1")

  it("is one terminal and then one close", () => {
    assert.deepStrictEqual(of("turn_open", "commit", "close"), [])
    assert.deepStrictEqual(of("turn_open", "abort", "close"), [])
  })

  it("is wrong in any other way", () => {
    assert.deepStrictEqual(of("turn_open"), ["it has no terminal", "it has no close"])
    assert.deepStrictEqual(of("turn_open", "commit"), ["it has no close"])
    assert.deepStrictEqual(of("turn_open", "close", "commit"), ["it closes before its terminal"])
    assert.deepStrictEqual(of("turn_open", "commit", "abort", "close"), ["it has terminal number 2 (abort)"])
    assert.deepStrictEqual(of("turn_open", "commit", "close", "close"), ["it closes twice"])
    assert.deepStrictEqual(of("turn_open", "commit", "close", "turn_open"), [
      "it opens twice",
      "it opens after its end"
    ])
    assert.deepStrictEqual(of("abort", "close"), [
      "it has a terminal (abort) and never opened",
      "it closes and never opened"
    ])
  })
})

describe("outputs by epoch", () => {
  const stamp = { runtime_sequence: 0, runtime_timestamp_ms: 0 }
  const input = (value: SessionInput): TimelineRecord => ({
    record: "input",
    ...stamp,
    lane: "ControlLane",
    input: value
  })
  const command = (value: SessionCommand): TimelineRecord => ({ record: "command", ...stamp, command: value })
  const lease = (authority_epoch: number, status: "issued" | "rotated" | "revoked") =>
    input({ type: "lease", authority_epoch, status, ttl_ms: 1000 })
  const handed = (authority_epoch: number, handle_id = "h_1") =>
    command({ type: "enqueue_output", turn_id: "turn_1", segment_id: "seg_1", handle_id, authority_epoch })
  const taken = input({ type: "output_accepted", turn_id: "turn_1", segment_id: "seg_1", samples: 320 })
  const fence = command({ type: "fence_output", turn_id: "turn_1", authority_epoch: 1, reason: "authority_loss" })
  const fenced = input({ type: "egress_fenced", turn_id: "turn_1", dropped_samples: 0 })
  const stale = (...records: ReadonlyArray<TimelineRecord>) =>
    outputsByEpoch([lease(1, "issued"), signal("turn_open"), ...records]).stale.length

  it("are in order under the epoch in force, and where the transport tells late what it took before the fence", () => {
    assert.strictEqual(stale(handed(1), taken), 0)
    assert.strictEqual(stale(handed(1), lease(2, "rotated"), fence, taken, fenced), 0)
    assert.strictEqual(outputsByEpoch([lease(1, "issued"), signal("turn_open"), handed(1), taken]).accepted, 2)
  })

  it("are stale under another epoch or none, after the fence, and where nobody put one up", () => {
    assert.strictEqual(stale(lease(2, "rotated"), handed(1)), 1)
    assert.strictEqual(stale(lease(1, "revoked"), handed(1)), 1)
    assert.strictEqual(stale(handed(1), lease(2, "rotated"), fence, fenced, taken), 1)
    assert.strictEqual(stale(handed(1), lease(2, "rotated"), taken), 1)
  })

  it("are stale where a provider gave them under another epoch, whatever the command says", () => {
    const handle = { id: "h_9", payload_class: "audio_raw", length: 320 } as const
    const chunk = input({ type: "voice_chunk", authority_epoch: 7, provider_invocation_id: "inv_1", handle })
    assert.strictEqual(stale(chunk, handed(1, "h_9")), 1)
    assert.strictEqual(stale(chunk, handed(1, "h_8")), 0)
  })

  it("are not made good by a lease of an older epoch, or of one that is over", () => {
    assert.strictEqual(stale(lease(2, "rotated"), lease(1, "issued"), handed(1)), 1)
    assert.strictEqual(stale(lease(1, "revoked"), lease(1, "issued"), handed(1)), 1)
  })
})
