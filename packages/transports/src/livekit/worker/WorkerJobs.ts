import { AvailabilityResponse, JobStatus, UpdateJobStatus } from "@livekit/protocol"
import type { AvailabilityRequest, JobAssignment } from "@livekit/protocol"
import { scrubSecrets } from "@rspp/contracts/Secrets"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberMap from "effect/FiberMap"
import * as Redacted from "effect/Redacted"
import type { Scope } from "effect"
import type { ServerSaying, WorkerSaying } from "./AgentEndpoint.ts"
import { terminationMs } from "./Job.ts"
import type { Job, JobFailure, JobOffer } from "./Job.ts"
import type { JobSlots, Refusal } from "./JobSlots.ts"
import type { WorkerEvent } from "./WorkerEvent.ts"

/** What the jobs of a worker need of it. */
export interface WorkerJobsOptions {
  readonly slots: JobSlots
  /** Address of the rooms, where the server names none. */
  readonly url: string
  readonly run: (job: Job) => Effect.Effect<void, JobFailure, Scope.Scope>
  readonly identity: (offer: JobOffer) => string
  readonly assignedWithinMs: number
  /** No job is accepted any more. */
  readonly draining: () => boolean
  /** To the server, if there is a connection. */
  readonly send: (saying: WorkerSaying) => Effect.Effect<unknown>
  /** The places that are taken are others than before. */
  readonly changed: Effect.Effect<void>
  readonly tell: (event: WorkerEvent) => Effect.Effect<void>
}

/** The jobs of a worker: offered, assigned, running, ended. They live as long as the scope. */
export interface WorkerJobs {
  /** What the server said about a job. Never waits for a job. */
  readonly heard: (saying: ServerSaying) => Effect.Effect<void>
  /** The connection is gone: what was offered on it is no longer ours, what runs goes on. */
  readonly connectionLost: Effect.Effect<void>
  /** Interrupts all jobs; they have left their rooms when this returns. The number of those that ran. */
  readonly cut: Effect.Effect<number>
}

/** Characters of an error text that a server is told. */
const longestError = 500

const lateText = (reason: Refusal) => `the worker is ${reason}, and the assignment came too late`
const cutText = "the worker stopped before the job had ended"

const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return scrubSecrets(error instanceof Error ? error.message : String(error)).slice(0, longestError)
}

export const makeWorkerJobs = Effect.fnUntraced(function*(options: WorkerJobsOptions) {
  const { changed, send, slots, tell } = options
  const scope = yield* Effect.scope
  /** Reservations that wait for their assignment. */
  const waiting = yield* FiberMap.make<string>()
  const running = yield* FiberMap.make<string>()
  const offers = new Map<string, JobOffer>()
  /** Jobs that run, each with what is done when the server has ended it. */
  const terminations = new Map<string, Deferred.Deferred<void>>()

  const tellStatus = (jobId: string, status: JobStatus, error = "") =>
    Effect.asVoid(send({ case: "updateJob", value: new UpdateJobStatus({ jobId, status, error }) }))

  const answer = (jobId: string, identity: string | undefined) =>
    send({
      case: "availability",
      value: new AvailabilityResponse({
        jobId,
        available: identity !== undefined,
        participantIdentity: identity ?? ""
      })
    })

  const unassigned = Effect.fnUntraced(function*(job_id: string) {
    if (!slots.unreserve(job_id)) return
    const room = offers.get(job_id)?.room ?? ""
    offers.delete(job_id)
    yield* changed
    yield* tell({ event: "unassigned", job_id, room })
  })

  const offered = Effect.fnUntraced(function*({ job, resuming }: AvailabilityRequest) {
    if (job === undefined) return
    const offer: JobOffer = {
      job_id: job.id,
      room: job.room?.name ?? "",
      dispatch_id: job.dispatchId,
      agent_name: job.agentName,
      metadata: job.metadata,
      resuming
    }
    const { job_id, room } = offer
    const reason = options.draining() ? "draining" : slots.reserve(job_id)
    if (reason !== undefined) {
      yield* answer(job_id, undefined)
      return yield* tell({ event: "refused", job_id, room, reason })
    }
    offers.set(job_id, offer)
    yield* FiberMap.run(waiting, job_id, Effect.delay(unassigned(job_id), options.assignedWithinMs))
    // The server knows that the place is taken before it goes on with this job, or asks for another.
    yield* changed
    yield* answer(job_id, options.identity(offer))
    yield* tell({ event: "accepted", job_id, room })
  })

  const runJob = (job: Omit<Job, "leaving" | "terminated">) => {
    const { job_id, room } = job
    const termination = Deferred.makeUnsafe<void>()
    terminations.set(job_id, termination)
    const isTerminated = () => Deferred.isDoneUnsafe(termination)
    let told = false
    const leaving = (exit: Exit.Exit<unknown, unknown>) =>
      Effect.suspend(() => {
        if (told) return Effect.void
        told = true
        // The server has written down the end of a job that it terminated.
        if (isTerminated()) return Effect.void
        if (Exit.isSuccess(exit)) return tellStatus(job_id, JobStatus.JS_SUCCESS)
        if (!Cause.hasInterruptsOnly(exit.cause)) return tellStatus(job_id, JobStatus.JS_FAILED, messageOf(exit.cause))
        return tellStatus(job_id, JobStatus.JS_FAILED, cutText)
      })
    const eventOf = (exit: Exit.Exit<void, JobFailure>): WorkerEvent => {
      if (isTerminated()) return { event: "terminated", job_id, room }
      if (Exit.isSuccess(exit)) return { event: "succeeded", job_id, room }
      if (!Cause.hasInterruptsOnly(exit.cause)) return { event: "failed", job_id, room, message: messageOf(exit.cause) }
      return { event: "cut", job_id, room }
    }
    return tellStatus(job_id, JobStatus.JS_RUNNING).pipe(
      Effect.andThen(changed),
      Effect.andThen(tell({ event: "started", job_id, room })),
      Effect.andThen(
        Effect.scoped(Effect.onExit(options.run({ ...job, leaving, terminated: Deferred.await(termination) }), leaving))
      ),
      Effect.onExit((exit) => {
        const event = eventOf(exit)
        terminations.delete(job_id)
        slots.end(job_id)
        return Effect.andThen(changed, tell(event))
      }),
      Effect.exit
    )
  }

  const assigned = Effect.fnUntraced(function*({ job, token, url }: JobAssignment) {
    if (job === undefined) return
    const job_id = job.id
    const room = job.room?.name ?? ""
    const reason = options.draining() && !slots.hasReserved(job_id) ? "draining" : slots.begin(job_id)
    if (reason === "known") return
    yield* FiberMap.remove(waiting, job_id)
    const { resuming = false } = offers.get(job_id) ?? {}
    offers.delete(job_id)
    if (reason !== undefined) {
      yield* tellStatus(job_id, JobStatus.JS_FAILED, lateText(reason))
      return yield* tell({ event: "refused", job_id, room, reason })
    }
    // It begins within this call: what ends it is then sure to run.
    yield* FiberMap.run(
      running,
      job_id,
      runJob({
        job_id,
        room,
        dispatch_id: job.dispatchId,
        agent_name: job.agentName,
        metadata: job.metadata,
        resuming,
        url: url === undefined || url === "" ? options.url : url,
        token: Redacted.make(token),
        identity: job.state?.participantIdentity ?? ""
      })
    )
  })

  const terminate = Effect.fnUntraced(function*(job_id: string) {
    if (!slots.running.has(job_id)) {
      yield* FiberMap.remove(waiting, job_id)
      return yield* unassigned(job_id)
    }
    const termination = terminations.get(job_id)
    if (termination !== undefined) yield* Deferred.succeed(termination, undefined)
    // What the job has to close may take its time; the connection goes on meanwhile.
    yield* Effect.forkIn(Effect.delay(FiberMap.remove(running, job_id), terminationMs), scope)
  })

  const jobs: WorkerJobs = {
    heard: (saying) => {
      switch (saying.case) {
        case "availability":
          return offered(saying.value)
        case "assignment":
          return assigned(saying.value)
        case "termination":
          return terminate(saying.value.jobId)
      }
    },
    connectionLost: Effect.suspend(() => {
      slots.unreserveAll()
      offers.clear()
      return Effect.andThen(FiberMap.clear(waiting), changed)
    }),
    cut: Effect.suspend(() => {
      const { size } = slots.running
      return Effect.as(FiberMap.clear(running), size)
    })
  }
  return jobs
})
