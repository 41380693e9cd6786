import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Scope } from "effect"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { createSocket } from "node:dgram"
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

/** There is no server, or it does not start. `missing`: there is no program; `message` says what was wrong. */
export class LocalServerFailure extends Schema.TaggedError<LocalServerFailure>()("LocalServerFailure", {
  missing: Schema.Boolean,
  message: Schema.String,
  hint: Schema.String
}) {}

/** A livekit-server of this process, on 127.0.0.1 only. */
export interface LocalServer {
  /** Address for clients, `ws://127.0.0.1:…`. */
  readonly url: string
  readonly apiKey: string
  readonly apiSecret: string
  /** Kills it with SIGKILL; it is gone when this returns. Rooms and their connections are lost. */
  readonly kill: Effect.Effect<void>
  /** Starts it again at the same address. */
  readonly start: Effect.Effect<void, LocalServerFailure>
  /** What it has written to its log until now. */
  readonly log: Effect.Effect<string>
}

const program = "livekit-server"

/** How long it may take until it answers, ms. */
const startMs = 20_000

const install =
  "go install github.com/livekit/livekit-server/cmd/server@v1.13.5 builds one (its program is called server); put it on PATH as livekit-server."

/** The program on PATH, if there is one. */
export const findServer = (path: string | undefined = process.env["PATH"]): string | undefined =>
  (path ?? "").split(delimiter).filter((directory) => directory !== "").map((directory) => join(directory, program))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })

const freePort = (kind: "tcp" | "udp"): Promise<number> =>
  new Promise((resolve, reject) => {
    if (kind === "tcp") {
      const server = createServer()
      server.once("error", reject)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
      })
      return
    }
    const socket = createSocket("udp4")
    socket.once("error", reject)
    socket.bind(0, "127.0.0.1", () => {
      const { port } = socket.address()
      socket.close(() => resolve(port))
    })
  })

/** Nothing of it is bound outside of the loopback interface, and no server outside is asked for an address. */
const configuration = (
  ports: { readonly http: number; readonly udp: number },
  keys: Readonly<Record<string, string>>
) =>
  JSON.stringify({
    port: ports.http,
    bind_addresses: ["127.0.0.1"],
    development: true,
    logging: { level: "info" },
    keys,
    rtc: {
      udp_port: ports.udp,
      tcp_port: 0,
      node_ip: "127.0.0.1",
      use_external_ip: false,
      enable_loopback_candidate: true,
      interfaces: { includes: ["lo"] },
      ips: { includes: ["127.0.0.0/8"] },
      stun_servers: ["127.0.0.1:3478"],
      allow_tcp_fallback: false
    },
    turn: { enabled: false },
    room: { auto_create: true, empty_timeout: 30, departure_timeout: 5 }
  })

/**
 * Starts the livekit-server that is found on PATH, on free ports of 127.0.0.1, with a key of its own. It lives as long as
 * the scope.
 */
export const startServer: Effect.Effect<LocalServer, LocalServerFailure, Scope.Scope> = Effect.gen(function*() {
  const file = findServer()
  if (file === undefined) {
    return yield* new LocalServerFailure({ missing: true, message: `there is no ${program} on PATH`, hint: install })
  }
  const ports = yield* Effect.promise(async () => ({ http: await freePort("tcp"), udp: await freePort("udp") }))
  const apiKey = "devkey"
  const apiSecret = "a-secret-for-a-server-on-loopback-only"
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "rspp-livekit-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const config = join(directory, "livekit.yaml")
  const log = join(directory, "log")
  yield* Effect.sync(() => writeFileSync(config, configuration(ports, { [apiKey]: apiSecret }), { mode: 0o600 }))
  let child: ChildProcess | undefined
  const url = `http://127.0.0.1:${ports.http}`

  const kill = Effect.callback<void>((resume) => {
    const running = child
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return resume(Effect.void)
    running.once("exit", () => resume(Effect.void))
    running.kill("SIGKILL")
  })
  const answers = Effect.promise((signal) =>
    fetch(url, { signal }).then(async (response) => (await response.text()) === "OK").catch(() => false)
  )
  const start = Effect.gen(function*() {
    yield* kill
    const started = spawn("sh", ["-c", `exec "$0" --config "$1" >>"$2" 2>&1`, file, config, log], { stdio: "ignore" })
    child = started
    const triesMs = 50
    for (let waited = 0; waited < startMs; waited += triesMs) {
      if (yield* answers) return
      if (started.exitCode !== null) break
      yield* Effect.sleep(triesMs)
    }
    yield* kill
    const said = readFileSync(log, "utf8").trim().split("\n").at(-1) ?? ""
    return yield* new LocalServerFailure({
      missing: false,
      message: `${file} does not answer at ${url}: ${said}`,
      hint: "Start a livekit-server by hand, and name it in LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET."
    })
  })
  yield* Effect.acquireRelease(start, () => kill, { interruptible: true })
  return {
    url: url.replace("http:", "ws:"),
    apiKey,
    apiSecret,
    kill,
    start,
    log: Effect.sync(() => readFileSync(log, "utf8"))
  }
})
