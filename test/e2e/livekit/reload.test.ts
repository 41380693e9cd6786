import { expect, it } from "vitest"
import { recordingPath } from "../../support/Program.ts"
import { agentHasAnswered, Call, filesHere, meetAgent } from "./support/Call.ts"
import { CallerProcess } from "./support/CallerProcess.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"

const cwd = filesHere()

await liveKitSuite("a caller whose page was loaded anew", (lobby) => {
  it("goes on with the same call: the same identity, from another process", async () => {
    await using call = await Call.open(lobby, cwd, "reload")
    let from = call.caller.facts.now
    await call.caller.say(recordingPath("goforward"))
    await agentHasAnswered(call.caller, from)
    await call.caller.vanish()
    await using again = await CallerProcess.join(await lobby.seat(call.room, Call.callerIdentity))
    await meetAgent(again)
    from = again.facts.now
    await again.say(recordingPath("something"))
    await agentHasAnswered(again, from)
    expect(await again.leave()).toBe(0)
    expect((await call.agent.summary()).accepted_turns).toBe(2)
    const recording = await soundRecording(cwd, call.timeline, 2)
    expect(recording.signals("commit")).toHaveLength(2)
  })
})
