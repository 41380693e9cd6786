import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Scope } from "effect"
import { fork } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { SeedAnswers, SeedJob } from "./SeedJob.ts"

/** A job has no answer: its seed did not end in time, or took its process with it. */
export class SeedLost extends Schema.TaggedError<SeedLost>()("SeedLost", { message: Schema.String }) {}

/** No process can be started that runs seeds. */
export class SeedProcessUnavailable extends Schema.TaggedError<SeedProcessUnavailable>()("SeedProcessUnavailable", {
  message: Schema.String
}) {}

export interface SeedProcessOptions {
  /** The `node` program that runs it; this process's own by default. */
  readonly node?: string
  /** How long a job may take, in ms; its process is killed then. */
  readonly limitMs: number
}

/** A process that does one job at a time. */
export interface SeedProcess {
  /**
   * Does a job; `print` gets what the job prints, in pieces. A process that dies, or is killed because the job takes too
   * long, is replaced at the next job.
   */
  readonly ask: <J extends SeedJob>(
    job: J,
    print?: (text: string) => void
  ) => Effect.Effect<SeedAnswers[J["job"]], SeedLost | SeedProcessUnavailable>
  /** Version of its Node, once it has started. */
  readonly version: () => string | undefined
}

/** What a job prints ends with this character. */
export const endOfPrint = "\u0004"

/** A start may take this long, on a machine that is busy, in ms. */
const startMs = 60_000

/** Characters of what it says on standard error that are kept: the end has the reason. */
const keptErrors = 3000

interface Running {
  readonly child: ChildProcess
  ready: boolean
  errors: string
}

/** A process for seeds. It is started at the first job, and killed when the scope closes or a job is interrupted. */
export const seedProcess = (options: SeedProcessOptions): Effect.Effect<SeedProcess, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(Effect.sync(() => new Host(options)), (host) => Effect.sync(() => host.kill())),
    (host): SeedProcess => ({ ask: (job, print) => host.ask(job, print), version: () => host.version })
  )

class Host {
  version: string | undefined
  #running: Running | undefined
  readonly #options: SeedProcessOptions

  constructor(options: SeedProcessOptions) {
    this.#options = options
  }

  kill(): void {
    // It may be in a loop that never ends, and would not hear anything milder.
    this.#running?.child.kill("SIGKILL")
    this.#running = undefined
  }

  ask<J extends SeedJob>(
    job: J,
    print: (text: string) => void = () => {}
  ): Effect.Effect<SeedAnswers[J["job"]], SeedLost | SeedProcessUnavailable> {
    return Effect.callback((resume) => {
      const running = this.#start()
      const { child } = running
      const { limitMs } = this.#options
      let late: string | undefined
      let answered: { readonly answer?: unknown; readonly error?: string } | undefined
      let printed = !("trace" in job && (job.trace ?? false))
      const tooLong = () => {
        late = running.ready ? `did not end within ${limitMs / 1000} s` : `did not start within ${startMs / 1000} s`
        this.kill()
      }
      let timer = setTimeout(tooLong, running.ready ? limitMs : startMs)
      const done = () => {
        clearTimeout(timer)
        child.off("message", heard).off("close", closed).off("error", failed)
        child.stdout?.off("data", shown)
      }
      const lost = (message: string) => {
        done()
        resume(Effect.fail(new SeedLost({ message })))
      }
      const unavailable = (message: string) => {
        done()
        resume(Effect.fail(new SeedProcessUnavailable({ message: `${this.#node} cannot run seeds: ${message}` })))
      }
      // What it prints and what it answers come on two ways, in any order.
      const settle = () => {
        if (answered === undefined || !printed) return
        if (answered.error !== undefined) return lost(`failed: ${answered.error}`)
        done()
        resume(Effect.succeed(answered.answer as SeedAnswers[J["job"]]))
      }
      const shown = (text: string) => {
        printed ||= text.endsWith(endOfPrint)
        const visible = text.replaceAll(endOfPrint, "")
        if (visible !== "") print(visible)
        settle()
      }
      const heard = (message: { readonly ready?: string; readonly answer?: unknown; readonly error?: string }) => {
        if (message.ready === undefined) {
          answered = message
          printed ||= message.error !== undefined
          return settle()
        }
        running.ready = true
        this.version = message.ready
        clearTimeout(timer)
        timer = setTimeout(tooLong, limitMs)
        child.send(job)
      }
      const closed = (code: number | null, signal: string | null) => {
        if (this.#running === running) this.#running = undefined
        const how = late ?? `its process ended with ${signal ?? `exit code ${code}`}`
        const old = running.errors.includes("ERR_UNKNOWN_FILE_EXTENSION")
        const why = old ? "it does not run TypeScript; Node 22.19 or newer does" : running.errors.trim()
        const message = why === "" ? how : `${how}: ${why}`
        if (running.ready) lost(message)
        else unavailable(message)
      }
      const failed = (error: Error) => {
        this.#running = undefined
        unavailable(error.message)
      }
      child.on("message", heard).on("close", closed).on("error", failed)
      child.stdout?.on("data", shown)
      if (running.ready) child.send(job)
      return Effect.sync(() => {
        done()
        this.kill()
      })
    })
  }

  get #node(): string {
    return this.#options.node ?? process.execPath
  }

  #start(): Running {
    if (this.#running !== undefined) return this.#running
    const child = fork(fileURLToPath(new URL("./seed.worker.ts", import.meta.url)), {
      execPath: this.#node,
      execArgv: [],
      stdio: ["ignore", "pipe", "pipe", "ipc"]
    })
    const running: Running = { child, ready: false, errors: "" }
    // An error that nobody listens to would end this process too.
    child.on("error", () => {})
    child.stdout?.setEncoding("utf8").resume()
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      running.errors = `${running.errors}${text}`.slice(-keptErrors)
    })
    this.#running = running
    return running
  }
}
