// A worker at a real livekit-server. What such a server does not do on demand is in AgentEndpoint.test.ts.
import { AccessTokens } from "@rspp/transports/livekit/AccessTokens"
import { Dispatch } from "@rspp/transports/livekit/Dispatch"
import type { DispatchedAgent } from "@rspp/transports/livekit/Dispatch"
import { JobFailure } from "@rspp/transports/livekit/worker/Job"
import { dispose } from "@livekit/rtc-node"
import { NativeRoom } from "@rspp/transports/livekit/NativeRoom"
import { Context, Effect, Exit, Layer, Redacted } from "effect"
import { RoomServiceClient } from "livekit-server-sdk"
import { afterAll, afterEach, describe, expect, it } from "vitest"
import { liveKitServer } from "../support/LiveKitServer.ts"
import { startWorker, until } from "../support/TestWorker.ts"
import type { TestWorker, TestWorkerOptions } from "../support/TestWorker.ts"

const server = await liveKitServer()
const missing = "missing" in server ? server.missing : undefined
const place = "missing" in server ? { url: "", apiKey: "", apiSecret: "" } : server
const own = "missing" in server ? undefined : server.own

const dispatcher = Context.get(
  Effect.runSync(Effect.scoped(Layer.build(Dispatch.layer({ ...place, apiSecret: Redacted.make(place.apiSecret) })))),
  Dispatch
)
const dispatch = (room: string, agentName: string, metadata?: string): Promise<DispatchedAgent> =>
  Effect.runPromise(dispatcher.create({ room, agentName, ...(metadata === undefined ? {} : { metadata }) }))

let names = 0
/** No test meets the rooms and the agents of another. */
const fresh = (kind: string) => `${kind}-${process.pid}-${names++}`

const workers: Array<TestWorker> = []
const worker = async (options: TestWorkerOptions = {}): Promise<TestWorker> => {
  const started = await startWorker(place, options)
  workers.push(started)
  await started.told("registered")
  return started
}
afterEach(async () => {
  for (const one of workers.splice(0)) await one.stop()
})
afterAll(async () => {
  await dispose()
  if (!("missing" in server)) await server.stop()
})

const names_of = (one: TestWorker) => one.events.map(({ event }) => event)

describe.skipIf(missing !== undefined)(
  `a worker at a livekit-server${missing === undefined ? "" : `, not run: ${missing}`}`,
  () => {
    it("gets the job that is dispatched to its name, with all that is known of it", async () => {
      const agentName = fresh("agent")
      const room = fresh("room")
      const one = await worker({ agentName })
      const { dispatch_id } = await dispatch(room, agentName, "{\"lang\":\"en\"}")
      await one.told("started")
      const job = one.jobs[0]
      expect(job).toMatchObject({
        room,
        dispatch_id,
        agent_name: agentName,
        metadata: "{\"lang\":\"en\"}",
        resuming: false,
        url: place.url,
        identity: `agent-${job?.job_id}`
      })
      expect(names_of(one)).toEqual(["registered", "accepted", "started"])
      expect(one.service.state()).toEqual({ registered: true, draining: false, running: 1, reserved: 0, load: 0.25 })
      one.end(job?.job_id ?? "")
      await one.told("succeeded")
      expect(one.service.state()).toMatchObject({ running: 0, load: 0 })
    })

    it("gets one job for each new room without a name, and none for a room that is there", async () => {
      const one = await worker({ agentName: "" })
      const rooms = new RoomServiceClient(place.url.replace("ws", "http"), place.apiKey, place.apiSecret)
      const [first, second] = [fresh("room"), fresh("room")]
      await rooms.createRoom({ name: first })
      await one.told("started", 1)
      await rooms.createRoom({ name: first })
      await rooms.createRoom({ name: second })
      await one.told("started", 2)
      expect(one.jobs.map(({ room }) => room)).toEqual([first, second])
    })

    it("is offered a job that it asked for itself", async () => {
      const one = await worker()
      const room = fresh("room")
      expect(await Effect.runPromise(one.service.simulate(room))).toBe(true)
      await one.told("started")
      expect(one.jobs[0]).toMatchObject({ room, dispatch_id: "", metadata: "" })
    })

    it("joins with the token of the job, as an agent, and is not terminated when it says that it is done before it leaves", async () => {
      const agentName = fresh("agent")
      const left: Array<string> = []
      const one = await worker({
        agentName,
        run: (job) =>
          Effect.gen(function*() {
            const room = yield* Effect.acquireRelease(
              Effect.promise(async () => {
                const room = new NativeRoom()
                await room.connect(job.url, Redacted.value(job.token), { autoSubscribe: false, dynacast: false })
                return room
              }),
              (room) =>
                Effect.promise(async () => {
                  await room.disconnect()
                  room.close()
                  left.push(job.job_id)
                })
            )
            expect([room.name, room.localParticipant?.identity, room.localParticipant?.info.kind]).toEqual([
              job.room,
              job.identity,
              4
            ])
            // The server looks after an agent once it lists its job.
            yield* Effect.promise(() => until(async () => (await listed(job.room, job.job_id)) !== undefined))
          })
      })
      const room = fresh("room")
      await dispatch(room, agentName)
      await one.told("succeeded")
      expect(left).toHaveLength(1)
      // Another job, which leaves without a word: the server ends it, and so it would have ended the first.
      const other = await worker({
        agentName: `${agentName}-mute`,
        run: (job) =>
          Effect.gen(function*() {
            yield* Effect.promise(async () => {
              const room = new NativeRoom()
              await room.connect(job.url, Redacted.value(job.token), { autoSubscribe: false, dynacast: false })
              await until(async () => (await listed(job.room, job.job_id)) !== undefined)
              await room.disconnect()
              room.close()
            })
            return yield* Effect.never
          })
      })
      await dispatch(room, `${agentName}-mute`)
      await other.told("terminated")
      expect(names_of(one)).toEqual(["registered", "accepted", "started", "succeeded"])
    })

    it("refuses what it has no place for", async () => {
      const one = await worker({ maxSessions: 1 })
      await Effect.runPromise(one.service.simulate(fresh("room")))
      await one.told("started")
      expect(one.service.state()).toMatchObject({ running: 1, load: 1 })
      // A job that a worker asks for is offered to it although it is full.
      const room = fresh("room")
      await Effect.runPromise(one.service.simulate(room))
      expect(await one.told("refused")).toEqual([{
        event: "refused",
        job_id: expect.any(String),
        room,
        reason: "full"
      }])
      one.end(one.jobs[0]?.job_id ?? "")
      await one.told("succeeded")
      await Effect.runPromise(one.service.simulate(room))
      await one.told("started", 2)
      expect(one.jobs).toHaveLength(2)
    })

    it("leaves jobs to another worker as long as it is full, and is not asked", async () => {
      const agentName = fresh("agent")
      const full = await worker({ agentName, maxSessions: 1 })
      await dispatch(fresh("room"), agentName)
      await full.told("started")
      const free = await worker({ agentName, maxSessions: 5 })
      for (let count = 1; count <= 5; count++) {
        await dispatch(fresh("room"), agentName)
        await free.told("started", count)
      }
      expect(names_of(full)).toEqual(["registered", "accepted", "started"])
      expect(free.service.state()).toMatchObject({ running: 5, load: 1 })
    })

    it("takes no job while it drains, and lets the one that runs end", async () => {
      const agentName = fresh("agent")
      const one = await worker({ agentName })
      await dispatch(fresh("room"), agentName)
      await one.told("started")
      const drained = Effect.runPromise(one.service.drain(Effect.never))
      expect(one.service.state()).toMatchObject({ draining: true, running: 1 })
      const room = fresh("room")
      await Effect.runPromise(one.service.simulate(room))
      expect(await one.told("refused")).toMatchObject([{ room, reason: "draining" }])
      // Another one takes what is dispatched meanwhile.
      const next = await worker({ agentName })
      await dispatch(fresh("room"), agentName)
      await next.told("started")
      one.end(one.jobs[0]?.job_id ?? "")
      expect(await drained).toBe(0)
      expect(names_of(one)).toEqual(["registered", "accepted", "started", "draining", "refused", "succeeded"])
    })

    it("interrupts what still runs when the time of the drain is over, and closes it first", async () => {
      const one = await worker()
      await Effect.runPromise(one.service.simulate(fresh("room")))
      await one.told("started")
      expect(await Effect.runPromise(one.service.drain(Effect.void))).toBe(1)
      expect([one.closed, names_of(one).slice(-2)]).toEqual([[one.jobs[0]?.job_id], ["draining", "cut"]])
    })

    it("interrupts the job whose dispatch is taken back, and no other", async () => {
      const agentName = fresh("agent")
      const one = await worker({ agentName })
      const room = fresh("room")
      await dispatch(fresh("room"), agentName)
      await one.told("started", 1)
      const { dispatch_id } = await dispatch(room, agentName)
      await one.told("started", 2)
      await Effect.runPromise(dispatcher.remove({ room, dispatch_id }))
      const job_id = one.jobs[1]?.job_id
      expect(await one.told("terminated")).toEqual([{ event: "terminated", job_id, room }])
      expect([one.closed, one.service.state().running]).toEqual([[job_id], 1])
    })

    describe("two jobs in one room", () => {
      const both = async (identity: (nth: number) => string) => {
        const agentName = fresh("agent")
        const room = fresh("room")
        let nth = 0
        const one = await worker({ agentName, identity: () => identity(nth++) })
        for (const at of [1, 2]) {
          await dispatch(room, agentName)
          await one.told("started", at)
          const job_id = one.jobs[at - 1]?.job_id ?? ""
          await until(async () => (await listed(room, job_id)) !== undefined)
        }
        const [first, second] = one.jobs
        if (first === undefined || second === undefined) throw new Error("there are not two jobs")
        return { one, first, second }
      }
      const rooms: Array<NativeRoom> = []
      const join = async (url: string, token: Redacted.Redacted<string>) => {
        const room = new NativeRoom()
        rooms.push(room)
        await room.connect(url, Redacted.value(token), { autoSubscribe: false, dynacast: false })
      }
      afterEach(async () => {
        for (const room of rooms.splice(0)) {
          await room.disconnect()
          room.close()
        }
      })

      it("with one identity: the server ends the second when the second takes the first's place", async () => {
        const { first, one, second } = await both(() => "agent")
        await join(first.url, first.token)
        await join(second.url, second.token)
        expect(await one.told("terminated")).toMatchObject([{ job_id: second.job_id }])
      })

      it("with identities of their own: who joins as the first with a token of its own takes its place, and the first's job ends", async () => {
        const { first, one, second } = await both((nth) => `agent-${nth}`)
        await join(first.url, first.token)
        const tokens = AccessTokens.layer({ apiKey: place.apiKey, apiSecret: Redacted.make(place.apiSecret) })
        const token = await Effect.runPromise(
          Effect.flatMap(
            AccessTokens,
            (minter) => minter.join({ room: first.room, identity: first.identity, kind: "agent" })
          ).pipe(Effect.provide(tokens))
        )
        await join(second.url, token)
        expect(await one.told("terminated")).toMatchObject([{ job_id: first.job_id }])
        expect(one.service.state().running).toBe(1)
      })
    })

    it.skipIf(own === undefined)("tells the server that a job failed, and why", async () => {
      const one = await worker()
      await Effect.runPromise(one.service.simulate(fresh("room")))
      await one.told("started")
      const job_id = one.jobs[0]?.job_id ?? ""
      one.end(job_id, Exit.fail(new JobFailure({ message: "no voice; its key was sk-test-0123456789abcdef0123" })))
      expect(await one.told("failed")).toMatchObject([{ job_id, message: "no voice; its key was [secret]" }])
      // The server shows the status of a job as it was when the job was assigned; its log has the end.
      const line = await until(async () =>
        (await Effect.runPromise(own?.log ?? Effect.succeed(""))).split("\n").find((line) =>
          line.includes("job ended") && line.includes(job_id)
        )
      )
      expect(line).toContain("JS_FAILED")
      expect(line).toContain("no voice; its key was [secret]")
    })

    it("shows a job that was assigned in the list of its room", async () => {
      const agentName = fresh("agent")
      const room = fresh("room")
      const one = await worker({ agentName })
      const { dispatch_id } = await dispatch(room, agentName, "about")
      await one.told("started")
      const job_id = one.jobs[0]?.job_id ?? ""
      const found = await until(() => listed(room, job_id))
      expect(found).toMatchObject({
        dispatch_id,
        room,
        agent_name: agentName,
        metadata: "about",
        jobs: [{ job_id, status: "running", error: "", identity: `agent-${job_id}` }]
      })
    })
  }
)

const listed = async (room: string, job_id: string): Promise<DispatchedAgent | undefined> =>
  (await Effect.runPromise(dispatcher.list(room))).find(({ jobs }) => jobs.some((job) => job.job_id === job_id))

describe.skipIf(own === undefined)(
  `a worker whose server is killed${missing === undefined ? "" : `, not run: ${missing}`}`,
  () => {
    it("goes on with its jobs, and takes new ones when the server is back", async () => {
      const one = await worker({ maxSessions: 2 })
      await Effect.runPromise(one.service.simulate(fresh("room")))
      await one.told("started")
      await Effect.runPromise(own?.kill ?? Effect.void)
      await one.told("disconnected")
      expect(one.service.state()).toEqual({ registered: false, draining: false, running: 1, reserved: 0, load: 0.5 })
      expect(await Effect.runPromise(one.service.simulate(fresh("room")))).toBe(false)
      await Effect.runPromise(Effect.orDie(own?.start ?? Effect.void))
      const [, again] = await one.told("registered", 2)
      expect(again).toMatchObject({ again: true, server_version: expect.stringMatching(/^\d/u) })
      await Effect.runPromise(one.service.simulate(fresh("room")))
      await one.told("started", 2)
      expect(one.service.state()).toMatchObject({ registered: true, running: 2, load: 1 })
      for (const { job_id } of one.jobs) one.end(job_id)
      await one.told("succeeded", 2)
    })
  }
)

describe.skipIf(missing !== undefined)("a worker with wrong settings", () => {
  it.each([
    ["a key that the server does not know", { apiKey: "nobody" }, "unauthorized"],
    ["a secret that is not the key's", { apiSecret: "another-secret-of-more-than-32-characters" }, "unauthorized"],
    ["a path that is none", { url: `${place.url}/nowhere` }, "not_livekit"],
    ["an address that is none", { url: "livekit" }, "not_livekit"]
  ])("says so at once, with %s", async (_, wrong, fault) => {
    const one = await startWorker({ ...place, ...wrong })
    const failure = await Effect.runPromise(Effect.flip(one.service.failure))
    await one.stop()
    expect(failure).toMatchObject({ _tag: "AgentEndpointFailure", fault })
    expect(failure.message).not.toMatch(/eyJ/u)
    expect(one.events).toEqual([])
  })

  it("keeps trying where nobody listens", async () => {
    const one = await startWorker({ ...place, url: "ws://127.0.0.1:1" })
    const tries = await one.told("disconnected", 2)
    expect(tries[1]?.message).toContain("ECONNREFUSED")
    expect(one.service.state().registered).toBe(false)
    await one.stop()
  })
})
