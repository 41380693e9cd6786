// The one-minute form of `make soak`.
import { liveKitServer } from "@rspp/transports/test/support/LiveKitServer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { judge } from "./Judge.ts"
import { soak } from "./Soak.ts"

const minutes = 60_000

describe("ten rooms in one process", () => {
  it("hold calls for a minute, leak nothing, and every recording replays identical", async (context) => {
    const server = await liveKitServer()
    if ("missing" in server) return context.skip(`not run: ${server.missing}`)
    const directory = mkdtempSync(join(tmpdir(), "rspp-soak-"))
    try {
      const record = await soak({ server, rooms: 10, seconds: 60, directory, tell: () => {} })
      expect(judge(record)).toEqual([])
    } finally {
      await server.stop()
      rmSync(directory, { recursive: true, force: true })
    }
  }, 5 * minutes)
})
