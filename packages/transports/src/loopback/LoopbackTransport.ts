import { Transport, TransportFailure } from "@rspp/runtime/ports/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { PlatformError, Scope } from "effect"
import { type LoopbackSession, openLoopbackSession, type TrackSink } from "../internal/LoopbackSession.ts"
import { CallReports } from "./CallReport.ts"
import type { CallScript } from "./CallScript.ts"
import { interleave, openWaveWriter } from "./WaveWriter.ts"

export interface LoopbackOptions {
  /** What the caller says, and when: `loadCallScript`, `singleCallScript` or `makeCallScript`. */
  readonly script: CallScript
  /** Where the agent's track is written, mono. */
  readonly reply?: string
  /** Where both tracks are written, caller left, agent right, aligned by sample. */
  readonly stereo?: string
  /** Length of the agent's output queue, in ms: 20 to 200. Default 200. */
  readonly capacityMs?: number
}

const transport_id = "loopback/files"

/**
 * A call with a scripted caller, from and to files, on the session's clock: real, or virtual under `VirtualTime.run`.
 *
 * Both files start at session time zero, the moment of `open`. They are written as the call goes on, in constant
 * memory, and are valid and hold everything up to that point when the scope of `open` closes, also on interruption.
 * One call per layer.
 *
 * Fails with `TransportFailure` when a file cannot be created or written. After the caller has hung up, `capture`
 * fails.
 */
export const layer = (
  options: LoopbackOptions
): Layer.Layer<Transport | CallReports, never, FileSystem.FileSystem> =>
  Layer.effectContext(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    let session: LoopbackSession | undefined
    let opened = false
    return Context.make(Transport, {
      open: ({ session_id }) =>
        Effect.gen(function*() {
          if (opened) return yield* failure("This loopback plays one call, and it has been opened already.")
          opened = true
          const sink = yield* Effect.provideService(openSink(options), FileSystem.FileSystem, fs)
          session = yield* openLoopbackSession({
            session_id,
            transport_id,
            script: options.script,
            capacityMs: options.capacityMs ?? 200,
            sink
          })
          return session
        })
    }).pipe(Context.add(CallReports, { report: Effect.sync(() => session?.report()) }))
  }))

const openSink = (
  options: LoopbackOptions
): Effect.Effect<TrackSink, TransportFailure, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    const open = (path: string | undefined, channels: number) =>
      path === undefined
        ? Effect.succeed(undefined)
        : Effect.map(Effect.mapError(openWaveWriter(path, channels), unwritable(path)), (writer) => ({
          append: (samples: Int16Array) => Effect.mapError(writer.append(samples), unwritable(path)),
          finish: Effect.mapError(writer.finish, unwritable(path))
        }))
    const reply = yield* open(options.reply, 1)
    const stereo = yield* open(options.stereo, 2)
    return {
      write: (caller, agent) =>
        Effect.andThen(
          reply?.append(agent) ?? Effect.void,
          Effect.suspend(() => stereo?.append(interleave(caller, agent)) ?? Effect.void)
        ),
      finish: Effect.andThen(reply?.finish ?? Effect.void, stereo?.finish ?? Effect.void)
    }
  })

const failure = (message: string, cause?: unknown): TransportFailure =>
  new TransportFailure({ transport_id, message, ...(cause === undefined ? {} : { cause }) })

const unwritable = (path: string) => (error: PlatformError.PlatformError): TransportFailure => {
  switch (error.reason._tag) {
    case "NotFound":
      return failure(`${path} cannot be written: its directory does not exist; create it first.`, error)
    case "PermissionDenied":
      return failure(`${path} cannot be written: permission is denied.`, error)
    default: {
      const { cause } = error.reason
      const why = cause instanceof Error ? cause.message : error.reason._tag
      return failure(`${path} cannot be written: ${why}.`, error)
    }
  }
}
