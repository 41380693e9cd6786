import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

export interface Ended {
  readonly code: number
  readonly output: string
}

/** An empty directory, and a shell in it that sees nothing of this repository: this Node, and npm of the machine. */
export interface EmptyProject {
  readonly directory: string
  readonly run: (command: string) => Promise<Ended>
}

/** How long one command may take, ms: an install on a slow and loaded machine. */
const commandMs = 240_000

export const emptyProject = (): EmptyProject => {
  const home = mkdtempSync(join(tmpdir(), "rspp-empty-"))
  const directory = join(home, "project")
  const bin = join(home, "bin")
  for (const path of [directory, bin]) mkdirSync(path)
  symlinkSync(process.execPath, join(bin, "node"))
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((part) => !part.includes("node_modules"))
  return {
    directory,
    run: (command) =>
      new Promise((resolve) => {
        const child = spawn("sh", ["-c", command], {
          cwd: directory,
          timeout: commandMs,
          stdio: ["ignore", "pipe", "pipe"],
          env: {
            ...Object.fromEntries(
              // What npm and Vitest tell those they start is not for the project.
              Object.entries(process.env).filter(([name]) =>
                !/^(?:npm_(?!config_(?:cache|registry|proxy|https))|VITEST|RSPP_|NODE_ENV|NODE_OPTIONS)/iu.test(name)
              )
            ),
            PATH: [bin, ...path].join(delimiter),
            NO_COLOR: "1",
            npm_config_prefer_offline: "true",
            npm_config_audit: "false",
            npm_config_fund: "false",
            npm_config_update_notifier: "false"
          }
        })
        const chunks: Array<Buffer> = []
        child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
        child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk))
        child.on("error", (error) => resolve({ code: 127, output: error.message }))
        child.on("close", (code) => resolve({ code: code ?? 128, output: Buffer.concat(chunks).toString() }))
      })
  }
}

/** What npm says when it is the registry that it cannot have, and not the project that is wrong. */
export const registryIsAway = (output: string): boolean =>
  /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|ENOTCACHED)\b|network/u
    .test(output)
