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
      processes: 6,
      sessions: 40,
      // The rules are parts of the TTL. A process that begins anew takes some seconds of a slow machine, while other suites
      // run: within this TTL each of the others still has its turn many times.
      ttlMs: 6000,
      seconds: 60,
      turnEveryMs: 1500,
      seed: 20_261_123,
      // Up to three at a time, one soon after the other: in ten minutes many are struck, and in one as many as may be.
      strikes: { part: 0.5, every: { least: 0.05, most: 0.25 }, pause: { least: 0.5, most: 1.6 } },
      progress: () => {},
      interrupted: () => false
    })
    if (typeof outcome === "object") return context.skip(`not run: ${outcome.missing}`)
    const { figures, violations } = check(readLogs(directory))
    assert.deepStrictEqual(violations, [])
    assert.isAtLeast(figures.kills, 4)
    assert.isAtLeast(figures.pauses, 4)
    assert.isAtLeast(figures.orphans, 40)
    assert.isAbove(figures.outputs, 1000)
  }, 180_000)
})
