import * as Context from "effect/Context"

/** What a log record of a session can be found by, as it is now. */
export interface SessionIds {
  /** The turn that is open, or was last and is not closed. */
  turnId: string | undefined
  epoch: number
  /** Of the session's trace, when it is traced. */
  traceId: string | undefined
  sessionSpanId: string | undefined
  /** Spans of the newest turns, by turn. */
  readonly turnSpans: Map<string, string>
}

/** Turns whose spans are remembered: the one that runs, and those that are ending. */
const maxTurnSpans = 4

/** A turn has a span. */
export const turnSpan = ({ turnSpans }: SessionIds, turnId: string, spanId: string): void => {
  turnSpans.set(turnId, spanId)
  if (turnSpans.size <= maxTurnSpans) return
  for (const oldest of turnSpans.keys()) return void turnSpans.delete(oldest)
}

/** The sessions that run in this process, by their ids. As many as run; who watches a session takes it out at its end. */
export type SessionCorrelations = Map<string, SessionIds>

export const Correlations = Context.Reference<SessionCorrelations>("rspp/Correlations", {
  defaultValue: () => new Map()
})

/** The ids of a session, for those who fill them in. */
export const idsOf = (correlations: SessionCorrelations, sessionId: string): SessionIds => {
  const known = correlations.get(sessionId)
  if (known !== undefined) return known
  const ids: SessionIds = {
    turnId: undefined,
    epoch: 0,
    traceId: undefined,
    sessionSpanId: undefined,
    turnSpans: new Map()
  }
  correlations.set(sessionId, ids)
  return ids
}
