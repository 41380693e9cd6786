import type { NodeFailure } from "@rspp/runtime/nodes/NodeFailure"
import { broken } from "@rspp/runtime/nodes/NodeFailure"
import * as Effect from "effect/Effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { readFile } from "node:fs/promises"
import { StringDecoder } from "node:string_decoder"
import type { FromNode, ToNode } from "../nodes/NodeProtocol.ts"
import { lineChars, readLine, writeLine } from "../nodes/NodeProtocol.ts"
import { redacted } from "./RedactedLine.ts"

/** How a process is begun, and what it may take. */
export interface ChildOptions {
  readonly command: readonly [string, ...ReadonlyArray<string>]
  readonly directory?: string
  /** Besides PATH; nothing else of this process's environment, where keys may be, is handed on. */
  readonly environment?: Readonly<Record<string, string>>
  readonly memoryMb: number
}

/** What a process is told to be listened to by. Called synchronously, in the order of its output. */
export interface ChildListener {
  readonly message: (message: FromNode) => void
  readonly log: (line: string) => void
  /** It is gone, and nothing more comes. Called once. */
  readonly gone: (failure: NodeFailure) => void
}

/** Time between two looks at the memory of a process, ms. */
const lookMs = 100
/** What a script runtime takes besides the script's own memory: Node 24 begins at 45 MB. */
const rssAllowanceKb = 96 * 1024
/** Lines of a process's standard error that are logged; the rest is counted. */
const errorLines = 200
/** What waits to be written to a process that does not read, in characters. */
const unreadChars = 4 * lineChars

const running = new Set<number>()
const killAll = () => {
  for (const pid of running) killGroup(pid, "SIGKILL")
}

/** The process and what it began. One that is gone already is no error. */
const killGroup = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-pid, signal)
  } catch {
    try {
      process.kill(pid, signal)
    } catch {
      // It is gone.
    }
  }
}

/** What is left of a process group whose leader is gone. */
const killLeft = (pid: number): void => {
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // Nothing is left.
  }
}

/**
 * One child process that speaks lines of JSON: how it begins, is listened to, watched and ended (RK-09).
 *
 * Guarantees: it is a process group of its own, and the whole group goes with it; `gone` is called exactly once, and
 * says why; a process that takes more memory than it may, or says something that is no message, is killed; none
 * outlives this process, unless this one is killed itself (then its standard input ends).
 */
export class ChildNode {
  readonly #child: ChildProcess
  readonly #listener: ChildListener
  readonly #memoryMb: number
  #why: string | undefined
  #gone = false
  #lines = 0
  #errors = 0
  #watch: NodeJS.Timeout | undefined
  readonly #whenGone: Array<() => void> = []

  constructor(options: ChildOptions, listener: ChildListener) {
    const [file, ...args] = options.command
    this.#listener = listener
    this.#memoryMb = options.memoryMb
    const { PATH = "" } = process.env
    this.#child = spawn(file, args, {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      ...(options.directory === undefined ? {} : { cwd: options.directory }),
      env: {
        PATH,
        // V8 ends a script that takes more; what is no script is watched below.
        NODE_OPTIONS: `--max-old-space-size=${options.memoryMb}`,
        ...options.environment
      }
    })
    const { pid, stderr, stdin, stdout } = this.#child
    if (pid !== undefined) {
      if (running.size === 0) process.on("exit", killAll)
      running.add(pid)
      this.#watch = setInterval(() => void this.#look(pid), lookMs)
      this.#watch.unref()
    }
    this.#child.on(
      "error",
      (error: NodeJS.ErrnoException) => this.#end(`it could not be started (${error.code ?? "error"})`)
    )
    // What it began and left behind goes too; then its output ends, and with it everything.
    this.#child.on("exit", () => {
      if (pid !== undefined) killLeft(pid)
    })
    this.#child.on(
      "close",
      (code, signal) =>
        this.#end(
          this.#why ?? (signal === null ? `the process ended with exit code ${code}` : `the process ended by ${signal}`)
        )
    )
    // A process that does not read any more says so when it ends.
    stdin?.on("error", () => {})
    if (stdout !== null) this.#readLines(stdout, (line) => this.#heard(line))
    if (stderr !== null) this.#readLines(stderr, (line) => this.#complained(line))
  }

  get isGone(): boolean {
    return this.#gone
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  tell(message: ToNode): void {
    const { stdin } = this.#child
    if (this.#gone || stdin === null || !stdin.writable) return
    if (stdin.writableLength > unreadChars) return this.kill("it does not read what it is told")
    stdin.write(writeLine(message))
  }

  /** Its output waits, and so does the process when it has much to say. */
  pause(): void {
    this.#child.stdout?.pause()
  }

  resume(): void {
    this.#child.stdout?.resume()
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#child.pid !== undefined && !this.#gone) killGroup(this.#child.pid, signal)
  }

  /** At once, and for this reason. */
  kill(why: string): void {
    this.#why ??= why
    this.signal("SIGKILL")
  }

  /** Asks it to end, by its standard input, then by SIGTERM, then kills it; waits until it is gone. */
  end(waitMs: { readonly bye: number; readonly term: number }): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.#gone) return resume(Effect.void)
      const timers: Array<NodeJS.Timeout> = []
      this.#whenGone.push(() => {
        for (const timer of timers) clearTimeout(timer)
        resume(Effect.void)
      })
      this.#why ??= "it was ended"
      this.resume()
      this.#child.stdin?.end(writeLine({ type: "bye" }))
      const { pid } = this.#child
      if (pid === undefined) return
      timers.push(
        setTimeout(() => killGroup(pid, "SIGTERM"), waitMs.bye),
        setTimeout(() => killGroup(pid, "SIGKILL"), waitMs.bye + waitMs.term)
      )
    })
  }

  #end(why: string): void {
    if (this.#gone) return
    this.#gone = true
    clearInterval(this.#watch)
    const { pid } = this.#child
    if (pid !== undefined) {
      running.delete(pid)
      if (running.size === 0) process.off("exit", killAll)
    }
    if (this.#errors > errorLines) this.#listener.log(`${this.#errors - errorLines} more lines were not logged`)
    this.#listener.gone(broken(why, true))
    for (const tell of this.#whenGone.splice(0)) tell()
  }

  #heard(line: string | undefined): void {
    if (this.#gone || this.#why !== undefined && line === undefined) return
    this.#lines += 1
    const message = line === undefined ? undefined : readLine(line)
    if (message === undefined) return this.kill(`line ${this.#lines} of its output is no message of the protocol`)
    this.#listener.message(message)
  }

  #complained(line: string | undefined): void {
    this.#errors += 1
    if (this.#errors <= errorLines) this.#listener.log(line === undefined ? "a very long line" : redacted(line))
  }

  /** Lines as they come; one that is too long comes as undefined, once. */
  #readLines(stream: NodeJS.ReadableStream, told: (line: string | undefined) => void): void {
    const decoder = new StringDecoder("utf8")
    let rest = ""
    let skipping = false
    stream.on("data", (bytes: Buffer) => {
      const lines = (rest + decoder.write(bytes)).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) {
        if (skipping) skipping = false
        else if (line.trim() !== "") told(line.length > lineChars ? undefined : line)
      }
      if (rest.length <= lineChars) return
      if (!skipping) told(undefined)
      skipping = true
      rest = ""
    })
    stream.on("error", () => {})
  }

  /** Where there is no /proc, only V8 watches. */
  async #look(pid: number): Promise<void> {
    try {
      const resident = /^VmRSS:\s+(\d+) kB$/mu.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]
      if (resident !== undefined && Number(resident) > this.#memoryMb * 1024 + rssAllowanceKb) {
        this.kill(`it took more than ${this.#memoryMb} MB of memory`)
      }
    } catch {
      // It is gone, or this is no Linux.
    }
  }
}
