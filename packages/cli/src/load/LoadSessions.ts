import { LocalHealth } from "@rspp/control/LocalHealth"
import { AdmissionLedger } from "@rspp/runtime/limits/AdmissionLedger"
import { SecretScrubber } from "@rspp/runtime/ports/SecretScrubber"
import { sessionAnnotation } from "@rspp/timeline/telemetry/LogWords"
import { SessionLog } from "@rspp/timeline/telemetry/SessionLog"
import { SessionMetrics } from "@rspp/timeline/telemetry/SessionMetrics"
import { SessionTracer } from "@rspp/timeline/telemetry/SessionTracer"
import type { CallScript } from "@rspp/transports/loopback/CallScript"
import { Cause, Effect, Exit, Layer } from "effect"
import { endingOf } from "../CliFailure.ts"
import { call, loopback } from "../Composition.ts"
import { scrubberWith } from "../KnownSecrets.ts"
import { LocalRunner } from "../LocalRunner.ts"
import { sharedTelemetry } from "../ProgramTelemetry.ts"
import { RuntimeReports } from "../RuntimeReports.ts"
import type { LoadSetup } from "./LoadSetup.ts"
import type { LoadTally } from "./LoadTally.ts"

/** A load: how many sessions, for how long, and what they are. */
export interface Load {
  readonly setup: LoadSetup
  readonly script: CallScript
  readonly sessions: number
  /** From the first session on, ms. */
  readonly durationMs: number
  /** Within this time the sessions begin, one after the other, ms. */
  readonly rampMs: number
  /** A caller says nothing new after this time, ms, hears the last answer out, and the next one comes in its place. */
  readonly callMs: number
  /** Part of the sessions' ids, so that loads do not overwrite each other's recordings. */
  readonly name: string
  readonly timelineOf: (sessionId: string) => string
  readonly tally: LoadTally
}

/** After a session that failed the next one waits so long, ms: a fault that comes back at once must not keep a core busy. */
const afterFailureMs = 1000

/** So long the callers hear their last answer out after the time is over, ms; then they hang up in the middle of it. */
const lastAnswerMs = 20_000

/** A call that would be shorter than this is not begun, ms: nobody would be answered in it. */
const shortestCallMs = 2000

/**
 * Holds the sessions of a load in this process, on the real clock, until the time is over: each from the same composition
 * as a call of `rspp run` or a job of a worker, with a recording of its own; breakers and places are shared, as in a worker.
 *
 * A session that fails is counted and does not end the load. Interrupted, every open session closes properly first.
 */
export const holdSessions = Effect.fn("holdSessions")(function*(load: Load) {
  const { callMs, durationMs, name, rampMs, script, sessions, setup, tally } = load
  const ledger = Layer.succeedContext(yield* Layer.build(AdmissionLedger.layer))
  const health = Layer.succeedContext(yield* Layer.build(LocalHealth.layer()))
  const scrubber = scrubberWith((setup.nodes?.file.nodes ?? []).map(({ environment }) => environment ?? {}))
  const beganMs = performance.now()
  const leftMs = () => durationMs - (performance.now() - beganMs)

  const hold = Effect.fnUntraced(function*(session_id: string, seed: number) {
    const runner = yield* LocalRunner
    const telemetry = [
      (yield* SessionTracer).observer(),
      (yield* SessionMetrics).observer(),
      (yield* SessionLog).observer()
    ]
    const reports = yield* RuntimeReports
    tally.begin()
    yield* Effect.ensuring(
      runner.run({
        session_id,
        pipeline: setup.spec.pipeline,
        speed: "real",
        seed,
        observers: [tally.observer, ...telemetry, ...reports.observers()]
      }),
      Effect.sync(() => tally.end())
    )
  })

  /** One call, with everything that only it has. */
  const one = (session_id: string, seed: number, maxMs: number) =>
    hold(session_id, seed).pipe(
      Effect.provide(
        call({
          ...setup,
          transport: loopback({
            script: {
              ...script,
              last_step_ms: maxMs,
              max_call_ms: Math.min(script.max_call_ms, maxMs + script.reply_timeout_ms + lastAnswerMs)
            }
          }),
          timeline: load.timelineOf(session_id),
          ledger,
          health,
          telemetry: sharedTelemetry
        }),
        { local: true }
      ),
      Effect.annotateLogs(sessionAnnotation, session_id),
      Effect.provideService(SecretScrubber, scrubber)
    )

  const place = Effect.fnUntraced(function*(index: number) {
    yield* Effect.sleep((index * rampMs) / sessions)
    for (let number = 1;; number++) {
      const maxMs = Math.min(callMs, leftMs())
      if (number > 1 && maxMs < shortestCallMs) return
      const session_id = `${name}-${index + 1}-${number}`
      const ended = yield* Effect.exit(one(session_id, index + 1, Math.max(0, Math.round(maxMs))))
      if (Exit.isSuccess(ended)) continue
      if (Cause.hasInterruptsOnly(ended.cause)) return yield* ended
      tally.fail(`${session_id}: ${endingOf(ended, false).lines[0] ?? "it failed"}`)
      yield* Effect.sleep(Math.min(afterFailureMs, Math.max(0, leftMs())))
    }
  })
  yield* Effect.forEach(Array.from({ length: sessions }, (_, index) => index), place, {
    concurrency: "unbounded",
    discard: true
  })
}, Effect.scoped)
