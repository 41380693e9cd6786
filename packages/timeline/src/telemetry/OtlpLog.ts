import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as OtlpLogger from "effect/observability/OtlpLogger"
import type { SessionCorrelations } from "./Correlation.ts"
import type { LogWords } from "./LogWords.ts"
import { logWords } from "./LogWords.ts"
import type { Batching, TelemetrySettings } from "./TelemetrySettings.ts"

type LogsData = OtlpLogger.LogsData

/**
 * Log records on their way to the collector: what each is found by, from when it was logged until it is encoded.
 *
 * Guarantees (I-TELEMETRY-SHED): logging puts a record into an array and does nothing else; no more than `maxQueue` wait,
 * what comes then is dropped and counted.
 */
export class LogRecords {
  readonly #batching: Batching
  readonly #dropped: (records: number) => void
  readonly #waiting: Array<LogWords> = []

  constructor(batching: Batching, dropped: (records: number) => void) {
    this.#batching = batching
    this.#dropped = dropped
  }

  /** Records that wait. */
  get size(): number {
    return this.#waiting.length
  }

  /** A logger that exports. `scrub` takes secrets out of words. */
  readonly logger = (
    url: string,
    settings: TelemetrySettings,
    attributes: Readonly<Record<string, string>>,
    correlations: SessionCorrelations,
    scrub: (text: string) => string
  ) =>
    Effect.map(
      OtlpLogger.make({
        url,
        resource: { serviceName: settings.serviceName, attributes: { ...attributes } },
        exportInterval: this.#batching.delayMs,
        maxBatchSize: this.#batching.maxBatch,
        excludeLogSpans: true
      }),
      (exporting) =>
        Logger.make<unknown, void>((options) => {
          if (this.#waiting.length >= this.#batching.maxQueue) return this.#dropped(1)
          const words = logWords(options, correlations, scrub)
          this.#waiting.push(words)
          exporting.log({ ...options, message: words.words, cause: Cause.empty })
        })
    )

  /** Completes what was logged, in the same order: attributes without secrets, ids of the session's trace. */
  readonly encode = (data: LogsData): LogsData => {
    for (const { scopeLogs } of data.resourceLogs) {
      for (const { logRecords = [] } of scopeLogs) {
        for (const record of logRecords) {
          const words = this.#waiting.shift()
          // Effect's own spans are not exported: an id of theirs leads nowhere.
          delete record.traceId
          delete record.spanId
          if (words === undefined) continue
          record.attributes = Object.entries(words.attributes).map(([key, value]) => ({
            key,
            value: typeof value === "string"
              ? { stringValue: value }
              : typeof value === "boolean"
              ? { boolValue: value }
              : Number.isSafeInteger(value)
              ? { intValue: value }
              : { doubleValue: value }
          }))
          if (words.traceId === undefined || words.spanId === undefined) continue
          record.traceId = words.traceId
          record.spanId = words.spanId
        }
      }
    }
    return data
  }
}
