import { expect, it } from "vitest"
import { agentHasAnswered, agentIsHeard, filesHere, meetAgent } from "./support/Call.ts"
import { CallerProcess } from "./support/CallerProcess.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { Lobby } from "./support/Lobby.ts"
import { soundRecording } from "./support/Recording.ts"
import { longReply, scriptedModel } from "./support/ScriptedModel.ts"
import { WorkerProcess } from "./support/WorkerProcess.ts"

const cwd = filesHere()

/** Longer than the gap that ends a run of sound: the second reply is told apart from the first, which it cuts. */
const thinkMs = 700

await liveKitSuite("a worker that is told to stop", (lobby) => {
  it("lets the call finish, takes no new one, and ends with 0", async () => {
    await using model = await scriptedModel((heard) => /all/u.test(heard) ? longReply : "That was it.", thinkMs)
    await using worker = await WorkerProcess.start(cwd, lobby, "drain", {
      agentName: "assistant",
      environment: model.environment
    })
    const room = Lobby.roomName()
    await using caller = await CallerProcess.join(await lobby.seat(room, "caller", { agents: ["assistant"] }))
    await meetAgent(caller)
    let from = caller.facts.now
    await caller.do({ do: "text", topic: "lk.chat", text: "Tell me all." })
    await agentIsHeard(caller, from)
    worker.signal("SIGTERM")
    await worker.next("draining")
    // Nobody comes to a new room.
    const other = Lobby.roomName()
    await using late = await CallerProcess.join(await lobby.seat(other, "late", { agents: ["assistant"] }))
    // The reply that was begun goes on, another is given, and the call ends when the caller says so.
    from = caller.facts.now
    await caller.do({ do: "text", topic: "lk.chat", text: "Thank you." })
    await agentHasAnswered(caller, from)
    expect(caller.all("participantLeft")).toEqual([])
    expect(await caller.leave()).toBe(0)
    const ended = await worker.ended
    expect(ended.code).toBe(0)
    expect(worker.facts.all.filter(({ event }) => event === "started").map((event) => event.room)).toEqual([room])
    expect(late.all("participant")).toEqual([])
    expect(worker.recordings(cwd)).toHaveLength(1)
    for (const file of worker.recordings(cwd)) await soundRecording(cwd, file, 2)
  })
})
