import { expect, it } from "vitest"
import { wordErrorRate, wordsOf } from "../../support/Words.ts"
import { agentHasAnswered, agentIs, Call, filesHere, transcriptsOf } from "./support/Call.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"

const cwd = filesHere()

await liveKitSuite("a caller who types", (lobby) => {
  const talk = async (name: string, options: { readonly mic?: boolean }) => {
    await using call = await Call.open(lobby, cwd, name, {}, options)
    const { agent, caller } = call
    await agentIs(caller, "listening")
    for (const text of ["Go forward ten meters.", "Thank you!"]) {
      const from = caller.facts.now
      await caller.do({ do: "text", topic: "lk.chat", text })
      await agentHasAnswered(caller, from)
    }
    expect(await caller.leave()).toBe(0)
    const { accepted_turns, conversation, utterances } = await agent.summary()
    expect({ accepted_turns, utterances }).toEqual({ accepted_turns: 2, utterances: 0 })
    const answers = conversation.filter(({ who }) => who === "agent").map(({ text }) => text).join(" ")
    expect(wordErrorRate("Okay, I will go forward ten meters. Tell me when I should stop.", answers.slice(0, 70)))
      .toBeLessThanOrEqual(0.2)
    // Shown as it is spoken, and what was typed is not shown as spoken.
    const shown = transcriptsOf(caller, Call.agentIdentity).map(({ text }) => text).join(" ")
    expect(wordsOf(shown)).toEqual(wordsOf(answers))
    expect(transcriptsOf(caller, Call.callerIdentity)).toEqual([])
    const recording = await soundRecording(cwd, call.timeline, 2)
    expect(recording.inputs("typed_text")).toHaveLength(2)
    expect(recording.signals("commit")).toHaveLength(2)
  }

  it("is answered aloud", () => talk("typed", {}))

  it("is answered aloud without a microphone", () => talk("typed-only", { mic: false }))
})
