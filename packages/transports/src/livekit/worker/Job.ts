import * as Schema from "effect/Schema"
import type { Effect, Exit, Redacted } from "effect"

/** A job cannot go on. `message` is shown to the operators of the LiveKit server; secrets are taken out of it. */
export class JobFailure extends Schema.TaggedError<JobFailure>()("JobFailure", { message: Schema.String }) {}

/** How long a job that the server has ended may take to end by itself, ms. */
export const terminationMs = 2_000

/** What a server offers: a room, and what is known of it. */
export interface JobOffer {
  readonly job_id: string
  readonly room: string
  /** The dispatch that it comes from; empty for one that is automatic or simulated. */
  readonly dispatch_id: string
  readonly agent_name: string
  /** As it was given with the dispatch. */
  readonly metadata: string
  /** The server says that the job ran elsewhere before. */
  readonly resuming: boolean
}

/** A job that was assigned to this worker. */
export interface Job extends JobOffer {
  /** Where the room is. */
  readonly url: string
  /** Joins the room under `identity`, as an agent. */
  readonly token: Redacted.Redacted<string>
  readonly identity: string
  /**
   * Done when the server has ended the job: its room or its dispatch was deleted, or another agent took its place. A job
   * that does not end by itself then is interrupted after {@link terminationMs}.
   */
  readonly terminated: Effect.Effect<void>
  /**
   * Tells the server how the job has ended. It is told by itself when the job's effect ends, before the job's scope is
   * closed; a job that leaves the room within its effect calls this first, as livekit-server takes an agent that leaves
   * without having said so for failed. Only the first call counts.
   */
  readonly leaving: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}
