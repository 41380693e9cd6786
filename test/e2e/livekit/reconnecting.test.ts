import { expect, it } from "vitest"
import { recordingPath } from "../../support/Program.ts"
import { agentHasAnswered, agentIs, agentIsHeard, Call, filesHere } from "./support/Call.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"

const cwd = filesHere()

await liveKitSuite("a caller whose connection is lost and made again", (lobby) => {
  const lose = async (what: "signal" | "full", goneOn: (call: Call, from: number) => Promise<unknown>) => {
    await using call = await Call.open(lobby, cwd, what)
    const { agent, caller } = call
    let from = caller.facts.now
    await caller.say(recordingPath("goforward"))
    await agentIsHeard(caller, from)
    const lost = caller.facts.now
    await caller.do({ do: "simulate", what })
    await caller.next("connection", ({ state }) => state === "reconnected", { from: lost })
    await goneOn(call, what === "full" ? lost : from)
    from = caller.facts.now
    await caller.say(recordingPath("something"))
    await agentHasAnswered(caller, from)
    expect(await caller.leave()).toBe(0)
    expect((await agent.summary()).accepted_turns).toBe(2)
    const recording = await soundRecording(cwd, call.timeline, 2)
    expect(recording.connection.at(-1)).toBe("ended")
    return recording.signals("commit").map(({ turn_id }) => turn_id)
  }

  it("hears the reply to its end when only the signalling was lost", async () => {
    const committed = await lose("signal", ({ caller }, from) => agentHasAnswered(caller, from))
    expect(committed).toEqual(["turn_1", "turn_2"])
  })

  it("goes on with the same call when everything was connected anew", async () => {
    // It left and joined again: both subscribe anew, and what was being said is said no more.
    const committed = await lose("full", ({ caller }, from) =>
      Promise.all([
        caller.next("track", undefined, { from }),
        caller.next("micSubscribed", undefined, { from }),
        agentIs(caller, "listening", from)
      ]))
    expect(committed).toContain("turn_2")
  })
})
