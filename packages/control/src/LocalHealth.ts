import type { InvocationFacts } from "@rspp/contracts/Invocation"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { ProviderHealthSnapshot } from "@rspp/contracts/Snapshot"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type { Scope } from "effect"
import { defaultHealthOptions } from "./CircuitBreaker.ts"
import type { HealthOptions } from "./CircuitBreaker.ts"
import { judgedCall } from "./JudgedCall.ts"
import type { AskingSession } from "./ProviderWindows.ts"
import { ProviderWindows } from "./ProviderWindows.ts"

type Body = ProviderHealthSnapshot["body"]

export interface LocalHealthOptions extends HealthOptions {
  /** A session gets no two snapshots within this time, ms. */
  readonly everyMs: number
  /** How often a session with a circuit that is not closed looks whether time has changed it, ms. */
  readonly lookMs: number
}

/**
 * As a control plane decides, but from five calls on: one process hears of few, and a caller who has heard five of them
 * fail in a minute has waited long enough. Four snapshots a second at most; time is looked at once a second.
 */
export const defaultLocalHealthOptions: LocalHealthOptions = {
  ...defaultHealthOptions,
  minCalls: 5,
  everyMs: 250,
  lookMs: 1000
}

/** A session that follows the health of its providers. */
export interface FollowingSession extends AskingSession {
  readonly tenant_id: string
  /** Told when what it is to see has changed, {@link LocalHealthOptions.everyMs} apart or more; what fails is told again. */
  readonly publish: (body: Body) => Effect.Effect<unknown, unknown>
}

/**
 * Provider health of a process that has no control plane but its own (CP-10): what its sessions' calls came to, by the same
 * rules as `ProviderHealth`, shared by all of its sessions.
 *
 * Guarantees:
 * - **LH1** `saw` is a synchronous count, some microseconds, and only of calls that have ended; nothing waits for it.
 * - **LH2** a session is told of a change within `everyMs`, of one that time brings about within `lookMs`, and never more
 *   often than every `everyMs`. One that follows while all of its circuits are closed is not woken.
 * - **LH3** what it is told comes in as a snapshot like any other, and is recorded: a replay takes the same decisions.
 *
 * Time is the monotonic clock of the session, virtual where that is. Kept in memory only; bounded as `ProviderWindows`.
 */
export class LocalHealth extends Context.Service<LocalHealth, {
  /** What one call of a session came to; `capMs`: the first-result cap of its provider. */
  readonly saw: (
    session: { readonly tenant_id: string; readonly session_id: string },
    invocation: InvocationFacts,
    capMs: number
  ) => void
  /** The circuits as they are, for the session's first snapshot; it is told of changes for as long as the scope. */
  readonly follow: (session: FollowingSession) => Effect.Effect<Body, never, Scope.Scope>
}>()("rspp/LocalHealth") {
  static readonly layer = (options: Partial<LocalHealthOptions> = {}): Layer.Layer<LocalHealth> =>
    Layer.effect(LocalHealth, make({ ...defaultLocalHealthOptions, ...options }))
}

/** A session that is followed. */
interface Followed {
  readonly tenant_id: string
  readonly clock: Clock.Clock
  /** Open while there may be something to tell. */
  readonly news: Latch.Latch
}

const nowOf = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)

const make = Effect.fnUntraced(function*({ everyMs, lookMs, ...options }: LocalHealthOptions) {
  const windows = new ProviderWindows(options)
  const own = yield* Clock.Clock
  const followed = new Map<string, Followed>()

  const saw: LocalHealth["Service"]["saw"] = ({ session_id, tenant_id }, invocation, capMs) => {
    const calls = judgedCall(invocation, capMs)
    if (calls === undefined) return
    const now = nowOf(followed.get(session_id)?.clock ?? own)
    if (!windows.heard(tenant_id, invocation.provider_id, calls, now)) return
    for (const session of followed.values()) if (session.tenant_id === tenant_id) session.news.openUnsafe()
  }

  const follow = Effect.fnUntraced(function*(session: FollowingSession) {
    const { publish, session_id, tenant_id } = session
    const clock = yield* Clock.Clock
    const news = Latch.makeUnsafe(false)
    const look = () => {
      const providers = windows.statesFor(tenant_id, session, nowOf(clock))
      return { body: { providers }, isWell: Object.values(providers).every((state) => state === "closed") }
    }
    const first = yield* Effect.acquireRelease(
      Effect.sync(() => {
        followed.set(session_id, { tenant_id, clock, news })
        return look()
      }),
      () =>
        Effect.sync(() => {
          followed.delete(session_id)
          windows.released(tenant_id, session)
        })
    )
    let told = first
    const next = Effect.gen(function*() {
      yield* told.isWell ? news.await : Effect.timeoutOption(news.await, lookMs)
      news.closeUnsafe()
      const seen = look()
      const isNews = canonicalJson(seen.body) !== canonicalJson(told.body)
      if (isNews) {
        if (yield* Effect.isFailure(publish(seen.body))) news.openUnsafe()
        else told = seen
        yield* Effect.sleep(everyMs)
      } else told = seen
    })
    yield* Effect.forkScoped(Effect.forever(next))
    return first.body
  })

  return LocalHealth.of({ saw, follow })
})
