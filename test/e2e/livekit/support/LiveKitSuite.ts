import { liveKitServer } from "@rspp/transports/test/support/LiveKitServer"
import { afterAll, describe, it } from "vitest"
import { Lobby } from "./Lobby.ts"

const notRun = (name: string, reason: string): void => {
  describe(`LiveKit: ${name}`, () => {
    it(`was not run: ${reason}`, (context) => context.skip(reason))
  })
}

/**
 * Tests against a real LiveKit server: the one that `LIVEKIT_URL` names, or one of their own from PATH, for as long as
 * they take. Skipped with the reason where there is none (RSPP_REQUIRE_LIVEKIT=1 makes that a failure).
 */
export const liveKitSuite = async (name: string, tests: (lobby: Lobby) => void): Promise<void> => {
  const server = await liveKitServer()
  if ("missing" in server) return notRun(name, server.missing)
  describe(`LiveKit: ${name}`, () => {
    afterAll(server.stop)
    tests(new Lobby(server))
  })
}
