// A worker that dies, or stands still, in a call: another one goes on with the session, in the same room.
import { join } from "node:path"
import { expect, it } from "vitest"
import { agentIs, filesHere } from "./support/Call.ts"
import { CallerProcess } from "./support/CallerProcess.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { Lobby } from "./support/Lobby.ts"
import { soundRecording } from "./support/Recording.ts"
import { longReply, scriptedModel } from "./support/ScriptedModel.ts"
import { WorkerProcess } from "./support/WorkerProcess.ts"

const cwd = filesHere()

/** Long enough that a slow machine does not cost a living process its lease. */
const ttlMs = 6000
const minutes = 60_000

/** What the caller asks the successor, and is answered shortly. */
const again = "Are you still there?"
const shortReply = "Yes, I am still here."

/** Two workers that share leases and states; with `await using` both are gone at the end. */
const pairOf = async (lobby: Lobby, name: string, environment: Readonly<Record<string, string>>) => {
  const settings = {
    agentName: name,
    more: ["--leases", `sqlite:${name}.db`, "--lease-ttl", String(ttlMs)],
    environment
  }
  const workers = await Promise.all([
    WorkerProcess.start(cwd, lobby, `${name}-a`, settings),
    WorkerProcess.start(cwd, lobby, `${name}-b`, settings)
  ])
  return {
    workers,
    [Symbol.asyncDispose]: async () => void (await Promise.all(workers.map((one) => one[Symbol.asyncDispose]())))
  }
}

/** The worker that has the job of the room, and the other. */
const whoHas = async (workers: readonly [WorkerProcess, WorkerProcess]) => {
  const first = await Promise.race(workers.map(async (one) => {
    await one.next("started")
    return one
  }))
  return { old: first, successor: first === workers[0] ? workers[1] : workers[0] }
}

/** A caller who has heard the agent begin its long reply, and is known to have said something. */
const inMidReply = async (lobby: Lobby, agentName: string) => {
  const room = Lobby.roomName()
  const caller = await CallerProcess.join(await lobby.seat(room, "caller", { agents: [agentName] }))
  await Promise.all([caller.next("track"), agentIs(caller, "listening"), caller.next("micSubscribed")])
  await caller.do({ do: "text", topic: "lk.chat", text: "Tell me everything." })
  const { track } = await caller.next("hearing")
  return { caller, room, oldTrack: track }
}

/** The successor's part of the call, from when it is in the room until the caller has left. */
const goesOn = async (caller: CallerProcess, successor: WorkerProcess, from: number) => {
  const taken = await successor.next("taken")
  const newTrack = await caller.next("track", undefined, { from })
  await agentIs(caller, "listening", from)
  await caller.do({ do: "text", topic: "lk.chat", text: again })
  const first = await caller.next("hearing", ({ track }) => track === newTrack.sid, { from })
  const last = await caller.next("heard", ({ track }) => track === newTrack.sid, { from })
  return { taken, first, last }
}

/** Sound of a track that was not over when another one was heard first. */
const heardAfter = (caller: CallerProcess, track: string, first: { readonly beganMs: number }) =>
  [...caller.all("hearing"), ...caller.all("heard")].filter((one) => one.track === track && one.endedMs > first.beganMs)

await liveKitSuite("a session goes to another worker", (lobby) => {
  it(
    "when its own is killed: the next epoch within a TTL, heard within two, and nothing of the old one after that",
    async () => {
      await using model = await scriptedModel((heard) => heard.endsWith(again) ? shortReply : longReply, 0)
      await using pair = await pairOf(lobby, "killed", model.environment)
      const { caller, oldTrack } = await inMidReply(lobby, "killed")
      await using _ = caller
      const { old, successor } = await whoHas(pair.workers)
      const from = caller.facts.now
      const killedMs = Date.now()
      old.signal("SIGKILL")
      const { first, last, taken } = await goesOn(caller, successor, from)
      expect(taken).toMatchObject({ authority_epoch: 2, turns: 1 })
      // The wall-clock times of this process and of the caller's are of one machine.
      expect(first.wallMs - killedMs).toBeLessThanOrEqual(2 * ttlMs)
      expect(heardAfter(caller, oldTrack, first)).toEqual([])
      expect(last.endedMs - last.beganMs).toBeGreaterThan(500)
      expect(await caller.leave()).toBe(0)
      const ended = await successor.next("ended")
      const file = join(successor.timelines, `${ended.session_id}.e2.timeline`)
      const recording = await soundRecording(cwd, file)
      const markers = recording.signals("lease_rotated", "migration_start", "migration_finish", "session_handoff")
      expect(markers.map(({ signal }) => signal)).toEqual([
        "lease_rotated",
        "migration_start",
        "migration_finish",
        "session_handoff"
      ])
      // The lease was taken as soon as it had run out: the new epoch is within one TTL of the last renewal.
      expect(markers[0]!.atMs - killedMs).toBeLessThanOrEqual(ttlMs + 1000)
      expect(recording.signals("commit")).toHaveLength(1)
    },
    5 * minutes
  )

  it("when its own stands still for longer than the TTL: woken, it says nothing more", async () => {
    await using model = await scriptedModel((heard) => heard.endsWith(again) ? shortReply : longReply, 0)
    await using pair = await pairOf(lobby, "stopped", model.environment)
    const { caller, oldTrack } = await inMidReply(lobby, "stopped")
    await using _ = caller
    const { old, successor } = await whoHas(pair.workers)
    const from = caller.facts.now
    old.signal("SIGSTOP")
    const { first } = await goesOn(caller, successor, from)
    old.signal("SIGCONT")
    // Woken, it finds that the session is another's, and ends it.
    await old.facts.next(
      "the end of the session here",
      ({ event }) => ["failed", "succeeded", "terminated"].includes(event)
    )
    expect(heardAfter(caller, oldTrack, first)).toEqual([])
    expect(await caller.leave()).toBe(0)
    const { session_id } = await successor.next("ended")
    await soundRecording(cwd, join(successor.timelines, `${session_id}.e2.timeline`))
  }, 5 * minutes)
})
