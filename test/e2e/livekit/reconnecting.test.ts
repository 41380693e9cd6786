import { expect, it } from "vitest"
import { recordingPath } from "../../support/Program.ts"
import { agentHasAnswered, agentIs, agentIsHeard, Call, filesHere } from "./support/Call.ts"
import { CallerProcess } from "./support/CallerProcess.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"

const cwd = filesHere()

await liveKitSuite("a caller whose connection is lost and made again", (lobby) => {
  for (const what of ["signal", "full"] as const) {
    it(`goes on with the same call (${what} reconnect), heard and hearing`, async () => {
      await using call = await Call.open(lobby, cwd, `reconnects-${what}`)
      const { agent, caller } = call
      let from = caller.facts.now
      await caller.say(recordingPath("goforward"))
      await agentIsHeard(caller, from)
      await caller.do({ do: "simulate", what })
      await caller.next("connection", ({ state }) => state === "reconnected", { from })
      await agentHasAnswered(caller, from)
      from = caller.facts.now
      await caller.say(recordingPath("something"))
      await agentHasAnswered(caller, from)
      expect(await caller.leave()).toBe(0)
      expect((await agent.summary()).accepted_turns).toBe(2)
      const recording = await soundRecording(cwd, call.timeline, 2)
      expect(recording.connection.at(-1)).toBe("ended")
    })
  }

  it("goes on when the page was loaded anew: the same identity, from another process", async () => {
    await using call = await Call.open(lobby, cwd, "reload")
    let from = call.caller.facts.now
    await call.caller.say(recordingPath("goforward"))
    await agentHasAnswered(call.caller, from)
    await call.caller.vanish()
    await using again = await CallerProcess.join(await lobby.seat(call.room, Call.callerIdentity))
    await Promise.all([again.next("track"), again.next("micSubscribed"), agentIs(again, "listening")])
    from = again.facts.now
    await again.say(recordingPath("something"))
    await agentHasAnswered(again, from)
    expect(await again.leave()).toBe(0)
    expect((await call.agent.summary()).accepted_turns).toBe(2)
    const recording = await soundRecording(cwd, call.timeline, 2)
    expect(recording.signals("commit")).toHaveLength(2)
  })
})
