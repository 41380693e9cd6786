import { dispose } from "@livekit/rtc-node"
import { liveKitServer } from "@rspp/transports/test/support/LiveKitServer"
import { afterAll, describe, it } from "vitest"
import type { Server } from "./Rooms.ts"
import { leaving } from "./Scene.ts"

const notRun = (what: string, missing: string) =>
  describe(`${what} (livekit-server)`, () => {
    it(`was not run: ${missing}`, (context) => context.skip(missing))
  })

const run = (what: string, server: Server, cases: (server: Server) => void) =>
  describe(`${what} (livekit-server)`, () => {
    afterAll(async () => {
      await Promise.allSettled(leaving.map((leave) => leave()))
      await server.stop()
      await dispose()
    })
    cases(server)
  })

/** Describes cases that want a LiveKit server, which is stopped after them; where there is none, says why they were not run. */
export const onServer = async (what: string, cases: (server: Server) => void): Promise<void> => {
  const server = await liveKitServer()
  if ("missing" in server) notRun(what, server.missing)
  else run(what, server, cases)
}
