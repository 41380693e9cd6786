import type { BaselineEvidence, EvidenceSupplement } from "@rspp/contracts/Evidence"
import type { InvocationFacts } from "@rspp/contracts/Invocation"
import type { Ended } from "../../support/Program.ts"

/** A control signal, as far as it is looked at here. */
export interface Told {
  readonly signal: string
  readonly at: number
  readonly turn_id?: string
  readonly provider_invocation_id?: string
  readonly reason?: string
}

/** One turn of a recorded call. */
export interface RecordedTurn {
  readonly turn_id: string
  /** What was told of failures and of the turn's end, in order, as `signal(reason)`. */
  readonly outcomes: ReadonlyArray<string>
  readonly evidence: ReadonlyArray<BaselineEvidence>
  /** Its provider calls in the order in which they began, as the evidence has them, or the supplement where they ended later. */
  readonly invocations: ReadonlyArray<InvocationFacts>
}

const ofFailures = new Set([
  "provider_error",
  "provider_switch",
  "fallback",
  "degrade",
  "circuit_event",
  "turn_open",
  "commit",
  "abort",
  "close"
])

type Line =
  | { readonly record: "signal"; readonly signal: Told & { readonly runtime_timestamp_ms: number } }
  | { readonly record: "evidence"; readonly evidence: BaselineEvidence }
  | { readonly record: "supplement"; readonly supplement: EvidenceSupplement }
  | { readonly record: "invocation"; readonly invocation: InvocationFacts }
  | { readonly record: "other" }

/** What the program said of a call that it ran, and what stands in the timeline that it exported. */
export class RecordedCall {
  readonly ran: Ended
  readonly signals: ReadonlyArray<Told>
  readonly turns: ReadonlyArray<RecordedTurn>
  /** Provider calls of no turn, or of one that was never opened. */
  readonly invocations: ReadonlyArray<InvocationFacts>

  constructor(ran: Ended, exported: Ended) {
    this.ran = ran
    const lines = exported.stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Line)
    this.signals = lines.flatMap((line) =>
      line.record === "signal" ? [{ ...line.signal, at: line.signal.runtime_timestamp_ms }] : []
    )
    this.invocations = lines.flatMap((line) => line.record === "invocation" ? [line.invocation] : [])
    const opened = this.signals.flatMap(({ signal, turn_id }) =>
      signal === "turn_open" && turn_id !== undefined ? [turn_id] : []
    )
    this.turns = opened.map((turn_id) => {
      const evidence = lines.flatMap((line) =>
        line.record === "evidence" && line.evidence.turn_id === turn_id ? [line.evidence] : []
      )
      const supplements = lines.flatMap((line) =>
        line.record === "supplement" && line.supplement.turn_id === turn_id ? [line.supplement] : []
      )
      const facts = new Map(
        [...evidence, ...supplements].flatMap(({ invocations }) =>
          invocations.map((one) => [one.provider_invocation_id, one] as const)
        )
      )
      return {
        turn_id,
        evidence,
        // What waited for a provider that did not answer is the edge's matter (F4), and told as such.
        outcomes: this.signals.filter(({ reason, signal, turn_id: of }) =>
          of === turn_id && ofFailures.has(signal) && reason !== "edge_latency"
        ).map(
          ({ reason, signal }) => reason === undefined ? signal : `${signal}(${reason})`
        ),
        invocations: [...facts.values()].sort((a, b) => a.started_ms - b.started_ms)
      }
    })
  }
}
