import { AgentState } from "@rspp/transports/livekit/frontend/AgentState"
import { CallerWords } from "@rspp/transports/livekit/frontend/CallerWords"
import { SpokenWords } from "@rspp/transports/livekit/frontend/SpokenWords"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { assert, describe, it } from "@effect/vitest"
import { speech } from "../support/ScriptedCall.ts"
import { observeCall } from "./support/ObservedCall.ts"
import type { ObservedCall } from "./support/ObservedCall.ts"

const question = observeCall({
  script: makeCallScript([{ say: speech(900) }]),
  heard: ["what time is it"],
  replies: ["It is late. Go to bed."]
})

const interruption = observeCall({
  script: makeCallScript([
    { say: speech(900) },
    { say: speech(1200), at: { after: "agent_started", delay_ms: 1500 } }
  ]),
  heard: ["tell me a story", "no, stop"],
  replies: ["Once upon a time there was a very long story that nobody ever heard to its end.", "Very well."]
})

const cough = observeCall({
  script: makeCallScript([
    { say: speech(900) },
    { say: speech(100), at: { after: "agent_started", delay_ms: 800 } }
  ]),
  heard: ["tell me a story", ""],
  replies: ["Once upon a time there was a very long story that was heard to its end."]
})

/** The states of a call, each with the session time at which it began. */
const statesOf = ({ steps }: ObservedCall) => {
  const agent = new AgentState()
  const states: Array<readonly [string, number]> = [[agent.state, 0]]
  for (const { outputs, record } of steps) {
    agent.input(record)
    agent.outputs(outputs)
    if (states.at(-1)?.[0] !== agent.state) states.push([agent.state, record.runtime_timestamp_ms])
  }
  agent.closed()
  if (states.at(-1)?.[0] !== agent.state) states.push([agent.state, Number.POSITIVE_INFINITY])
  return states
}

/** What is told of the agent's speech, with the session time, looked at every 10 ms of it. */
const spokenOf = ({ opened: [header, text], steps }: ObservedCall) => {
  const words = new SpokenWords(header.session_id, text)
  const told: Array<{ readonly atMs: number; readonly replyId: string; readonly text: string | undefined }> = []
  let nowMs = 0
  const add = (spoken: ReturnType<SpokenWords["closed"]>) => {
    for (const more of spoken) {
      told.push({ atMs: nowMs, replyId: more.replyId, text: more.kind === "text" ? more.text : undefined })
    }
  }
  for (const { outputs, record } of steps) {
    for (; nowMs + 10 <= record.runtime_timestamp_ms; nowMs += 10) add(words.advance(nowMs))
    nowMs = record.runtime_timestamp_ms
    add(words.input(record))
    add(words.outputs(outputs))
  }
  add(words.closed())
  return told
}

const atOf = ({ steps }: ObservedCall, type: string, ordinal = 0): number =>
  steps.filter(({ record }) => record.input.type === type)[ordinal]?.record.runtime_timestamp_ms ?? Number.NaN

describe("What a front end is shown of a call", () => {
  it("the state follows a turn: listening, thinking, speaking, listening, and idle at the end", async () => {
    const call = await question
    const states = statesOf(call)
    assert.deepStrictEqual(states.map(([state]) => state), [
      "initializing",
      "listening",
      "thinking",
      "speaking",
      "listening",
      "idle"
    ])
    assert.strictEqual(states[3]?.[1], atOf(call, "playback_started"))
    assert.strictEqual(states[4]?.[1], atOf(call, "playback_completed", 1))
  })

  it("speech over the agent makes it listen at once, and the cut reply is not heard again", async () => {
    const call = await interruption
    const states = statesOf(call)
    assert.deepStrictEqual(states.map(([state]) => state), [
      "initializing",
      "listening",
      "thinking",
      "speaking",
      "listening",
      "thinking",
      "speaking",
      "listening",
      "idle"
    ])
    assert.strictEqual(states[4]?.[1], atOf(call, "voice_activity", 2))
  })

  it("after a false alarm it goes on speaking", async () => {
    const states = statesOf(await cough)
    assert.deepStrictEqual(states.map(([state]) => state).slice(3), [
      "speaking",
      "listening",
      "speaking",
      "listening",
      "idle"
    ])
  })

  it("the words of a reply come while it is heard, all of it by its end", async () => {
    const call = await question
    const told = spokenOf(call)
    assert.strictEqual(told.map(({ text }) => text ?? "|").join(""), "It is late. Go to bed.|")
    assert.strictEqual(new Set(told.map(({ replyId }) => replyId)).size, 1)
    const first = told[0]?.atMs ?? 0
    assert.isAbove(first, atOf(call, "playback_started"))
    assert.isAtLeast(told.length, 7)
    // The second sentence is told when it is heard, not when the first one is.
    assert.isAbove(told.find(({ text }) => text?.includes("Go"))?.atMs ?? 0, atOf(call, "playback_started", 1))
  })

  it("of a reply that is cut only what was heard is told", async () => {
    const call = await interruption
    const told = spokenOf(call)
    const [cut] = told.map(({ text }) => text ?? "|").join("").split("|")
    const cancelled = call.steps.map(({ record }) => record.input).find((input) => input.type === "playback_cancelled")
    assert.isDefined(cancelled)
    // 60 ms a character, about 1500 ms of it: 24 characters, and so five words.
    assert.strictEqual(cut, "Once upon a time there")
    assert.isAtMost(cut?.length ?? 99, (cancelled?.samples ?? 0) / 16 / 60)
    // Nothing of it comes later.
    const after = atOf(call, "egress_fenced")
    const late = told.filter(({ atMs, text }) => atMs > after && text !== undefined).map(({ text }) => text).join("")
    assert.strictEqual(late, "Very well.")
  })

  it("a pause of the output pauses the words", async () => {
    const call = await cough
    const told = spokenOf(call)
    const paused = atOf(call, "egress_paused")
    const resumed =
      call.steps.find(({ outputs }) =>
        outputs.some((output) => output.record === "command" && output.command.type === "resume_output")
      )?.record.runtime_timestamp_ms ?? 0
    assert.isAbove(resumed, paused + 400)
    assert.isEmpty(told.filter(({ atMs }) => atMs > paused && atMs <= resumed))
    assert.strictEqual(
      told.map(({ text }) => text ?? "|").join(""),
      "Once upon a time there was a very long story that was heard to its end.|"
    )
  })

  it("an utterance of the caller ends in exactly one final text", async () => {
    const { opened: [header, text], steps } = await interruption
    const words = new CallerWords(header.session_id, text)
    const said = [
      ...steps.flatMap(({ outputs, record }) => [...words.input(record), ...words.outputs(outputs)]),
      ...words.closed()
    ]
    const finals = said.filter(({ final }) => final)
    assert.deepStrictEqual(finals.map((update) => update.text), ["tell me a story", "no, stop"])
    assert.strictEqual(new Set(finals.map(({ utteranceId }) => utteranceId)).size, 2)
    assert.isAbove(said.length, finals.length)
  })
})
