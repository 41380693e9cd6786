import * as Context from "effect/Context"
import type { Effect } from "effect"
import type { CallerStep } from "../internal/Caller.ts"
import type { AgentRun } from "./AgentDevice.ts"

/** What happened in a loopback call. All positions are samples (16 kHz) of session time, as in the stereo file. */
export interface CallReport {
  readonly session_id: string
  /** 20 ms frames of caller audio that were delivered, and how many of them the session refused. */
  readonly frames: number
  readonly lost_frames: number
  /** Length of both tracks. */
  readonly samples: number
  /** What the user should know: waiting in vain, a call that reached its bound. */
  readonly notices: ReadonlyArray<string>
  /** When the steps of the script were said, `[start, end)`. */
  readonly caller: ReadonlyArray<CallerStep>
  /** When the agent was heard. */
  readonly agent: ReadonlyArray<AgentRun>
}

/** The report of the call that a loopback transport plays; undefined before it is opened. Readable at any time. */
export class CallReports extends Context.Service<CallReports, {
  readonly report: Effect.Effect<CallReport | undefined>
}>()("rspp/transports/CallReports") {}
