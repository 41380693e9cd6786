// Callers of the soak: so many lines, each calling room after room until the time is over.
//
//   node test/soak/callers.child.ts URL KEY SECRET LINES SECONDS
import * as NodeServices from "@effect/platform-node/NodeServices"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { callRoom } from "@rspp/transports/livekit/RoomCaller"
import { Effect, Redacted } from "effect"
import { AccessToken } from "livekit-server-sdk"
import { tone } from "../support/RoomSession.ts"
import type { CallersSaid } from "./Samples.ts"
import { roomOf } from "./Samples.ts"

const [url = "", key = "", secret = "", lines = "1", seconds = "10"] = process.argv.slice(2)
const say = (what: CallersSaid) => console.log(JSON.stringify(what))
const until = performance.now() + Number(seconds) * 1000

/** Asks, hears the answer; asks, and cuts it off with another question; types, and hangs up after the answer. */
const script = makeCallScript([
  { say: tone(300, 700) },
  { say: tone(300, 900), at: { after: "agent_finished", delay_ms: 200 } },
  { say: tone(300, 1200), at: { after: "agent_started", delay_ms: 400 } },
  { text: "And what else?", at: { after: "agent_finished", delay_ms: 200 } }
], { hang_up: { after: "agent_finished", delay_ms: 100 } })

const line = (n: number) =>
  Effect.gen(function*() {
    // not all in one instant
    yield* Effect.sleep(n * 250)
    for (let call = 0; performance.now() < until; call++) {
      const room = roomOf(n, call)
      const token = new AccessToken(key, secret, { identity: "caller" })
      token.addGrant({ roomJoin: true, room })
      const jwt = yield* Effect.promise(() => token.toJwt())
      yield* callRoom({ url, token: Redacted.make(jwt), script }).pipe(
        Effect.scoped,
        Effect.match({
          onSuccess: ({ agent, notices }) => say({ said: "called", room, heard: agent.length, notices }),
          onFailure: ({ message }) => say({ said: "failed", room, message })
        })
      )
    }
  })

await Effect.runPromise(
  Effect.forEach(Array.from({ length: Number(lines) }, (_, n) => n), line, { concurrency: "unbounded" }).pipe(
    Effect.provide(NodeServices.layer)
  )
)
say({ said: "done" })
