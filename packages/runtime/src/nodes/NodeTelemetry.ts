import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

/** Which node of which session speaks. */
export interface NodeOrigin {
  readonly session_id: string
  readonly node_id: string
  readonly implementation: string
  readonly turn_id?: string
}

/** Characters of a log line of a node; the rest is cut. */
export const logLineChars = 500

const events = Metric.counter("rspp_node_events", {
  description: "What nodes count with their telemetry hook, by implementation and name"
})

/**
 * Where the log lines and counts of nodes go: by default lines to Effect's logger, at level Debug, and counts to the
 * counter `rspp_node_events`. What a node says is its author's responsibility; it is no part of the recording.
 */
export const NodeTelemetry = Context.Reference<{
  readonly log: (origin: NodeOrigin, message: string) => Effect.Effect<void>
  readonly count: (origin: NodeOrigin, name: string, by: number) => Effect.Effect<void>
}>("rspp/NodeTelemetry", {
  defaultValue: () => ({
    log: (origin, message) =>
      Effect.logDebug(message.slice(0, logLineChars)).pipe(
        Effect.annotateLogs({ session: origin.session_id, node: origin.node_id })
      ),
    count: ({ implementation }, name, by) => Metric.update(Metric.withAttributes(events, { implementation, name }), by)
  })
})
