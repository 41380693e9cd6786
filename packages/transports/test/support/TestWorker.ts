import * as NodeWS from "@effect/platform-node/NodeWS"
import { AccessTokens } from "@rspp/transports/livekit/AccessTokens"
import { AgentEndpoint } from "@rspp/transports/livekit/worker/AgentEndpoint"
import type { AgentEndpointTimes } from "@rspp/transports/livekit/worker/AgentEndpoint"
import type { Job, JobFailure } from "@rspp/transports/livekit/worker/Job"
import { Worker } from "@rspp/transports/livekit/worker/Worker"
import type { WorkerOptions } from "@rspp/transports/livekit/worker/Worker"
import type { WorkerEvent } from "@rspp/transports/livekit/worker/WorkerEvent"
import { Context, Deferred, Effect, Exit, Layer, Redacted, Scope } from "effect"

/** Where a worker of a test registers. */
export interface Place {
  readonly url: string
  readonly apiKey: string
  readonly apiSecret: string
}

/** A worker whose jobs end when the test says so. */
export interface TestWorker {
  readonly service: Worker["Service"]
  readonly events: ReadonlyArray<WorkerEvent>
  /** Jobs that have begun, in order. */
  readonly jobs: ReadonlyArray<Job>
  /** What was seen of a job after its end: the order of its last moments. */
  readonly closed: ReadonlyArray<string>
  /** Ends a job. */
  readonly end: (jobId: string, exit?: Exit.Exit<void, JobFailure>) => void
  /** Waits until this many events of the kind were told; gives them. */
  readonly told: <E extends WorkerEvent["event"]>(
    event: E,
    count?: number
  ) => Promise<ReadonlyArray<Extract<WorkerEvent, { readonly event: E }>>>
  readonly stop: () => Promise<void>
}

export interface TestWorkerOptions extends Partial<Omit<WorkerOptions, "watch">> {
  readonly times?: AgentEndpointTimes
}

/** Waits for a fact; the test's own timeout is the only bound. */
export const until = async <A>(look: () => A | undefined | false | Promise<A | undefined | false>): Promise<A> => {
  while (true) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export const startWorker = async (
  { apiKey, apiSecret, url }: Place,
  { times, ...options }: TestWorkerOptions = {}
): Promise<TestWorker> => {
  const events: Array<WorkerEvent> = []
  const jobs: Array<Job> = []
  const closed: Array<string> = []
  const ends = new Map<string, Deferred.Deferred<void, JobFailure>>()
  const run = (job: Job) =>
    Effect.gen(function*() {
      const end = Deferred.makeUnsafe<void, JobFailure>()
      ends.set(job.job_id, end)
      jobs.push(job)
      yield* Effect.addFinalizer(() => Effect.sync(() => void closed.push(job.job_id)))
      yield* Deferred.await(end)
    })
  const scope = Effect.runSync(Scope.make())
  const layer = Worker.layer({
    agentName: "",
    version: "test",
    url,
    maxSessions: 4,
    run,
    ...options,
    watch: (event) => void events.push(event)
  }).pipe(
    Layer.provide(AgentEndpoint.layer({ url, ...(times === undefined ? {} : { times }) })),
    Layer.provide(AccessTokens.layer({ apiKey, apiSecret: Redacted.make(apiSecret) })),
    Layer.provide(NodeWS.layerWebSocketConstructor)
  )
  const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
  const isOf =
    <E extends WorkerEvent["event"]>(event: E) =>
    (one: WorkerEvent): one is Extract<WorkerEvent, { readonly event: E }> => one.event === event
  return {
    service: Context.get(context, Worker),
    events,
    jobs,
    closed,
    end: (jobId, exit = Exit.void) => {
      const end = ends.get(jobId)
      if (end === undefined) throw new Error(`job ${jobId} has not begun`)
      Deferred.doneUnsafe(end, exit)
    },
    told: (event, count = 1) =>
      until(() => {
        const found = events.filter(isOf(event))
        return found.length >= count && found
      }),
    stop: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
