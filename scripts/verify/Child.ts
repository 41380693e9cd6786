// Programs that a gate starts. Each is the head of a process group of its own, so that what it started ends with it.
import { spawn } from "node:child_process"
import { join } from "node:path"

export interface Ended {
  /** The exit code; undefined when a signal ended it or it could not be started. */
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
  readonly timedOut: boolean
}

export interface ChildOptions {
  readonly cwd: string
  readonly signal: AbortSignal
  /** It is ended after so long, in ms: a gate must not hang. */
  readonly limitMs: number
  /** Each line of standard output, as it comes. */
  readonly onLine?: (line: string) => void
}

/** What is kept of each stream, in characters: the report of a whole test run has its place, a loop that writes has not. */
const keptCharacters = 64 * 1024 * 1024

/** How long a program has to end by itself after it was asked to, in ms. */
const graceMs = 5000

/**
 * Runs a program to its end. It sees only what a program needs of the environment: a provider's key, a proxy of the
 * language model or a trace exporter of the machine at hand would make another run of it.
 *
 * When `signal` is aborted, or after `limitMs`, its process group is interrupted, and killed when that does not help.
 * Nothing of it is left behind; it never rejects.
 */
export const runChild = (command: ReadonlyArray<string>, options: ChildOptions): Promise<Ended> =>
  new Promise((resolve) => {
    const [program = "", ...args] = command
    const { CI, HOME, LANG, PATH, TMPDIR } = process.env
    const child = spawn(program, args, {
      cwd: options.cwd,
      detached: true,
      env: { CI, HOME, LANG, PATH, TMPDIR, NO_UPDATE_NOTIFIER: "1" },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let stdout = ""
    let stderr = ""
    let line = ""
    let timedOut = false
    let killing: NodeJS.Timeout | undefined
    const send = (signal: NodeJS.Signals) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal)
      } catch {
        // The whole group has ended.
      }
    }
    const stop = () => {
      send("SIGINT")
      killing ??= setTimeout(() => send("SIGKILL"), graceMs)
    }
    const limit = setTimeout(() => {
      timedOut = true
      stop()
    }, options.limitMs)
    options.signal.addEventListener("abort", stop)
    if (options.signal.aborted) stop()
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (stdout.length < keptCharacters) stdout += text
      if (options.onLine === undefined) return
      const lines = (line + text).split("\n")
      line = lines.pop() ?? ""
      for (const one of lines) options.onLine(one)
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (stderr.length < keptCharacters) stderr += text
    })
    const finish = (code: number | undefined) => {
      clearTimeout(limit)
      clearTimeout(killing)
      options.signal.removeEventListener("abort", stop)
      // Whatever it started and left.
      if (options.signal.aborted || timedOut) send("SIGKILL")
      resolve({ code, stdout, stderr, timedOut })
    }
    child.on("error", (error) => {
      stderr += error.message
      finish(undefined)
    })
    child.on("close", (code) => finish(code ?? undefined))
  })

/** The command that runs `rspp` of the repository at `root`, on this very Node. */
export const rspp = (root: string, ...args: ReadonlyArray<string>): ReadonlyArray<string> => [
  process.execPath,
  join(root, "packages/cli/bin/rspp.js"),
  ...args
]

/** Of the last words so many characters are kept. */
const maxWords = 2000

/** The last words of a program that went wrong, for a finding. */
export const lastWords = ({ code, stderr, stdout, timedOut }: Ended): string => {
  const text = (stderr.trim() === "" ? stdout : stderr).trim().split("\n").slice(-5).join("\n").slice(-maxWords)
  const how = timedOut ? "it did not end in time" : code === undefined ? "it was ended by a signal" : `exit ${code}`
  return text === "" ? how : `${how}: ${text}`
}
