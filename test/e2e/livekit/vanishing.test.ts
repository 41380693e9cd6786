import { expect, it } from "vitest"
import { recordingPath } from "../../support/Program.ts"
import { agentHasAnswered, Call, filesHere } from "./support/Call.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"

const cwd = filesHere()

await liveKitSuite("a caller whose process dies", (lobby) => {
  it("is waited for, and the call ends when it does not come back", async () => {
    await using call = await Call.open(lobby, cwd, "vanishes")
    const from = call.caller.facts.now
    await call.caller.say(recordingPath("goforward"))
    await agentHasAnswered(call.caller, from)
    await call.caller.vanish()
    const summary = await call.agent.summary()
    expect(summary.accepted_turns).toBe(1)
    const { connection } = await soundRecording(cwd, call.timeline, 1)
    expect(connection.at(-1)).toBe("ended")
    expect(connection).toContain("disconnected")
  })
})
