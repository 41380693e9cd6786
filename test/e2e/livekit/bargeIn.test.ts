import { expect, it } from "vitest"
import { recordingPath } from "../../support/Program.ts"
import { agentHasAnswered, agentIs, agentIsHeard, Call, filesHere } from "./support/Call.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"
import { longReply, scriptedModel } from "./support/ScriptedModel.ts"
import { lastHeardOf } from "./support/Tail.ts"

const cwd = filesHere()

/** Nothing of a reply is heard any more so long after its cancel was accepted (issue 7), ms. */
const tailBoundMs = 150

/** Longer than the tail, and than the gap that ends a run of sound. */
const thinkMs = 700

await liveKitSuite("a reply that the caller speaks into", (lobby) => {
  it("is silent as soon as the caller speaks, is cut when the caller goes on, and the caller is answered", async () => {
    await using model = await scriptedModel((heard) => /young/u.test(heard) ? "That is kind." : longReply, thinkMs)
    await using call = await Call.open(lobby, cwd, "spoken", model.environment)
    const { agent, caller } = call
    let from = caller.facts.now
    await caller.say(recordingPath("goforward"))
    await agentIsHeard(caller, from)
    from = caller.facts.now
    await caller.say(recordingPath("librivox-0880"))
    await agentIs(caller, "speaking", from)
    await agentHasAnswered(caller, from)
    expect(await caller.leave()).toBe(0)
    await agent.summary()
    const recording = await soundRecording(cwd, call.timeline, 2)
    expect(recording.signals("commit", "abort").map(({ reason, signal, turn_id }) => [turn_id, signal, reason]))
      .toEqual([
        ["turn_1", "abort", "cancelled"],
        ["turn_2", "commit", undefined]
      ])
    const [paused] = recording.inputs("egress_paused")
    const [cancel] = recording.signals("cancel")
    expect(paused).toBeDefined()
    expect(cancel).toBeDefined()
    if (paused === undefined || cancel === undefined) return
    const heard = lastHeardOf(recording, caller, cancel)
    const [, said] = caller.all("saying")
    console.log(
      `the caller spoke → silence at the caller's ear ${Math.round(heard.endedMs - (said?.wallMs ?? NaN))} ms; ` +
        `output paused → silence ${Math.round(heard.endedMs - paused.atMs)} ms; ` +
        `cancel accepted → silence ${Math.round(heard.endedMs - cancel.atMs)} ms`
    )
    expect(heard.endedMs - cancel.atMs).toBeLessThanOrEqual(tailBoundMs)
  })
})
