// A real livekit-server, the front end's conventions in one room, and another client that looks at them.
import { AgentState } from "@rspp/transports/livekit/frontend/AgentState"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { reconnect, until } from "@rspp/transports/test/livekit/support/Rooms"
import type { Watcher } from "@rspp/transports/test/livekit/support/Rooms"
import { onServer } from "@rspp/transports/test/livekit/support/OnServer"
import { scene } from "@rspp/transports/test/livekit/support/Scene"
import type { Scene } from "@rspp/transports/test/livekit/support/Scene"
import { assert, beforeAll, it } from "vitest"
import { speech } from "../support/ScriptedCall.ts"
import { observeCall, tell } from "./support/ObservedCall.ts"
import type { ObservedCall } from "./support/ObservedCall.ts"

/**
 * Tells the observers of a call: in real time, and where a state has begun or a sentence is to end, not before the other
 * client has seen the state or some words of it.
 */
const replay = async ({ observers, watcher }: Scene, call: ObservedCall): Promise<void> => {
  const agent = new AgentState()
  let atMs = 0
  for (const observer of observers) observer.opened?.(...call.opened)
  for (const step of call.steps) {
    const { input, runtime_timestamp_ms: dueMs } = step.record
    await new Promise((resolve) => setTimeout(resolve, dueMs - atMs))
    atMs = dueMs
    if (input.type === "playback_completed") {
      await until(
        "words come while they are heard",
        () => watcher.streams.some(({ chunks, sender }) => sender === "agent" && chunks.length > 0)
      )
    }
    agent.input(step.record)
    agent.outputs(step.outputs)
    tell(observers, [step])
    if (agent.state !== "initializing") await until(agent.state, () => watcher.states.at(-1) === agent.state)
  }
  for (const observer of observers) observer.closed?.()
  await until("the agent is idle at the end", () => watcher.states.at(-1) === "idle")
  await until("every stream is closed", () => watcher.streams.every(({ closed }) => closed))
}

const segmentsOf = ({ streams }: Watcher, sender: string) => [
  ...new Set(streams.filter((stream) => stream.sender === sender).map(({ info }) => info.attributes?.["lk.segment_id"]))
]

await onServer("The front end's conventions", (server) => {
  let question: ObservedCall
  let interruption: ObservedCall

  beforeAll(async () => {
    question = await observeCall({
      script: makeCallScript([{ say: speech(900) }]),
      heard: ["what time is it"],
      replies: ["It is late. Go to bed."]
    })
    interruption = await observeCall({
      script: makeCallScript([
        { say: speech(900) },
        { say: speech(1200), at: { after: "agent_started", delay_ms: 1500 } }
      ]),
      heard: ["tell me a story", "no, stop"],
      replies: ["Once upon a time there was a very long story that nobody ever heard to its end.", "Very well."]
    })
  })

  it("another client sees the states of a call, and both sides' words", async () => {
    const call = await scene(server, "question")
    const { microphone, watcher } = call
    await replay(call, question)
    assert.deepStrictEqual(
      watcher.states.filter((state) => state !== "initializing"),
      ["listening", "thinking", "speaking", "listening", "idle"]
    )

    const [utterance] = segmentsOf(watcher, "user")
    const [reply, ...others] = segmentsOf(watcher, "agent")
    assert.isEmpty(others)
    assert.strictEqual(watcher.shown(utterance ?? ""), "what time is it")
    assert.strictEqual(watcher.shown(reply ?? ""), "It is late. Go to bed.")

    const said = watcher.streams.filter(({ sender }) => sender === "user")
    assert.strictEqual(said.at(-1)?.info.attributes?.["lk.transcription_final"], "true")
    assert.isTrue(said.slice(0, -1).every(({ info }) => info.attributes?.["lk.transcription_final"] === "false"))
    assert.isTrue(said.every(({ info }) => info.attributes?.["lk.transcribed_track_id"] === microphone))
    assert.strictEqual(new Set(said.map(({ info }) => info.streamId)).size, said.length)

    const spoken = watcher.streams.filter(({ sender }) => sender === "agent")
    assert.strictEqual(spoken.length, 1)
    assert.isAbove(spoken[0]?.chunks.length ?? 0, 1, "the reply came in deltas")
    assert.strictEqual(spoken[0]?.info.attributes?.["lk.transcribed_track_id"], "TR_agent")
  })

  it("of a reply that is cut another client sees what was heard, and the next reply as a message of its own", async () => {
    const call = await scene(server, "interruption")
    const { watcher } = call
    await replay(call, interruption)
    const replies = segmentsOf(watcher, "agent").map((segment) => watcher.shown(segment ?? ""))
    assert.deepStrictEqual(replies, ["Once upon a time there", "Very well."])
    const utterances = segmentsOf(watcher, "user").map((segment) => watcher.shown(segment ?? ""))
    assert.deepStrictEqual(utterances, ["tell me a story", "no, stop"])
    assert.deepStrictEqual(
      watcher.states.filter((state) => state !== "initializing"),
      ["listening", "thinking", "speaking", "listening", "thinking", "speaking", "listening", "idle"]
    )
  })

  it("a call that is told all at once loses no final text, and ends in the last state", async () => {
    const { observers, watcher } = await scene(server, "burst")
    for (const observer of observers) observer.opened?.(...interruption.opened)
    tell(observers, interruption.steps)
    for (const observer of observers) observer.closed?.()
    await until("the agent is idle at the end", () => watcher.states.at(-1) === "idle")
    const finals = () =>
      watcher.streams.filter(({ closed, info, sender }) =>
        closed && sender === "user" && info.attributes?.["lk.transcription_final"] === "true"
      ).map(({ chunks }) => chunks.join(""))
    await until("both final texts came", () => finals().length === 2)
    assert.deepStrictEqual(finals(), ["tell me a story", "no, stop"])
    await until(
      "the last reply is complete",
      () => watcher.shown(segmentsOf(watcher, "agent").at(-1) ?? "") === "Very well."
    )
  })

  it("after a reconnect that makes a new participant the state is there again, and words go on", async () => {
    const { agent, observers, user, watcher } = await scene(server, "reconnect")
    const opening = interruption.steps.findIndex(({ record }) => record.input.type === "playback_started")
    for (const observer of observers) observer.opened?.(...interruption.opened)
    tell(observers, interruption.steps.slice(0, opening + 1))
    await until("the agent speaks", () => watcher.states.at(-1) === "speaking")
    await reconnect(agent.room)
    await until(
      "the page sees the state",
      () => user.remoteParticipants.get("agent")?.attributes["lk.agent.state"] === "speaking"
    )
    tell(observers, interruption.steps.slice(opening + 1))
    for (const observer of observers) observer.closed?.()
    await until("the agent is idle at the end", () => watcher.states.at(-1) === "idle")
    await until(
      "the last reply is complete",
      () => watcher.shown(segmentsOf(watcher, "agent").at(-1) ?? "") === "Very well."
    )
    assert.strictEqual(watcher.shown(segmentsOf(watcher, "agent")[0] ?? ""), "Once upon a time there")
  })

  it("a token that does not allow attributes is told of in the log, and words are shown all the same", async () => {
    const { agent, observers, watcher } = await scene(server, "refused", { grant: { canUpdateOwnMetadata: false } })
    for (const observer of observers) observer.opened?.(...question.opened)
    tell(observers, question.steps)
    for (const observer of observers) observer.closed?.()
    await until("it is told", () => agent.given.warnings.some((line) => line.includes("canUpdateOwnMetadata")))
    await until(
      "the reply is shown",
      () => watcher.shown(segmentsOf(watcher, "agent")[0] ?? "") === "It is late. Go to bed."
    )
    assert.isEmpty(watcher.states)
  })
})
