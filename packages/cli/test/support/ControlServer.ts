import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../../bin/rspp.js", import.meta.url))

/** What a control plane says when it has started. */
export interface Started {
  readonly url: string
  readonly platform_key?: string
}

export interface ControlServer {
  readonly child: ChildProcess
  readonly said: Promise<Started>
  /** Its exit code, and what it wrote on standard error. */
  readonly ended: Promise<{ readonly code: number | null; readonly errors: string }>
  readonly stop: () => ControlServer["ended"]
}

/** Starts a control plane as a process of its own, on a free port. */
export const startControlPlane = (cwd: string, database: string, ...more: ReadonlyArray<string>): ControlServer => {
  const { HOME, PATH, TMPDIR } = process.env
  const child = spawn(
    process.execPath,
    [bin, "control-plane", "--database", database, "--listen", "127.0.0.1:0", "--json", ...more],
    { cwd, env: { HOME, PATH, TMPDIR }, stdio: ["ignore", "pipe", "pipe"] }
  )
  let errors = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text))
  const ended = new Promise<{ code: number | null; errors: string }>((resolve) =>
    void child.on("close", (code) => resolve({ code, errors }))
  )
  const said = new Promise<Started>((resolve, reject) => {
    let out = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text
      if (out.includes("\n")) resolve(JSON.parse(out) as Started)
    })
    void ended.then(({ code }) => reject(new Error(`the control plane ended with ${code}: ${errors}`)))
  })
  said.catch(() => {})
  return {
    child,
    said,
    ended,
    stop: () => {
      child.kill("SIGTERM")
      return ended
    }
  }
}
