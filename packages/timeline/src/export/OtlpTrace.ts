import { context as activeContext, ROOT_CONTEXT } from "@opentelemetry/api"
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer"
import { resourceFromAttributes } from "@opentelemetry/resources"
import type { IdGenerator, ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace"
import { TracerProvider } from "@opentelemetry/sdk-trace"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import { createHash } from "node:crypto"
import type { Timeline } from "../format/TimelineDecoder.ts"
import { SessionTracer, tracerName } from "../telemetry/SessionTracer.ts"

/** Ids that depend on nothing but the session, so that a recording exported twice is the same trace. */
const idsOf = ({ seed, session_id, wall_clock_start_ms }: TimelineHeader): IdGenerator => {
  const hex = (what: string, digits: number) =>
    createHash("sha256").update(`${session_id} ${seed} ${wall_clock_start_ms} ${what}`).digest("hex").slice(0, digits)
  let spans = 0
  return { generateTraceId: () => hex("trace", 32), generateSpanId: () => hex(`span ${++spans}`, 16) }
}

/** The spans that the live session has made, or would have made: the same observer, fed from the recording. */
export const recordedSpans = (
  { header, records }: Pick<Timeline, "header" | "records">
): ReadonlyArray<ReadableSpan> => {
  const spans: Array<ReadableSpan> = []
  const collect: SpanProcessor = {
    onStart: () => {},
    onEnd: (span) => void spans.push(span),
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve()
  }
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "rspp", "service.version": header.rspp_version }),
    idGenerator: idsOf(header),
    spanProcessors: [collect]
  })
  const observer = SessionTracer.observerOf(provider.getTracer(tracerName))
  // The session is a trace of its own, whatever is being traced around the export.
  activeContext.with(ROOT_CONTEXT, () => {
    observer.opened?.(header, () => undefined)
    for (const record of records) {
      switch (record.record) {
        case "input":
          observer.input?.(record)
          break
        case "signal":
        case "event":
        case "transition":
        case "plan":
        case "decision":
        case "invocation":
        case "command":
          observer.outputs?.([record])
          break
        default:
      }
    }
    observer.closed?.()
  })
  return spans
}

/**
 * A timeline as OTLP/JSON: one `TracesData` on one line, as a collector takes it at `/v1/traces` or its file receiver reads
 * it. Session → turn → node → provider call, at the times of the recording, with ids made from the session: exporting the
 * same recording twice gives the same bytes.
 */
export function* otlpTrace(timeline: Pick<Timeline, "header" | "records">): Generator<string> {
  const bytes = JsonTraceSerializer.serializeRequest([...recordedSpans(timeline)])
  yield `${bytes === undefined ? `{"resourceSpans":[]}` : Buffer.from(bytes).toString("utf8")}\n`
}
