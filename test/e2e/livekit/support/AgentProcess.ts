import { join } from "node:path"
import type { Ended } from "../../../support/Program.ts"
import type { Seat } from "./CallerProcess.ts"
import { ProgramProcess } from "./ProgramProcess.ts"

/** What `rspp room join --json` says of the call at its end, as far as tests look at it. */
export interface CallSummary {
  readonly session_id: string
  readonly conversation: ReadonlyArray<{ readonly at_ms: number; readonly who: "you" | "agent"; readonly text: string }>
  readonly accepted_turns: number
  readonly incomplete: ReadonlyArray<string>
  readonly utterances: number
}

/** `rspp room join`: the agent of one room. */
export class AgentProcess extends ProgramProcess {
  /** In the room of the seat, recording into `timeline` of `cwd`. */
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

  /** Waits for its end, which must be a good one; says what came of the call. */
  async summary(): Promise<CallSummary> {
    const { stdout } = await this.good()
    // All of it: a machine reads it, and nothing else may be there.
    return JSON.parse(stdout) as CallSummary
  }

  /** Waits for its end, which must be a good one. */
  async good(): Promise<Ended> {
    const ended = await this.ended
    if (ended.code !== 0) throw new Error(`the agent ended with ${ended.code}:\n${ended.stderr}\n${ended.stdout}`)
    return ended
  }
}
