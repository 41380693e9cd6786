import { expect, it } from "vitest"
import { recordingPath } from "../../support/Program.ts"
import { agentIsHeard, Call, filesHere } from "./support/Call.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"
import { longReply, scriptedModel } from "./support/ScriptedModel.ts"

const cwd = filesHere()

await liveKitSuite("the end of a call", (lobby) => {
  const speaking = async (name: string, environment: Readonly<Record<string, string>>) => {
    const call = await Call.open(lobby, cwd, name, environment)
    const from = call.caller.facts.now
    await call.caller.say(recordingPath("goforward"))
    await agentIsHeard(call.caller, from)
    return call
  }

  it("is when the caller leaves, in the middle of a reply too", async () => {
    await using model = await scriptedModel(() => longReply, 0)
    await using call = await speaking("leaves", model.environment)
    expect(await call.caller.leave()).toBe(0)
    const summary = await call.agent.summary()
    expect(summary.accepted_turns).toBe(1)
    const recording = await soundRecording(cwd, call.timeline, 1)
    expect(recording.connection.at(-1)).toBe("ended")
    expect(recording.signals("commit", "abort", "close").map(({ signal }) => signal)).toEqual(["abort", "close"])
  })

  it("is when the room is closed by an operator", async () => {
    await using model = await scriptedModel(() => longReply, 0)
    await using call = await speaking("closed", model.environment)
    await lobby.rooms.deleteRoom(call.room)
    await call.caller.next("disconnected", ({ reason }) => reason === "ROOM_DELETED")
    await call.agent.summary()
    const recording = await soundRecording(cwd, call.timeline, 1)
    expect(recording.connection.at(-1)).toBe("ended")
  })

  it("leaves a sound recording of a call in which nothing was said", async () => {
    await using call = await Call.open(lobby, cwd, "nobody")
    expect(await call.caller.leave()).toBe(0)
    expect(await call.agent.summary()).toMatchObject({ accepted_turns: 0, conversation: [] })
    await soundRecording(cwd, call.timeline, 0)
  })
})
