import { Effect } from "effect"
import { expect, it } from "vitest"
import { recordingPath } from "../../support/Program.ts"
import { agentHasAnswered, agentIs, agentIsHeard, Call, filesHere } from "./support/Call.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"
import { longReply, scriptedModel } from "./support/ScriptedModel.ts"

const cwd = filesHere()

await liveKitSuite("a server that is killed in a call", (lobby) => {
  const { own } = lobby.server

  it("and started again: both come back into the room, and the call goes on", async (context) => {
    if (own === undefined) return context.skip("not run: the server that LIVEKIT_URL names is not the test's to kill")
    await using model = await scriptedModel((heard) => /forward/u.test(heard) ? longReply : "All right.", 0)
    await using call = await Call.open(lobby, cwd, "restart", model.environment)
    const { agent, caller } = call
    let from = caller.facts.now
    await caller.say(recordingPath("goforward"))
    await agentIsHeard(caller, from)
    from = caller.facts.now
    await Effect.runPromise(own.kill)
    await caller.next("connection", ({ state }) => state === "reconnecting", { from })
    await Effect.runPromise(own.start)
    await caller.next("connection", ({ state }) => state === "reconnected", { from })
    await Promise.all([caller.next("track", undefined, { from }), agentIs(caller, "listening", from)])
    from = caller.facts.now
    await caller.say(recordingPath("something"))
    await agentHasAnswered(caller, from)
    expect(await caller.leave()).toBe(0)
    await agent.summary()
    const recording = await soundRecording(cwd, call.timeline)
    expect(recording.connection).toContain("reconnecting")
    expect(recording.connection.at(-1)).toBe("ended")
  })

  it("for good: the agent ends, tells why, and what was open is closed", async (context) => {
    if (own === undefined) return context.skip("not run: the server that LIVEKIT_URL names is not the test's to kill")
    await Effect.runPromise(own.start)
    await using model = await scriptedModel(() => longReply, 0)
    await using call = await Call.open(lobby, cwd, "gone", model.environment)
    const { agent, caller } = call
    const from = caller.facts.now
    await caller.say(recordingPath("goforward"))
    await agentIsHeard(caller, from)
    await Effect.runPromise(own.kill)
    const { code, stderr } = await agent.ended
    expect({ code, stderr }).toMatchObject({ code: 69, stderr: expect.stringMatching(/room|server/u) })
    await soundRecording(cwd, call.timeline, 1)
  })
})
