import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { SessionGateway } from "../events/EventGateway.ts"

/** What a lease input means for the session. */
export type AuthorityChange = "none" | "gained" | "lost"

/**
 * The session's view of its lease (part of RK-24): which epoch may write, and whether it still may.
 *
 * Guarantees: I-EPOCH-MONOTONE the epoch never goes back; a lease event of an older epoch, or one that would hold a lost
 * epoch again, is rejected, not healed.
 */
export class Authority {
  #held = false
  /** The last epoch that was revoked or ran out. It is over for good: only a higher one can be held. */
  #lostEpoch = -1
  /** The session was taken over, and its lease has not come yet. */
  #taken = false
  readonly #context: KernelContext
  readonly #gateway: SessionGateway

  constructor(context: KernelContext, gateway: SessionGateway) {
    this.#context = context
    this.#gateway = gateway
  }

  /** Another placement has held this epoch: it is over here, and only a higher one can be held. */
  resume(epoch: number): void {
    this.#context.epoch = Math.max(this.#context.epoch, epoch)
    this.#lostEpoch = Math.max(this.#lostEpoch, epoch)
    this.#taken = true
  }

  get authorised(): boolean {
    return this.#held
  }

  apply(lease: Extract<SessionInput, { readonly type: "lease" }>): AuthorityChange {
    const context = this.#context
    if (lease.authority_epoch < context.epoch) {
      this.rejectStale({ scope: "edge_enqueue", reason: "lease_of_an_older_epoch", epoch: lease.authority_epoch })
      return "none"
    }
    const holds = lease.status !== "revoked" && lease.status !== "expired"
    if (holds && lease.authority_epoch === this.#lostEpoch) {
      this.rejectStale({ scope: "edge_enqueue", reason: "lease_of_a_lost_epoch", epoch: lease.authority_epoch })
      return "none"
    }
    const rotated = lease.authority_epoch > context.epoch && context.epoch > 0
    const first = context.epoch === 0
    context.epoch = lease.authority_epoch
    switch (lease.status) {
      case "issued":
      case "renewed":
      case "rotated": {
        this.#held = true
        if (first) this.#gateway.signal("lease_issued", "CP-07")
        else if (rotated) this.#gateway.signal("lease_rotated", "CP-07")
        if (this.#taken) {
          this.#taken = false
          // F8: this placement is the session's now, and its state is here.
          for (const marker of ["migration_start", "migration_finish", "session_handoff"] as const) {
            this.#gateway.signal(marker, "CP-07")
          }
        }
        return rotated ? "lost" : "gained"
      }
      case "revoked":
      case "expired": {
        this.lose()
        return "lost"
      }
    }
  }

  /** The epoch is over: revoked, or run out by the clock of who noticed first. */
  lose(): void {
    this.#held = false
    this.#lostEpoch = this.#context.epoch
  }

  /** T12: something of another epoch came in or wanted out. A diagnostic decision, no change of any turn. */
  rejectStale(options: {
    readonly scope: "edge_enqueue" | "edge_dequeue"
    readonly reason: string
    readonly epoch: number
    readonly turn_id?: string
    readonly provider_invocation_id?: string
  }): void {
    const turn = options.turn_id === undefined ? {} : { turn_id: options.turn_id }
    this.#gateway.signal("stale_epoch_reject", "RK-24", {
      ...turn,
      reason: options.reason,
      authority_epoch: options.epoch,
      ...(options.provider_invocation_id === undefined
        ? {}
        : { provider_invocation_id: options.provider_invocation_id })
    })
    this.#gateway.decision({
      outcome_kind: "stale_epoch_reject",
      phase: "scheduling_point",
      scope: options.scope,
      emitted_by: "RK-24",
      authority_epoch: options.epoch,
      reason: options.reason,
      ...turn
    })
  }
}
