// A worker against a double of the agent endpoint: what a livekit-server does not do on demand.
import { JobFailure } from "@rspp/transports/livekit/worker/Job"
import {
  AvailabilityRequest,
  Job as WireJob,
  JobStatus,
  Room,
  ServerMessage,
  WorkerPong,
  WorkerStatus
} from "@livekit/protocol"
import { Effect, Exit } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { startDouble } from "./support/EndpointDouble.ts"
import type { EndpointDouble } from "./support/EndpointDouble.ts"
import { startWorker, until } from "./support/TestWorker.ts"
import type { TestWorker, TestWorkerOptions } from "./support/TestWorker.ts"

let double: EndpointDouble
const workers: Array<TestWorker> = []
const worker = async (options: TestWorkerOptions = {}): Promise<TestWorker> => {
  const started = await startWorker(double, { agentName: "double", ...options })
  workers.push(started)
  return started
}
const registered = async (options: TestWorkerOptions = {}): Promise<TestWorker> => {
  const one = await worker(options)
  await one.told("registered")
  return one
}
beforeEach(async () => {
  double = await startDouble()
})
afterEach(async () => {
  for (const one of workers.splice(0)) await one.stop()
  await double.stop()
})

const never = 600_000

const kinds = () => double.said.map((message) => message.case)
const statuses = () => double.saidOf("updateJob").map(({ error, jobId, status }) => [jobId, JobStatus[status], error])

describe("registering", () => {
  it("begins with register, under a token in the header, and counts once the server has answered a later ping", async () => {
    double.manners.pongs = false
    const one = await worker({ times: { registerMs: never, pingMs: never, silentMs: never } })
    await double.heard("ping")
    expect(kinds()).toEqual(["register", "ping"])
    expect(double.authorizations[0]).toMatch(/^Bearer eyJ/u)
    expect(double.saidOf("register")[0]).toMatchObject({ agentName: "double", version: "test", type: 0 })
    expect(one.service.state().registered).toBe(false)
    double.say({ case: "pong", value: new WorkerPong() })
    await one.told("registered")
    await double.heard("updateWorker")
    expect(double.saidOf("updateWorker")[0]).toMatchObject({ status: WorkerStatus.WS_AVAILABLE, load: 0, jobCount: 0 })
  })

  it("keeps what is said before the answer to the ping", async () => {
    double.manners.pongs = false
    const one = await worker({ times: { registerMs: never, pingMs: never, silentMs: never } })
    await double.heard("ping")
    double.offer("early")
    double.say({ case: "pong", value: new WorkerPong() })
    expect(await double.heard("availability")).toMatchObject([{ jobId: "early", available: true }])
    await one.told("accepted")
  })

  it.each([
    ["accepts connections and says nothing", { answers: false }, /within 300 ms|does not answer/u],
    ["registers nobody", { registers: false }, /did not register the worker within 300 ms/u],
    ["answers no ping", { pongs: false }, /did not register the worker within 300 ms/u],
    ["is overloaded", { refuses: 503 }, /cannot be opened: Unexpected server response: 503/u],
    ["limits its rate", { refuses: 429 }, /429/u]
  ])("comes again to a server that %s", async (_, manners, message) => {
    Object.assign(double.manners, manners)
    const one = await worker({ times: { registerMs: 300, pingMs: never, silentMs: never } })
    const [first] = await one.told("disconnected")
    expect(first?.message).toMatch(message)
    expect(first?.message).not.toContain("eyJ")
    Object.assign(double.manners, { registers: true, pongs: true, refuses: undefined, answers: true })
    expect(await one.told("registered")).toMatchObject([{ again: false, server_version: "double" }])
  })

  it.each([[401, "unauthorized"], [403, "unauthorized"], [404, "not_livekit"]])(
    "gives up where it is answered %s from the first",
    async (status, fault) => {
      double.manners.refuses = status
      const one = await worker()
      expect(await Effect.runPromise(Effect.flip(one.service.failure))).toMatchObject({ fault })
    }
  )

  it("does not give up when a server that had it refuses it later", async () => {
    const one = await registered()
    double.manners.refuses = 401
    double.drop()
    await one.told("disconnected", 2)
    double.manners.refuses = undefined
    await one.told("registered", 2)
  })
})

describe("a connection", () => {
  it("that is silent is given up, and made again", async () => {
    const one = await registered({ times: { registerMs: never, pingMs: 30, silentMs: 300 } })
    double.manners.pongs = false
    expect(await one.told("disconnected")).toMatchObject([{
      message: expect.stringMatching(/nothing came from .* for 300 ms/u)
    }])
    double.manners.pongs = true
    await one.told("registered", 2)
  })

  it("that is only answered is kept", async () => {
    const one = await registered({ times: { registerMs: never, pingMs: 25, silentMs: 4_000 } })
    await double.heard("ping", 200)
    expect([one.events.map(({ event }) => event), double.connections()]).toEqual([["registered"], 1])
  })

  it.each([[1000, /closed the connection \(1000\)/u], [1011, /\(1011\)/u], [undefined, /\(1006\)/u]])(
    "that ends with %s is made again",
    async (code, message) => {
      const one = await registered()
      double.drop(code)
      expect(await one.told("disconnected")).toMatchObject([{ message: expect.stringMatching(message) }])
      await one.told("registered", 2)
    }
  )

  it("on which no message comes is made again", async () => {
    const one = await registered()
    double.sayBytes(new Uint8Array([0xff, 0xff, 0xff]))
    expect(await one.told("disconnected")).toMatchObject([{ message: expect.stringContaining("no message") }])
    await one.told("registered", 2)
  })

  it("on which an unknown message comes goes on", async () => {
    await registered()
    // Field 99, of a protocol that is newer than this program.
    double.sayBytes(new Uint8Array([0x9a, 0x06, 0x03, 0x61, 0x62, 0x63]))
    double.sayBytes(new ServerMessage({}).toBinary())
    double.offer("after")
    await double.heard("availability")
    expect(double.connections()).toBe(1)
  })

  it("understands messages in JSON", async () => {
    await registered()
    double.sayJson({
      case: "availability",
      value: new AvailabilityRequest({ job: new WireJob({ id: "json", room: new Room({ name: "room" }) }) })
    })
    expect(await double.heard("availability")).toMatchObject([{ jobId: "json", available: true }])
  })

  it("that is made again is told which jobs run, and takes their ends", async () => {
    const one = await registered()
    double.offer("a")
    double.assign("a")
    await one.told("started")
    double.drop()
    await one.told("registered", 2)
    expect(await double.heard("migrateJob")).toMatchObject([{ jobIds: ["a"] }])
    await until(() => double.said.findLast((message) => message.case === "updateWorker")?.value.jobCount === 1)
    one.end("a")
    await until(() => statuses().some(([id, status]) => id === "a" && status === "JS_SUCCESS"))
  })
})

describe("an offer", () => {
  it("is answered when its place is taken and the server has been told so", async () => {
    const one = await registered({ maxSessions: 1 })
    double.offer("a")
    await double.heard("availability")
    expect(one.service.state()).toMatchObject({ reserved: 1, running: 0, load: 1 })
    const answered = kinds().indexOf("availability")
    const before = double.said.slice(0, answered).findLast((message) => message.case === "updateWorker")
    expect(before?.value).toMatchObject({ status: WorkerStatus.WS_FULL, jobCount: 0 })
  })

  it("is refused when all places are reserved, and not counted", async () => {
    const one = await registered({ maxSessions: 2 })
    for (const id of ["a", "b", "c"]) double.offer(id)
    await double.heard("availability", 3)
    expect(double.saidOf("availability").map(({ available, jobId }) => [jobId, available])).toEqual([
      ["a", true],
      ["b", true],
      ["c", false]
    ])
    expect(one.service.state()).toMatchObject({ reserved: 2, load: 1 })
  })

  it("that comes twice has one place", async () => {
    const one = await registered()
    double.offer("a")
    double.offer("a")
    await double.heard("availability", 2)
    expect(double.saidOf("availability").map(({ available }) => available)).toEqual([true, false])
    expect(one.service.state().reserved).toBe(1)
  })

  it("that is never assigned gives its place back, and one that is assigned afterwards runs if there is a place", async () => {
    const one = await registered({ maxSessions: 1, assignedWithinMs: 50, reportMs: never })
    double.offer("a", "lobby")
    expect(await one.told("unassigned")).toEqual([{ event: "unassigned", job_id: "a", room: "lobby" }])
    expect(one.service.state()).toMatchObject({ reserved: 0, load: 0 })
    // Before, full, and free again.
    expect((await double.heard("updateWorker", 3)).map(({ load, status }) => [WorkerStatus[status ?? 0], load]))
      .toEqual([
        ["WS_AVAILABLE", 0],
        ["WS_FULL", expect.closeTo(0.7)],
        ["WS_AVAILABLE", 0]
      ])
    double.assign("a")
    await one.told("started")
    double.assign("late")
    expect(await one.told("refused")).toMatchObject([{ job_id: "late", reason: "full" }])
    await until(() => statuses().find(([id]) => id === "late"))
    expect(statuses().find(([id]) => id === "late")).toEqual([
      "late",
      "JS_FAILED",
      "the worker is full, and the assignment came too late"
    ])
  })

  it("is forgotten with its connection", async () => {
    const one = await registered({ maxSessions: 1 })
    double.offer("a")
    await one.told("accepted")
    double.drop()
    await one.told("registered", 2)
    expect(one.service.state()).toMatchObject({ reserved: 0, load: 0 })
    double.offer("b")
    await one.told("accepted", 2)
  })

  it("that is terminated before it is assigned gives its place back", async () => {
    const one = await registered({ maxSessions: 1 })
    double.offer("a")
    double.terminate("a")
    await one.told("unassigned")
    expect(one.service.state().load).toBe(0)
  })
})

describe("a job", () => {
  it("that is assigned twice runs once", async () => {
    const one = await registered()
    double.offer("a")
    double.assign("a")
    double.assign("a")
    double.offer("b")
    await one.told("accepted", 2)
    expect([one.jobs.length, one.service.state().running]).toEqual([1, 1])
  })

  it("reports that it runs and that it ended, before its scope is closed", async () => {
    const order: Array<string> = []
    const one = await registered({
      run: () =>
        Effect.addFinalizer(() => Effect.sync(() => void order.push(...statuses().map(([, status]) => String(status)))))
          .pipe(
            Effect.andThen(Effect.promise(() => until(() => statuses().length > 0))),
            // The end is sent before the scope closes; give the double the time to hear it.
            Effect.andThen(Effect.addFinalizer(() => Effect.promise(() => until(() => statuses().length > 1))))
          )
    })
    double.offer("a")
    double.assign("a")
    await one.told("succeeded")
    expect(order).toEqual(["JS_RUNNING", "JS_SUCCESS"])
  })

  it("that says itself that it leaves is not reported again", async () => {
    const one = await registered({ run: (job) => job.leaving(Exit.void) })
    double.offer("a")
    double.assign("a")
    await one.told("succeeded")
    double.offer("b")
    await double.heard("availability", 2)
    expect(statuses()).toEqual([["a", "JS_RUNNING", ""], ["a", "JS_SUCCESS", ""]])
  })

  it.each([
    ["fails", Exit.fail(new JobFailure({ message: "no model" })), "no model"],
    ["breaks", Exit.die(new Error("a bug")), "a bug"],
    ["fails with a secret", Exit.fail(new JobFailure({ message: "Bearer abcdef0123456789abcdef" })), "Bearer [secret]"]
  ])("that %s is reported as failed, with the reason", async (_, exit, reason) => {
    const one = await registered()
    double.offer("a")
    double.assign("a")
    await one.told("started")
    one.end("a", exit)
    expect(await one.told("failed")).toMatchObject([{ job_id: "a", message: reason }])
    await double.heard("updateJob", 2)
    expect(statuses().at(-1)).toEqual(["a", "JS_FAILED", reason])
    expect(one.service.state().running).toBe(0)
  })

  it("that is terminated is interrupted and closed, and not reported: the server knows", async () => {
    const one = await registered()
    for (const id of ["a", "b"]) {
      double.offer(id)
      double.assign(id)
    }
    await one.told("started", 2)
    double.terminate("a")
    await one.told("terminated")
    double.terminate("nobody")
    double.offer("c")
    await double.heard("availability", 3)
    expect([one.closed, statuses().filter(([, status]) => status !== "JS_RUNNING")]).toEqual([["a"], []])
    expect(one.service.state()).toMatchObject({ running: 1, reserved: 1 })
  })

  it("that ends by itself when it is terminated is not interrupted, and not reported", async () => {
    let end = "interrupted"
    const one = await registered({
      run: ({ terminated }) => Effect.andThen(terminated, Effect.sync(() => void (end = "by itself")))
    })
    double.offer("a")
    double.assign("a")
    await one.told("started")
    double.terminate("a")
    await one.told("terminated")
    double.offer("b")
    await double.heard("availability", 2)
    expect([end, statuses()]).toEqual(["by itself", [["a", "JS_RUNNING", ""]]])
  })

  it("that closes slowly holds its place, and nothing else", async () => {
    let close = () => {}
    const closing = new Promise<void>((resolve) => (close = resolve))
    const one = await registered({
      maxSessions: 2,
      run: () => Effect.andThen(Effect.addFinalizer(() => Effect.promise(() => closing)), Effect.never)
    })
    double.offer("a")
    double.assign("a")
    await one.told("started")
    double.terminate("a")
    double.offer("b")
    await one.told("accepted", 2)
    expect(one.service.state()).toMatchObject({ running: 1, reserved: 1 })
    close()
    await one.told("terminated")
    expect(one.service.state()).toMatchObject({ running: 0, reserved: 1 })
  })

  it("has the identity that it was asked for", async () => {
    await registered({ identity: ({ room }) => `host of ${room}` })
    double.offer("a", "lobby")
    expect(await double.heard("availability")).toMatchObject([{ participantIdentity: "host of lobby" }])
  })
})

describe("a drain", () => {
  it("says at once that it is full, also where it registers meanwhile", async () => {
    const one = await registered()
    double.offer("a")
    double.assign("a")
    await one.told("started")
    const drained = Effect.runPromise(one.service.drain(Effect.never))
    await until(() => double.saidOf("updateWorker").at(-1)?.status === WorkerStatus.WS_FULL)
    double.drop()
    await one.told("registered", 2)
    await until(() => double.saidOf("updateWorker").filter(({ status }) => status === WorkerStatus.WS_FULL).length > 1)
    double.offer("b")
    expect(await one.told("refused")).toMatchObject([{ job_id: "b", reason: "draining" }])
    one.end("a")
    expect(await drained).toBe(0)
  })

  it("still runs a job that it had accepted", async () => {
    const one = await registered()
    double.offer("a")
    await one.told("accepted")
    const drained = Effect.runPromise(one.service.drain(Effect.never))
    await one.told("draining")
    double.assign("a")
    await one.told("started")
    one.end("a")
    expect(await drained).toBe(0)
  })

  it("tells the server of jobs that it interrupts", async () => {
    const one = await registered()
    double.offer("a")
    double.assign("a")
    await one.told("started")
    expect(await Effect.runPromise(one.service.drain(Effect.void))).toBe(1)
    await double.heard("updateJob", 2)
    expect(statuses().at(-1)).toEqual(["a", "JS_FAILED", "the worker stopped before the job had ended"])
  })

  it("ends the connection in good order with the worker, whose jobs were told of", async () => {
    const one = await registered()
    double.offer("a")
    double.assign("a")
    await one.told("started")
    await one.stop()
    expect(one.closed).toEqual(["a"])
    await until(() => statuses().some(([, status]) => status === "JS_FAILED"))
  })
})

describe("the load", () => {
  it("that is reported leaves every place to be taken, below the server's target, and is full with the last", async () => {
    await registered({ maxSessions: 4, reportMs: never })
    for (const id of ["a", "b", "c", "d"]) double.offer(id)
    await double.heard("availability", 4)
    const reports = double.saidOf("updateWorker").slice(0, 5)
    expect(reports.map(({ load }) => Math.round(load * 1000))).toEqual([0, 175, 350, 525, 700])
    expect(reports.slice(0, 4).every(({ load, status }) => load < 0.7 && status === WorkerStatus.WS_AVAILABLE)).toBe(
      true
    )
    expect(reports[4]?.status).toBe(WorkerStatus.WS_FULL)
  })

  it("is reported again and again while nothing changes", async () => {
    await registered({ reportMs: 20 })
    expect((await double.heard("updateWorker", 4)).length).toBeGreaterThanOrEqual(4)
  })
})
