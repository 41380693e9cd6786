import { until } from "@rspp/transports/test/support/TestWorker"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../../bin/rspp.js", import.meta.url))

/** A line that `rspp worker --json` printed; each field is there only where its event has it. */
export interface WorkerLine {
  readonly event: string
  readonly url: string
  readonly room: string
  readonly job_id: string
}

export interface WorkerProcess {
  readonly child: ChildProcess
  /** What it said so far; every line of its standard output is one. */
  readonly events: ReadonlyArray<WorkerLine>
  /** The first event of a kind, when it has been said. Fails when the worker has ended without it. */
  readonly said: (event: string) => Promise<WorkerLine>
  /** Its exit code, and what it wrote on standard error. */
  readonly ended: Promise<{ readonly code: number | null; readonly errors: string }>
  readonly stop: (signal: NodeJS.Signals) => WorkerProcess["ended"]
  /** Kills what is left of it. */
  readonly kill: () => Promise<void>
}

/** Starts `rspp worker` as a process of its own. */
export const startWorkerProcess = (
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
  ...args: ReadonlyArray<string>
): WorkerProcess => {
  const { HOME, PATH, TMPDIR } = process.env
  const child = spawn(process.execPath, [bin, "worker", "--json", ...args], {
    cwd,
    env: { HOME, PATH, TMPDIR, ...env },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const events: Array<WorkerLine> = []
  let errors = ""
  let code: number | null | undefined
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text))
  createInterface({ input: child.stdout }).on("line", (line) => void events.push(JSON.parse(line) as WorkerLine))
  const ended = new Promise<{ code: number | null; errors: string }>((resolve) =>
    void child.on("close", (exit) => {
      code = exit
      resolve({ code: exit, errors })
    })
  )
  return {
    child,
    events,
    ended,
    said: (event) =>
      until(() => {
        const found = events.find((one) => one.event === event)
        if (found === undefined && code !== undefined) {
          throw new Error(`the worker ended with ${code}, and without ${event}: ${errors}`)
        }
        return found
      }),
    stop: (signal) => {
      child.kill(signal)
      return ended
    },
    kill: async () => {
      if (code === undefined) child.kill("SIGKILL")
      await ended
    }
  }
}
