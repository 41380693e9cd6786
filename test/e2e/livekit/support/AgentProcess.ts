import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { fileURLToPath } from "node:url"
import { join } from "node:path"
import type { Ended } from "../../../support/Program.ts"
import type { Seat } from "./CallerProcess.ts"

const program = fileURLToPath(new URL("../../../../packages/cli/bin/rspp.js", import.meta.url))

/** What `rspp room join --json` says of the call at its end, as far as tests look at it. */
export interface CallSummary {
  readonly session_id: string
  readonly conversation: ReadonlyArray<{ readonly at_ms: number; readonly who: "you" | "agent"; readonly text: string }>
  readonly accepted_turns: number
  readonly incomplete: ReadonlyArray<string>
  readonly utterances: number
}

/** The agent: the program as its users start it, in a process of its own. With `await using` it never outlives a test. */
export class AgentProcess {
  readonly ended: Promise<Ended>
  protected readonly child: ChildProcess

  protected constructor(cwd: string, args: ReadonlyArray<string>, environment: Readonly<Record<string, string>>) {
    const { HOME, PATH, TMPDIR } = process.env
    const child = spawn(process.execPath, [program, ...args], {
      cwd,
      env: { HOME, PATH, TMPDIR, ...environment },
      stdio: ["ignore", "pipe", "pipe"]
    })
    this.child = child
    let [stdout, stderr] = ["", ""]
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    this.ended = new Promise((resolve) => void child.on("close", (code) => resolve({ code, stdout, stderr })))
  }

  /** `rspp room join`, recording into `timeline` of `cwd`. */
  static join(
    cwd: string,
    { token, url }: Seat,
    timeline: string,
    environment: Readonly<Record<string, string>> = {}
  ): AgentProcess {
    return new AgentProcess(
      cwd,
      ["room", "join", "--url", url, "--timeline", join(cwd, timeline), "--json"],
      { LIVEKIT_TOKEN: token, ...environment }
    )
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  /** Waits for its end, which must be a good one; says what came of the call. */
  async summary(): Promise<CallSummary> {
    const { code, stderr, stdout } = await this.ended
    if (code !== 0) throw new Error(`the agent ended with ${code}:\n${stderr}\n${stdout}`)
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as CallSummary
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL")
    await this.ended
  }
}
