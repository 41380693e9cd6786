// `make livekit-demo`: server, worker and caller of its own.
import { findServer } from "@rspp/transports/livekit/LocalServer"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { rspp } from "../../support/Program.ts"
import { filesHere } from "./support/Call.ts"
import { soundRecording } from "./support/Recording.ts"
import { readWave } from "./support/Waves.ts"

const cwd = filesHere()
const minutes = 60_000

describe("rspp room demo", () => {
  it("holds the shipped conversation through a room, and leaves the recording of both sides", async (context) => {
    if (findServer() === undefined && process.env["RSPP_REQUIRE_LIVEKIT"] !== "1") {
      return context.skip("not run: there is no livekit-server on PATH")
    }
    const { code, stderr, stdout } = await rspp(cwd, "room", "demo", "--out", "demo")
    expect([stderr, code]).toEqual(["", 0])
    expect(stdout).toContain("executed again: identical")
    const [timeline = ""] = readdirSync(join(cwd, "demo")).filter((name) => name.endsWith(".timeline"))
    await soundRecording(cwd, join("demo", timeline), 5)
    const { samples } = readWave(join(cwd, "demo", "stereo.wav"))
    for (const side of [0, 1]) {
      expect(samples.some((sample, i) => i % 2 === side && Math.abs(sample) > 1000)).toBe(true)
    }
  }, 4 * minutes)
})
