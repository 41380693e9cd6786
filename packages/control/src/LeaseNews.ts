import type { InputOf } from "@rspp/contracts/SessionInput"
import type { LeaseChange } from "./LeaseAuthority.ts"

/**
 * What a change of a session's lease means to the placement `placementId`, which has the session under the epoch `own`
 * (0: it does not yet); nothing, if it is of a time before that.
 *
 * A session that was given to another placement hears that its own epoch is revoked, never the other's lease.
 */
export const leaseNews = (
  { authority_epoch, lease_token, placement_id, status, ttl_ms }: LeaseChange,
  own: number,
  placementId: string
): InputOf<"lease"> | undefined => {
  if (placement_id === placementId) {
    return {
      type: "lease",
      authority_epoch,
      status,
      ttl_ms,
      ...(lease_token === undefined ? {} : { lease_token })
    }
  }
  return own === 0 ? undefined : { type: "lease", authority_epoch: own, status: "revoked", ttl_ms: 0 }
}
