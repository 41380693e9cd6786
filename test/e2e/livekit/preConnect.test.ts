import { expect, it } from "vitest"
import { recordingPath, recordings } from "../../support/Program.ts"
import { wordErrorRate } from "../../support/Words.ts"
import { AgentProcess } from "./support/AgentProcess.ts"
import { agentHasAnswered, Call, filesHere } from "./support/Call.ts"
import { CallerProcess } from "./support/CallerProcess.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { Lobby } from "./support/Lobby.ts"
import { soundRecording } from "./support/Recording.ts"

const cwd = filesHere()

await liveKitSuite("a caller who speaks before the agent has come", (lobby) => {
  it("is heard, and answered as soon as the agent is there", async () => {
    const room = Lobby.roomName()
    await using caller = await CallerProcess.join(await lobby.seat(room, Call.callerIdentity), {
      preConnect: recordingPath("goforward")
    })
    const seat = await lobby.seat(room, Call.agentIdentity, { agent: true })
    await using agent = AgentProcess.join(cwd, seat, "before.timeline")
    await caller.next("participant", ({ kind }) => kind === "AGENT")
    await agentHasAnswered(caller, 0)
    expect(await caller.leave()).toBe(0)
    const { conversation } = await agent.summary()
    const heard = conversation.filter(({ who }) => who === "you").map(({ text }) => text).join(" ")
    expect(wordErrorRate(recordings.goforward, heard)).toBeLessThanOrEqual(0.2)
    await soundRecording(cwd, "before.timeline", 1)
  })
})
