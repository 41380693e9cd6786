import { Milliseconds } from "@rspp/contracts/Time"
import * as Schema from "effect/Schema"

/** The gates of CONTRACT section 9, in its order. */
export const sloGates = [
  "turn_open_ms",
  "first_output_ms",
  "cancel_fence_ms",
  "stale_epoch_outputs_accepted",
  "evidence_complete",
  "exactly_one_terminal",
  "response_ms"
] as const
export type SloGate = (typeof sloGates)[number]

/** Gates that bound latencies. */
export const latencyGates = ["turn_open_ms", "first_output_ms", "cancel_fence_ms", "response_ms"] as const
export type LatencyGate = (typeof latencyGates)[number]

/** What each gate asks, in a sentence for people. */
export const gateMeanings: Readonly<Record<SloGate, string>> = {
  turn_open_ms: "turn_open_proposed accepted → turn_open",
  first_output_ms: "turn_open → first output on the data lane, on the happy path",
  cancel_fence_ms: "cancel accepted → egress fenced",
  stale_epoch_outputs_accepted: "outputs that were accepted under an epoch that was not in force",
  evidence_complete: "accepted turns with complete baseline evidence",
  exactly_one_terminal: "accepted turns with exactly one terminal, then close",
  response_ms: "end of the caller's speech → playback started"
}

const Bound = Schema.Struct({ p50_ms: Schema.optionalKey(Milliseconds), p95_ms: Schema.optionalKey(Milliseconds) })

/** At most so much, ms. */
export type LatencyBound = typeof Bound.Type

/** A file of bounds: `{ "response_ms": { "p95_ms": 1500 } }`. What is absent stays as the contract has it. */
export const SloBoundsFile = Schema.Struct({
  turn_open_ms: Schema.optionalKey(Bound),
  first_output_ms: Schema.optionalKey(Bound),
  cancel_fence_ms: Schema.optionalKey(Bound),
  response_ms: Schema.optionalKey(Bound)
})
export type SloBoundsFile = typeof SloBoundsFile.Type

export type SloBounds = Readonly<Record<LatencyGate, LatencyBound>>

/** The bounds of CONTRACT section 9. The three gates that count have fixed ones: 0, 100 % and 100 %. */
export const contractBounds: SloBounds = {
  turn_open_ms: { p95_ms: 120 },
  first_output_ms: { p95_ms: 1500 },
  cancel_fence_ms: { p95_ms: 150 },
  response_ms: { p50_ms: 1500, p95_ms: 2000 }
}

const percentiles = ["p50_ms", "p95_ms"] as const

/** A bound that is wider than the contract's, which is the floor. */
export interface WiderBound {
  readonly gate: LatencyGate
  readonly percentile: "p50_ms" | "p95_ms"
  readonly asked: number
  readonly contract: number
}

/** The contract's bounds, tightened; or those that would widen them, which is never done. */
export const tightened = (
  own: SloBoundsFile
): { readonly ok: true; readonly bounds: SloBounds } | {
  readonly ok: false
  readonly wider: ReadonlyArray<WiderBound>
} => {
  const wider: Array<WiderBound> = []
  const bounds: Record<LatencyGate, LatencyBound> = { ...contractBounds }
  for (const gate of latencyGates) {
    for (const percentile of percentiles) {
      const asked = own[gate]?.[percentile]
      const contract = contractBounds[gate][percentile]
      if (asked !== undefined && contract !== undefined && asked > contract) {
        wider.push({ gate, percentile, asked, contract })
      }
    }
    bounds[gate] = { ...contractBounds[gate], ...own[gate] }
  }
  return wider.length === 0 ? { ok: true, bounds } : { ok: false, wider }
}
