import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { telemetrySettings } from "./TelemetrySettings.ts"
import type { TelemetryFailure } from "./TelemetrySettings.ts"

export interface TelemetryOptions {
  /** Write the spans to this file, one OTLP/JSON `TracesData` a line; a file that is there is replaced. */
  readonly file?: string
  /** Takes secrets out of what is logged; by default nothing is taken out. */
  readonly scrub?: (text: string) => string
}

/** How long the last telemetry may take to get out when the program ends, ms. */
export const flushTimeoutMs = 5000

/**
 * Telemetry of a program, as the standard variables say (docs/telemetry.md): spans through an OpenTelemetry SDK for
 * programs that bring none, Effect's metrics and Effect's logs, each to its collector over OTLP; spans to `file` too. With
 * nothing asked for it does nothing, and loads nothing. Build it once in a process, around everything that it is about.
 *
 * An SDK that the program has registered keeps its place: then the variables about traces are its business, and asking
 * for a file fails.
 *
 * Guarantees (I-TELEMETRY-SHED): nothing of it waits on a session's fiber, its queues are bounded, what is lost is counted
 * in `rspp_telemetry_dropped_total`. When the scope closes, what waits is exported, for at most {@link flushTimeoutMs};
 * what could not be is told in a warning and never fails the program.
 */
export const layer = (options: TelemetryOptions = {}): Layer.Layer<never, TelemetryFailure> =>
  Layer.unwrap(Effect.gen(function*() {
    const settings = yield* telemetrySettings
    const { logs, metrics, traces } = settings
    if (options.file === undefined && traces === undefined && metrics === undefined && logs === undefined) {
      return Layer.empty
    }
    // A tenth of a second of modules, for those who want them only.
    const { exporting } = yield* Effect.promise(() => import("./TelemetryExport.ts"))
    return exporting(settings, options)
  }))
