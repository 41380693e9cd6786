import { join } from "node:path"
import { expect, it } from "vitest"
import { recordingPath, recordings, rspp } from "../../support/Program.ts"
import { wordErrorRate, wordsOf } from "../../support/Words.ts"
import type { CallSummary } from "./support/AgentProcess.ts"
import { agentHasAnswered, Call, filesHere, statesSeen, transcriptsOf } from "./support/Call.ts"
import { describeLatency } from "./support/Latency.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"
import { readWave } from "./support/Waves.ts"

const cwd = filesHere()

const textOf = ({ conversation }: CallSummary, who: "you" | "agent") =>
  conversation.filter((line) => line.who === who).map(({ text }) => text).join(" ")

await liveKitSuite("a conversation of real speech, through WebRTC both ways", (lobby) => {
  it("is heard, answered, shown and recorded", async () => {
    const spoken = ["goforward", "something", "conf-getpin"] as const
    await using call = await Call.open(lobby, cwd, "conversation")
    const { agent, caller } = call
    for (const name of spoken) {
      const from = caller.facts.now
      await caller.say(recordingPath(name))
      await agentHasAnswered(caller, from)
    }
    await caller.do({ do: "write", heard: join(cwd, "heard.wav"), stereo: join(cwd, "both.wav") })
    expect(await caller.leave()).toBe(0)
    const summary = await agent.summary()

    // What was said was heard.
    const speakers = summary.conversation.map(({ who }) => who)
    expect(speakers.filter((who, i) => who !== speakers[i - 1])).toEqual(spoken.flatMap(() => ["you", "agent"]))
    const said = spoken.map((name) => recordings[name]).join(" ")
    expect(wordErrorRate(said, textOf(summary, "you"))).toBeLessThanOrEqual(0.2)

    // What came out at the caller's ear is what the agent said.
    const again = await rspp(cwd, "run", "--input", "heard.wav", "--speed", "max", "--json")
    expect(again.code).toBe(0)
    const reheard = textOf(JSON.parse(again.stdout) as CallSummary, "you")
    expect(wordErrorRate(textOf(summary, "agent"), reheard)).toBeLessThanOrEqual(0.1)
    const both = readWave(join(cwd, "both.wav"))
    for (const side of [0, 1]) {
      expect(both.samples.some((sample, i) => i % 2 === side && Math.abs(sample) > 1000)).toBe(true)
    }

    // The caller saw one agent with one microphone, and what it did.
    expect(caller.all("participant").map(({ identity, kind }) => ({ identity, kind }))).toEqual([
      { identity: Call.agentIdentity, kind: "AGENT" }
    ])
    const [track, ...more] = caller.all("track")
    expect(more).toEqual([])
    expect(track).toMatchObject({ identity: Call.agentIdentity, kind: "KIND_AUDIO", source: "SOURCE_MICROPHONE" })
    // A state that lasts for less than it takes to tell may be passed over, and the agent may think between two sentences.
    const states = statesSeen(caller).filter((state) => state !== "thinking")
    expect(states.filter((state, i) => state !== states[i - 1]).join(" ")).toMatch(
      /^(?:initializing )?(?:idle )?listening(?: speaking listening){3}$/u
    )

    // And what both said: the user's words as they were recognised, the last of each segment final; the agent's as it spoke.
    const own = transcriptsOf(caller, Call.callerIdentity)
    const finals = own.filter(({ final }) => final)
    expect(finals.map(({ text }) => text).join(" ")).toBe(textOf(summary, "you"))
    for (const { attributes } of own) {
      const last = own.findLast((one) => one.attributes["lk.segment_id"] === attributes["lk.segment_id"])
      expect(last?.final).toBe(true)
      expect(attributes["lk.transcribed_track_id"]).toBe(caller.all("published")[0]?.sid)
    }
    expect(new Set(finals.map(({ attributes }) => attributes["lk.segment_id"])).size).toBe(spoken.length)
    const replies = transcriptsOf(caller, Call.agentIdentity)
    expect(wordsOf(replies.map(({ text }) => text).join(" "))).toEqual(wordsOf(textOf(summary, "agent")))
    for (const { attributes, broken } of replies) {
      expect(broken).toBeUndefined()
      expect(attributes["lk.transcribed_track_id"]).toBe(track?.sid)
    }

    const recording = await soundRecording(cwd, call.timeline, spoken.length)
    expect(recording.signals("commit").map(({ turn_id }) => turn_id)).toEqual(["turn_1", "turn_2", "turn_3"])
    expect(recording.connection[0]).toBe("connected")
    expect(recording.connection.at(-1)).toBe("ended")
    console.log(describeLatency(recording, caller))
  })
})
