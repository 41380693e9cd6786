import type { ProviderHealthSnapshot } from "@rspp/contracts/Snapshot"
import type { LatencyCounts } from "./LatencyHistogram.ts"
import { addLatencies } from "./LatencyHistogram.ts"

export type CircuitState = ProviderHealthSnapshot["body"]["providers"][string]

export interface HealthOptions {
  /** How far back calls count, ms; a multiple of {@link bucketMs}. */
  readonly windowMs: number
  /** Below this many calls in the window nothing is concluded. */
  readonly minCalls: number
  /** The part of calls that failed, or failed or were slow, from which on a circuit opens. */
  readonly openAt: number
  /** How long an open circuit is left alone after the last failure, ms. */
  readonly coolDownMs: number
  /** How long one session may try a half-open circuit, ms. */
  readonly trialMs: number
  /** How long what that session began has to end, and to be heard of, before another may try, ms. */
  readonly settleMs: number
  /** How long the others have to ask for the next trial before the same session may have it again, ms. */
  readonly roundMs: number
}

/**
 * A minute of calls; ten of them, half failed; 20 s of rest, which is longer than any call takes to fail (first-result
 * caps are 4 s, reports come every 5 s). A trial lasts for 20 s: two or three turns of a conversation. What began in its
 * last moment has 10 s: a first-result cap and a report. Every session is looked at every 3 s: 5 s for a round.
 */
export const defaultHealthOptions: HealthOptions = {
  windowMs: 60_000,
  minCalls: 10,
  openAt: 0.5,
  coolDownMs: 20_000,
  trialMs: 20_000,
  settleMs: 10_000,
  roundMs: 5000
}

/** Reports are added up in spans of this length: a window moves by as much. */
export const bucketMs = 5000

/** What calls of a provider came to. Those that say nothing of it (cancelled, shed, blocked) are not among them. */
export interface ProviderCalls {
  readonly succeeded: number
  /** Timeouts included. */
  readonly failed: number
  /** Of those that succeeded, how many took long for their first result. */
  readonly slow: number
  /** First-result latencies of those that succeeded and were measured. */
  readonly latency: LatencyCounts
}

/** Calls of one span. */
export interface HealthBucket extends ProviderCalls {
  readonly bucket_ms: number
}

/** Who may try a half-open circuit, and until when. */
export interface Trial {
  readonly session_id: string
  readonly until_ms: number
}

export type Circuit = { readonly state: "closed" } | {
  readonly state: "open"
  readonly because: "failures" | "slow"
  /** When the last failure was heard of. */
  readonly since_ms: number
  readonly trial?: Trial
}

/** What is known of one provider for one tenant. */
export interface Breaker {
  readonly circuit: Circuit
  /** Oldest first. */
  readonly buckets: ReadonlyArray<HealthBucket>
}

export const newBreaker: Breaker = { circuit: { state: "closed" }, buckets: [] }

export const noCalls: ProviderCalls = { succeeded: 0, failed: 0, slow: 0, latency: [] }

const plus = (a: ProviderCalls, b: ProviderCalls): ProviderCalls => ({
  succeeded: a.succeeded + b.succeeded,
  failed: a.failed + b.failed,
  slow: a.slow + b.slow,
  latency: addLatencies(a.latency, b.latency)
})

/** Calls of the last window. */
export const windowOf = (
  buckets: ReadonlyArray<HealthBucket>,
  now_ms: number,
  { windowMs }: Pick<HealthOptions, "windowMs"> = defaultHealthOptions
): ProviderCalls =>
  buckets.reduce<ProviderCalls>(
    (sum, bucket) => bucket.bucket_ms > now_ms - windowMs ? plus(sum, bucket) : sum,
    noCalls
  )

/** What a window of calls says of a circuit that is closed: why it opens, or undefined. */
const verdictOf = ({ failed, slow, succeeded }: ProviderCalls, { minCalls, openAt }: HealthOptions) => {
  const calls = succeeded + failed
  if (calls < minCalls) return undefined
  if (failed >= calls * openAt) return "failures"
  return failed + slow >= calls * openAt ? "slow" : undefined
}

/** The state of a circuit, whoever asks. */
export const stateOf = (
  circuit: Circuit,
  now_ms: number,
  { coolDownMs }: Pick<HealthOptions, "coolDownMs"> = defaultHealthOptions
): CircuitState => {
  if (circuit.state === "closed") return "closed"
  return now_ms - circuit.since_ms < coolDownMs ? "open" : "half_open"
}

/**
 * What was heard of a provider, added to what was known; pure.
 *
 * - **B1** A closed circuit opens when a window has at least `minCalls` calls, and at least the part `openAt` of them
 *   failed (`failures`) or failed or were slow (`slow`).
 * - **B2** An open circuit stays open for `coolDownMs` after the last failure that is heard of. What goes well meanwhile
 *   was begun before it opened, or by somebody who had not heard: it is counted and closes nothing.
 * - **B3** Of a half-open circuit the first thing that is heard decides: with any failure among it, it opens again for
 *   `coolDownMs`; with a success it closes, and its window begins anew, so that what it was opened for does not open it
 *   again. One that was open for slowness opens again too when all that went well was slow.
 */
export const heard = (
  { buckets, circuit }: Breaker,
  calls: ProviderCalls,
  now_ms: number,
  options: HealthOptions = defaultHealthOptions
): Breaker => {
  if (calls.succeeded + calls.failed === 0) return { circuit, buckets }
  const at = now_ms - now_ms % bucketMs
  const kept = buckets.filter(({ bucket_ms }) => bucket_ms > now_ms - options.windowMs)
  const same = kept.find(({ bucket_ms }) => bucket_ms === at)
  const counted = [
    ...kept.filter((bucket) => bucket !== same),
    { bucket_ms: at, ...plus(same ?? noCalls, calls) }
  ]
  const open = (because: "failures" | "slow"): Breaker => ({
    circuit: { state: "open", because, since_ms: now_ms },
    buckets: counted
  })
  const verdict = verdictOf(windowOf(counted, now_ms, options), options)
  if (circuit.state === "closed") return verdict === undefined ? { circuit, buckets: counted } : open(verdict)
  // one that is slow does not become one that fails by a single failure
  const again = () => open(verdict === "failures" ? "failures" : circuit.because)
  if (calls.failed > 0) return again()
  if (stateOf(circuit, now_ms, options) === "open") return { circuit, buckets: counted }
  if (circuit.because === "slow" && calls.slow >= calls.succeeded) return again()
  return { circuit: { state: "closed" }, buckets: [{ bucket_ms: at, ...calls }] }
}

/**
 * What the circuit is for one session that asks, and the circuit with what that changes; pure.
 *
 * - **B4** While a circuit is half-open, one session at a time may try: it is told `half_open` for `trialMs`, all others
 *   `open`. Between two trials nobody may for `settleMs`, so that what the one began is over before the other begins.
 * - **B5** Trials go round by the sessions' ids: the next one is a session whose id comes after that of the last, or, when
 *   none has asked for `roundMs`, any session.
 *
 * Whose turn it is, is decided here and not by the sessions, because nobody else knows of all of them; and it is said in a
 * snapshot, which is recorded: a replay needs nothing else to decide the same. A session that never uses its trial costs
 * `trialMs`. No call is made for the sake of a trial.
 */
export const asked = (
  circuit: Circuit,
  session_id: string,
  now_ms: number,
  options: HealthOptions = defaultHealthOptions
): { readonly circuit: Circuit; readonly state: CircuitState } => {
  const state = stateOf(circuit, now_ms, options)
  if (circuit.state === "closed" || state !== "half_open") return { circuit, state }
  const { trial } = circuit
  if (trial !== undefined) {
    if (now_ms < trial.until_ms) return { circuit, state: trial.session_id === session_id ? "half_open" : "open" }
    const freeMs = trial.until_ms + options.settleMs
    const isNext = now_ms >= freeMs && (session_id > trial.session_id || now_ms >= freeMs + options.roundMs)
    if (!isNext) return { circuit, state: "open" }
  }
  return { circuit: { ...circuit, trial: { session_id, until_ms: now_ms + options.trialMs } }, state: "half_open" }
}

/** The session has ended, and all of its calls with it: whatever it tried, another may try now. */
export const released = (circuit: Circuit, session_id: string): Circuit => {
  if (circuit.state === "closed" || circuit.trial?.session_id !== session_id) return circuit
  const { because, since_ms, state } = circuit
  return { state, because, since_ms }
}

/**
 * The circuits of a session's providers as it is to see them. A provider that is only slow is left where there is another
 * for its work (`replaceable`), and stays where there is none: a late answer is better than none.
 */
export const isLeft = (circuit: Circuit, replaceable: boolean): boolean =>
  circuit.state === "open" && (circuit.because === "failures" || replaceable)
