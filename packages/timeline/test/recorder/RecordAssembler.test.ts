// Holds I-GROUP, I-RECORD-ORDER, I-RECORD-SAME.
import { formatIssue, validate } from "@rspp/contracts/Artifact"
import type { AudioRun, TimelineRecord } from "@rspp/contracts/Timeline"
import { assert, describe, it } from "@effect/vitest"
import type { Emission } from "../../src/recorder/RecordAssembler.ts"
import { maxRunFrames, RecordAssembler } from "../../src/recorder/RecordAssembler.ts"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import { makeHeader } from "./support/Fixture.ts"
import { Script } from "./support/Script.ts"

const assemble = (play: (script: Script) => void, level: RecordingLevel = "L0", skip: ReadonlyArray<string> = []) => {
  const header = makeHeader(level)
  const emissions: Array<Emission> = []
  const asked: Array<readonly [string, boolean]> = []
  const assembler = new RecordAssembler(header, {
    emit: (emission) => emissions.push(emission),
    appendRequested: (turn, ready) => asked.push([turn, ready])
  })
  play(new Script(assembler, header, skip))
  assembler.finish()
  const records = emissions.flatMap((emission) => emission.records)
  return { header, emissions, asked, records, end: assembler.end("ended", records.length + 1) }
}

const ofKind = <K extends TimelineRecord["record"]>(records: ReadonlyArray<TimelineRecord>, kind: K) =>
  records.filter((record): record is Extract<TimelineRecord, { record: K }> => record.record === kind)

const names = (emission: Emission | undefined) =>
  emission?.records.map((record) => record.record === "signal" ? record.signal.signal : record.record)

const sequences = (records: ReadonlyArray<TimelineRecord>): ReadonlyArray<number> =>
  records.flatMap((record) => {
    switch (record.record) {
      case "audio":
        return Array.from({ length: record.count }, (_, i) => record.first_sequence + i)
      case "signal":
        return [record.signal.runtime_sequence]
      case "event":
        return [record.event.runtime_sequence]
      case "header":
      case "evidence":
      case "supplement":
      case "payload":
      case "caller_audio":
      case "sealed":
      case "removed":
      case "end":
        return []
      default:
        return [record.runtime_sequence]
    }
  })

const session = (script: Script) => {
  script.input({ type: "session_started" }, "ControlLane").frames(30)
  script.committed()
  script.settled(script.cut())
  script.frames(4)
}

describe("records", () => {
  for (const level of ["L0", "L1", "L2"] as const) {
    it(`of a session at ${level} all keep the contract`, () => {
      const { header, records, end } = assemble(session, level)
      for (const record of [header, ...records, end]) {
        const verdict = validate(record.record === "header" ? "timeline_header" : "timeline_record", record)
        assert.isTrue(verdict.ok, verdict.ok ? "" : `${record.record}: ${verdict.issues.map(formatIssue).join("; ")}`)
      }
    })
  }

  it("hold every sequence number once, in order", () => {
    const { records } = assemble(session)
    const found = sequences(records)
    assert.deepStrictEqual(found, Array.from({ length: found.length }, (_, i) => i))
  })

  it("are the same when the same calls come again", () => {
    assert.deepStrictEqual(assemble(session, "L2"), assemble(session, "L2"))
  })

  it("hold no token of a lease", () => {
    const { records } = assemble((script) => {
      script.input({ type: "lease", authority_epoch: 1, status: "issued", ttl_ms: 5, lease_token: "secret" })
    })
    assert.notInclude(JSON.stringify(records), "secret")
    assert.include(JSON.stringify(records), "issued")
  })

  it("end with the last sequence and time that were seen", () => {
    const { end, records } = assemble((script) => void script.frames(3))
    assert.deepStrictEqual(end, {
      record: "end",
      last_sequence: 2,
      runtime_timestamp_ms: 60,
      reason: "ended",
      records: records.length + 1,
      not_captured: { level: "L0", caller_audio: "none", payloads: [], detail_dropped: 0, records_lost: 0 }
    })
  })
})

describe("audio runs", () => {
  const runs = (play: (script: Script) => void): ReadonlyArray<AudioRun> => ofKind(assemble(play).records, "audio")

  it("merge frames that follow one another", () => {
    assert.deepStrictEqual(runs((script) => void script.frames(50)), [
      { record: "audio", first_sequence: 0, count: 50, first_sample_index: 0, first_timestamp_ms: 20 }
    ])
  })

  it("keep each arrival that was not on time", () => {
    const [run] = runs((script) => void script.frames(5, (i) => [0, 0, 3, -3, 0][i] ?? 0))
    assert.deepStrictEqual(run?.jitter, [0, 3, -3, 0])
  })

  it("give back the arrival of every frame", () => {
    const late = (i: number) => (i * 7919) % 13 - 6
    const [run] = runs((script) => void script.frames(100, late))
    let now = 20 + late(0)
    assert.strictEqual(run?.first_timestamp_ms, now)
    assert.strictEqual(run?.jitter?.length, 99)
    for (const [i, jitter] of (run?.jitter ?? []).entries()) {
      now += 20 + late(i + 1)
      assert.strictEqual(jitter, late(i + 1))
    }
  })

  it("end before any other input or output", () => {
    const { records } = assemble((script) => {
      script.frames(2).input({ type: "audio_ended" })
      script.frames(2).outputs(script.command({ type: "end_session", reason: "done" }))
      script.frames(1)
    })
    assert.deepStrictEqual(records.map((record) => record.record), ["audio", "input", "audio", "command", "audio"])
    assert.deepStrictEqual(sequences(records), [0, 1, 2, 3, 4, 5, 6])
  })

  it("end where samples were lost, where a number is missing and after ten seconds", () => {
    const lost = runs((script) => {
      script.frames(2)
      script.sample += 320
      script.frames(2)
      script.sequence++
      script.frames(maxRunFrames + 1)
    })
    assert.deepStrictEqual(lost.map((run) => run.count), [2, 2, maxRunFrames, 1])
    assert.strictEqual(lost[1]?.first_sample_index, 960)
  })

  it("are not broken by outputs that say nothing", () => {
    assert.strictEqual(
      runs((script) => {
        script.frames(2)
        script.outputs()
        script.frames(2)
      }).length,
      1
    )
  })
})

describe("evidence, terminal and close", () => {
  it("of a commit are one group", () => {
    const { emissions } = assemble((script) => void script.committed())
    const groups = emissions.filter((emission) => emission.tier === "baseline")
    assert.deepStrictEqual(groups.map(names), [["evidence", "commit", "transition", "close", "transition"]])
  })

  it("of an abort are one group, although nobody asked for evidence", () => {
    const { emissions, asked } = assemble((script) => void script.cut())
    assert.deepStrictEqual(asked, [])
    const [group] = emissions.filter((emission) => emission.tier === "baseline")
    assert.deepStrictEqual(names(group), ["evidence", "abort", "transition", "close", "transition"])
  })

  it("hold also what comes between them", () => {
    const { emissions } = assemble((script) => {
      const { turn } = script.open()
      script.outputs(
        script.signal("abort", "RK-03", { turn_id: turn, reason: "provider_failure" }),
        script.transition(turn, "Active", "abort", "Terminal"),
        script.command({ type: "end_output", turn_id: turn }),
        script.signal("close", "RK-03", { turn_id: turn }),
        script.transition(turn, "Terminal", "close", "Closed")
      )
    })
    const [group] = emissions.filter((emission) => emission.tier === "baseline")
    assert.deepStrictEqual(names(group), ["evidence", "abort", "transition", "command", "close", "transition"])
  })

  it("is asked for with the answer whether it could be made", () => {
    assert.deepStrictEqual(assemble((script) => void script.committed()).asked, [["turn_1", true]])
    assert.deepStrictEqual(assemble((script) => void script.committed(), "L0", ["admit"]).asked, [["turn_1", false]])
  })

  it("without what the evidence needs leave the markers", () => {
    const { emissions } = assemble((script) => void script.committed(), "L0", ["plan"])
    const [group] = emissions.filter((emission) => emission.tier === "baseline")
    assert.deepStrictEqual(names(group), ["commit", "transition", "close", "transition"])
  })

  it("are written at the end when the close never came", () => {
    const { emissions } = assemble((script) => {
      const { turn } = script.open()
      script.outputs(script.signal("abort", "RK-03", { turn_id: turn, reason: "cancelled" }))
    })
    assert.deepStrictEqual(names(emissions.at(-1)), ["abort"])
  })
})

describe("supplements", () => {
  it("hold the acknowledgement and the late outputs that came after the evidence", () => {
    const { records } = assemble((script) => void script.settled(script.cut()))
    const [{ evidence } = assert.fail()] = ofKind(records, "evidence")
    const [{ supplement } = assert.fail()] = ofKind(records, "supplement")
    assert.isUndefined(evidence.cancel?.acknowledged_ms)
    assert.strictEqual(evidence.cancel?.late_outputs_dropped, 0)
    assert.strictEqual(supplement.cancel?.acknowledged_ms, (evidence.cancel?.fenced_ms ?? 0) + 7)
    assert.strictEqual(supplement.cancel?.late_outputs_dropped, 2)
    assert.deepStrictEqual(supplement.invocations.map((facts) => facts.modality), ["tts"])
    assert.deepStrictEqual(evidence.invocations.map((facts) => facts.modality), ["stt", "llm"])
  })

  it("are not written when nothing came", () => {
    const { records } = assemble((script) => {
      const turn = script.committed()
      script.wait(75).outputs(script.command({ type: "seal_supplement", turn_id: turn }))
    })
    assert.deepStrictEqual(ofKind(records, "supplement"), [])
  })

  it("are written at the end of the recording when nobody sealed them", () => {
    const { records } = assemble((script) => {
      const { turn, tts } = script.cut()
      script.wait(5).ended(tts, "tts", { turn_id: turn, outcome_class: "cancelled", cancel_ack_ms: script.now })
    })
    assert.strictEqual(records.at(-1)?.record, "supplement")
  })
})

describe("payloads", () => {
  const kept = (level: RecordingLevel) => {
    const { records } = assemble((script) => void script.committed(), level)
    return { payloads: ofKind(records, "payload"), caller: ofKind(records, "caller_audio") }
  }

  it("are not kept at L0", () => {
    assert.deepStrictEqual(kept("L0"), { payloads: [], caller: [] })
  })

  it("are masked text and no sound at L1", () => {
    assert.deepStrictEqual(kept("L1"), {
      payloads: [{
        record: "payload",
        handle_id: "t_turn_1",
        payload_class: "text_raw",
        action: "mask",
        text: "***** *****"
      }],
      caller: []
    })
  })

  it("are words and sound at L2", () => {
    const { payloads, caller } = kept("L2")
    assert.deepStrictEqual(payloads.map((record) => record.text ?? record.pcm_base64?.length), ["hello there", 1708])
    const pcm = Buffer.from(caller[0]?.pcm_base64 ?? "", "base64")
    assert.strictEqual(pcm.length, 5 * 640)
    assert.strictEqual(pcm.readInt16LE(640), 1)
  })

  it("are kept no better than the plan's level from the turn on", () => {
    const { records } = assemble((script) => {
      script.planLevel = "L0"
      script.committed()
      script.frames(60)
    }, "L2")
    assert.deepStrictEqual(ofKind(records, "payload").map((record) => record.handle_id), ["t_turn_1"])
  })

  it("are kept no better than a policy snapshot allows, at once", () => {
    const { records } = assemble((script) => {
      script.input({
        type: "snapshot",
        snapshot: {
          schema_version: "v1.0",
          snapshot_kind: "policy_resolution_snapshot",
          snapshot_id: "snap_pr",
          version: 1,
          issued_at_ms: 0,
          ttl_ms: 1000,
          content_hash: "0".repeat(64),
          body: { allowed_adaptive_actions: [], max_recording_level: "L0", allowed_replay_modes: ["replay_decisions"] }
        }
      })
      script.planLevel = "L0"
      script.committed()
    }, "L2")
    assert.deepStrictEqual([...ofKind(records, "payload"), ...ofKind(records, "caller_audio")], [])
  })

  it("are counted by class and decision in the evidence of their turn", () => {
    const decisions = (level: RecordingLevel) =>
      ofKind(assemble((script) => void script.committed(), level).records, "evidence")[0]?.evidence.payload_decisions
    assert.deepStrictEqual(decisions("L0"), [
      { payload_class: "audio_raw", action: "drop", count: 6 },
      { payload_class: "text_raw", action: "hash", count: 3 }
    ])
    assert.deepStrictEqual(decisions("L2"), [
      { payload_class: "audio_raw", action: "allow", count: 6 },
      { payload_class: "text_raw", action: "allow", count: 3 }
    ])
  })
})
