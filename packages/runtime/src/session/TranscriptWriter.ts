import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Scope } from "effect"
import { named } from "../determinism/FiberName.ts"
import { Bell } from "../events/Bell.ts"
import { Ring } from "../events/Ring.ts"
import type { TranscriptLine } from "../ports/TranscriptSink.ts"
import { TranscriptSink } from "../ports/TranscriptSink.ts"

/** Lines that wait for a slow sink; more are lost, and counted. */
export const waitingLines = 64

/** How long a sink may take for one line, ms. */
export const lineMs = 5000

/** The lines of one session on their way to its sink. */
export interface TranscriptWriter {
  /** Never waits. */
  readonly write: (line: TranscriptLine) => void
  /** Lines that the sink did not take. */
  readonly lost: () => number
}

/**
 * Opens the way to the {@link TranscriptSink} of the context. When the scope closes, lines that wait are written for
 * `closingMs` at most; then one warning says how many were lost, and why the first of them was.
 */
export const openTranscripts = (options: {
  readonly closingMs: number
}): Effect.Effect<TranscriptWriter, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sink = yield* TranscriptSink
    const bell = yield* Bell.make
    const lines = new Ring<TranscriptLine>(waitingLines)
    let lost = 0
    let why: string | undefined
    let closing = false
    const lose = (reason: string) => {
      lost += 1
      why ??= reason
    }

    const one = (line: TranscriptLine) =>
      Effect.suspend(() => sink.write(line)).pipe(
        Effect.timeoutOption(lineMs),
        Effect.matchCause({
          onSuccess: (written) => {
            if (written._tag === "None") lose(`the sink took more than ${lineMs} ms`)
          },
          onFailure: (cause) => {
            const failure = Cause.findErrorOption(cause)
            lose(failure._tag === "Some" ? failure.value.message : "the sink broke")
          }
        })
      )

    const write = Effect.gen(function*() {
      for (;;) {
        const line = lines.take()
        if (line !== undefined) yield* one(line)
        else if (closing) return
        else yield* bell.wait
      }
    })
    // Not a child: its scope closes only when it has had its time.
    const fiber = Effect.runForkWith(yield* Effect.context<never>())(named("transcript sink")(write))

    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        closing = true
        bell.ring()
        const done = yield* Effect.timeoutOption(Fiber.await(fiber), options.closingMs)
        if (done._tag === "None") {
          fiber.interruptUnsafe()
          lose("the session was over")
          while (lines.take() !== undefined) lose("the session was over")
        }
        if (lost > 0) yield* Effect.logWarning(`${lost} transcript lines were not written: ${why}`)
      })
    )
    return {
      write: (line) => {
        if (closing) lose("the session was over")
        else if (lines.offer(line)) bell.ring()
        else lose(`${waitingLines} lines were waiting`)
      },
      lost: () => lost
    }
  })
