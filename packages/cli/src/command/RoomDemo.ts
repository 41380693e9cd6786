import * as AccessTokens from "@rspp/transports/livekit/AccessTokens"
import { startServer } from "@rspp/transports/livekit/LocalServer"
import { callRoom } from "@rspp/transports/livekit/RoomCaller"
import { Deferred, Effect, FileSystem, Path, Redacted } from "effect"
import type { Scope } from "effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { CliFailure, told } from "../CliFailure.ts"
import { demoScript } from "../DemoScript.ts"
import { freshDirectory, makeDirectories } from "../OutputFiles.ts"
import { checkRecording } from "../RecordingCheck.ts"
import { Screen } from "../Screen.ts"

export interface RoomDemoFlags {
  readonly out: string | undefined
}

const bin = fileURLToPath(new URL("../../bin/rspp.js", import.meta.url))

/** Who the worker is dispatched as. */
const agentName = "rspp-demo"

/** How long the worker may take until it is registered, its models loaded, and until it has drained, ms. */
const readyMs = 60_000
const drainMs = 10_000

/** Where the demo's rooms are. */
interface DemoServer extends AccessTokens.LiveKitKeys {
  readonly url: string
  readonly given: boolean
}

/** The server that the environment names, or one that is started on this machine for as long as the demo. */
const demoServer: Effect.Effect<DemoServer, CliFailure, Scope.Scope> = Effect.gen(function*() {
  const { LIVEKIT_API_KEY: apiKey = "", LIVEKIT_API_SECRET: apiSecret = "", LIVEKIT_URL: url = "" } = process.env
  if (url !== "") {
    if (apiKey !== "" && apiSecret !== "") return { url, apiKey, apiSecret: Redacted.make(apiSecret), given: true }
    return yield* new CliFailure({
      exit: "usage",
      message: "LIVEKIT_URL is set, and the key pair of that server is not",
      hint: "Set LIVEKIT_API_KEY and LIVEKIT_API_SECRET too, or unset LIVEKIT_URL to start a server on this machine."
    })
  }
  const server = yield* startServer.pipe(
    Effect.mapError(({ hint, message, missing }) =>
      new CliFailure({
        exit: missing ? "no_server" : "unavailable",
        message,
        hint: missing ? `${hint} Or name one in LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET.` : hint
      })
    )
  )
  return { url: server.url, apiKey: server.apiKey, apiSecret: Redacted.make(server.apiSecret), given: false }
})

/** What `rspp worker --json` prints, as far as the demo looks at it. */
interface WorkerSaid {
  readonly event: string
  readonly session_id?: string
  readonly message?: string
}

/** `rspp worker` in a process of its own, stopped with the scope: registered when this returns. */
const demoWorker = Effect.fnUntraced(function*(server: DemoServer, timelines: string) {
  const registered = yield* Deferred.make<void, CliFailure>()
  const ended = yield* Deferred.make<WorkerSaid>()
  const gone = yield* Deferred.make<void>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const args = [bin, "worker", "--json", "--agent-name", agentName, "--timelines", timelines]
      const started = spawn(process.execPath, args, {
        // Ctrl-C is of the demo, which stops its worker itself.
        detached: true,
        env: {
          ...process.env,
          LIVEKIT_URL: server.url,
          LIVEKIT_API_KEY: server.apiKey,
          LIVEKIT_API_SECRET: Redacted.value(server.apiSecret)
        },
        stdio: ["ignore", "pipe", "pipe"]
      })
      const errors: Array<string> = []
      started.stderr.on("data", (text: Buffer) => void errors.push(text.toString()))
      createInterface({ input: started.stdout }).on("line", (line) => {
        if (!line.startsWith("{")) return
        const said = JSON.parse(line) as WorkerSaid
        if (said.event === "registered") Deferred.doneUnsafe(registered, Effect.void)
        if (said.event === "ended" || said.event === "failed") Deferred.doneUnsafe(ended, Effect.succeed(said))
      })
      started.on("close", (code) => {
        const message = `the worker ended with ${code}: ${errors.join("").trim()}`
        Deferred.doneUnsafe(registered, Effect.fail(new CliFailure({ exit: "unavailable", message })))
        Deferred.doneUnsafe(ended, Effect.succeed({ event: "failed", message }))
        Deferred.doneUnsafe(gone, Effect.void)
      })
      return started
    }),
    (started) =>
      Effect.andThen(
        Effect.sync(() => started.kill("SIGTERM")),
        Effect.timeoutOption(Deferred.await(gone), drainMs)
      ).pipe(
        Effect.andThen((left) => Effect.sync(() => left._tag === "None" ? started.kill("SIGKILL") : undefined)),
        Effect.asVoid
      )
  )
  yield* Deferred.await(registered).pipe(Effect.timeoutOrElse({
    duration: readyMs,
    orElse: () =>
      Effect.fail(
        new CliFailure({ exit: "unavailable", message: `the worker was not registered within ${readyMs / 1000} s` })
      )
  }))
  return { pid: child.pid, ended: Deferred.await(ended) }
})

/**
 * `rspp room demo`: a LiveKit server, a worker that takes the job, and a caller who says the shipped conversation through
 * WebRTC; then the recording is read back, checked and replayed. Fails when anything is not as it should be.
 */
export const runRoomDemo = Effect.fn("rspp.room.demo")(function*({ out }: RoomDemoFlags) {
  const screen = yield* Screen
  const { line, style } = screen
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const directory = out ?? (yield* freshDirectory("livekit-demo"))
  const server = yield* demoServer
  line(
    server.given
      ? `The LiveKit server at ${server.url}`
      : `A livekit-server on this machine only, at ${server.url}, for as long as this takes`
  )
  yield* makeDirectories(directory)
  const worker = yield* demoWorker(server, directory)
  line(`A worker (process ${worker.pid}) has registered as ${agentName} and waits for jobs`)
  const room = `rspp-demo-${process.pid}-${Date.now().toString(36)}`
  const minted = yield* AccessTokens.AccessTokens.pipe(
    Effect.flatMap((tokens) => tokens.join({ room, identity: "caller", agents: [{ agentName }] })),
    Effect.provide(AccessTokens.AccessTokens.layer(server))
  )
  const stereo = paths.join(directory, "stereo.wav")
  line(`A caller joins the room ${room}, which dispatches the agent there, and talks with it; this takes a minute`)
  const script = yield* demoScript()
  const report = yield* Effect.scoped(callRoom({ url: server.url, token: minted, script, stereo }))
  for (const notice of report.notices) screen.note(`${style.yellow("notice:")} ${notice}`)
  line(`The caller said ${report.caller.length} things, heard the agent ${report.agent.length} times, and has left`)
  const { event, message, session_id } = yield* worker.ended
  if (event !== "ended" || session_id === undefined) {
    return yield* new CliFailure({
      exit: "violation",
      message: `the session failed: ${message ?? "it did not say why"}`
    })
  }
  line("")
  const timeline = paths.join(directory, `${session_id}.timeline`)
  const sound = yield* checkRecording(timeline)
  line("What next:")
  line(`  hear the call      ${stereo} (caller left, agent right, as the caller heard it)`)
  line(`  execute it again   npx rspp replay ${timeline}`)
  line(`  look at it         npx rspp timeline show ${timeline}`)
  if (!sound) return yield* told("violation")
  const heard = report.agent.length
  if (heard === 0 || !(yield* fs.exists(stereo))) {
    return yield* new CliFailure({ exit: "violation", message: "the caller heard nothing of the agent" })
  }
  return undefined
}, Effect.scoped)
