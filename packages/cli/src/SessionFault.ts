import { Cause, Effect, Exit } from "effect"
import { endingOf } from "./CliFailure.ts"

/**
 * What breaks in a session ends that session only, whatever it is: an error, or a fault of the program, which would
 * otherwise end its fiber without a word. `failed` gets it in words. An interruption is neither: it stays one.
 */
export const endsAlone =
  (failed: (message: string) => Effect.Effect<void>) =>
  <E, R>(session: Effect.Effect<void, E, R>): Effect.Effect<void, never, R> =>
    Effect.catchCause(session, (cause) =>
      Cause.hasInterrupts(cause)
        ? Effect.interrupt
        : failed(endingOf(Exit.failCause(cause), false).lines[0] ?? "it ended without a word"))
