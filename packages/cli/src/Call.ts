import { shipperLimits } from "@rspp/timeline/store/ShipperLimits"
import type { ShippingReport } from "@rspp/timeline/store/ShippedRecording"
import { TimelineShipper } from "@rspp/timeline/store/TimelineShipper"
import { afterSteps } from "@rspp/timeline/telemetry/AfterSteps"
import { sessionAnnotation } from "@rspp/timeline/telemetry/LogWords"
import { SessionLog } from "@rspp/timeline/telemetry/SessionLog"
import { SessionMetrics } from "@rspp/timeline/telemetry/SessionMetrics"
import { SessionTracer } from "@rspp/timeline/telemetry/SessionTracer"
import { Effect, Option } from "effect"
import { call } from "./Composition.ts"
import type { CompositionOptions } from "./Composition.ts"
import type { SaidLine } from "./CallSummary.ts"
import { scrubberWith } from "./KnownSecrets.ts"
import { liveScreen } from "./LiveScreen.ts"
import { LocalRunner } from "./LocalRunner.ts"
import type { LocalCallResult } from "./LocalRunner.ts"
import { RuntimeReports } from "./RuntimeReports.ts"
import { Screen } from "./Screen.ts"
import { SecretScrubber } from "@rspp/runtime/ports/SecretScrubber"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"

export interface CallOptions extends CompositionOptions {
  readonly session_id: string
  readonly speed: "real" | "max"
  /** Show it on the screen. */
  readonly live: boolean
  /** More that watch it. */
  readonly observers?: ReadonlyArray<SessionObserver>
}

/** A call that was played, and where its timeline is. */
export interface PlayedCall extends LocalCallResult {
  readonly timelinePath: string
  readonly conversation: ReadonlyArray<SaidLine>
  /** Real time that it took, ms. */
  readonly tookMs: number
  /** What the store has of it, if there is one. */
  readonly shipped?: ShippingReport
}

/** Seeds the random streams of sessions on this machine. The same caller gives the same ids and plans. */
const localSeed = 1

/** Composes the program for one call and plays it. Files are complete when it returns, fails or is interrupted. */
export const playCall = Effect.fn("playCall")(function*(options: CallOptions) {
  const screen = yield* Screen
  // Starting the providers costs the call no time: its clock begins when the caller is connected.
  if (options.live && screen.isTerminal) screen.update(screen.style.dim("loading the models …"))
  const conversation: Array<SaidLine> = []
  const watch = liveScreen(options.live ? screen : undefined, (line) => conversation.push(line))
  let began = false
  return yield* Effect.gen(function*() {
    const runner = yield* LocalRunner
    began = true
    // The log comes after the tracer, whose ids it has.
    const telemetry = afterSteps([
      (yield* SessionTracer).observer(),
      (yield* SessionMetrics).observer(),
      (yield* SessionLog).observer()
    ])
    const reports = yield* RuntimeReports
    const startedMs = performance.now()
    const result = yield* runner.run({
      session_id: options.session_id,
      ...(options.tenant_id === undefined ? {} : { tenant_id: options.tenant_id }),
      pipeline: options.spec.pipeline,
      speed: options.speed,
      seed: localSeed,
      resume: options.takeover?.before !== undefined,
      observers: [watch, telemetry, ...reports.observers(), ...(options.observers ?? [])]
    })
    const tookMs = performance.now() - startedMs
    const shipper = yield* Effect.serviceOption(TimelineShipper)
    const drained = Option.isNone(shipper) ? [] : yield* shipper.value.drain(shipperLimits.drainMs)
    const shipped = drained.find(({ session_id }) => session_id === options.session_id)
    const played: PlayedCall = {
      ...result,
      timelinePath: options.timeline,
      conversation,
      tookMs,
      ...(shipped === undefined ? {} : { shipped })
    }
    return played
  }).pipe(
    Effect.provide(call(options)),
    // Whatever is logged on behalf of the call, outside of its session too.
    Effect.annotateLogs(sessionAnnotation, options.session_id),
    Effect.provideService(
      SecretScrubber,
      scrubberWith((options.nodes?.file.nodes ?? []).map(({ environment }) => environment ?? {}))
    ),
    Effect.onInterrupt(() =>
      Effect.sync(() =>
        screen.note(
          began
            ? "Interrupted. What was open has been closed; the files hold the call up to here."
            : "Interrupted before the call began."
        )
      )
    )
  )
})
