import type { LiveKitServer } from "@rspp/transports/test/support/LiveKitServer"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { readdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import type { SoakRecord } from "./Judge.ts"
import type { AgentsSaid, CallersSaid, Sample } from "./Samples.ts"

const here = import.meta.dirname
const bin = join(dirname(dirname(here)), "packages/cli/bin/rspp.js")

export interface SoakOptions {
  readonly server: Extract<LiveKitServer, { readonly url: string }>
  /** Rooms at once. */
  readonly rooms: number
  /** New calls begin for so long. */
  readonly seconds: number
  /** Where the recordings go. */
  readonly directory: string
  readonly tell: (line: string) => void
}

/** How long the last calls may take after the time is over, and the agents until their process has ended, ms. */
const lastCallMs = 60_000

/** How long a session may take to end when its caller has left, ms. */
const lastSessionMs = 30_000

/** Recordings that one process of the program is given at once. */
const batch = 50

const started = (script: string, args: ReadonlyArray<string>, flags: ReadonlyArray<string> = []): ChildProcess =>
  spawn(process.execPath, [...flags, join(here, script), ...args], {
    env: { ...process.env, NODE_ENV: "production" },
    stdio: ["pipe", "pipe", "inherit"]
  })

const reading = async <A>(child: ChildProcess, each: (said: A) => void): Promise<void> => {
  if (child.stdout === null) return
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("{\"said\"")) each(JSON.parse(line) as A)
  }
}

/** The code that a process ends with; killed when it does not end within the bound: null. */
const endOf = async (child: ChildProcess, boundMs: number): Promise<number | null> => {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const timer = setTimeout(() => child.kill("SIGKILL"), boundMs)
  await once(child, "exit")
  clearTimeout(timer)
  return child.exitCode
}

/** What `rspp` has to say against files, by one of its commands. */
const against = async (
  command: ReadonlyArray<string>,
  files: ReadonlyArray<string>
): Promise<ReadonlyArray<string>> => {
  const wrong: Array<string> = []
  for (let at = 0; at < files.length; at += batch) {
    const child = spawn(process.execPath, [bin, ...command, ...files.slice(at, at + batch)], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    const said: Array<string> = []
    child.stdout.on("data", (chunk: Buffer) => said.push(chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => said.push(chunk.toString()))
    await once(child, "close")
    if (child.exitCode !== 0) {
      wrong.push(`rspp ${command.join(" ")} ended with ${child.exitCode}: ${said.join("").trim()}`)
    }
  }
  return wrong
}

/** Holds calls in rooms for a while, agents in one process and callers in another, and reads what is left. */
export const soak = async (options: SoakOptions): Promise<SoakRecord> => {
  const { directory, rooms, seconds, server, tell } = options
  const samples: Array<Sample> = []
  let start: Sample | undefined
  let idle: Sample | undefined
  const ended: Array<string> = []
  const called: Array<string> = []
  const failures: Array<string> = []
  const args = [server.url, server.apiKey, server.apiSecret, String(rooms)]
  const agents = started("agents.child.ts", [...args, directory], ["--expose-gc"])
  const callers = started("callers.child.ts", [...args, String(seconds)])
  try {
    const listening = [
      reading<AgentsSaid>(agents, (line) => {
        if (line.said === "ended") ended.push(line.session_id)
        else if (line.said === "failed") failures.push(`${line.session_id}: the session failed: ${line.message}`)
        else {
          if (line.said === "start") start = line.sample
          else if (line.said === "idle") idle = line.sample
          else samples.push(line.sample)
          const { at_s, heap_mb, listeners, open_files, rss_mb, sessions } = line.sample
          tell(
            `${at_s} s: ${sessions} sessions, ${ended.length} ended, heap ${heap_mb} MB, resident ${rss_mb} MB, ${open_files} files, ${listeners} listeners`
          )
        }
      }),
      reading<CallersSaid>(callers, (line) => {
        if (line.said === "called") {
          called.push(line.room)
          if (line.heard < 3) {
            failures.push(`${line.room}: the caller heard ${line.heard} answers: ${line.notices.join(" ")}`)
          }
        } else if (line.said === "failed") failures.push(`${line.room}: the call failed: ${line.message}`)
      })
    ]
    if ((await endOf(callers, seconds * 1000 + lastCallMs)) === null) {
      failures.push(`callers were still calling ${lastCallMs / 1000} s after the time was over`)
    }
    // A caller who has left might come back for a while: its session ends after that.
    for (let waited = 0; waited < lastSessionMs && called.some((room) => !ended.includes(room)); waited += 100) {
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    agents.stdin?.end()
    const exitCode = await endOf(agents, lastCallMs)
    await Promise.all(listening)
    const files = readdirSync(directory).filter((name) => name.endsWith(".timeline")).sort().map((name) =>
      join(directory, name)
    )
    const missing = ended.filter((session) => !files.some((file) => file.endsWith(`/${session}.timeline`)))
    const recordings = [
      ...missing.map((session) => `${session}: there is no recording`),
      ...(await against(["timeline", "verify"], files)),
      ...(await against(["replay"], files))
    ]
    return { start, samples, idle, exitCode, ended, called, failures, recordings }
  } finally {
    agents.kill("SIGKILL")
    callers.kill("SIGKILL")
  }
}
