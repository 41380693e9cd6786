import { Room, SimulateJobRequest, UpdateWorkerStatus, WorkerStatus } from "@livekit/protocol"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { Scope } from "effect"
import { AgentEndpoint } from "./AgentEndpoint.ts"
import type { AgentConnection } from "./AgentEndpoint.ts"
import type { AgentEndpointFailure } from "./AgentEndpointFailure.ts"
import type { Job, JobFailure, JobOffer } from "./Job.ts"
import { JobSlots } from "./JobSlots.ts"
import type { WorkerEvent } from "./WorkerEvent.ts"
import { makeWorkerJobs } from "./WorkerJobs.ts"
import { countEvent, showPlaces, showWorker } from "./WorkerMetrics.ts"

/** How a worker is at this moment. */
export interface WorkerState {
  /** The server has it in its list. */
  readonly registered: boolean
  readonly draining: boolean
  readonly running: number
  readonly reserved: number
  /** Reserved and running jobs, of those that may be: 0 to 1. */
  readonly load: number
}

export interface WorkerOptions {
  /** Jobs are dispatched to this name; empty: one job for each new room. */
  readonly agentName: string
  /** Of the program, for the server's log. */
  readonly version: string
  /** Address of the rooms, where the server names none. */
  readonly url: string
  /** How many jobs run at once, at most; at least 1. */
  readonly maxSessions: number
  /**
   * Runs a job: joins the room, and leaves it when the scope closes. It is interrupted when the server terminates the
   * job, or a drain is over.
   */
  readonly run: (job: Job) => Effect.Effect<void, JobFailure, Scope.Scope>
  /** Whom it joins as. Default: `agent-` and the job's id. One identity is in a room once. */
  readonly identity?: (offer: JobOffer) => string
  readonly watch?: (event: WorkerEvent) => void
  /** How long a place is kept for a job that was accepted and is not assigned, ms. Default 10000. */
  readonly assignedWithinMs?: number
  /** The load is reported so often, and at once when it changes, ms. Default 2500. */
  readonly reportMs?: number
  /** Whether its places and events are in the metrics of the process, which are of one worker. Default: yes. */
  readonly metered?: boolean
}

/** As long as livekit-server itself waits for the answer to an offer. */
const defaultAssignedWithinMs = 10_000

/** What LiveKit's own workers do. */
const defaultReportMs = 2_500

/**
 * A server hands out jobs only while the workers of an agent are below its `agents.target_load` (0.7 by default), whatever
 * their status: a worker at 0.8 that has places gets nothing. What it is told is therefore a part of this, so that every
 * place can be taken; the status says when there is none.
 */
const serverTargetLoad = 0.7

/** Between two attempts to reach the server, ms: at first, and at most. */
const backoffMs = { first: 250, most: 10_000 }

/** Faults of the settings: a worker that was never registered has them for good. */
const hopeless: ReadonlySet<string> = new Set(["unauthorized", "not_livekit"])

/**
 * Takes jobs from a LiveKit server.
 *
 * 1. A place is reserved before a job is accepted, and reserved and running jobs are never more than `maxSessions`.
 * 2. Every place is given back: when its job has ended and left its room, when the job is not assigned in time, or when
 *    the connection on which it was offered is gone.
 * 3. The server is told that a job has ended before the job's scope closes, that is before the room is left.
 * 4. Jobs go on while the server cannot be reached, and after the worker has registered anew. It tries without end, with
 *    delays that grow to 10 s; only a key pair or an address that was never good ends it.
 * 5. Once it drains, no job is accepted, and the server is told that the worker is full.
 */
export class Worker extends Context.Service<Worker, {
  readonly state: () => WorkerState
  /** Fails when the worker can never work; does not end otherwise. */
  readonly failure: Effect.Effect<never, AgentEndpointFailure>
  /**
   * Takes no more jobs, and lets those that run end until `until` does; those that still run then are interrupted. They
   * have left their rooms when this returns; the number of those that were interrupted.
   */
  readonly drain: (until: Effect.Effect<unknown>) => Effect.Effect<number>
  /**
   * Takes a place for a session that no job of this registration brought, for as long as the scope: it counts in the load.
   * False: there is no place.
   */
  readonly occupy: (session_id: string) => Effect.Effect<boolean, never, Scope.Scope>
  /** Asks the server to offer a job for this room to this worker, as a self-test; false: it is not registered. */
  readonly simulate: (room: string) => Effect.Effect<boolean>
}>()("rspp/Worker") {
  static readonly layer = (options: WorkerOptions): Layer.Layer<Worker, never, AgentEndpoint> =>
    Layer.effect(Worker, makeWorker(options))
}

const makeWorker = Effect.fnUntraced(function*(options: WorkerOptions) {
  const endpoint = yield* AgentEndpoint
  const slots = new JobSlots(options.maxSessions)
  const neverGood = yield* Deferred.make<never, AgentEndpointFailure>()
  const idle = yield* Latch.make(true)
  let connection: AgentConnection | undefined
  let draining = false
  let registrations = 0

  const { metered = true } = options
  /** Places that no job of this registration has. */
  const occupied = new Set<string>()
  const tell = (event: WorkerEvent) =>
    Effect.andThen(metered ? countEvent(event) : Effect.void, Effect.sync(() => options.watch?.(event)))

  const send: AgentConnection["send"] = (saying) =>
    Effect.suspend(() => connection === undefined ? Effect.succeed(false) : connection.send(saying))

  const report = Effect.suspend(() => {
    const { isFull, load, running } = slots
    const status = draining || isFull ? WorkerStatus.WS_FULL : WorkerStatus.WS_AVAILABLE
    return send({
      case: "updateWorker",
      value: new UpdateWorkerStatus({ status, load: load * serverTargetLoad, jobCount: running.size })
    })
  })

  const changed = Effect.suspend(() => {
    const { load, reserved, running, taken } = slots
    if (taken === 0) idle.openUnsafe()
    else idle.closeUnsafe()
    return Effect.andThen(report, metered ? showPlaces({ running: running.size, reserved, load }) : Effect.void)
  })

  if (metered) yield* showWorker
  // Made before the connection: they are interrupted while their end can still be told.
  const jobs = yield* makeWorkerJobs({
    slots,
    url: options.url,
    run: options.run,
    identity: options.identity ?? (({ job_id }) => `agent-${job_id}`),
    assignedWithinMs: options.assignedWithinMs ?? defaultAssignedWithinMs,
    draining: () => draining,
    send,
    changed,
    tell
  })

  /** One connection, until it breaks. */
  const serveOnce = Effect.gen(function*() {
    const opened = yield* endpoint.connect({
      agentName: options.agentName,
      version: options.version,
      running: [...slots.running].filter((id) => !occupied.has(id))
    })
    connection = opened
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        connection = undefined
        return jobs.connectionLost
      })
    )
    const again = registrations++ > 0
    yield* changed
    yield* tell({ event: "registered", worker_id: opened.workerId, server_version: opened.serverVersion, again })
    while (true) {
      for (const saying of yield* opened.next) yield* jobs.heard(saying)
    }
  }).pipe(Effect.scoped)

  const serve = Effect.gen(function*() {
    let attempt = 0
    while (true) {
      const before = registrations
      const failure = yield* Effect.flip(serveOnce)
      if (registrations === 0 && hopeless.has(failure.fault)) return yield* Deferred.fail(neverGood, failure)
      attempt = registrations > before ? 0 : attempt + 1
      yield* tell({ event: "disconnected", message: failure.message, running: slots.running.size })
      const waitMs = Math.min(backoffMs.most, backoffMs.first * 2 ** Math.min(attempt, 30))
      yield* Effect.sleep(waitMs * (0.5 + (yield* Random.next) / 2))
    }
  })

  yield* Effect.forkScoped(serve)
  yield* Effect.forkScoped(Effect.repeat(report, Schedule.spaced(options.reportMs ?? defaultReportMs)))
  yield* Effect.addFinalizer(() => jobs.cut)

  return Worker.of({
    state: () => {
      const { load, reserved, running } = slots
      return { registered: connection !== undefined, draining, running: running.size, reserved, load }
    },
    failure: Deferred.await(neverGood),
    occupy: (session_id) =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          const taken = slots.begin(session_id) === undefined
          if (taken) occupied.add(session_id)
          return Effect.as(taken ? changed : Effect.void, taken)
        }),
        (taken) =>
          taken ?
            Effect.suspend(() => {
              occupied.delete(session_id)
              slots.end(session_id)
              return changed
            }) :
            Effect.void
      ),
    drain: Effect.fnUntraced(function*(until) {
      draining = true
      yield* report
      yield* tell({ event: "draining", running: slots.running.size })
      yield* Effect.raceFirst(idle.await, until)
      return yield* jobs.cut
    }),
    simulate: (room) => send({ case: "simulateJob", value: new SimulateJobRequest({ room: new Room({ name: room }) }) })
  })
})
