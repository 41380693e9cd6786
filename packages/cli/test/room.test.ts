// What rspp room says when it cannot run. Calls in rooms are tested in test/e2e/livekit.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { rspp } from "./support/Program.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-room-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

/** Of no server: its signature is nothing. */
const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZ2VudCIsInZpZGVvIjp7InJvb20iOiJsb2JieSJ9fQ.c2lnbmF0dXJl"

describe("rspp room", () => {
  it("join asks for what is missing, and names the flag and the variable", async () => {
    const nowhere = await rspp(["room", "join"], { cwd })
    expect([nowhere.code, nowhere.stderr]).toEqual([2, expect.stringMatching(/--url.*LIVEKIT_URL/su)])
    const nobody = await rspp(["room", "join", "--url", "ws://127.0.0.1:9"], { cwd })
    expect([nobody.code, nobody.stderr]).toEqual([2, expect.stringMatching(/--token.*LIVEKIT_TOKEN/su)])
  })

  it("join ends with 69 when nobody answers, and shows no token", async () => {
    const { code, stderr, stdout } = await rspp(["room", "join", "--url", "ws://127.0.0.1:9", "--json"], {
      cwd,
      env: { LIVEKIT_TOKEN: token }
    })
    expect([code, stdout]).toEqual([69, ""])
    expect(stderr).toContain("127.0.0.1:9")
    expect(stderr).not.toContain("eyJ")
  })

  it("demo says how to get a server where there is none, and ends with a code of its own", async () => {
    const { code, stderr } = await rspp(["room", "demo"], { cwd, env: { PATH: "/nowhere" } })
    expect(code).toBe(68)
    expect(stderr).toContain("go install github.com/livekit/livekit-server/cmd/server@v1.13.5")
    expect(stderr).toContain("LIVEKIT_URL")
  })

  it("demo does not start a server of its own when half of another is named", async () => {
    const { code, stderr } = await rspp(["room", "demo"], { cwd, env: { LIVEKIT_URL: "ws://127.0.0.1:9" } })
    expect([code, stderr]).toEqual([2, expect.stringContaining("LIVEKIT_API_KEY")])
  })
})
