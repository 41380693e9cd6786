import type { InvocationFacts } from "@rspp/contracts/Invocation"
import { providerVerdicts } from "@rspp/contracts/Invocation"
import type { ProviderHealthSnapshot } from "@rspp/contracts/Snapshot"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { SnapshotStore } from "../plan/SnapshotStore.ts"
import type { Invocation } from "./InvocationLedger.ts"

export type CircuitState = ProviderHealthSnapshot["body"]["providers"][string]

/** The circuits as a session decides by them. */
export interface Circuits {
  /** Another number whenever a state may be another. */
  readonly revision: number
  /** The circuit of a provider for a call that is yet to be made. */
  readonly stateOf: (provider: string) => CircuitState
  /** Whether this turn, whose plan binds the provider, may call it now: not while somebody tries it, and not when that failed. */
  readonly mayCall: (provider: string, turnId: string) => boolean
}

/** What a session knows of a circuit that it was told is half-open. */
interface Trial {
  /** What its own calls have shown since; the next snapshot that says something else replaces it. */
  verdict?: "closed" | "open"
  /** The turn in which that was. */
  failedIn?: string
  /** Calls that try it and have not ended. */
  readonly calls: Set<string>
}

/**
 * The circuits of the providers that a session's pipeline binds (RK-11, F3), as the provider health snapshots give them and
 * as the session's own calls show: each change is told as `circuit_event`. A provider that no snapshot names has a closed
 * circuit.
 *
 * Which session may try a half-open circuit is the control plane's to say: it alone knows all of them, and tells one at a
 * time `half_open`, in a snapshot. How it tries is decided here, from what is recorded anyway (snapshots, and the ends of
 * calls), so that a replay decides the same:
 *
 * - I-TRIAL-ONE while a circuit is half-open, at most one call of a turn is made of its provider at a time; every other one
 *   is made of the stand-in, and without one the turn is deferred. The caller's recogniser is not held back: there is one.
 * - I-TRIAL-ENDS the first call that says something of the provider ends the trial: a failure opens the circuit for this
 *   session (its turn goes on with the stand-in, and does not try again), a success closes it, both before the control
 *   plane has heard of it. What says nothing (a cut, content that was refused, a call that was shed) ends no trial.
 *
 * Bounded by the providers that are bound.
 */
export class CircuitWatch implements Circuits {
  readonly #context: KernelContext
  readonly #gateway: SessionGateway
  readonly #snapshots: SnapshotStore
  readonly #bound: ReadonlyArray<string>
  readonly #told = new Map<string, CircuitState>()
  readonly #trials = new Map<string, Trial>()
  /** Calls that were shed and have not ended. */
  readonly #shed = new Set<string>()
  #revision = 0

  constructor(context: KernelContext, gateway: SessionGateway, snapshots: SnapshotStore) {
    this.#context = context
    this.#gateway = gateway
    this.#snapshots = snapshots
    this.#bound = [...new Set(Object.values(context.header.pipeline.provider_bindings))].sort()
  }

  get revision(): number {
    return this.#revision
  }

  stateOf(provider: string): CircuitState {
    const state = this.#stateOf(provider)
    return state === "half_open" && (this.#trials.get(provider)?.calls.size ?? 0) > 0 ? "open" : state
  }

  mayCall(provider: string, turnId: string): boolean {
    const trial = this.#trials.get(provider)
    if (trial === undefined) return true
    return trial.failedIn !== turnId && (trial.calls.size === 0 || this.#stateOf(provider) !== "half_open")
  }

  /** A snapshot came in. */
  look(): void {
    const health = this.#snapshots.get("provider_health_snapshot")
    if (health === undefined) return
    for (const provider of this.#bound) {
      const state = health.body.providers[provider] ?? "closed"
      const told = this.#told.get(provider) ?? "closed"
      if (state === told) continue
      const before = this.#stateOf(provider)
      this.#told.set(provider, state)
      this.#revision += 1
      if (this.#tries) {
        // A call that began in an earlier trial is still one that tries it.
        const { calls = new Set<string>(), failedIn } = this.#trials.get(provider) ?? {}
        this.#trials.set(provider, { calls, ...(failedIn === undefined ? {} : { failedIn }) })
      }
      if (state !== before && this.#context.behaves("limits")) this.#tell(provider, state)
    }
  }

  /** A call began. */
  started({ id, modality, provider }: Invocation): void {
    if (modality === "stt" || modality === "external" || !this.#tries || this.#stateOf(provider) !== "half_open") return
    this.#trials.get(provider)?.calls.add(id)
    this.#revision += 1
  }

  /** There was no room in this process for a call: its end will say nothing of its provider. */
  shed(id: string): void {
    this.#shed.add(id)
  }

  /** A call has ended. */
  ended({ outcome_class, provider_id, provider_invocation_id, turn_id }: InvocationFacts): void {
    const wasShed = this.#shed.delete(provider_invocation_id)
    const trial = this.#trials.get(provider_id)
    if (trial === undefined) return
    if (trial.calls.delete(provider_invocation_id)) this.#revision += 1
    const said = providerVerdicts[outcome_class]
    if (wasShed || said === undefined || this.#stateOf(provider_id) !== "half_open") return
    trial.verdict = said === "succeeded" ? "closed" : "open"
    if (said === "failed" && turn_id !== undefined) trial.failedIn = turn_id
    this.#revision += 1
    this.#tell(provider_id, trial.verdict)
  }

  get #tries(): boolean {
    return this.#context.behaves("trials")
  }

  /** As it was told, and as its own calls have shown since. */
  #stateOf(provider: string): CircuitState {
    const told = this.#told.get(provider) ?? "closed"
    return told === "half_open" ? this.#trials.get(provider)?.verdict ?? told : told
  }

  #tell(provider: string, state: CircuitState): void {
    this.#gateway.signal("circuit_event", "RK-11", { reason: `${state}:${provider}` })
  }
}
