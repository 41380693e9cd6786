import type { Snapshot } from "@rspp/contracts/Snapshot"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { leaseNews } from "@rspp/control/LeaseNews"
import { LeaseStore } from "@rspp/control/LeaseStore"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { frameMs } from "@rspp/runtime/ports/AudioFrame"
import { ControlPlaneFailure, ControlPlaneFeed } from "@rspp/runtime/ports/ControlPlaneFeed"
import { named } from "@rspp/runtime/determinism/FiberName"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type { Episode } from "../Faults.ts"
import type { WorldTimer } from "../TimerQueue.ts"
import type { SimCall } from "./SimCall.ts"

/** Where the session runs, and where it may be moved to. */
const home = "sim-home"
const elsewhere = "sim-elsewhere"

/** What is asked of the control plane while the call goes on. */
type Order =
  | "revoke"
  | "rotate_home"
  | "rotate_away"
  | "incompatible"
  | "compatible"
  | "unhealthy"
  | "healthy"
  | "half_open"
  | "decided"

/**
 * Keeps out of reach what a partition cuts off: nothing is read or written until it is over.
 */
const storeBehindPartition = (call: SimCall): Layer.Layer<LeaseStore> =>
  Layer.effect(
    LeaseStore,
    Effect.map(LeaseStore, (inner) => {
      const reach = Effect.suspend(() => {
        const cut = call.faults.during("authority.partition")
        return cut === undefined
          ? Effect.void
          : Effect.sleep(Math.max(1, Math.min(cut.atMs + cut.forMs, call.scenario.faultsUntilMs) - call.world.nowMs))
      })
      return LeaseStore.of({
        read: (session) => Effect.andThen(reach, inner.read(session)),
        compareAndSet: (expected, row) =>
          Effect.andThen(
            reach,
            Effect.tap(inner.compareAndSet(expected, row), (written) =>
              Effect.sync(() => {
                if (written) call.truth.leaseWritten(row, call.scenario.leaseTtlMs)
              }))
          ),
        orphans: (limit, endedWithinMs) => Effect.andThen(reach, inner.orphans(limit, endedWithinMs))
      })
    })
  ).pipe(
    Layer.provide(
      call.placement === undefined
        ? LeaseStore.layerMemory
        : Layer.succeed(LeaseStore, call.placement.stores.leases)
    )
  )

/**
 * The control plane of a simulated call: the real one in memory, with leases and snapshots pushed to the session, and an
 * operator that moves, revokes and changes things as the faults say.
 */
export const layer = (call: SimCall, spec: NormalizedSpec): Layer.Layer<ControlPlaneFeed> =>
  Layer.effect(
    ControlPlaneFeed,
    Effect.gen(function*() {
      const control = yield* ControlPlane
      const leases = yield* LeaseAuthority
      return ControlPlaneFeed.of({
        open: (session) =>
          open(call, spec, control, leases, session).pipe(
            Effect.mapError((cause) => new ControlPlaneFailure({ message: cause.message, cause }))
          )
      })
    })
  ).pipe(
    Layer.provide([
      ControlPlane.layerMemory({ snapshotTtlMs: call.scenario.snapshotTtlMs }),
      LeaseAuthority.layerNoDeps({ ttlMs: call.scenario.leaseTtlMs }).pipe(Layer.provide(storeBehindPartition(call)))
    ]),
    Layer.provide(LeaseTokens.layerSeeded(call.streams.of("control/tokens").next()))
  )

type Session = Parameters<ControlPlaneFeed["Service"]["open"]>[0]

const open = (
  call: SimCall,
  spec: NormalizedSpec,
  control: ControlPlane["Service"],
  leases: LeaseAuthority["Service"],
  { onLease, onSnapshot, session_id }: Session
) =>
  Effect.gen(function*() {
    const { faults } = call
    const own = call.placement?.name ?? home
    const orders = yield* Queue.unbounded<Order>()
    // What a partition holds back comes in its order when it is over.
    const held: Array<() => void> = []
    const tell = (deliver: () => void) => {
      if (faults.during("authority.partition") === undefined && held.length === 0) deliver()
      else held.push(deliver)
    }
    const heal = () => {
      if (faults.during("authority.partition") !== undefined) return
      for (const deliver of held.splice(0)) deliver()
    }
    // News that is under way when the session ends comes to nobody.
    const late = new Set<WorldTimer>()
    let epoch = 0
    /** The epoch under which this placement has the session. */
    let ours = 0
    yield* Effect.addFinalizer(() => Effect.sync(() => late.forEach((timer) => call.world.callOff(timer))))
    yield* leases.subscribe(session_id, (told) => {
      const { as_of_ns, placement_id: _placement, ...said } = told
      // An operator of one placement alone moves the lease to nobody who would speak.
      const news = call.placement === undefined ? said : leaseNews(told, ours, own)
      if (news === undefined) return
      const { authority_epoch, lease_token, status, ttl_ms } = news
      const change = { authority_epoch, status, ttl_ms, ...(lease_token === undefined ? {} : { lease_token }) }
      ours = Math.max(ours, authority_epoch)
      const deliver = () =>
        tell(() => {
          call.truth.leased(change)
          onLease({ type: "lease", ...change }, as_of_ns)
        })
      epoch = Math.max(epoch, change.authority_epoch)
      deliver()
      if (change.status !== "renewed" || !faults.strikes("authority.late_news")) return
      const timer = call.world.after(faults.stream("authority.late_news").between(1, 2000) * 1e6, () => {
        late.delete(timer)
        // What a newer epoch has overtaken is not sent any more.
        if (change.authority_epoch === epoch) deliver()
      })
      late.add(timer)
    })
    if (call.scenario.refused === "lease") yield* leases.acquire(session_id, elsewhere)
    const lease = yield* leases.hold(session_id, own)
    yield* control.openSession({
      session_id,
      placement_id: own,
      authority_epoch: lease.authority_epoch,
      spec,
      ...(call.scenario.policy === undefined ? {} : { policy: call.scenario.policy })
    })
    yield* control.subscribe(session_id, (snapshot: Snapshot) => {
      if (faults.during("control.stale_snapshots") !== undefined) return
      tell(() => onSnapshot(snapshot))
    })

    const publish = (kind: "abi_compatibility_snapshot" | "provider_health_snapshot", body: Snapshot["body"]) =>
      Effect.ignore(control.publish(session_id, kind, body as never))
    const obey = Effect.fnUntraced(function*(order: Order) {
      switch (order) {
        case "incompatible":
          return yield* publish("abi_compatibility_snapshot", { contract_versions: ["v9.0"] })
        case "compatible":
          return yield* publish("abi_compatibility_snapshot", { contract_versions: ["v1.0"] })
        case "unhealthy":
        case "healthy": {
          const providers = Object.fromEntries(
            Object.values(spec.pipeline.provider_bindings).map((id) => [id, "closed" as const])
          )
          const one = faults.stream("control.unhealthy").pick(["sim/stt", "sim/llm", "sim/tts"])
          return yield* publish("provider_health_snapshot", {
            providers: order === "healthy" ? providers : { ...providers, [one]: "open" as const }
          })
        }
        case "half_open":
        case "decided": {
          const stream = faults.stream("control.half_open")
          const one = stream.pick(["sim/stt", "sim/llm", "sim/tts"])
          // Of a trial that was for nobody, or failed, as much as of one that went well.
          const over = call.world.nowMs >= call.scenario.faultsUntilMs
          const state = over ? "closed" : order === "half_open" ? order : stream.pick(["closed", "open"] as const)
          return yield* publish("provider_health_snapshot", { providers: { [one]: state } })
        }
        default: {
          const current = yield* leases.current(session_id)
          if (current === undefined) return
          if (order === "revoke") return yield* Effect.ignore(leases.revoke(session_id, current.authority_epoch))
          const placement = order === "rotate_home" ? home : elsewhere
          const next = yield* Effect.option(leases.rotate(session_id, current.authority_epoch, placement))
          if (next._tag === "None") return
          // Whoever has it now goes on renewing it; the session that it was taken from cannot.
          yield* Effect.forkScoped(Effect.ignore(Effect.forever(
            Effect.andThen(Effect.sleep(Math.floor(call.scenario.leaseTtlMs * 0.4)), leases.renew(next.value))
          )))
        }
      }
    })
    yield* Effect.forkScoped(named("simulated operator")(Effect.forever(Effect.flatMap(Queue.take(orders), obey))))
    call.script.lease = (order) => void Queue.offerUnsafe(orders, order)
    call.script.healed = heal

    const timers: Array<WorldTimer> = [
      ...faults.plan.episodes.flatMap((episode) => ordersOf(call, episode).map(({ atMs, order }) => ({ atMs, order }))),
      ...faults.episodesOf("authority.partition").map(({ atMs, forMs }) => ({ atMs: atMs + forMs, order: undefined }))
    ].map(({ atMs, order }) =>
      call.world.after(atMs * 1e6 - call.world.nowNs, () => {
        if (order === undefined) return heal()
        const give = () => void Queue.offerUnsafe(orders, order)
        const moves = order === "rotate_home" || order === "rotate_away"
        if (!moves) return give()
        // A takeover is hardest while the agent speaks, in the instant in which the next frame is due, and when the caller
        // has been heard but no turn has opened yet.
        const { whenHeard, whenSpeaking, world } = call
        const choice = faults.stream("authority.rotated").below(5)
        if (choice < 2) whenSpeaking.push(() => void timers.push(world.after(frameMs * 1e6, give)))
        else if (choice === 2) whenHeard.push(give)
        else give()
      })
    )
    faults.whenOff(() => {
      heal()
      if (faults.has("control.incompatible")) Queue.offerUnsafe(orders, "compatible")
      if (faults.has("control.half_open")) Queue.offerUnsafe(orders, "healthy")
      if (faults.has("control.unhealthy")) Queue.offerUnsafe(orders, "healthy")
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => timers.forEach((timer) => call.world.callOff(timer))))
    call.whenComplete.push(() => {
      if (!faults.strikes("authority.lost_at_commit")) return
      const stream = faults.stream("authority.lost_at_commit")
      const give = () => void Queue.offerUnsafe(orders, "revoke")
      // At once, or while the last of the reply is still heard.
      if (stream.chance(0.5)) give()
      else timers.push(call.world.after(stream.between(1, 200) * 1e6, give))
    })
  })

const ordersOf = (
  { faults }: SimCall,
  { atMs, forMs, kind }: Episode
): ReadonlyArray<{ readonly atMs: number; readonly order: Order }> => {
  switch (kind) {
    case "authority.rotated":
      return [{ atMs, order: faults.stream(kind).chance(0.6) ? "rotate_home" : "rotate_away" }]
    case "authority.revoked":
      return [{ atMs, order: "revoke" }]
    case "control.incompatible":
      return [{ atMs, order: "incompatible" }, { atMs: atMs + forMs, order: "compatible" }]
    case "control.unhealthy":
      return [{ atMs, order: "unhealthy" }, { atMs: atMs + forMs, order: "healthy" }]
    case "control.half_open":
      return [{ atMs, order: "half_open" }, { atMs: atMs + forMs, order: "decided" }]
    default:
      return []
  }
}
