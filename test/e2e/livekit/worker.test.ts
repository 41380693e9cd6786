import { expect, it } from "vitest"
import { recordingPath } from "../../support/Program.ts"
import { agentHasAnswered, filesHere, meetAgent, transcriptsOf } from "./support/Call.ts"
import { CallerProcess } from "./support/CallerProcess.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { Lobby } from "./support/Lobby.ts"
import { soundRecording } from "./support/Recording.ts"
import { WorkerProcess } from "./support/WorkerProcess.ts"

const cwd = filesHere()

const type = async (caller: CallerProcess, text: string): Promise<void> => {
  const from = caller.facts.now
  await caller.do({ do: "text", topic: "lk.chat", text })
  await agentHasAnswered(caller, from)
}

await liveKitSuite("a worker that takes jobs", (lobby) => {
  it("answers whoever asks for it by name: in the token, and by the service", async () => {
    await using worker = await WorkerProcess.start(cwd, lobby, "explicit", { agentName: "assistant" })
    const byToken = Lobby.roomName()
    await using one = await CallerProcess.join(await lobby.seat(byToken, "one", { agents: ["assistant"] }))
    await meetAgent(one)
    await type(one, "Thank you!")
    expect(await one.leave()).toBe(0)
    await worker.next("succeeded", ({ room }) => room === byToken)

    const byService = Lobby.roomName()
    await using two = await CallerProcess.join(await lobby.seat(byService, "two"))
    await lobby.dispatches.createDispatch(byService, "assistant")
    await meetAgent(two)
    await type(two, "Thank you!")
    expect(await two.leave()).toBe(0)
    await worker.next("succeeded", ({ room }) => room === byService)

    expect(worker.recordings(cwd)).toHaveLength(2)
    for (const file of worker.recordings(cwd)) await soundRecording(cwd, file, 1)
  })

  it("answers two callers at once, each in its room, with what it was asked there", async () => {
    await using worker = await WorkerProcess.start(cwd, lobby, "two-callers")
    const rooms = [Lobby.roomName(), Lobby.roomName()]
    const join = async (room: string) => CallerProcess.join(await lobby.seat(room, "caller"))
    await using one = await join(rooms[0] ?? "")
    await using two = await join(rooms[1] ?? "")
    await Promise.all([meetAgent(one), meetAgent(two)])
    const from = { one: one.facts.now, two: two.facts.now }
    await Promise.all([one.say(recordingPath("goforward")), two.say(recordingPath("conf-getpin"))])
    await Promise.all([agentHasAnswered(one, from.one), agentHasAnswered(two, from.two)])
    const told = (caller: CallerProcess) => {
      const agent = caller.all("participant").find(({ kind }) => kind === "AGENT")?.identity ?? ""
      return transcriptsOf(caller, agent).map(({ text }) => text).join(" ")
    }
    expect(told(one)).toMatch(/forward/u)
    expect(told(one)).not.toMatch(/conference/u)
    expect(told(two)).toMatch(/conference/u)
    expect(told(two)).not.toMatch(/forward/u)
    expect(await Promise.all([one.leave(), two.leave()])).toEqual([0, 0])
    for (const room of rooms) await worker.next("succeeded", (event) => event.room === room)
    expect(worker.recordings(cwd)).toHaveLength(2)
    for (const file of worker.recordings(cwd)) await soundRecording(cwd, file, 1)
  })
})
