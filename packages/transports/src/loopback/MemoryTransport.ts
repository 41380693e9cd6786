import { Transport, TransportFailure } from "@rspp/runtime/ports/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type LoopbackSession, openLoopbackSession } from "../internal/LoopbackSession.ts"
import { CallReports } from "./CallReport.ts"
import type { CallScript } from "./CallScript.ts"

/** The two sides of a call, of equal length, aligned by sample to session time zero. */
export interface CallTracks {
  readonly caller: Int16Array
  readonly agent: Int16Array
}

/** The tracks of the call so far; all of it once `run` has returned or the scope of `open` has closed. */
export class MemoryTracks extends Context.Service<MemoryTracks, {
  readonly tracks: Effect.Effect<CallTracks>
}>()("rspp/transports/MemoryTracks") {}

const transport_id = "loopback/memory"

/**
 * A call with a scripted caller, in memory: for tests and for users of the library.
 *
 * As `LoopbackTransport`, without files. Memory is bounded by the script's `max_call_ms`: 64 KB a second, 922 MB for
 * the 4 h that are the most. One call per layer.
 */
export const layer = (options: {
  readonly script: CallScript
  /** Length of the agent's output queue, in ms: 20 to 200. Default 200. */
  readonly capacityMs?: number
}): Layer.Layer<Transport | CallReports | MemoryTracks> =>
  Layer.effectContext(Effect.sync(() => {
    let session: LoopbackSession | undefined
    let opened = false
    const blocks: Array<CallTracks> = []
    return Context.make(Transport, {
      open: ({ session_id }) =>
        Effect.gen(function*() {
          if (opened) {
            const message = "This memory transport plays one call, and it has been opened already."
            return yield* new TransportFailure({ transport_id, message })
          }
          opened = true
          session = yield* openLoopbackSession({
            session_id,
            transport_id,
            script: options.script,
            capacityMs: options.capacityMs ?? 200,
            sink: {
              write: (caller, agent) => Effect.sync(() => void blocks.push({ caller, agent })),
              finish: Effect.void
            }
          })
          return session
        })
    }).pipe(
      Context.add(CallReports, { report: Effect.sync(() => session?.report()) }),
      Context.add(MemoryTracks, {
        tracks: Effect.sync(() => ({ caller: join(blocks, "caller"), agent: join(blocks, "agent") }))
      })
    )
  }))

const join = (blocks: ReadonlyArray<CallTracks>, side: keyof CallTracks): Int16Array => {
  const all = new Int16Array(blocks.reduce((sum, block) => sum + block[side].length, 0))
  let at = 0
  for (const block of blocks) {
    all.set(block[side], at)
    at += block[side].length
  }
  return all
}
