import { Correlations } from "@rspp/timeline/telemetry/Correlation"
import { eventAnnotation, logWords, sessionAnnotation } from "@rspp/timeline/telemetry/LogWords"
import { LogEvents } from "@rspp/timeline/telemetry/SessionLog"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { scrub } from "./KnownSecrets.ts"
import { standardError } from "./StandardStreams.ts"

/** The variable that says how logs are written to standard error: `text` (lines for people) or `json`. */
export const logFormatVariable = "RSPP_LOG_FORMAT"

type LogFormat = "text" | "json"

/** A log record as a line; undefined: not for this format. */
const lineOf = (format: LogFormat, options: Logger.Options<unknown>): string | undefined => {
  const { attributes, spanId, traceId, words } = logWords(options, options.fiber.getRef(Correlations), scrub)
  const level = options.logLevel.toLowerCase()
  if (format === "json") {
    const ids = traceId === undefined || spanId === undefined ? {} : { trace_id: traceId, span_id: spanId }
    return JSON.stringify({ time: options.date.toISOString(), level, message: words, ...attributes, ...ids })
  }
  // What happens in sessions is shown, or told by the command itself.
  if (attributes[eventAnnotation] !== undefined) return undefined
  const session = attributes[sessionAnnotation]
  const turn = attributes["rspp.turn.id"]
  const where = session === undefined ? "" : ` [${session}${turn === undefined ? "" : ` ${turn}`}]`
  return `rspp: ${level}: ${words}${where}`
}

const loggerOf = (format: LogFormat) =>
  Logger.make<unknown, void>((options) => {
    const line = lineOf(format, options)
    if (line !== undefined) standardError.write(`${line}\n`)
  })

/**
 * Logs of the packages on standard error: standard output holds results only. By default warnings, as lines for people;
 * with `RSPP_LOG_FORMAT=json` everything, what happens in sessions too, as one JSON object a line with its ids.
 */
export const loggerLayer: Layer.Layer<never> = process.env[logFormatVariable] === "json"
  ? Layer.merge(Logger.layer([loggerOf("json")]), Layer.succeed(LogEvents, true))
  : Logger.layer([loggerOf("text")])
