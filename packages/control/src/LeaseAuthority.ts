import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Scope } from "effect"
import { makeRecentNumbers } from "./internal/RecentNumbers.ts"
import { makeSubscribers } from "./internal/Subscribers.ts"
import { LeaseStore } from "./LeaseStore.ts"
import type { LeaseRow, LeaseStoreFailure } from "./LeaseStore.ts"
import { LeaseTokens } from "./LeaseTokens.ts"

/** The session's lease is held by a placement and has not run out. Raised by `acquire` and `hold`. */
export class LeaseHeld extends Schema.TaggedError<LeaseHeld>()("LeaseHeld", {
  session_id: Schema.String,
  placement_id: Schema.String,
  authority_epoch: Schema.Int,
  message: Schema.String
}) {}

/** The lease is no longer the caller's: it was rotated away or revoked, or its time is over. Raised by `renew`. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", {
  session_id: Schema.String,
  authority_epoch: Schema.Int,
  reason: Schema.Literals(["unknown", "rotated", "revoked", "expired"]),
  message: Schema.String
}) {}

/** The session's epoch is not the one that the caller expected to end. Raised by `rotate` and `revoke`. */
export class LeaseConflict extends Schema.TaggedError<LeaseConflict>()("LeaseConflict", {
  session_id: Schema.String,
  expected_epoch: Schema.Int,
  /** The epoch as it is; absent if the session never had a lease. */
  authority_epoch: Schema.optionalKey(Schema.Int),
  message: Schema.String
}) {}

/** The right to run a session, for `ttl_ms` from when it was issued or last renewed. */
export interface Lease {
  readonly session_id: string
  readonly placement_id: string
  readonly authority_epoch: number
  readonly lease_token: string
  readonly ttl_ms: number
}

/** A change of a session's lease, as a runtime takes it in (the fields of the session input `lease`). */
export interface LeaseChange {
  readonly authority_epoch: number
  readonly status: "issued" | "renewed" | "rotated" | "revoked" | "expired"
  /** Counts from `as_of_ns`. */
  readonly ttl_ms: number
  /** Present while the epoch is live; never logged. */
  readonly lease_token?: string
  readonly placement_id: string
  /**
   * Time of Effect's monotonic clock, ns, at or before which the store said so. A holder that was held up between the
   * store's answer and this news still knows when its lease ends.
   */
  readonly as_of_ns: bigint
}

export interface LeaseOptions {
  /** How long a lease lasts without renewal, in ms. At least {@link minLeaseTtlMs}. */
  readonly ttlMs: number
}

/** 10 s: a dead runtime is replaced within one breath of the caller, and a renewal every 4 s costs nothing. */
export const defaultLeaseOptions: LeaseOptions = { ttlMs: 10_000 }

/** Below this, a renewal that waits for one slow tick of an event loop comes too late. */
export const minLeaseTtlMs = 100

/** Part of the TTL after which `hold` asks a store again that did not answer: several times before the lease ends. */
const retryAtPartOfTtl = 0.05

/** A store that no longer tells of changes is listened to again so much later, ms. */
const listenAgainMs = 500

/** With short TTLs a store is not asked more often than this, ms. */
const minRetryMs = 20

/** Part of the TTL after which `hold` renews. The contract asks for less than half; the rest is room for retries. */
const renewAtPartOfTtl = 0.4

/** How long the end of `hold` waits for its revocation to be written, in ms. */
export const releaseWithinMs = 500

/** Compare-and-set rounds before a call gives up: each loss means that another call has won. */
const maxRounds = 64

/**
 * Placement lease authority (CP-07): who may run a session.
 *
 * Guarantees, for each session:
 * - **L1** an epoch is issued once; each is higher than every one before it, the first is 1.
 * - **L2** at most one epoch is held at any instant: `acquire` fails while one is live, `rotate` ends the old one in the
 *   same compare-and-set that issues the new.
 * - **L3** only the holder of epoch and token can renew, and only within the TTL. Nothing revives an ended epoch.
 * - **L4** subscribers hear of changes in the order in which they took effect; a change that a later one has overtaken
 *   is not told any more.
 *
 * Times are the store's ({@link LeaseStore}), tokens come from {@link LeaseTokens}. An expiry is noticed by the next call
 * that touches the session; a runtime does not wait for that, but drains by itself when its TTL is over. Subscribers hear
 * of what this process does, and of what others have done when a call here finds it: for a lease that `hold` keeps, at
 * once where the store tells of changes, and else at its next renewal.
 *
 * A store that does not answer fails the call with `LeaseStoreFailure`; what it was asked may still have happened.
 */
export class LeaseAuthority extends Context.Service<LeaseAuthority, {
  /** Takes a session that nobody holds; the new epoch is one higher than the last. */
  readonly acquire: (session_id: string, placement_id: string) => Effect.Effect<Lease, LeaseHeld | LeaseStoreFailure>
  /** Extends the lease to a full TTL from now. */
  readonly renew: (lease: Lease) => Effect.Effect<Lease, LeaseLost | LeaseStoreFailure>
  /** Hands a session to a placement: ends `expected_epoch` (live or not) and issues the next one. */
  readonly rotate: (
    session_id: string,
    expected_epoch: number,
    placement_id: string
  ) => Effect.Effect<Lease, LeaseConflict | LeaseStoreFailure>
  /** Ends `expected_epoch`. Doing it twice is harmless. */
  readonly revoke: (
    session_id: string,
    expected_epoch: number
  ) => Effect.Effect<void, LeaseConflict | LeaseStoreFailure>
  /** The live lease, if there is one, with the TTL that is left. */
  readonly current: (session_id: string) => Effect.Effect<Lease | undefined, LeaseStoreFailure>
  /** Sessions whose holder is gone: see {@link LeaseStore}. Whoever can run them may try to take them. */
  readonly orphans: (
    limit: number,
    endedWithinMs?: number
  ) => Effect.Effect<ReadonlyArray<string>, LeaseStoreFailure>
  /**
   * Calls `onChange` with the live lease (as `issued`, with the TTL that is left) and then with every change, until the
   * scope closes. `onChange` is called synchronously and must not throw.
   */
  readonly subscribe: (
    session_id: string,
    onChange: (change: LeaseChange) => void
  ) => Effect.Effect<void, LeaseStoreFailure, Scope.Scope>
  /**
   * `acquire`, renewed in the background after 40 % of the TTL for as long as the scope, and revoked when it closes (within
   * {@link releaseWithinMs}; past it the lease runs out by itself). A store that does not answer is asked again each 5 %
   * of the TTL. When the lease is lost, renewing stops and subscribers have been told.
   *
   * With `regain`, a lease that only ran out (the store was away, or this process stood still) is taken again, under a new
   * epoch, if nobody else has taken it: subscribers hear of that as `issued` or `rotated`.
   *
   * With `leaves`, a holder that is interrupted leaves its session to others: the lease ends as if it had run out, and the
   * session is an orphan at once. Closing the scope in another way revokes it all the same.
   */
  readonly hold: (
    session_id: string,
    placement_id: string,
    options?: { readonly regain?: boolean; readonly leaves?: boolean }
  ) => Effect.Effect<Lease, LeaseHeld | LeaseStoreFailure, Scope.Scope>
}>()("rspp/LeaseAuthority") {
  /** Needs a store and a source of tokens. */
  static readonly layerNoDeps = (
    options: LeaseOptions = defaultLeaseOptions
  ): Layer.Layer<LeaseAuthority, never, LeaseStore | LeaseTokens> => Layer.effect(LeaseAuthority, make(options))

  /** With a store in memory; the source of tokens (and so whether runs can be repeated) is the caller's choice. */
  static readonly layerMemory = (
    options: LeaseOptions = defaultLeaseOptions
  ): Layer.Layer<LeaseAuthority, never, LeaseTokens> =>
    LeaseAuthority.layerNoDeps(options).pipe(Layer.provide(LeaseStore.layerMemory))
}

/**
 * Sessions whose last change that was told is remembered (L4), the latest of them: a change that was overtaken is one round
 * of the database late, in which so many others do not change.
 */
const maxTold = 16_384

/** One that renews a lease. */
interface Holder {
  /** Done when something has become of the session since it slept last. */
  news: Deferred.Deferred<void>
}

const make = Effect.fnUntraced(function*({ ttlMs }: LeaseOptions) {
  if (!Number.isInteger(ttlMs) || ttlMs < minLeaseTtlMs) {
    throw new Error(`lease ttlMs must be an integer of at least ${minLeaseTtlMs}, not ${ttlMs}`)
  }
  const store = yield* LeaseStore
  const tokens = yield* LeaseTokens
  const subscribers = makeSubscribers<LeaseChange>()
  /** Who keeps a lease here, by session: news of the session wakes them. */
  const holders = new Map<string, Set<Holder>>()
  const toldRevision = makeRecentNumbers(maxTold)

  const tell = (row: LeaseRow, status: LeaseChange["status"], asOfNs: bigint, ttl = ttlMs): void => {
    if (row.revision <= toldRevision.get(row.session_id)) return // L4
    toldRevision.set(row.session_id, row.revision)
    subscribers.publish(row.session_id, changeOf(row, status, row.state === "held" ? ttl : 0, asOfNs))
  }

  /**
   * Reads the row, lets `decide` say what becomes of it, and writes that if nobody was faster; else begins again.
   * Telling follows the write in the same synchronous step.
   */
  const change = <E>(
    session_id: string,
    decide: (row: LeaseRow | undefined, nowMs: number, asOfNs: bigint) => Effect.Effect<Decision, E>
  ): Effect.Effect<LeaseRow, E | LeaseStoreFailure> =>
    Effect.gen(function*() {
      for (let round = 0; round < maxRounds; round++) {
        const asOfNs = yield* Clock.monotonicTimeNanos
        const { now_ms: nowMs, row } = yield* store.read(session_id)
        if (row?.state === "held" && nowMs >= row.expires_at_ms) {
          const expired = { ...row, state: "expired" as const, revision: row.revision + 1 }
          if (yield* store.compareAndSet(row.revision, expired)) tell(expired, "expired", asOfNs)
          continue
        }
        const decision = yield* decide(row, nowMs, asOfNs)
        if (decision === "keep") return row!
        const next = { ...decision.row, revision: (row?.revision ?? 0) + 1 }
        if (yield* store.compareAndSet(row?.revision ?? 0, next)) {
          tell(next, decision.status, asOfNs)
          return next
        }
      }
      return yield* Effect.die(
        new Error(`lease of session ${session_id}: ${maxRounds} changes in a row were overtaken`)
      )
    })

  const issue = (session_id: string, placement_id: string, last: LeaseRow | undefined, nowMs: number) =>
    Effect.map(tokens.next, (lease_token): Omit<LeaseRow, "revision"> => ({
      session_id,
      placement_id,
      authority_epoch: (last?.authority_epoch ?? 0) + 1, // L1
      lease_token,
      state: "held",
      expires_at_ms: nowMs + ttlMs
    }))

  const acquire = Effect.fn("LeaseAuthority.acquire")((session_id: string, placement_id: string) =>
    Effect.map(
      change<LeaseHeld>(session_id, (row, nowMs) =>
        row?.state === "held" // L2
          ? Effect.fail(
            new LeaseHeld({
              session_id,
              placement_id: row.placement_id,
              authority_epoch: row.authority_epoch,
              message: `session ${session_id} is held by ${row.placement_id} at epoch ${row.authority_epoch}`
            })
          )
          : Effect.map(issue(session_id, placement_id, row, nowMs), (next) => ({ row: next, status: "issued" }))),
      (row) => leaseOf(row, ttlMs)
    )
  )

  const renew = Effect.fn("LeaseAuthority.renew")((lease: Lease) =>
    Effect.map(
      change<LeaseLost>(lease.session_id, (row, nowMs, asOfNs) => {
        const reason = row === undefined
          ? "unknown"
          : row.authority_epoch !== lease.authority_epoch || row.lease_token !== lease.lease_token
          ? "rotated"
          : row.state === "held"
          ? undefined
          : row.state
        if (row !== undefined && reason === undefined) {
          return Effect.succeed({ row: { ...row, expires_at_ms: nowMs + ttlMs }, status: "renewed" })
        }
        // whoever ended it may be another process
        if (row !== undefined) {
          tell(row, row.state === "held" ? "rotated" : row.state, asOfNs, row.expires_at_ms - nowMs)
        }
        return Effect.fail(
          new LeaseLost({
            session_id: lease.session_id,
            authority_epoch: lease.authority_epoch,
            reason: reason ?? "unknown",
            message: `epoch ${lease.authority_epoch} of session ${lease.session_id} is over: ${reason}`
          })
        ) // L3
      }),
      (row) => leaseOf(row, ttlMs)
    )
  )

  const conflict = (session_id: string, expected_epoch: number, row: LeaseRow | undefined) =>
    new LeaseConflict({
      session_id,
      expected_epoch,
      ...(row === undefined ? {} : { authority_epoch: row.authority_epoch }),
      message: `session ${session_id} is at epoch ${row?.authority_epoch ?? "none"}, not ${expected_epoch}`
    })

  const rotate = Effect.fn("LeaseAuthority.rotate")((
    session_id: string,
    expected_epoch: number,
    placement_id: string
  ) =>
    Effect.map(
      change<LeaseConflict>(session_id, (row, nowMs) =>
        row?.authority_epoch !== expected_epoch
          ? Effect.fail(conflict(session_id, expected_epoch, row))
          : Effect.map(issue(session_id, placement_id, row, nowMs), (next) => ({ row: next, status: "rotated" }))),
      (row) => leaseOf(row, ttlMs)
    )
  )

  const revoke = Effect.fn("LeaseAuthority.revoke")((session_id: string, expected_epoch: number) =>
    Effect.asVoid(
      change<LeaseConflict>(session_id, (row) =>
        row?.authority_epoch !== expected_epoch
          ? Effect.fail(conflict(session_id, expected_epoch, row))
          : Effect.succeed(row.state === "held" ? { row: { ...row, state: "revoked" }, status: "revoked" } : "keep"))
    )
  )

  /** Ends `expected_epoch` as if it had run out by itself, now. */
  const leave = (session_id: string, expected_epoch: number) =>
    Effect.asVoid(
      change<LeaseConflict>(session_id, (row, nowMs) =>
        row?.authority_epoch !== expected_epoch || row.state !== "held"
          ? Effect.fail(conflict(session_id, expected_epoch, row))
          : Effect.succeed({ row: { ...row, state: "expired", expires_at_ms: nowMs }, status: "expired" }))
    )

  const current = (session_id: string): Effect.Effect<Lease | undefined, LeaseStoreFailure> =>
    Effect.map(
      store.read(session_id),
      ({ now_ms, row }) =>
        row?.state === "held" && now_ms < row.expires_at_ms ? leaseOf(row, row.expires_at_ms - now_ms) : undefined
    )

  const subscribe = Effect.fnUntraced(function*(session_id: string, onChange: (change: LeaseChange) => void) {
    let heard = false
    yield* subscribers.add(session_id, (change) => {
      heard = true
      onChange(change)
    })
    const as_of_ns = yield* Clock.monotonicTimeNanos
    const lease = yield* current(session_id)
    // a change that came while the store was read is newer than what was read
    if (heard || lease === undefined) return
    const { authority_epoch, lease_token, placement_id, ttl_ms } = lease
    onChange({ authority_epoch, status: "issued", ttl_ms, lease_token, placement_id, as_of_ns })
  })

  /** Sleeps; less, when there is news of the holder's session, or was since it slept last. */
  const sleepOrNews = (holder: Holder | undefined, ms: number): Effect.Effect<void> => {
    // Where there is no news, there is nothing to race with.
    if (holder === undefined) return Effect.sleep(ms)
    return Effect.suspend(() =>
      Effect.raceFirst(Effect.sleep(ms), Deferred.await(holder.news)).pipe(
        Effect.ensuring(Effect.sync(() => void (holder.news = Deferred.makeUnsafe())))
      )
    )
  }
  /** For as long as the scope of a hold. */
  const holderOf = (session_id: string): Effect.Effect<Holder, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const holder: Holder = { news: Deferred.makeUnsafe() }
        holders.set(session_id, (holders.get(session_id) ?? new Set()).add(holder))
        return holder
      }),
      (holder) =>
        Effect.sync(() => {
          const all = holders.get(session_id)
          all?.delete(holder)
          if (all?.size === 0) holders.delete(session_id)
        })
    )
  if (store.changes !== undefined) {
    const listening = Stream.runForEach(store.changes, (session_id) =>
      Effect.sync(() => {
        for (const { news } of holders.get(session_id) ?? []) Deferred.doneUnsafe(news, Effect.void)
      }))
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.ignore(listening), Effect.sleep(listenAgainMs))))
  }

  /** Renews for ever; ends when the lease is lost and may not, or cannot, be taken again. */
  const keepRenewing = Effect.fnUntraced(function*(
    held: { lease: Lease; untilNs: bigint },
    regain: boolean,
    holder?: Holder
  ) {
    const ttlNs = BigInt(ttlMs) * 1_000_000n
    let waitMs = Math.floor(ttlMs * renewAtPartOfTtl)
    /** It ran out and has not been taken again. */
    let ended = false
    for (;;) {
      yield* sleepOrNews(holder, waitMs)
      const askedNs = yield* Clock.monotonicTimeNanos
      const { lease } = held
      const taken: Effect.Effect<Lease, LeaseLost | LeaseHeld | LeaseConflict | LeaseStoreFailure> = ended
        ? acquire(lease.session_id, lease.placement_id)
        // A holder whose own count is over may have told itself so: the same epoch would be of no use to it any more.
        : regain && askedNs >= held.untilNs
        ? rotateOwn(lease)
        : renew(lease)
      const answer = yield* Effect.result(taken)
      if (Result.isSuccess(answer)) {
        ended = false
        waitMs = Math.floor(ttlMs * renewAtPartOfTtl)
        const late = (yield* Clock.monotonicTimeNanos) >= held.untilNs &&
          answer.success.authority_epoch === lease.authority_epoch
        held.lease = answer.success
        held.untilNs = askedNs + ttlNs
        // renewed in time at the store, but heard of too late here: begin a new epoch at once
        if (late && regain) {
          held.untilNs = askedNs
          waitMs = 0
        }
        continue
      }
      const error = answer.failure
      if (error._tag === "LeaseStoreFailure") {
        waitMs = Math.max(minRetryMs, Math.floor(ttlMs * retryAtPartOfTtl))
        continue
      }
      if (error._tag !== "LeaseLost") {
        // Somebody took it between two of our questions: this tells subscribers who has it.
        return yield* Effect.ignore(renew(lease))
      }
      if (!regain || error.reason !== "expired") return
      ended = true
      waitMs = 0
    }
  })

  /** Ends the caller's own epoch and begins the next, if the lease is still the caller's and has not run out. */
  const rotateOwn = (lease: Lease) =>
    Effect.flatMap(renew(lease), () => rotate(lease.session_id, lease.authority_epoch, lease.placement_id))

  const hold = Effect.fn("LeaseAuthority.hold")(function*(
    session_id: string,
    placement_id: string,
    { leaves = false, regain = false }: { readonly regain?: boolean; readonly leaves?: boolean } = {}
  ) {
    const askedNs = yield* Clock.monotonicTimeNanos
    const held = yield* Effect.acquireRelease(
      Effect.map(acquire(session_id, placement_id), (lease) => ({
        lease,
        untilNs: askedNs + BigInt(ttlMs) * 1_000_000n
      })),
      // Another placement may hold the session by now: then there is nothing of ours left to end. Where the store is out
      // of reach the lease ends by itself, and whoever closes the scope must not wait for that.
      (held, exit) =>
        Effect.suspend(() =>
          (leaves && Exit.hasInterrupts(exit) ? leave : revoke)(session_id, held.lease.authority_epoch)
        ).pipe(
          Effect.ignore,
          Effect.interruptible,
          Effect.timeoutOption(releaseWithinMs)
        )
    )
    const holder = store.changes === undefined ? undefined : yield* holderOf(session_id)
    yield* Effect.forkScoped(keepRenewing(held, regain, holder))
    return held.lease
  })

  return LeaseAuthority.of({ acquire, renew, rotate, revoke, current, orphans: store.orphans, subscribe, hold })
})

type Decision = "keep" | { readonly row: Omit<LeaseRow, "revision">; readonly status: LeaseChange["status"] }

const leaseOf = ({ session_id, placement_id, authority_epoch, lease_token }: LeaseRow, ttl_ms: number): Lease => ({
  session_id,
  placement_id,
  authority_epoch,
  lease_token,
  ttl_ms
})

const changeOf = (
  { authority_epoch, lease_token, placement_id, state }: LeaseRow,
  status: LeaseChange["status"],
  ttl_ms: number,
  as_of_ns: bigint
): LeaseChange => ({
  authority_epoch,
  status,
  ttl_ms,
  placement_id,
  as_of_ns,
  ...(state === "held" ? { lease_token } : {})
})
