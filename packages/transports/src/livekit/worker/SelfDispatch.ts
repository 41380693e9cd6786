import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Scope } from "effect"
import { Dispatch, DispatchFailure } from "../Dispatch.ts"
import type { AgentEndpoint } from "./AgentEndpoint.ts"
import { JobFailure } from "./Job.ts"
import type { Job } from "./Job.ts"
import { Worker } from "./Worker.ts"
import type { WorkerEvent } from "./WorkerEvent.ts"

export interface SelfDispatchOptions {
  /** Unlike any other process's: the server dispatches to it by this name. */
  readonly name: string
  /** Of the program, for the server's log. */
  readonly version: string
  /** Address of the rooms, where the server names none. */
  readonly url: string
  readonly maxSessions: number
  readonly watch?: (event: WorkerEvent) => void
  /** How long the server may take to assign the job, ms. Default {@link defaultAssignedWithinMs}. */
  readonly assignedWithinMs?: number
}

/** A server on the same network assigns within a tenth of a second. */
export const defaultAssignedWithinMs = 3_000

const notAssigned = (room: string, withinMs: number) =>
  new DispatchFailure({
    fault: "timeout",
    message: `the server assigned no job for the room ${room} within ${withinMs} ms`,
    hint: "Look whether this worker is registered with it."
  })

/** Somebody who waits to be sent to a room. */
interface Waiting {
  readonly identity: string
  readonly begin: (job: Job) => Effect.Effect<void, JobFailure, Scope.Scope>
}

/**
 * Sends this very process to a room that is there already, as a job of the LiveKit server: how a session is taken over.
 *
 * It registers with the server a second time, under a name that is its own, and dispatches to that name: so it is this
 * process that comes, and the server knows of the job as of any other.
 */
export class SelfDispatch extends Context.Service<SelfDispatch, {
  /**
   * Removes whoever is in the room under `identity`, joins under it, and runs `session` as the job; ends when that
   * has ended. Fails with a `DispatchFailure` when the server does not assign the job in time: then nothing has begun.
   */
  readonly to: (
    place: { readonly room: string; readonly identity: string },
    session: (job: Job) => Effect.Effect<void, JobFailure, Scope.Scope>
  ) => Effect.Effect<void, DispatchFailure | JobFailure>
  /** As that of {@link Worker}. */
  readonly drain: Worker["Service"]["drain"]
}>()("rspp/SelfDispatch") {
  static readonly layer = (
    options: SelfDispatchOptions
  ): Layer.Layer<SelfDispatch, never, AgentEndpoint | Dispatch> => Layer.effect(SelfDispatch, make(options))
}

const make = Effect.fnUntraced(function*(options: SelfDispatchOptions) {
  const { assignedWithinMs = defaultAssignedWithinMs, maxSessions, name, url, version, watch } = options
  const dispatch = yield* Dispatch
  const waiting = new Map<string, Waiting>()
  const worker = Context.get(
    yield* Layer.build(Worker.layer({
      agentName: name,
      version,
      url,
      maxSessions,
      metered: false,
      identity: ({ job_id, metadata }) => waiting.get(metadata)?.identity ?? `agent-${job_id}`,
      run: (job) =>
        waiting.get(job.metadata)?.begin(job) ??
          Effect.fail(new JobFailure({ message: "nobody waits for this job any more" })),
      ...(watch === undefined ? {} : { watch })
    })),
    Worker
  )
  let sent = 0
  return SelfDispatch.of({
    drain: worker.drain,
    to: Effect.fn("SelfDispatch.to")(function*({ identity, room }, session) {
      const key = `${name}/${++sent}`
      const begun = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void, JobFailure>()
      const begin = (job: Job) =>
        Effect.andThen(Deferred.succeed(begun, undefined), session(job)).pipe(
          Effect.onExit((exit) => Deferred.done(ended, exit))
        )
      yield* Effect.acquireRelease(
        Effect.sync(() => waiting.set(key, { identity, begin })),
        () => Effect.sync(() => waiting.delete(key))
      )
      yield* dispatch.vacate({ room, identity })
      const created = yield* dispatch.create({ room, agentName: name, metadata: key })
      const assigned = yield* Effect.timeoutOption(Deferred.await(begun), assignedWithinMs)
      if (assigned._tag === "None") {
        // It may still be on its way: nobody waits for it then.
        waiting.delete(key)
        yield* Effect.ignore(dispatch.remove({ room, dispatch_id: created.dispatch_id }))
        if (!(yield* Deferred.isDone(begun))) return yield* notAssigned(room, assignedWithinMs)
      }
      return yield* Deferred.await(ended)
    }, Effect.scoped)
  })
})
