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

const cuts = 20

await liveKitSuite("a reply that is cut by what the caller types, at the caller's ear", (lobby) => {
  /** From the accepted cancel to the last sound of each reply that was cut, in ms, sorted. */
  const tailsOf = async (name: string): Promise<ReadonlyArray<number>> => {
    await using model = await scriptedModel(() => longReply, thinkMs)
    await using call = await Call.open(lobby, cwd, name, model.environment)
    const { agent, caller } = call
    for (let i = 0; i <= cuts; i++) {
      const from = caller.facts.now
      await caller.do({ do: "text", topic: "lk.chat", text: `Tell me more, please. This is question ${from}.` })
      await agentIsHeard(caller, from)
      // Into a word of it, somewhere.
      await caller.do({ do: "silence", ms: 200 + (from * 37) % 400, id: `pause ${from}` })
      await caller.next("said", ({ id }) => id === `pause ${from}`, { from })
    }
    expect(await caller.leave()).toBe(0)
    await agent.summary()
    const recording = await soundRecording(cwd, call.timeline, cuts + 1)
    const tails = recording.signals("cancel").slice(0, cuts).map((cancel) => {
      const { endedMs, receivedEndedMs } = lastHeardOf(recording, caller, cancel)
      return { by: Math.round(endedMs - cancel.atMs), received: Math.round(receivedEndedMs - cancel.atMs) }
    })
    expect(tails).toHaveLength(cuts)
    const sorted = tails.map(({ by }) => by).sort((a, b) => a - b)
    console.log(
      `cancel accepted → last sound of the cut reply at the caller's ear, ms: p50 ${percentile(sorted, 50)}, ` +
        `p95 ${percentile(sorted, 95)}, max ${sorted.at(-1)}, as received ${
          Math.max(...tails.map(({ received }) => received))
        }; in order: ${tails.map(({ by }) => by).join(" ")}`
    )
    return sorted
  }

  it("is silent within 150 ms of the accepted cancel (p95 of 20), and never goes on", async () => {
    expect(percentile(await tailsOf("typed"), 95)).toBeLessThanOrEqual(tailBoundMs)
  })
})
