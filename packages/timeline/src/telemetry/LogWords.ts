import type * as Logger from "effect/Logger"
import { CurrentLogAnnotations } from "effect/References"
import type { SessionCorrelations } from "./Correlation.ts"

/** Annotations that every log record of a session has. */
export const sessionAnnotation = "session.id"

/** Of the records that tell what happened in a session; absent in a warning about something else. */
export const eventAnnotation = "event.name"

/**
 * One thing that is logged, as words: an error is its name and message (what else it carries may quote rows and
 * requests), and what has no JSON (a cycle, a bigint) is no reason to fail.
 */
export const plain = (message: unknown): string => {
  if (typeof message === "string") return message
  if (message instanceof Error) return `${message.name}: ${message.message}`
  try {
    return JSON.stringify(message) ?? String(message)
  } catch {
    return String(message)
  }
}

/** A log record as it may leave the process: words without secrets, and what it can be found by. */
export interface LogWords {
  readonly words: string
  /** The annotations, and the ids of the session as they are now: `session.id`, `rspp.turn.id`, … */
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  readonly traceId: string | undefined
  readonly spanId: string | undefined
}

/**
 * Reads a log record. What was logged as a cause stays here: its stack and its fields may quote what a vendor or a database
 * has said.
 */
export const logWords = (
  { fiber, message }: Pick<Logger.Options<unknown>, "fiber" | "message">,
  correlations: SessionCorrelations,
  scrub: (text: string) => string
): LogWords => {
  const attributes: Record<string, string | number | boolean> = {}
  for (const [name, value] of Object.entries(fiber.getRef(CurrentLogAnnotations))) {
    attributes[name] = typeof value === "number" || typeof value === "boolean" ? value : scrub(plain(value))
  }
  const ids = correlations.get(String(attributes[sessionAnnotation]))
  if (ids !== undefined) {
    if (ids.turnId !== undefined) attributes["rspp.turn.id"] ??= ids.turnId
    if (ids.epoch > 0) attributes["rspp.authority_epoch"] ??= ids.epoch
  }
  return {
    words: scrub(Array.isArray(message) ? message.map(plain).join(" ") : plain(message)),
    attributes,
    traceId: ids?.traceId,
    spanId: ids?.turnSpans.get(String(attributes["rspp.turn.id"])) ?? ids?.sessionSpanId
  }
}
