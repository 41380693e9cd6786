import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { Session } from "@rspp/runtime/session/Session"
import type { SessionError, SessionSummary } from "@rspp/runtime/session/Session"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import type { CallReport } from "@rspp/transports/loopback/CallReport"
import { CallReports } from "@rspp/transports/loopback/CallReport"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { Context, Effect, Layer } from "effect"
import { localTenant } from "./ControlPlaneFeed.ts"
import { randomBytes } from "node:crypto"

export interface LocalCall {
  readonly session_id: string
  /** Whose it is; by default the user's own. */
  readonly tenant_id?: string
  readonly pipeline: NormalizedPipeline
  /** `real`: as long as the call takes. `max`: on virtual time, which waits for work and for nothing else. */
  readonly speed: "real" | "max"
  readonly seed: number
  /** Goes on with what is kept of the session. */
  readonly resume?: boolean
  /** Watch the session live: the view, the traces. */
  readonly observers: ReadonlyArray<SessionObserver>
}

/** How a call went. */
export interface LocalCallResult extends SessionSummary {
  readonly report: CallReport | undefined
}

/**
 * Local runner (DX-01): plays one call on this machine, in real or virtual time, and ends when the call has ended.
 *
 * It guarantees what the session guarantees, interruption included: files are closed and evidence is complete.
 */
export class LocalRunner extends Context.Service<LocalRunner, {
  readonly run: (call: LocalCall) => Effect.Effect<LocalCallResult, SessionError | VirtualTime.VirtualTimeStall>
}>()("rspp/LocalRunner") {
  static readonly layerNoDeps = Layer.effect(
    LocalRunner,
    Effect.gen(function*() {
      const session = yield* Session
      const reports = yield* CallReports
      return LocalRunner.of({
        run: ({ observers, pipeline, resume = false, seed, session_id, speed, tenant_id = localTenant }) => {
          const run = session.run({
            session_id,
            tenant_id,
            pipeline,
            seed,
            // Not kept: two recordings cannot be compared by the hashes of what was said.
            payloadKey: randomBytes(32).toString("hex"),
            clock: speed === "max" ? "virtual" : "realtime",
            resume
          }).pipe(Effect.provideService(SessionObservers, observers))
          const timed = speed === "max" ? VirtualTime.run(run, { startMillis: Date.now() }) : run
          return Effect.flatMap(
            timed,
            (summary) => Effect.map(reports.report, (report): LocalCallResult => ({ ...summary, report }))
          )
        }
      })
    })
  )
}
