// S16 over jobs: calls that come to one process share a tenant's places.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { agentHasAnswered, agentIs, filesHere } from "./support/Call.ts"
import { CallerProcess } from "./support/CallerProcess.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { Lobby } from "./support/Lobby.ts"
import { soundRecording } from "./support/Recording.ts"
import { WorkerProcess } from "./support/WorkerProcess.ts"

const cwd = filesHere()
const minutes = 60_000
const spec = {
  schema_version: "v1.0",
  pipeline_id: "limited",
  pipeline_version: "1",
  admission: { max_sessions_per_tenant: 1 }
}

await liveKitSuite("two calls of a tenant that has one place", (lobby) => {
  it("the first is served, and the other is turned away before anything is paid for", async () => {
    writeFileSync(join(cwd, "limited.json"), JSON.stringify(spec))
    await using worker = await WorkerProcess.start(cwd, lobby, "limited", {
      agentName: "limited",
      more: ["--pipeline", "limited.json"]
    })
    const joins = async () => {
      const room = Lobby.roomName()
      const caller = await CallerProcess.join(await lobby.seat(room, "caller", { agents: ["limited"] }), { mic: false })
      return { caller, room }
    }
    const first = await joins()
    await using _first = first.caller
    await agentIs(first.caller, "listening")
    const second = await joins()
    await using _second = second.caller
    await second.caller.next("participantLeft")
    const from = first.caller.facts.now
    await first.caller.do({ do: "text", topic: "lk.chat", text: "What time is it?" })
    await agentHasAnswered(first.caller, from)
    for (const { caller } of [first, second]) expect(await caller.leave()).toBe(0)
    const recordingOf = async (room: string, turns: number) => {
      const { session_id } = await worker.next("ended", ({ session_id = "" }) => session_id.startsWith(room))
      return await soundRecording(cwd, join(worker.timelines, `${session_id}.timeline`), turns)
    }
    expect((await recordingOf(first.room, 1)).signals("commit")).toHaveLength(1)
    const turnedAway = await recordingOf(second.room, 0)
    expect(turnedAway.signals("reject").map(({ reason }) => reason)).toContain("tenant_sessions_in_use")
  }, 3 * minutes)
})
