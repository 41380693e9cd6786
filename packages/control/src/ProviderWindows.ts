import type { Breaker, CircuitState, HealthOptions, ProviderCalls } from "./CircuitBreaker.ts"
import { asked, defaultHealthOptions, heard, isLeft, newBreaker, released } from "./CircuitBreaker.ts"

/** Breakers that a process keeps; the one that was silent for longest makes room for another. */
export const maxBreakers = 1000

/** A session as its providers' circuits are asked for. */
export interface AskingSession {
  readonly session_id: string
  /** What its pipeline binds, and to what. */
  readonly bindings: Readonly<Record<string, string>>
}

/** The providers that a pipeline binds, in order, and whether something else is bound to do the work of each. */
export const boundProviders = (
  bindings: Readonly<Record<string, string>>
): ReadonlyArray<{ readonly provider_id: string; readonly replaceable: boolean }> => {
  const found = new Map<string, boolean>()
  for (const [key, provider] of Object.entries(bindings)) {
    const spare = bindings[`${key.split(".")[0]}.fallback`]
    const replaceable = !key.endsWith(".fallback") && spare !== undefined && spare !== provider
    // one that does two things, and can be replaced in one of them only, is needed
    found.set(provider, replaceable && (found.get(provider) ?? true))
  }
  return [...found].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([provider_id, replaceable]) => ({ provider_id, replaceable }))
}

/**
 * The breakers of one process, in memory and without waiting: what a control plane in memory decides by.
 *
 * Bounded: at most {@link maxBreakers}; `forgotten` counts those that had to make room. Times are those of any one clock, ms.
 */
export class ProviderWindows {
  readonly options: HealthOptions
  readonly #breakers = new Map<string, Breaker>()
  #forgotten = 0

  constructor(options: HealthOptions = defaultHealthOptions) {
    this.options = options
  }

  get forgotten(): number {
    return this.#forgotten
  }

  get(tenant_id: string, provider_id: string): Breaker {
    return this.#breakers.get(nameOf(tenant_id, provider_id)) ?? newBreaker
  }

  /** The providers of a tenant that something was heard of. */
  known(tenant_id: string): ReadonlyArray<string> {
    return [...this.#breakers.keys()].flatMap((name) => {
      const [tenant, provider] = JSON.parse(name) as readonly [string, string]
      return tenant === tenant_id ? [provider] : []
    })
  }

  /** Whether the circuit itself is another now. */
  heard(tenant_id: string, provider_id: string, calls: ProviderCalls, now_ms: number): boolean {
    const before = this.get(tenant_id, provider_id)
    const after = heard(before, calls, now_ms, this.options)
    this.#keep(nameOf(tenant_id, provider_id), after)
    return before.circuit !== after.circuit
  }

  /** The circuits as this session is to see them; asking may give it a trial. */
  statesFor(tenant_id: string, { bindings, session_id }: AskingSession, now_ms: number): Record<string, CircuitState> {
    const states: Record<string, CircuitState> = {}
    for (const { provider_id, replaceable } of boundProviders(bindings)) {
      const breaker = this.get(tenant_id, provider_id)
      states[provider_id] = "closed"
      if (!isLeft(breaker.circuit, replaceable)) continue
      const { circuit, state } = asked(breaker.circuit, session_id, now_ms, this.options)
      states[provider_id] = state
      if (circuit !== breaker.circuit) this.#breakers.set(nameOf(tenant_id, provider_id), { ...breaker, circuit })
    }
    return states
  }

  /** The session is over: its trials are free. */
  released(tenant_id: string, { bindings, session_id }: AskingSession): void {
    for (const { provider_id } of boundProviders(bindings)) {
      const breaker = this.get(tenant_id, provider_id)
      const circuit = released(breaker.circuit, session_id)
      if (circuit !== breaker.circuit) this.#breakers.set(nameOf(tenant_id, provider_id), { ...breaker, circuit })
    }
  }

  #keep(name: string, breaker: Breaker): void {
    // the last that was heard of stands last
    this.#breakers.delete(name)
    if (this.#breakers.size >= maxBreakers) {
      const [oldest] = this.#breakers.keys()
      if (oldest !== undefined) this.#breakers.delete(oldest)
      this.#forgotten += 1
    }
    this.#breakers.set(name, breaker)
  }
}

const nameOf = (tenant_id: string, provider_id: string): string => JSON.stringify([tenant_id, provider_id])
