// How `rspp control-plane` ends when it is stopped, as a process.
import { afterAll, describe, expect, it } from "vitest"
import { mkdtempSync, rmSync } from "node:fs"
import { connect } from "node:net"
import type { Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startControlPlane } from "./support/ControlServer.ts"
import { rspp } from "./support/Program.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-drain-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const pause = () => new Promise((resolve) => setTimeout(resolve, 20))

/** A request that is sent in two parts: it runs from the first to the answer. */
const requestInTwoParts = async (url: string, key: string) => {
  const { hostname, port } = new URL(url)
  const socket: Socket = connect(Number(port), hostname)
  let text = ""
  const closed = new Promise<string>((resolve) => {
    socket.setEncoding("utf8").on("data", (more: string) => (text += more))
    socket.on("error", () => {})
    socket.on("close", () => resolve(text))
  })
  const body = JSON.stringify({ tenant_id: "late", name: "Late" })
  await new Promise((resolve) => socket.once("connect", () => resolve(undefined)))
  socket.write(
    `POST /v1/tenants HTTP/1.1\r\nhost: control\r\nauthorization: Bearer ${key}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\nexpect: 100-continue\r\n\r\n`
  )
  // the server has the head of the request when it asks for the rest
  while (!text.includes("100 Continue")) await pause()
  return { rest: () => void socket.write(body), closed, cut: () => socket.destroy() }
}

const isRefused = async (url: string) => {
  try {
    await fetch(`${url}/healthz`)
    return false
  } catch {
    return true
  }
}

describe("a control plane that is stopped", () => {
  it("takes no more requests, finishes the one that runs, and ends with 0", async () => {
    const server = startControlPlane(cwd, "sqlite:one.sqlite", "--drain-within", "600000")
    const { platform_key = "", url } = await server.said
    const request = await requestInTwoParts(url, platform_key)
    server.child.kill("SIGTERM")
    while (!(await isRefused(url))) await pause()
    request.rest()
    const answer = await request.closed
    expect(answer).toMatch(/HTTP\/1\.1 201 Created/u)
    expect(answer).toMatch(/connection: close/iu)
    expect(await server.ended).toEqual({ code: 0, errors: "stopping: running requests are finished\n" })
    // it was done, not only answered
    const again = startControlPlane(cwd, "sqlite:one.sqlite")
    const { url: next } = await again.said
    const listed = await rspp(["tenant", "list", "--server", next], { cwd, env: { RSPP_API_KEY: platform_key } })
    expect(listed.stdout).toContain("late  Late")
    expect((await again.stop()).code).toBe(0)
  }, 120_000)

  it("cuts off what does not end within its bound, says so, and ends with 130", async () => {
    const server = startControlPlane(cwd, "sqlite:two.sqlite", "--drain-within", "50")
    const { platform_key = "", url } = await server.said
    const request = await requestInTwoParts(url, platform_key)
    const { code, errors } = await server.stop()
    expect([code, errors]).toEqual([130, expect.stringContaining("cut off: 1\n")])
    expect(await request.closed).not.toContain("201 Created")
  }, 120_000)

  it("says that it is not ready while it still answers; a second signal ends the notice", async () => {
    const server = startControlPlane(cwd, "sqlite:three.sqlite", "--drain-notice", "600000")
    const { platform_key = "", url } = await server.said
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    server.child.kill("SIGTERM")
    while ((await fetch(`${url}/readyz`)).status === 200) await pause()
    const notReady = await fetch(`${url}/readyz`)
    expect([notReady.status, await notReady.json()]).toEqual([503, expect.objectContaining({ code: "draining" })])
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    const answer = await fetch(`${url}/v1/tenants`, { headers: { authorization: `Bearer ${platform_key}` } })
    expect([answer.status, answer.headers.get("connection")]).toEqual([200, "close"])
    server.child.kill("SIGTERM")
    expect((await server.ended).code).toBe(0)
  }, 120_000)

  it("does not wait for connections on which nothing is asked", async () => {
    const server = startControlPlane(cwd, "sqlite:four.sqlite", "--drain-within", "600000")
    const { url } = await server.said
    const { hostname, port } = new URL(url)
    const silent = connect(Number(port), hostname)
    const closed = new Promise((resolve) => silent.once("close", resolve))
    silent.on("error", () => {})
    await new Promise((resolve) => silent.once("connect", resolve))
    // kept alive by the client
    await (await fetch(`${url}/healthz`)).text()
    expect((await server.stop()).code).toBe(0)
    await closed
  }, 120_000)

  it("takes no time that makes no sense", async () => {
    const wrong = await rspp(["control-plane", "--database", "sqlite:five.sqlite", "--drain-within", "-1"], { cwd })
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("--drain-within -1 is no time to drain in")])
  }, 60_000)
})
