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

/** The exit code of a command that took longer. */
export const tookTooLong = 124

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
          // The head of a group of its own: what it started ends with it.
          detached: true,
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
            // A registry that cannot be had is to be known in seconds, and a request that hangs asked again.
            npm_config_fetch_retries: "2",
            npm_config_fetch_retry_mintimeout: "1000",
            npm_config_fetch_retry_maxtimeout: "4000",
            npm_config_fetch_timeout: "30000",
            npm_config_audit: "false",
            npm_config_fund: "false",
            npm_config_update_notifier: "false"
          }
        })
        let isLate = false
        const late = setTimeout(() => {
          isLate = true
          if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
        }, commandMs)
        const chunks: Array<Buffer> = []
        child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
        child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk))
        const ended = (code: number, output: string) => {
          clearTimeout(late)
          resolve({ code, output })
        }
        child.on("error", (error) => ended(127, error.message))
        child.on("close", (code) => ended(isLate ? tookTooLong : code ?? 128, Buffer.concat(chunks).toString()))
      })
  }
}

/**
 * Whether it was the registry that npm could not have, and nothing that the project asked for: a package whose install script
 * cannot have something is the project's fault. That nobody vouches for the registry (a proxy of the machine, whose certificate npm
 * was not given) is the same as having none.
 */
export const registryIsAway = (output: string): boolean =>
  /^npm (?:error|ERR!) code (?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|ENOTCACHED|E5\d\d|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_\w+|CERT_\w+)$/mu
    .test(output)
