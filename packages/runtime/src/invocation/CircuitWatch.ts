import type { SessionGateway } from "../events/EventGateway.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { SnapshotStore } from "../plan/SnapshotStore.ts"

/**
 * The circuits of the providers that a session's pipeline binds (RK-11, F3), as the provider health snapshots give them:
 * each change is told as `circuit_event`. A provider that no snapshot names has a closed circuit.
 */
export class CircuitWatch {
  readonly #context: KernelContext
  readonly #gateway: SessionGateway
  readonly #snapshots: SnapshotStore
  readonly #states = new Map<string, string>()

  constructor(context: KernelContext, gateway: SessionGateway, snapshots: SnapshotStore) {
    this.#context = context
    this.#gateway = gateway
    this.#snapshots = snapshots
  }

  /** A snapshot came in. */
  look(): void {
    const health = this.#snapshots.get("provider_health_snapshot")
    if (health === undefined || !this.#context.behaves("limits")) return
    const bound = new Set(Object.values(this.#context.header.pipeline.provider_bindings))
    for (const provider of [...bound].sort()) {
      const state = health.body.providers[provider] ?? "closed"
      if (state === (this.#states.get(provider) ?? "closed")) continue
      this.#states.set(provider, state)
      this.#gateway.signal("circuit_event", "RK-11", { reason: `${state}:${provider}` })
    }
  }
}
