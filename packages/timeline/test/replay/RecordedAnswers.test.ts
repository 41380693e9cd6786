// What a recording answers to what is asked at another time, step by step.
import { assert, describe, it } from "@effect/vitest"
import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { InputRecord, TimelineRecord } from "@rspp/contracts/Timeline"
import { RecordedAnswers } from "../../src/replay/RecordedAnswers.ts"

type CommandRecord = Extract<TimelineRecord, { readonly record: "command" }>

const asked = (runtime_timestamp_ms: number, command: SessionCommand): CommandRecord => ({
  record: "command",
  runtime_sequence: 1,
  runtime_timestamp_ms,
  command
})
const answered = (runtime_timestamp_ms: number, input: SessionInput): InputRecord => ({
  record: "input",
  runtime_sequence: 1,
  runtime_timestamp_ms,
  lane: "DataLane",
  input
})
const model = (provider_invocation_id: string, handle_id: string): SessionCommand => ({
  type: "start_invocation",
  provider_invocation_id,
  node_id: "llm",
  modality: "llm",
  provider_id: "sim/llm",
  turn_id: "turn_1",
  authority_epoch: 1,
  idempotency_key: "ses_1/turn_1/reply",
  cap_ms: 1000,
  conversation: [{ role: "user", parts: [{ handle_id, chars: 4 }] }]
})
const delta = (id: string): SessionInput => ({
  type: "text_delta",
  provider_invocation_id: "inv_2",
  handle: { id, payload_class: "text_raw", length: 4 }
})
const ended: SessionInput = {
  type: "invocation_ended",
  provider_invocation_id: "inv_2",
  outcome_class: "success",
  retryable: false,
  attempts: 1,
  late_outputs: 0
}
const started: SessionInput = { type: "playback_started", turn_id: "turn_1", segment_id: "s1" }

/** A call that begins at 100 ms and is played from 300 ms on; nothing of it is cut. */
const recording: ReadonlyArray<TimelineRecord> = [
  asked(100, model("inv_2", "h_1")),
  answered(150, delta("h_2")),
  answered(200, delta("h_3")),
  answered(220, ended),
  asked(250, { type: "enqueue_output", turn_id: "turn_1", segment_id: "s1", handle_id: "h_4", authority_epoch: 1 }),
  answered(300, started),
  answered(900, { type: "playback_completed", turn_id: "turn_1", segment_id: "s1", samples: 9600 })
]

/** What is on the agenda, in order, taken off it. */
const all = (answers: RecordedAnswers, untilMs = Number.POSITIVE_INFINITY): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (;;) {
    const due = answers.agenda.next(untilMs, Number.POSITIVE_INFINITY)
    if (due === undefined) return lines
    const input = answers.deliver(due)
    const id = "provider_invocation_id" in input ? ` ${input.provider_invocation_id}` : ""
    lines.push(`${due.atMs} ${input.type}${id}`)
  }
}

describe("recorded answers", () => {
  it("come as long after the question as they did, under the number that the call has here", () => {
    const answers = new RecordedAnswers(recording, 0, 0)
    answers.ask(asked(130, model("inv_7", "h_1")), 130)
    assert.deepStrictEqual(all(answers), ["180 text_delta inv_7", "230 text_delta inv_7", "250 invocation_ended inv_7"])
    assert.isUndefined(answers.silence)
  })

  it("are none to another question", () => {
    const answers = new RecordedAnswers(recording, 0, 0)
    answers.ask(asked(130, model("inv_2", "h_9")), 130)
    assert.deepStrictEqual(all(answers), [])
    assert.match(
      answers.silence?.reason ?? "",
      /what command start_invocation inv_2 asks for is not asked for in the recording/u
    )
    assert.strictEqual(answers.silence?.atMs, 130)
  })

  it("that were under way come at their own time", () => {
    const answers = new RecordedAnswers(recording, 2, 2)
    assert.deepStrictEqual(all(answers), ["200 text_delta inv_2", "220 invocation_ended inv_2"])
  })

  it("end with a cancel that the recording does not have, as cancelled", () => {
    const answers = new RecordedAnswers(recording, 0, 0)
    answers.ask(asked(100, model("inv_2", "h_1")), 100)
    assert.deepStrictEqual(all(answers, 160), ["150 text_delta inv_2"])
    answers.ask(asked(160, { type: "cancel_invocation", provider_invocation_id: "inv_2", reason: "barge_in" }), 160)
    assert.deepStrictEqual(all(answers), ["160 invocation_ended inv_2"])
  })

  it("end with a fence that the recording does not have, and of what was heard then nobody can say", () => {
    const answers = new RecordedAnswers(recording, 5, 5)
    assert.deepStrictEqual(all(answers, 400), ["300 playback_started"])
    answers.ask(asked(400, { type: "fence_output", turn_id: "turn_1", authority_epoch: 1, reason: "barge_in" }), 400)
    assert.deepStrictEqual(all(answers), ["400 playback_cancelled", "400 egress_fenced"])
    assert.strictEqual(answers.silence?.reason, undefined)
    answers.ask(asked(2000, { ...model("inv_9", "h_1") }), 2000)
    assert.match(answers.silence?.reason ?? "", /depends on how much of turn_1 was heard/u)
  })

  it("stop with a pause at another time, and what comes when it goes on is not known", () => {
    const answers = new RecordedAnswers(recording, 5, 5)
    assert.deepStrictEqual(all(answers, 400), ["300 playback_started"])
    answers.ask(asked(400, { type: "pause_output", turn_id: "turn_1" }), 400)
    assert.deepStrictEqual(all(answers), ["400 egress_paused"])
    answers.ask(asked(700, { type: "resume_output", turn_id: "turn_1" }), 700)
    assert.match(answers.silence?.reason ?? "", /how much of turn_1 was played before is not recorded/u)
  })

  it("are known only until something is not asked for that ended them in the recording", () => {
    const cut = [
      ...recording.slice(0, 2),
      asked(180, { type: "cancel_invocation", provider_invocation_id: "inv_2", reason: "user" }),
      answered(190, { ...ended, outcome_class: "cancelled" })
    ]
    const answers = new RecordedAnswers(cut, 0, 0)
    answers.ask(asked(130, model("inv_2", "h_1")), 130)
    assert.deepStrictEqual(all(answers, 300), ["180 text_delta inv_2"])
    assert.isTrue(answers.knowsUntil(210))
    assert.isFalse(answers.knowsUntil(211))
    assert.strictEqual(answers.silence?.atMs, 210)
    const asks = new RecordedAnswers(cut, 0, 0)
    asks.ask(asked(130, model("inv_2", "h_1")), 130)
    asks.ask(asked(140, { type: "cancel_invocation", provider_invocation_id: "inv_2", reason: "user" }), 140)
    assert.deepStrictEqual(all(asks), ["150 invocation_ended inv_2"], "as long after the cancel as recorded")
    assert.isTrue(asks.knowsUntil(10_000))
  })
})
