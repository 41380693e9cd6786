import { LeaseStore } from "@rspp/control/LeaseStore"
import { layerMemory, SessionStateStore } from "@rspp/runtime/ports/SessionStateStore"
import type { SessionStateStoreService } from "@rspp/runtime/ports/SessionStateStore"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SimProcess } from "./parts/SimProcess.ts"
import type { World } from "./World.ts"

/** A write of session state that a store was asked for. */
export interface StateWrite {
  readonly placement: string
  readonly authority_epoch: number
  readonly atMs: number
  readonly taken: boolean
}

/** What one session's placements share, which none of them owns: leases and session state. */
export interface SharedStores {
  readonly leases: LeaseStore["Service"]
  readonly states: SessionStateStoreService
  readonly writes: Array<StateWrite>
}

/** One placement of a session that may be taken over: its process, what it shares, and whether it is the one that waits. */
export interface Placement {
  readonly name: string
  readonly process: SimProcess
  readonly stores: SharedStores
  readonly standsBy: boolean
}

/** How often a placement that stands by looks whether the session is free, in ms. */
const lookEveryMs = 20

/** Stores as a control plane has them: they outlive every runtime. */
export const sharedStores = (): SharedStores => {
  const context = Effect.runSync(Effect.scoped(Layer.build(Layer.merge(LeaseStore.layerMemory, layerMemory))))
  return { leases: Context.get(context, LeaseStore), states: Context.get(context, SessionStateStore), writes: [] }
}

/** The placements of one session: the first has it, each other one takes over when nobody holds it any more. */
export const placementsOf = (world: World, count: number): ReadonlyArray<Placement> => {
  const stores = sharedStores()
  return Array.from({ length: count }, (_, i) => ({
    name: `sim-${i + 1}`,
    process: new SimProcess(world),
    stores,
    standsBy: i > 0
  }))
}

/** The store of state as a placement reaches it; what it writes, and whether that was taken, is kept for assertions. */
export const stateStoreOf = ({ name, stores }: Placement, world: World): SessionStateStoreService => ({
  load: stores.states.load,
  save: (state) => {
    const told = (taken: boolean) =>
      Effect.sync(() => {
        stores.writes.push({ placement: name, authority_epoch: state.authority_epoch, atMs: world.nowMs, taken })
      })
    return stores.states.save(state).pipe(Effect.tap(() => told(true)), Effect.tapError(() => told(false)))
  }
})

/** Waits until the session has had a lease and nobody holds it any more: revoked, or run out. */
export const whenFree = ({ stores }: Placement, session_id: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (;;) {
      const { now_ms, row } = yield* Effect.orDie(stores.leases.read(session_id))
      if (row !== undefined && (row.state !== "held" || now_ms >= row.expires_at_ms)) return
      yield* Effect.sleep(lookEveryMs)
    }
  })
