import { parentPort } from "node:worker_threads"
import type { Transferable } from "node:worker_threads"

/** A request as {@link WorkerClient} sends it. */
export interface WorkerRequest<Request> {
  readonly id: number
  readonly request: Request
}

/** The answer to the request with the same id: its value, or one sentence on what failed. */
export type WorkerReply<Reply> =
  | { readonly id: number; readonly value: Reply }
  | { readonly id: number; readonly error: string }

/**
 * Answers requests inside a worker thread, one after the other, in the order they came.
 *
 * `handle` is synchronous, because all it does is compute; it returns the reply and what to hand over without a copy.
 */
export const serve = <Request, Reply>(
  handle: (request: Request) => { readonly value: Reply; readonly transfer?: ReadonlyArray<Transferable> }
): void => {
  const port = parentPort
  if (port === null) throw new Error("WorkerServer.serve must be called in a worker thread")
  port.on("message", ({ id, request }: WorkerRequest<Request>) => {
    try {
      const { transfer = [], value } = handle(request)
      port.postMessage({ id, value } satisfies WorkerReply<Reply>, transfer)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      port.postMessage({ id, error: message } satisfies WorkerReply<Reply>)
    }
  })
}
