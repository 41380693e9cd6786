import type { EdgeBufferPolicies } from "@rspp/contracts/TurnPlan"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"

/** What ties an item to others: its own id, the id of the sentence that it is a part of, and its label. */
export interface SyncIds {
  readonly event: string
  readonly sync: string
  readonly custom: string
}

/** Groups that are remembered for one turn, or for the prelude of a session; the oldest is forgotten first. */
export const rememberedGroups = 1024

/** A group of items that go together on an edge. */
export interface SyncGroup {
  readonly edgeId: string
  readonly key: string
}

/** The sync policies of one turn, or of the session's prelude, at work. */
export interface EdgeSync {
  /** Whether an item belongs to a group of which a part was lost already, so that it is lost too. */
  readonly isDoomed: (edgeId: string, ids: SyncIds) => boolean
  /** An item went on: its group can no longer be lost as a whole. */
  readonly passed: (edgeId: string, ids: SyncIds) => void
  /** An item was lost: says so as its edge's policy wants, and returns the groups of which nothing may go on. */
  readonly lost: (edgeId: string, ids: SyncIds, reason: string, turnId?: string) => ReadonlyArray<SyncGroup>
}

const nothing: ReadonlyArray<SyncGroup> = []

/** The id by which an item is grouped on an edge, under the policy of that edge. */
export const groupOf = (policies: EdgeBufferPolicies, edgeId: string, ids: SyncIds): string => {
  switch (policies[edgeId]?.sync_drop_policy?.group_by) {
    case "event_id":
      return ids.event
    case "custom":
      return ids.custom
    case "sync_id":
    case undefined:
      return ids.sync
  }
}

/**
 * Sync integrity (RK-15): what belongs together is lost together, or the gap is told.
 *
 * `atomic_drop`: with one item its whole group is lost, each with a notice: what waits on the edge and what still comes
 * to it; with the scope `plan_wide` also on the other edges of the same `sync_domain` whose policy is `atomic_drop`.
 * `drop_with_discontinuity`, and an atomic group of which a part had gone on already: a `discontinuity` of the domain.
 * `no_sync`, or no policy: nothing. Groups are by sentence (`sync_id`), by item (`event_id`) or by label (`custom`).
 *
 * Guarantees: I-SYNC-WHOLE a group on an `atomic_drop` edge goes on whole, or its gap is told (F5).
 */
export class SyncIntegrity extends Context.Service<SyncIntegrity, {
  readonly open: (parts: {
    readonly context: KernelContext
    readonly gateway: SessionGateway
    readonly policies: EdgeBufferPolicies
  }) => EdgeSync
}>()("rspp/SyncIntegrity") {
  static readonly layer = Layer.succeed(SyncIntegrity, {
    open: ({ context, gateway, policies }) => {
      // By edge and group; a turn has few, and they die with it.
      const doomed = new Set<string>()
      const begun = new Set<string>()
      const name = (edgeId: string, key: string) => `${edgeId} ${key}`
      const policyOf = (edgeId: string) => policies[edgeId]?.sync_drop_policy
      let gaps = 0
      const discontinuity = (edgeId: string, domain: string, reason: string, turnId: string | undefined) =>
        gateway.signal("discontinuity", "RK-15", {
          edge_id: edgeId,
          sync_domain: domain,
          discontinuity_id: `disc_${context.causeSequence}_${++gaps}`,
          reason,
          ...(turnId === undefined ? {} : { turn_id: turnId })
        })
      return {
        isDoomed: (edgeId, ids) =>
          policyOf(edgeId)?.policy === "atomic_drop" && doomed.has(name(edgeId, groupOf(policies, edgeId, ids))),
        passed: (edgeId, ids) => {
          if (policyOf(edgeId)?.policy === "atomic_drop") remember(begun, name(edgeId, groupOf(policies, edgeId, ids)))
        },
        lost: (edgeId, ids, reason, turnId) => {
          const policy = policyOf(edgeId)
          if (policy === undefined || policy.policy === "no_sync") return nothing
          if (policy.policy === "drop_with_discontinuity") {
            if (policy.sync_domain !== undefined) discontinuity(edgeId, policy.sync_domain, reason, turnId)
            return nothing
          }
          const together = policy.scope === "edge_local"
            ? [edgeId]
            : Object.keys(policies).sort().filter((other) => {
              const own = policyOf(other)
              return own?.policy === "atomic_drop" && own.sync_domain === policy.sync_domain
            })
          const groups = together
            .map((other): SyncGroup => ({ edgeId: other, key: groupOf(policies, other, ids) }))
            .filter(({ edgeId: other, key }) => !doomed.has(name(other, key)))
          for (const { edgeId: other, key } of groups) {
            remember(doomed, name(other, key))
            // A part of it has gone on: it is not whole any more, whatever is done.
            if (begun.has(name(other, key)) && policy.sync_domain !== undefined) {
              discontinuity(other, policy.sync_domain, `partly_delivered:${reason}`, turnId)
            }
          }
          return groups
        }
      }
    }
  })
}

const remember = (names: Set<string>, name: string): void => {
  names.add(name)
  if (names.size <= rememberedGroups) return
  for (const oldest of names) {
    names.delete(oldest)
    return
  }
}
