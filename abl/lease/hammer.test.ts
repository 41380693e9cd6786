// The lease hammer in short: `make lease` does the same for ten minutes, with more processes and sessions.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { check, readLogs } from "./Checker.ts"
import { hammer } from "./Hammer.ts"

const directory = mkdtempSync(join(tmpdir(), "rspp-lease-test-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe("processes that contend for sessions", () => {
  it("never have one session at the same time, and leave none alone, whatever happens to them", async (context) => {
    const outcome = await hammer({
      directory,
      processes: 4,
      sessions: 40,
      ttlMs: 4000,
      seconds: 60,
      turnEveryMs: 1000,
      seed: 20_261_123,
      progress: () => {},
      interrupted: () => false
    })
    if (typeof outcome === "object") return context.skip(`not run: ${outcome.missing}`)
    const { figures, violations } = check(readLogs(directory))
    assert.deepStrictEqual(violations, [])
    assert.isAbove(figures.kills, 0)
    assert.isAbove(figures.pauses, 0)
    assert.isAbove(figures.orphans, 0)
    assert.isAbove(figures.outputs, 1000)
  }, 180_000)
})
