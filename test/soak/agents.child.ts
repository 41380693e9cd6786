// The agents of the soak: so many rooms at once in one process, session after session, until standard input ends: nobody
// calls any more. Then the process is to end by itself.
//
//   node --expose-gc test/soak/agents.child.ts URL KEY SECRET LINES DIRECTORY
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Session } from "@rspp/runtime/session/Session"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import * as FileRecorder from "@rspp/timeline/recorder/FileRecorder"
import { frontEnd } from "@rspp/transports/livekit/frontend/FrontEnd"
import * as RoomTransport from "@rspp/transports/livekit/RoomTransport"
import { Effect, Layer, Redacted } from "effect"
import { AccessToken } from "livekit-server-sdk"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { roomSession } from "../support/RoomSession.ts"
import { scriptedSpec } from "../support/ScriptedCall.ts"
import type { AgentsSaid, Sample } from "./Samples.ts"
import { isAtRest, roomOf } from "./Samples.ts"

const [url = "", key = "", secret = "", lines = "1", directory = "."] = process.argv.slice(2)
const say = (what: AgentsSaid) => console.log(JSON.stringify(what))
const started = performance.now()
/** Between two samples, ms: often enough that a third of the shortest soak has ten. */
const everyMs = 2000

let sessions = 0
let calls = 0

const mb = (bytes: number) => Math.round(bytes / 1e4) / 100

const sample = (): Sample => {
  globalThis.gc?.()
  const { external, heapUsed, rss } = process.memoryUsage()
  const resources: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1
  const threads = Number(/Threads:\s+(\d+)/u.exec(readFileSync("/proc/self/status", "utf8"))?.[1])
  return {
    at_s: Math.round((performance.now() - started) / 100) / 10,
    heap_mb: mb(heapUsed),
    rss_mb: mb(rss),
    external_mb: mb(external),
    open_files: readdirSync("/proc/self/fd").length,
    threads,
    resources,
    listeners: globalThis._ffiClientInstance?.listenerCount("ffi_event") ?? 0,
    sessions,
    calls
  }
}

const questions = ["Can you hear me?", "Tell me a story.", "Stop, something else.", "Fine."]
const answers = [
  "I hear you well. What else can I do?",
  "That takes a while to say, so bear with me.",
  "Gladly.",
  "Bye."
]

const call = Effect.fnUntraced(function*(line: number, n: number) {
  const session_id = roomOf(line, n)
  const token = new AccessToken(key, secret, { identity: "agent" })
  token.addGrant({ roomJoin: true, room: session_id, canUpdateOwnMetadata: true })
  token.kind = "agent"
  const jwt = yield* Effect.promise(() => token.toJwt())
  const spec = yield* scriptedSpec()
  const extensions = frontEnd()
  const session = roomSession(spec, { heard: questions, replies: answers }, {
    recogniserMs: 120,
    modelMs: 20,
    voiceMs: 5
  })
    .pipe(Layer.provide([
      RoomTransport.layer({ url, token: Redacted.make(jwt), extensions }),
      FileRecorder.layer({ to: () => join(directory, `${session_id}.timeline`) })
    ]))
  sessions++
  yield* Effect.flatMap(Session, ({ run }) =>
    run({
      session_id,
      tenant_id: "soak",
      pipeline: spec.pipeline,
      seed: 7,
      payloadKey: "a key for the soak",
      clock: "realtime"
    })).pipe(
      Effect.provideService(
        SessionObservers,
        extensions.flatMap(({ observer }) => observer === undefined ? [] : [observer])
      ),
      Effect.provide(session, { local: true }),
      Effect.match({
        onSuccess: ({ lostFrames }) => say({ said: "ended", session_id, lost_frames: lostFrames }),
        onFailure: ({ message }) => say({ said: "failed", session_id, message })
      }),
      Effect.ensuring(Effect.sync(() => {
        sessions--
        calls++
      }))
    )
})

const line = Effect.fnUntraced(function*(n: number) {
  for (let index = 0;; index++) yield* call(n, index)
})

const sampling = Effect.forever(
  Effect.andThen(Effect.sleep(everyMs), Effect.sync(() => say({ said: "sample", sample: sample() })))
)
/** Nobody calls any more. Sessions that wait for a caller then are interrupted. */
const lastCall = Effect.callback<void>((resume) => {
  process.stdin.resume().once("end", () => resume(Effect.void))
})
say({ said: "start", sample: sample() })
await Effect.runPromise(
  Effect.raceAllFirst([
    lastCall,
    sampling,
    ...Array.from({ length: Number(lines) }, (_, n) => line(n))
  ]).pipe(Effect.provide(NodeServices.layer))
)
process.stdin.destroy()
// What is closed in the background has its turn: some seconds at most.
let idle = sample()
for (let tries = 0; tries < 50 && !isAtRest(idle); tries++) {
  await new Promise((resolve) => setTimeout(resolve, 100))
  idle = sample()
}
say({ said: "idle", sample: idle })
