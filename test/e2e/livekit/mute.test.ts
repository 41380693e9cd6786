import { expect, it } from "vitest"
import { recordingPath } from "../../support/Program.ts"
import { wordErrorRate } from "../../support/Words.ts"
import { agentHasAnswered, Call, filesHere } from "./support/Call.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"

const cwd = filesHere()

await liveKitSuite("a caller who is muted", (lobby) => {
  it("is not heard until it is unmuted, and the call goes on", async () => {
    await using call = await Call.open(lobby, cwd, "muted")
    const { agent, caller } = call
    await caller.do({ do: "mute" })
    await caller.say(recordingPath("goforward"))
    await caller.do({ do: "silence", ms: 3000, id: "pause" })
    await caller.next("said", ({ id }) => id === "pause")
    expect(caller.all("hearing")).toEqual([])
    await caller.do({ do: "unmute" })
    const from = caller.facts.now
    await caller.say(recordingPath("something"))
    await agentHasAnswered(caller, from)
    expect(await caller.leave()).toBe(0)
    const { accepted_turns, conversation, utterances } = await agent.summary()
    expect({ accepted_turns, utterances }).toEqual({ accepted_turns: 1, utterances: 1 })
    const heard = conversation.filter(({ who }) => who === "you").map(({ text }) => text).join(" ")
    expect(wordErrorRate("go somewhere and do something", heard)).toBeLessThanOrEqual(0.2)
    const { connection } = await soundRecording(cwd, call.timeline, 1)
    expect(connection).not.toContain("stall")
  })

  it("has said what it said before it was muted in the middle of a sentence", async () => {
    await using call = await Call.open(lobby, cwd, "mid-sentence")
    const { agent, caller } = call
    const from = caller.facts.now
    await caller.do({ do: "say", file: recordingPath("librivox-0870"), id: "sentence" })
    await caller.next("saying", ({ id }) => id === "sentence")
    await caller.next("text", ({ topic }) => topic === "lk.transcription", { from })
    await caller.do({ do: "mute" })
    await agentHasAnswered(caller, from)
    expect(await caller.leave()).toBe(0)
    const { accepted_turns, utterances } = await agent.summary()
    expect({ accepted_turns, utterances }).toEqual({ accepted_turns: 1, utterances: 1 })
    await soundRecording(cwd, call.timeline, 1)
  })
})
