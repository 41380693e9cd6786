import { expect, it } from "vitest"
import { recordingPath } from "../../support/Program.ts"
import { agentHasAnswered, agentIsHeard, Call, filesHere, meetAgent } from "./support/Call.ts"
import { CallerProcess } from "./support/CallerProcess.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"
import { longReply, scriptedModel } from "./support/ScriptedModel.ts"

const cwd = filesHere()

await liveKitSuite("an identity that comes a second time", (lobby) => {
  it("as the agent: the first is out of the room, says nothing more, and tells why", async () => {
    await using model = await scriptedModel(() => longReply, 0)
    await using call = await Call.open(lobby, cwd, "agent", model.environment)
    const { agent, caller } = call
    const from = caller.facts.now
    await caller.say(recordingPath("goforward"))
    await agentIsHeard(caller, from)
    const [first] = caller.all("participant")
    await using second = await CallerProcess.join(
      await lobby.seat(call.room, Call.agentIdentity, { agent: true }),
      { mic: false }
    )
    const ended = await agent.ended
    expect(ended).toMatchObject({ code: 69, stderr: expect.stringContaining("took its place") })
    // The caller is left with the second, and hears nothing of the first from then on.
    const left = await caller.next("participantLeft", ({ sid }) => sid === first?.sid)
    await caller.next("participant", ({ sid }) => sid !== first?.sid)
    await caller.do({ do: "silence", ms: 1000, id: "pause" })
    await caller.next("said", ({ id }) => id === "pause")
    const late = caller.all("hearing").filter(({ wallMs }) => wallMs > left.wallMs + 200)
    expect(late).toEqual([])
    expect(second.all("disconnected")).toEqual([])
    await soundRecording(cwd, call.timeline, 1)
  })

  it("as the caller: the call goes on with the one that came last", async () => {
    await using call = await Call.open(lobby, cwd, "caller")
    let from = call.caller.facts.now
    await call.caller.say(recordingPath("goforward"))
    await agentHasAnswered(call.caller, from)
    await using second = await CallerProcess.join(await lobby.seat(call.room, Call.callerIdentity))
    await call.caller.next("disconnected", ({ reason }) => reason === "DUPLICATE_IDENTITY")
    await meetAgent(second)
    from = second.facts.now
    await second.say(recordingPath("something"))
    await agentHasAnswered(second, from)
    expect(await second.leave()).toBe(0)
    expect((await call.agent.summary()).accepted_turns).toBe(2)
    await soundRecording(cwd, call.timeline, 2)
  })
})
