import { readdirSync } from "node:fs"
import { join } from "node:path"
import { Facts } from "./Facts.ts"
import type { Lobby } from "./Lobby.ts"
import { ProgramProcess } from "./ProgramProcess.ts"

/** What `rspp worker --json` tells, as far as tests look at it. */
export interface WorkerEvent {
  readonly event: string
  readonly room?: string
  readonly job_id?: string
  readonly session_id?: string
  readonly accepted_turns?: number
  readonly url?: string
}

export interface WorkerSettings {
  /** Empty: it gets a job for each new room. */
  readonly agentName?: string
  readonly more?: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
}

/** `rspp worker`, with a directory of its own for timelines. */
export class WorkerProcess extends ProgramProcess {
  readonly facts: Facts<WorkerEvent>
  readonly timelines: string

  private constructor(
    cwd: string,
    timelines: string,
    args: ReadonlyArray<string>,
    environment: Readonly<Record<string, string>>
  ) {
    super(cwd, args, environment)
    this.timelines = timelines
    const facts = this.facts = new Facts<WorkerEvent>("the worker")
    facts.readLines(this.child.stdout)
    void this.ended.then(({ code, stderr }) => facts.end(`it ended with ${code}: ${stderr}`))
  }

  /** A worker that the server knows. `name` is unique among the workers of a test file. */
  static async start(cwd: string, lobby: Lobby, name: string, settings: WorkerSettings = {}): Promise<WorkerProcess> {
    const { apiKey, apiSecret, url } = lobby.server
    const { agentName = "", environment = {}, more = [] } = settings
    const worker = new WorkerProcess(
      cwd,
      name,
      [
        "worker",
        ...["--url", url, "--timelines", name, "--json"],
        ...(agentName === "" ? [] : ["--agent-name", agentName]),
        ...more
      ],
      { LIVEKIT_API_KEY: apiKey, LIVEKIT_API_SECRET: apiSecret, ...environment }
    )
    try {
      await worker.next("registered")
    } catch (error) {
      await worker[Symbol.asyncDispose]()
      throw error
    }
    return worker
  }

  next(event: string, which: (event: WorkerEvent) => boolean = () => true, from = 0): Promise<WorkerEvent> {
    return this.facts.next(event, (fact) => fact.event === event && which(fact), { from })
  }

  /** The timelines that it has written, as paths from `cwd`. */
  recordings(cwd: string): ReadonlyArray<string> {
    return readdirSync(join(cwd, this.timelines)).sort().map((file) => join(this.timelines, file))
  }
}
