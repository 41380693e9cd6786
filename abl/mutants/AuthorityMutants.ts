import type { Mutant } from "./Mutant.ts"

const authority = "packages/runtime/src/authority/Authority.ts"
const arbiter = "packages/runtime/src/turn/TurnArbiter.ts"
const leases = "packages/control/src/LeaseAuthority.ts"

/** Defects in who may write, and under which epoch. */
export const authorityMutants: ReadonlyArray<Mutant> = [
  {
    id: "ingress-epoch-unchecked",
    file: "packages/runtime/src/kernel/SessionKernel.ts",
    what: "an input of an older epoch is taken for one of this epoch",
    find: "input.authority_epoch === undefined || input.authority_epoch === context.epoch",
    replace: "input.authority_epoch === undefined || input.authority_epoch <= context.epoch"
  },
  {
    id: "egress-epoch-unchecked",
    file: "packages/runtime/src/connection/EgressWriter.ts",
    what: "egress does not look at the epoch of a frame",
    find: "chunk.epoch !== this.#authority.epoch()",
    replace: "chunk.epoch > this.#authority.epoch()"
  },
  {
    id: "egress-deadline-unchecked",
    file: "packages/runtime/src/session/Session.ts",
    what: "egress writes on after the lease's own deadline, until somebody tells it",
    find: "leaseHolds: () => clock.monotonicTimeNanosUnsafe() < lease.deadlineNanos",
    replace: "leaseHolds: () => lease.deadlineNanos > 0n"
  },
  {
    id: "stale-intent-opened",
    file: arbiter,
    what: "words of an epoch that is over open a turn",
    find: "facts.intentEpoch !== facts.epoch",
    replace: "facts.intentEpoch > facts.epoch"
  },
  {
    id: "opened-without-lease",
    file: arbiter,
    what: "a turn opens although the lease is lost",
    find: "if (!facts.authorised)",
    replace: "if (facts.epoch === 0)"
  },
  {
    id: "rotation-unnoticed",
    file: authority,
    what: "an open turn goes on under the new epoch when the lease rotates",
    find: `return rotated ? "lost" : "gained"`,
    replace: `return "gained"`
  },
  {
    id: "lost-epoch-held-again",
    file: authority,
    what: "a renewal that comes too late brings a lost epoch back",
    find: "if (holds && lease.authority_epoch === this.#lostEpoch)",
    replace: "if (holds && lease.authority_epoch < this.#lostEpoch)"
  },
  {
    id: "revocation-ignored",
    file: authority,
    what: "a revoked lease is still held",
    find: "    this.#held = false\n    this.#lostEpoch = this.#context.epoch",
    replace: "    this.#lostEpoch = this.#context.epoch"
  },
  {
    id: "lease-epoch-repeated",
    file: leases,
    what: "the lease authority issues an epoch twice",
    find: "(last?.authority_epoch ?? 0) + 1",
    replace: "Math.max(1, last?.authority_epoch ?? 0)"
  },
  {
    id: "lease-revived",
    file: leases,
    what: "the lease authority renews a lease whose time is over",
    find: "nowMs >= row.expires_at_ms",
    replace: "nowMs >= row.expires_at_ms + ttlMs"
  },
  {
    id: "rotated-epoch-still-speaks",
    file: "packages/runtime/src/turn/TurnLifecycle.ts",
    what: "what still plays of a closed turn plays on when the lease is lost",
    find: `      cancellation.fence(turn, "authority_loss")\n`,
    replace: ""
  }
]
