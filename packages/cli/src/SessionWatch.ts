import type { Lease, LeaseAuthority } from "@rspp/control/LeaseAuthority"
import type { LeaseStoreFailure } from "@rspp/control/LeaseStore"
import { digest } from "@rspp/runtime/determinism/Digest"
import type { DurableState, StateStoreFailure } from "@rspp/runtime/ports/SessionStateStore"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import type { SessionAbout, SessionStates } from "@rspp/timeline/state/SessionStates"
import { Effect, FiberMap, Schedule } from "effect"
import type { Scope, Semaphore } from "effect"
import { nothingKept } from "./Takeover.ts"

/** How often it is looked whether a session has lost its runtime: a part of the TTL, within bounds, ms. */
const lookEveryPartOfTtl = 0.05
const lookEveryMs = { least: 50, most: 500 }

/** How often a database that is away is asked again for a session's state, ms. */
const againMs = 200

/** Sessions of other pipelines or places that are remembered, so that nobody asks about them at each look. */
const maxForeign = 4096

/** What a session that runs this pipeline is, for whoever might take it over. */
export const aboutSession = ({ pipeline }: NormalizedSpec, room?: SessionAbout["room"]): SessionAbout => ({
  pipeline: {
    pipeline_id: pipeline.pipeline_id,
    pipeline_version: pipeline.pipeline_version,
    hash: digest(pipeline)
  },
  ...(room === undefined ? {} : { room })
})

/** A session whose lease is held here, and what was found of it. */
export interface ClaimedSession {
  readonly lease: Lease
  readonly about: SessionAbout | undefined
  /** What to go on from; absent: nobody has had the session yet. */
  readonly before: DurableState | undefined
}

/**
 * Claims what is kept of a session under the epoch of its lease; a database that is away is asked again. Undefined: there is
 * nothing to run, because the session has been ended. `begins`: nobody has had the session before epoch 1.
 */
export const claimSession = Effect.fnUntraced(function*(
  states: SessionStates["Service"],
  lease: Lease,
  { about, begins }: { readonly about: SessionAbout; readonly begins: boolean }
): Effect.fn.Return<ClaimedSession | undefined, StateStoreFailure> {
  const { authority_epoch, session_id } = lease
  const claimed = yield* states.claim(session_id, authority_epoch, about).pipe(
    Effect.retry({ schedule: Schedule.spaced(againMs), while: ({ reason }) => reason === "unavailable" })
  )
  // Its runtime ended it, and had no time to give the lease back; or another has ended it since it was placed.
  if (claimed.over) return undefined
  const isNew = begins && claimed.state === undefined && authority_epoch === 1
  const before = isNew ? undefined : claimed.state ?? nothingKept(session_id, authority_epoch - 1)
  return { lease, about: claimed.about, before }
})

export interface WatchOptions {
  readonly authority: LeaseAuthority["Service"]
  readonly states: SessionStates["Service"]
  readonly placementId: string
  readonly ttlMs: number
  /** How long ago a runtime may have died for its session to be taken up, ms. */
  readonly abandonedAfter: number
  /** Most sessions at once. */
  readonly sessions: number
  /** One for each session that runs here, however it came. */
  readonly room: Semaphore.Semaphore
  /** Whether a session can go on here. What it is may be unknown. */
  readonly isWanted: (about: SessionAbout | undefined) => boolean
  /** A session that is not wanted, told once. */
  readonly onForeign?: (session_id: string, about: SessionAbout | undefined) => void
  /** Goes on with a session; its lease is held, and renewed, meanwhile. */
  readonly goOn: (lease: Lease) => Effect.Effect<void, never, Scope.Scope>
  /** The database does not answer; told once until it does. */
  readonly onAway: (failure: LeaseStoreFailure | StateStoreFailure) => void
}

/**
 * Looks for sessions whose runtime is gone (their lease ran out and was not given back), and takes those that are wanted
 * here, each under the next epoch. Another that looks may be faster; then there is nothing to do.
 */
export const watchSessions = Effect.fnUntraced(function*(
  options: WatchOptions
): Effect.fn.Return<never, never, Scope.Scope> {
  const { authority, isWanted, room, sessions, states, ttlMs } = options
  const running = yield* FiberMap.make<string>()
  const foreign = new Set<string>()

  let away = false
  /** The database is asked again before long; it is said once. */
  const noAnswer = (failure: LeaseStoreFailure | StateStoreFailure) =>
    Effect.sync(() => {
      if (!away) options.onAway(failure)
      away = true
    })
  const takeOver = (session_id: string) =>
    authority.hold(session_id, options.placementId, { regain: true, leaves: true }).pipe(
      Effect.flatMap(options.goOn),
      Effect.scoped,
      Effect.catchTags({ LeaseHeld: () => Effect.void, LeaseStoreFailure: noAnswer }),
      room.withPermitsIfAvailable(1)
    )

  const isMine = Effect.fnUntraced(function*(session_id: string) {
    if (foreign.has(session_id)) return false
    // What cannot be read is nobody else's either: whoever claims it finds out, and ends it.
    const about = yield* states.about(session_id).pipe(
      Effect.catch((failure) => failure.reason === "damaged" ? Effect.succeed(undefined) : Effect.fail(failure))
    )
    if (isWanted(about)) return true
    if (foreign.size >= maxForeign) foreign.clear()
    foreign.add(session_id)
    options.onForeign?.(session_id, about)
    return false
  })

  const look = Effect.gen(function*() {
    const free = sessions - (yield* FiberMap.size(running))
    if (free <= 0) return
    const orphans = yield* authority.orphans(sessions + free + foreign.size, options.abandonedAfter)
    let left = free
    for (const session_id of orphans) {
      if (left === 0) break
      if (FiberMap.hasUnsafe(running, session_id) || !(yield* isMine(session_id))) continue
      yield* FiberMap.run(running, session_id, takeOver(session_id))
      left -= 1
    }
    away = false
  }).pipe(Effect.catch(noAnswer))
  const everyMs = Math.min(lookEveryMs.most, Math.max(lookEveryMs.least, Math.floor(ttlMs * lookEveryPartOfTtl)))
  yield* Effect.repeat(look, Schedule.spaced(everyMs))
  return yield* Effect.never
})
