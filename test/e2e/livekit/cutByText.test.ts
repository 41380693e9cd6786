import { expect, it } from "vitest"
import { agentIsHeard, Call, filesHere } from "./support/Call.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"
import { longReply, scriptedModel } from "./support/ScriptedModel.ts"
import { lastHeardOf, percentile } from "./support/Tail.ts"

const cwd = filesHere()

/** Nothing of a reply is heard any more so long after its cancel was accepted (issue 7), ms. */
const tailBoundMs = 150

/** Longer than the tail, and than the gap that ends a run of sound. */
const thinkMs = 700

await liveKitSuite("a reply that is cut by what the caller types, at the caller's ear", (lobby) => {
  it("is silent within 150 ms of the accepted cancel (p95 of 20), and never goes on", async () => {
    const cuts = 20
    await using model = await scriptedModel(() => longReply, thinkMs)
    await using call = await Call.open(lobby, cwd, "typed", model.environment)
    const { agent, caller } = call
    const ask = async () => {
      const from = caller.facts.now
      await caller.do({ do: "text", topic: "lk.chat", text: `Tell me more, please. This is question ${from}.` })
      await agentIsHeard(caller, from)
      // Into a word of it, somewhere.
      await caller.do({ do: "silence", ms: 200 + (from * 37) % 400, id: `pause ${from}` })
      await caller.next("said", ({ id }) => id === `pause ${from}`, { from })
    }
    for (let i = 0; i <= cuts; i++) await ask()
    expect(await caller.leave()).toBe(0)
    await agent.summary()
    const recording = await soundRecording(cwd, call.timeline, cuts + 1)
    const tails = recording.signals("cancel").slice(0, cuts).map((cancel) => {
      const heard = lastHeardOf(recording, caller, cancel)
      return { by: heard.endedMs - cancel.atMs, received: heard.receivedEndedMs - cancel.atMs }
    })
    expect(tails).toHaveLength(cuts)
    const sorted = tails.map(({ by }) => Math.round(by)).sort((a, b) => a - b)
    console.log(
      `cancel accepted → last sound of the cut reply at the caller's ear, ms: p50 ${percentile(sorted, 50)}, ` +
        `p95 ${percentile(sorted, 95)}, max ${sorted.at(-1)}; as received: max ${
          Math.round(Math.max(...tails.map(({ received }) => received)))
        }`
    )
    expect(percentile(sorted, 95)).toBeLessThanOrEqual(tailBoundMs)
  })
})
