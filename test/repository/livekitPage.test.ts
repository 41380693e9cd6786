// docs/livekit.md: every command on the page that needs no server runs, and ends as the page says.
import { assert, describe, it } from "@effect/vitest"
import { defaultCapacityMs, defaultSubscriptionMs } from "@rspp/transports/livekit/RoomTransport"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { endsAsItSays, pageOf } from "./support/Page.ts"

const { commands, namesFiles, text } = pageOf("livekit.md")

const cwd = mkdtempSync(join(tmpdir(), "rspp-page-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

describe("docs/livekit.md", () => {
  it("has commands that end as it says", async () => {
    assert.isAbove(commands.length, 3)
    for (const line of commands) await endsAsItSays(cwd, line)
  }, 300_000)

  it("names only files that exist, and the transport's own numbers", () => {
    namesFiles()
    assert.include(text, `a queue of ${defaultCapacityMs} ms`)
    assert.include(text, `wait up to ${defaultSubscriptionMs / 1000} s for the caller to subscribe`)
  })
})
