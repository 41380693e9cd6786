import { expect, it } from "vitest"
import { recordingPath } from "../../support/Program.ts"
import { agentHasAnswered, agentIsHeard, Call, filesHere } from "./support/Call.ts"
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
})
