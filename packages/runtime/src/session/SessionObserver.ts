import type { InputRecord, TimelineHeader } from "@rspp/contracts/Timeline"
import * as Context from "effect/Context"
import type { LaneQueue } from "../events/LaneRouter.ts"
import type { KernelOutput } from "../kernel/KernelContext.ts"

/**
 * Watches a live session: what goes in and what comes out, as it is recorded. For live views and traces.
 *
 * Calls are synchronous, in the order of `runtime_sequence`, and must not throw. `text` reads the words behind a handle
 * while the session still remembers them; what is done with them is the observer's responsibility. `queues` are the session's
 * lanes, to be asked for their depth at any time until `closed`; a session that is not live has none.
 */
export interface SessionObserver {
  readonly opened?: (
    header: TimelineHeader,
    text: (handleId: string) => string | undefined,
    queues?: ReadonlyArray<LaneQueue>
  ) => void
  /** A frame of the caller that was applied, once for each: nothing that allocates belongs here. */
  readonly audio?: (sampleIndex: number, samples: number, nowMs: number) => void
  readonly input?: (record: InputRecord) => void
  readonly outputs?: (outputs: ReadonlyArray<KernelOutput>) => void
  readonly closed?: () => void
}

/** The observers of the sessions that start under it; none by default. */
export const SessionObservers = Context.Reference<ReadonlyArray<SessionObserver>>("rspp/SessionObservers", {
  defaultValue: () => []
})
