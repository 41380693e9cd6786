import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import * as Effect from "effect/Effect"
import type { ScriptedCall } from "../Script.ts"
import type { SimCall } from "./SimCall.ts"

/** What goes wrong with one call of a provider, drawn when it begins. */
export interface CallFaults {
  /** The call fails before it has given anything. */
  readonly fails: Effect.Effect<never, ProviderFailure> | undefined
  /** Added to the time to the first result, in ms. */
  readonly slowMs: number
  /** The adapter does not wait for a slow answer: it sends the request a second time. */
  readonly hedged: boolean
  /** After how many results, and for how long, the stream pauses. */
  readonly stall: { readonly after: number; readonly ms: number } | undefined
  /** After how many results the stream ends too early, and whether it says so. */
  readonly truncated: { readonly after: number; readonly how: Effect.Effect<void, ProviderFailure> } | undefined
  readonly empty: boolean
  /** Everything comes in one instant. */
  readonly burst: boolean
  /** How long a cancelled call takes to end, in ms. */
  readonly cancelMs: number
  /** Time until a recogniser hears anything, in ms. */
  readonly connectMs: number
  /** So long after a final text it comes again, in ms. */
  readonly duplicateMs: number | undefined
  /** The call does not end by itself. */
  readonly endLost: boolean
}

type Failing = (
  outcome_class: ProviderFailure["outcome_class"],
  retryable: boolean,
  message: string,
  retryAfterMs?: number
) => ProviderFailure

/** The faults of one provider call: what its script says, or drawn, each kind from its own stream. */
export const drawCallFaults = (call: SimCall, provider_id: string): CallFaults => {
  const { faults, script } = call
  const failure: Failing = (outcome_class, retryable, message, retryAfterMs) =>
    new ProviderFailure({
      provider_id,
      outcome_class,
      retryable,
      message,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs })
    })
  const scripted = script.call(provider_id)
  if (scripted !== undefined) return scriptedFaults(scripted, failure)
  const fails = () => {
    if (faults.strikes("provider.overload")) return Effect.fail(failure("overload", true, "429 too many requests"))
    if (faults.strikes("provider.rate_limited")) {
      const stream = faults.stream("provider.rate_limited")
      // Vendors say whole seconds, mostly; some of them fit into a turn.
      const afterMs = stream.chance(0.5) ? stream.between(0, 600) : stream.between(1, 30) * 1000
      return Effect.fail(failure("overload", true, "429 too many requests, come back later", afterMs))
    }
    if (faults.strikes("provider.unavailable")) {
      const stream = faults.stream("provider.unavailable")
      return Effect.fail(stream.pick([
        failure("infrastructure_failure", true, "503 service unavailable"),
        failure("infrastructure_failure", false, "500 internal error"),
        failure("blocked", false, "the request was refused by the provider's filter"),
        failure("timeout", true, "504 the provider gave up")
      ]))
    }
    if (faults.strikes("provider.defect")) return Effect.die(new Error("the adapter is broken"))
    return undefined
  }
  const truncated = () => {
    if (!faults.strikes("provider.truncated")) return undefined
    const stream = faults.stream("provider.truncated")
    const how = stream.chance(0.5)
      ? Effect.void
      : Effect.fail(failure("infrastructure_failure", stream.chance(0.5), "the connection was lost in the middle"))
    return { after: stream.between(0, 6), how }
  }
  const stall = () => {
    if (!faults.strikes("provider.stall")) return undefined
    const stream = faults.stream("provider.stall")
    return {
      after: stream.between(1, 6),
      ms: stream.chance(0.3) ? stream.between(8000, 30_000) : stream.between(1000, 8000)
    }
  }
  const failing = fails()
  const slowMs = faults.strikes("provider.slow_first") ? faults.stream("provider.slow_first").between(700, 8000) : 0
  return {
    fails: failing,
    slowMs,
    hedged: slowMs > 4000,
    stall: stall(),
    truncated: truncated(),
    empty: faults.strikes("provider.empty"),
    burst: faults.strikes("provider.burst"),
    cancelMs: faults.strikes("provider.slow_cancel") ? faults.stream("provider.slow_cancel").between(1, 3000) : 0,
    connectMs: 0,
    duplicateMs: undefined,
    endLost: false
  }
}

const scriptedFailure = (
  fails: NonNullable<ScriptedCall["fails"]>,
  retryAfterMs: number | undefined,
  failure: Failing
) => {
  switch (fails) {
    case "overload":
      return Effect.fail(failure("overload", true, "429 too many requests", retryAfterMs))
    case "unavailable":
      return Effect.fail(failure("infrastructure_failure", true, "503 service unavailable"))
    case "blocked":
      return Effect.fail(failure("blocked", false, "the request was refused by the provider's filter"))
    case "timeout":
      return Effect.fail(failure("timeout", true, "504 the provider gave up"))
    case "defect":
      return Effect.die(new Error("the adapter is broken"))
  }
}

const scriptedFaults = (scripted: ScriptedCall, failure: Failing): CallFaults => {
  const { fails, retryAfterMs, truncated } = scripted
  return {
    fails: fails === undefined ? undefined : scriptedFailure(fails, retryAfterMs, failure),
    slowMs: scripted.slowMs ?? 0,
    hedged: false,
    stall: scripted.stall,
    truncated: truncated === undefined ? undefined : {
      after: truncated.after,
      how: truncated.says
        ? Effect.fail(failure("infrastructure_failure", true, "the connection was lost in the middle"))
        : Effect.void
    },
    empty: scripted.empty ?? false,
    burst: scripted.burst ?? false,
    cancelMs: scripted.cancelMs ?? 0,
    connectMs: scripted.connectMs ?? 0,
    duplicateMs: scripted.duplicateMs,
    endLost: scripted.endLost ?? false
  }
}

/** A provider that takes its time to die: when it is interrupted, it ends only after a while. */
export const slowToCancel = (ms: number) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  ms === 0 ? effect : Effect.onInterrupt(effect, () => Effect.sleep(ms))
