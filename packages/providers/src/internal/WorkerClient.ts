import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Scope } from "effect"
import { Worker } from "node:worker_threads"
import type { Transferable } from "node:worker_threads"
import type { WorkerReply, WorkerRequest } from "./WorkerServer.ts"

/** A worker thread died or could not do a request. `message` is one sentence; `died` says that the thread is gone. */
export class WorkerFailure extends Schema.TaggedError<WorkerFailure>()("WorkerFailure", {
  message: Schema.String,
  died: Schema.Boolean
}) {}

/**
 * One worker thread and the requests in flight to it.
 *
 * Guarantees:
 * 1. Each `call` ends exactly once: with its reply, with a {@link WorkerFailure}, or by interruption (a late reply is
 *    then ignored). When the thread dies, everything in flight fails with `died: true`.
 * 2. The next call after a death starts a new thread; `generation` counts the threads, so that a holder of state inside
 *    the thread sees that it is lost.
 * 3. The thread ends with the scope, after what it is at, and keeps the process alive only while a call is in flight.
 *
 * A request is sent, synchronously, when the call's fiber starts to run.
 */
export interface WorkerClient<Request, Reply> {
  readonly call: (request: Request, transfer?: ReadonlyArray<Transferable>) => Effect.Effect<Reply, WorkerFailure>
  /** Sends a request whose reply nobody needs. Does nothing when no thread runs. */
  readonly tell: (request: Request) => void
  readonly generation: () => number
}

/**
 * Longest wait for a thread to finish what it is at before it is stopped, ms; loading a model is the longest, and takes a
 * second or two. Native code that is stopped in the middle takes the whole process with it, open files included.
 */
const closeWaitMs = 10_000

/** Starts nothing yet: the first call does. `name` shows in messages and in the thread list. */
export const make = Effect.fnUntraced(function*<Request, Reply>(options: {
  readonly name: string
  readonly url: URL
  readonly workerData?: unknown
}) {
  type Resume = (result: Effect.Effect<Reply, WorkerFailure>) => void
  const pending = new Map<number, Resume>()
  let worker: Worker | undefined
  /** Requests that the thread has not answered, whether or not somebody still waits for the answer. */
  let unanswered = 0
  let idle: () => void = () => {}
  let nextId = 0
  let generation = 0
  let closed = false

  const settle = (id: number, result: Effect.Effect<Reply, WorkerFailure>) => {
    const resume = pending.get(id)
    pending.delete(id)
    if (pending.size === 0) worker?.unref()
    resume?.(result)
  }

  const spawn = (): Worker => {
    const started = new Worker(options.url, {
      name: options.name,
      workerData: options.workerData,
      // Flags of the parent (a test runner's loaders, --input-type) do not concern the worker.
      execArgv: []
    })
    const died = (reason: string) => {
      if (worker !== started) return
      worker = undefined
      unanswered = 0
      idle()
      const failure = new WorkerFailure({ message: `The ${options.name} worker ended: ${reason}`, died: true })
      for (const id of [...pending.keys()]) settle(id, Effect.fail(failure))
    }
    started.on("message", (reply: WorkerReply<Reply>) => {
      if (worker === started && --unanswered === 0) idle()
      settle(
        reply.id,
        "value" in reply
          ? Effect.succeed(reply.value)
          : Effect.fail(new WorkerFailure({ message: `The ${options.name} worker: ${reply.error}`, died: false }))
      )
    })
    started.on("error", (error) => died(error instanceof Error ? error.message : String(error)))
    started.on("exit", (code) => died(`exit code ${code}`))
    started.unref()
    generation++
    return started
  }

  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => {
      closed = true
      const last = worker
      const failure = new WorkerFailure({ message: `The ${options.name} worker was closed`, died: true })
      for (const id of [...pending.keys()]) settle(id, Effect.fail(failure))
      if (last !== undefined && unanswered > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, closeWaitMs)
          idle = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      worker = undefined
      await last?.terminate()
    })
  )

  const call = (request: Request, transfer: ReadonlyArray<Transferable> = []): Effect.Effect<Reply, WorkerFailure> =>
    Effect.callback<Reply, WorkerFailure>((resume) => {
      if (closed) {
        resume(Effect.fail(new WorkerFailure({ message: `The ${options.name} worker was closed`, died: true })))
        return
      }
      worker ??= spawn()
      const id = nextId++
      pending.set(id, resume)
      worker.ref()
      unanswered++
      worker.postMessage({ id, request } satisfies WorkerRequest<Request>, transfer)
      return Effect.sync(() => {
        pending.delete(id)
        if (pending.size === 0) worker?.unref()
      })
    })

  const tell = (request: Request): void => {
    if (worker === undefined) return
    unanswered++
    worker.postMessage({ id: -1, request } satisfies WorkerRequest<Request>)
  }

  const client: WorkerClient<Request, Reply> = { call, tell, generation: () => generation }
  return client
}) as <Request, Reply>(options: {
  readonly name: string
  readonly url: URL
  readonly workerData?: unknown
}) => Effect.Effect<WorkerClient<Request, Reply>, never, Scope.Scope>
