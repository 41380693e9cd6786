// Holds I-LEVEL-STEP, I-LEVEL-UP.
import { assert, describe, it } from "@effect/vitest"
import type { PressureReason } from "@rspp/contracts/SessionInput"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import { KernelHarness, reply, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"

const at = (recording_level: RecordingLevel, options: HarnessOptions = {}): KernelHarness =>
  KernelHarness.ready({
    llm: () => reply(10),
    tts: () => speech(400),
    pipeline: (own) => ({ ...own, recording_policy: { ...own.recording_policy, recording_level } }),
    ...options
  })

/** The recorder says this of itself; what it is told, and what is told of it. */
const press = (h: KernelHarness, level: RecordingLevel, reason: PressureReason) => {
  const outputs = h.step({ type: "recording_pressure", level, reason })
  return outputs.map((output) => {
    switch (output.record) {
      case "signal":
        return `${output.signal.emitted_by} ${output.signal.signal} ${output.signal.reason}`
      case "command":
        return output.command.type === "limit_recording" ? `limit ${output.command.level}` : output.command.type
      default:
        return output.record
    }
  })
}
const limits = (h: KernelHarness) => h.commands("limit_recording").map(({ level }) => level)
/** A turn from typing to its close. */
const turn = (h: KernelHarness) => {
  h.type()
  h.runFor(8000)
}

describe("pressure on the recorder", () => {
  it("lowers the level one step, with one signal that says why and from where to where", () => {
    const h = at("L2")
    assert.deepStrictEqual(press(h, "L1", "append_queue_fill"), [
      "OR-02 recording_level_downgraded append_queue_fill:L2_to_L1",
      "limit L1"
    ])
    assert.deepStrictEqual(press(h, "L0", "export_lag"), [
      "OR-02 recording_level_downgraded export_lag:L1_to_L0",
      "limit L0"
    ])
    h.hangUp()
  })

  it("names the turn that is open, in a signal of the session", () => {
    const h = at("L2")
    h.type()
    press(h, "L1", "export_lag")
    const signal = h.signal("recording_level_downgraded")
    assert.strictEqual(signal?.event_scope, "session")
    assert.strictEqual(signal?.turn_id, h.plan.turn_id)
    h.hangUp()
  })

  it("lowers by one step even where two are asked for", () => {
    const h = at("L2")
    assert.deepStrictEqual(press(h, "L0", "export_lag"), [
      "OR-02 recording_level_downgraded export_lag:L2_to_L1",
      "limit L1"
    ])
    h.hangUp()
  })

  it("is not told where the level is as low already", () => {
    const h = at("L0")
    assert.deepStrictEqual(press(h, "L1", "append_queue_fill"), ["limit L1"])
    assert.deepStrictEqual(press(h, "L0", "append_queue_fill"), ["limit L0"])
    h.hangUp()
    const allowed = at("L2", { snapshots: { policy_resolution_snapshot: { max_recording_level: "L1" } } })
    assert.deepStrictEqual(press(allowed, "L1", "append_queue_fill"), ["limit L1"])
    assert.deepStrictEqual(press(allowed, "L0", "append_queue_fill"), [
      "OR-02 recording_level_downgraded append_queue_fill:L1_to_L0",
      "limit L0"
    ])
    allowed.hangUp()
  })

  it("said twice is told once", () => {
    const h = at("L2")
    press(h, "L1", "append_queue_fill")
    assert.deepStrictEqual(press(h, "L1", "export_lag"), [])
    h.hangUp()
  })
})

describe("a pressure that has gone", () => {
  it("lets the level rise where the open turn has closed, and not before", () => {
    const h = at("L2")
    h.type()
    press(h, "L1", "append_queue_fill")
    assert.deepStrictEqual(press(h, "L2", "eased"), [])
    assert.deepStrictEqual(limits(h), ["L1"])
    h.runFor(8000)
    assert.deepStrictEqual(limits(h), ["L1", "L2"])
    const order = h.outputs.flatMap((output) =>
      output.record === "transition"
        ? [output.transition.to_state]
        : output.record === "command" && output.command.type === "limit_recording"
        ? [output.command.level]
        : []
    )
    assert.deepStrictEqual(order, ["Opening", "Active", "L1", "Terminal", "Closed", "L2"])
    h.hangUp()
  })

  it("lets it rise where a turn opens, when none is open", () => {
    const h = at("L2")
    press(h, "L1", "append_queue_fill")
    press(h, "L0", "append_queue_fill")
    press(h, "L2", "eased")
    h.runFor(1000)
    assert.deepStrictEqual(limits(h), ["L1", "L0"])
    h.type()
    assert.deepStrictEqual(limits(h), ["L1", "L0", "L2"])
    h.runFor(8000)
    h.hangUp()
  })

  it("and came back before that lets nothing rise", () => {
    const h = at("L2")
    press(h, "L1", "append_queue_fill")
    press(h, "L2", "eased")
    assert.deepStrictEqual(press(h, "L1", "append_queue_fill"), [])
    turn(h)
    assert.deepStrictEqual(limits(h), ["L1"])
    h.hangUp()
  })

  it("lowers nothing, whatever level it names", () => {
    const h = at("L2")
    assert.deepStrictEqual(press(h, "L0", "eased"), [])
    turn(h)
    assert.deepStrictEqual(limits(h), [])
    h.hangUp()
  })

  it("goes on below what the next plan allows while it has not", () => {
    const h = at("L2")
    turn(h)
    press(h, "L1", "export_lag")
    turn(h)
    turn(h)
    assert.deepStrictEqual(limits(h), ["L1"])
    assert.strictEqual(h.plan.recording_policy.recording_level, "L2")
    assert.deepStrictEqual(press(h, "L0", "export_lag").at(0), "OR-02 recording_level_downgraded export_lag:L1_to_L0")
    h.hangUp()
  })
})
