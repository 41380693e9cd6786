// `rspp worker` as a process at a real livekit-server: jobs, health, drain, and what it says of wrong settings.
import { Dispatch } from "@rspp/transports/livekit/Dispatch"
import { liveKitServer } from "@rspp/transports/test/support/LiveKitServer"
import { joinPlainCaller, mint } from "@rspp/transports/test/support/PlainCaller"
import { until } from "@rspp/transports/test/support/TestWorker"
import { dispose } from "@livekit/rtc-node"
import { Context, Effect, Layer, Redacted } from "effect"
import { afterAll, afterEach, describe, expect, it } from "vitest"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { rspp } from "./support/Program.ts"
import { startWorkerProcess } from "./support/WorkerProcess.ts"
import type { WorkerProcess } from "./support/WorkerProcess.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-worker-"))
const server = await liveKitServer()
const missing = "missing" in server ? server.missing : undefined
const place = "missing" in server ? { url: "ws://127.0.0.1:1", apiKey: "k", apiSecret: "s" } : server
const own = "missing" in server ? undefined : server.own
const env = { LIVEKIT_URL: place.url, LIVEKIT_API_KEY: place.apiKey, LIVEKIT_API_SECRET: place.apiSecret }

const dispatcher = Context.get(
  Effect.runSync(Effect.scoped(Layer.build(Dispatch.layer({ ...place, apiSecret: Redacted.make(place.apiSecret) })))),
  Dispatch
)

const started: Array<WorkerProcess> = []
const worker = (...args: ReadonlyArray<string>): WorkerProcess => {
  const process = startWorkerProcess({ cwd, env }, ...args)
  started.push(process)
  return process
}
afterEach(async () => {
  for (const one of started.splice(0)) await one.kill()
})
afterAll(async () => {
  await dispose()
  if (!("missing" in server)) await server.stop()
  rmSync(cwd, { recursive: true, force: true })
})

let names = 0
const fresh = (kind: string) => `${kind}-${process.pid}-${names++}`

const call = async (room: string) =>
  joinPlainCaller(place.url, await mint({ ...place, room, identity: fresh("caller") }))

const get = async (url: string, path: string) => {
  const response = await fetch(`${url}${path}`)
  return { status: response.status, text: await response.text() }
}

describe.skipIf(missing !== undefined)(`rspp worker${missing === undefined ? "" : `, not run: ${missing}`}`, () => {
  it("runs the job that is dispatched to it until the caller leaves, and is stopped with 0", async () => {
    const agentName = fresh("agent")
    const room = fresh("room")
    const one = worker("--agent-name", agentName, "--listen", "127.0.0.1:0", "--timelines", "one", "--sessions", "4")
    const { url } = await one.said("listening")
    expect(await get(url, "/healthz")).toEqual({ status: 200, text: "{\"status\":\"ok\"}" })
    await one.said("registered")
    expect((await get(url, "/readyz")).status).toBe(200)
    const caller = await call(room)
    await Effect.runPromise(dispatcher.create({ room, agentName }))
    const { job_id } = await one.said("started")
    await until(() =>
      [...caller.room.remoteParticipants.values()].some(({ identity }) => identity === `agent-${job_id}`)
    )
    expect(JSON.parse((await get(url, "/readyz")).text)).toEqual({
      status: "ready",
      running: 1,
      reserved: 0,
      load: 0.25
    })
    // The server looks after an agent once it lists its job: then leaving without a word is a failure to it.
    await until(async () =>
      (await rspp(["dispatch", "list", "--room", room, "--json"], { cwd, env })).stdout.includes(job_id)
    )
    await caller.leave()
    const session_id = `${room}.${job_id}`
    expect(await one.said("ended")).toMatchObject({ session_id, authority_epoch: 1, accepted_turns: 0 })
    expect(await one.said("succeeded")).toMatchObject({ job_id, room })
    const log = own === undefined ? undefined : await until(async () => {
      const lines = (await Effect.runPromise(own.log)).split("\n")
      return lines.find((line) => line.includes("job ended") && line.includes(job_id))
    })
    expect(log ?? "JS_SUCCESS").toContain("JS_SUCCESS")
    const metrics = (await get(url, "/metrics")).text
    for (
      const line of [
        "rspp_worker_jobs_running 0",
        "rspp_worker_jobs_reserved 0",
        "rspp_worker_load 0",
        "rspp_worker_registered 1",
        "rspp_worker_jobs_accepted_total 1",
        "rspp_worker_jobs_succeeded_total 1",
        "rspp_worker_jobs_refused_total 0",
        "rspp_worker_jobs_failed_total 0",
        "rspp_worker_reconnects_total 0"
      ]
    ) expect(metrics.split("\n")).toContain(line)
    expect(await one.stop("SIGTERM")).toEqual({ code: 0, errors: "" })
    expect(one.events.map(({ event }) => event)).toEqual([
      "listening",
      "registered",
      "accepted",
      "started",
      "ended",
      "succeeded",
      "draining"
    ])
    expect(readdirSync(join(cwd, "one"))).toEqual([`${session_id}.timeline`])
    const verified = await rspp(["timeline", "verify", join("one", `${session_id}.timeline`)], { cwd })
    expect([verified.code, verified.stderr]).toEqual([0, ""])
  })

  it("drains: takes no more jobs, says so, and ends with 0 when the caller has left", async () => {
    const agentName = fresh("agent")
    const room = fresh("room")
    const one = worker("--agent-name", agentName, "--listen", "127.0.0.1:0", "--leases", "sqlite:leases.sqlite")
    const { url } = await one.said("listening")
    await one.said("registered")
    const caller = await call(room)
    await Effect.runPromise(dispatcher.create({ room, agentName }))
    await one.said("started")
    await until(() => caller.room.remoteParticipants.size > 0)
    one.child.kill("SIGTERM")
    await one.said("draining")
    const { status, text } = await get(url, "/readyz")
    expect([status, JSON.parse(text)]).toEqual([503, expect.objectContaining({ code: "draining" })])
    expect((await get(url, "/healthz")).status).toBe(200)
    // Nobody takes it: the server keeps no queue.
    const other = await Effect.runPromise(dispatcher.create({ room: fresh("room"), agentName }))
    expect(other.agent_name).toBe(agentName)
    await caller.leave()
    expect((await one.ended).code).toBe(0)
    expect(one.events.map(({ event }) => event).slice(-3)).toEqual(["draining", "ended", "succeeded"])
    expect(one.events.filter(({ event }) => event === "started")).toHaveLength(1)
  })

  it.each([
    ["its drain is over", "0", ["SIGTERM"] as const],
    ["a second signal comes", "600000", ["SIGINT", "SIGINT"] as const]
  ])("interrupts what still runs when %s, closes it, and ends with 130", async (_, drain, signals) => {
    const agentName = fresh("agent")
    const room = fresh("room")
    const directory = fresh("cut")
    const one = worker("--agent-name", agentName, "--drain", drain, "--timelines", directory)
    await one.said("registered")
    const caller = await call(room)
    await Effect.runPromise(dispatcher.create({ room, agentName }))
    const { job_id } = await one.said("started")
    // The session has begun.
    await until(() => {
      const [agent] = caller.room.remoteParticipants.values()
      return agent?.attributes["lk.agent.state"] === "listening"
    })
    for (const signal of signals) {
      one.child.kill(signal)
      await one.said("draining")
    }
    const { code, errors } = await one.ended
    expect([code, errors]).toEqual([
      130,
      expect.stringContaining("1 sessions were interrupted before their callers had left")
    ])
    expect(await one.said("cut")).toMatchObject({ job_id, room })
    // The agent has left the room, and its recording is closed.
    await until(() => caller.room.remoteParticipants.size === 0)
    await caller.leave()
    const verified = await rspp(["timeline", "verify", join(directory, `${room}.${job_id}.timeline`)], { cwd })
    expect(verified.code).toBe(0)
  })

  it.skipIf(own === undefined)("is not ready while the server is gone, and is again when it is back", async () => {
    const one = worker("--listen", "127.0.0.1:0", "--agent-name", fresh("agent"))
    const { url } = await one.said("listening")
    await one.said("registered")
    await Effect.runPromise(own?.kill ?? Effect.void)
    await one.said("disconnected")
    const { status, text } = await get(url, "/readyz")
    expect([status, JSON.parse(text)]).toEqual([503, expect.objectContaining({ code: "not_registered" })])
    expect((await get(url, "/metrics")).text).toContain("\nrspp_worker_registered 0\n")
    await Effect.runPromise(Effect.orDie(own?.start ?? Effect.void))
    await until(() => one.events.filter(({ event }) => event === "registered").length === 2)
    expect((await get(url, "/readyz")).status).toBe(200)
    expect((await get(url, "/metrics")).text).toContain("\nrspp_worker_reconnects_total 1\n")
    expect((await one.stop("SIGTERM")).code).toBe(0)
  })

  it("is sent to a room, listed there and taken back by rspp dispatch", async () => {
    const agentName = fresh("agent")
    const room = fresh("room")
    const one = worker("--agent-name", agentName)
    await one.said("registered")
    const ask = (...args: ReadonlyArray<string>) => rspp(["dispatch", ...args, "--room", room], { cwd, env })
    const made = await ask("create", "--agent", agentName, "--metadata", "about", "--json")
    const { dispatch_id } = JSON.parse(made.stdout) as { readonly dispatch_id: string }
    const { job_id } = await one.said("started")
    await until(async () => (await ask("list")).stdout.includes(`${job_id} running as agent-${job_id}`))
    expect((await ask("remove", dispatch_id)).stdout).toBe(`${dispatch_id}: taken back from ${room}\n`)
    expect(await one.said("terminated")).toMatchObject({ job_id, room })
    const wrong = await rspp(["dispatch", "list", "--room", room], { cwd, env: { ...env, LIVEKIT_API_KEY: "nobody" } })
    expect([wrong.code, wrong.stderr]).toEqual([69, expect.stringContaining("Give the key and the secret")])
  })

  it("asks for a job itself, as a self-test", async () => {
    const room = fresh("room")
    const one = worker("--agent-name", fresh("agent"), "--simulate", room)
    expect(await one.said("started")).toMatchObject({ room })
  })

  it("says what is wrong with a key that the server does not know, and ends with 69", async () => {
    const ended = await rspp(["worker"], { cwd, env: { ...env, LIVEKIT_API_KEY: "nobody" } })
    expect([ended.code, ended.stderr]).toEqual([69, expect.stringContaining("401")])
    expect(ended.stderr).toContain("Give the key and the secret that the LiveKit server has")
    expect(`${ended.stdout}${ended.stderr}`).not.toMatch(/eyJ/u)
  })
})

describe("rspp worker, with settings that are none", () => {
  it.each([
    ["no address", [], { LIVEKIT_URL: "" }, "the address of the LiveKit server is missing"],
    ["an address that is none", ["--url", "lobby"], {}, "lobby is no address of a LiveKit server"],
    ["no key pair", [], { LIVEKIT_API_SECRET: "" }, "the key pair of the LiveKit server is missing"],
    ["no places", ["--sessions", "0"], {}, "--sessions 0 is not allowed"],
    ["a drain that is none", ["--drain", "-1"], {}, "--drain -1 is no time to drain in"],
    ["an address to listen at that is none", ["--listen", "7810"], {}, "--listen 7810 is no address"],
    ["times of leases without leases", ["--lease-ttl", "1000"], {}, "--lease-ttl is of --leases"]
  ])("ends with 2: %s", async (_, args, more, words) => {
    const { code, stderr } = await rspp(["worker", ...args], { cwd, env: { ...env, ...more } })
    expect([code, stderr]).toEqual([2, expect.stringContaining(words)])
  })
})
