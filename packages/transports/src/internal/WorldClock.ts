import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Clock } from "effect"
import type { Timer } from "./TimerHeap.ts"
import type { VirtualWorld, WorldHold } from "./VirtualWorld.ts"

/** A clock whose readings are `nowNs` and whose sleeps are `wake`. */
interface WakeSource {
  readonly nowNs: () => number
  /** Calls `fire` after `ns`; returns how to call it off. */
  readonly wake: (ns: number, fire: () => void) => () => void
}

const makeClock = (source: WakeSource, startMillis: number): Clock.Clock => {
  const millis = () => startMillis + Math.floor(source.nowNs() / 1e6)
  const startNs = BigInt(Math.round(startMillis * 1e6))
  const monotonic = () => BigInt(Math.floor(source.nowNs()))
  const wall = () => startNs + monotonic()
  return {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: wall,
    currentTimeNanos: Effect.sync(wall),
    monotonicTimeNanosUnsafe: monotonic,
    monotonicTimeNanos: Effect.sync(monotonic),
    sleep: (duration) => {
      const ns = Math.round(Duration.toMillis(duration) * 1e6)
      if (!(ns > 0)) return Effect.yieldNow
      // Longer than the clock can count (104 days of virtual time).
      if (!Number.isSafeInteger(source.nowNs() + ns)) return Effect.never
      return Effect.callback<void>((resume) => {
        const callOff = source.wake(ns, () => resume(Effect.void))
        return Effect.sync(callOff)
      })
    }
  }
}

/** The clock of the virtual world. `currentTimeMillis` is an integer, as the real clock's; the nanoseconds are exact. */
export const worldClock = (world: VirtualWorld, startMillis: number): Clock.Clock =>
  makeClock({
    nowNs: () => world.nowNs,
    wake: (ns, fire) => {
      const timer = world.addTimer(world.nowNs + ns, fire)
      return () => world.cancelTimer(timer)
    }
  }, startMillis)

interface RealSleep {
  readonly dueNs: number
  readonly fire: () => void
  handle: NodeJS.Timeout | undefined
  timer: Timer | undefined
}

/**
 * Work outside of the world, and the clock that this work sees.
 *
 * While it lasts, its clock runs in real time from where the world's clock stood, so that a timeout inside of the work
 * works. Afterwards the clock is the world's again; sleeps that are still pending (of fibers that the work left
 * behind) become timers of the world.
 */
export class Hold implements WorldHold {
  readonly clock: Clock.Clock
  private readonly startNs: number
  private readonly startedAt: number
  private endNs: number | undefined
  private readonly sleeps = new Set<RealSleep>()
  private readonly world: VirtualWorld
  private readonly realNow: () => number
  private readonly charge: boolean

  constructor(options: {
    readonly world: VirtualWorld
    readonly startNs: number
    readonly startMillis: number
    readonly realNow: () => number
    /** Whether the world's clock moves on by the duration of the work. */
    readonly charge: boolean
  }) {
    this.world = options.world
    this.realNow = options.realNow
    this.charge = options.charge
    this.startNs = options.startNs
    this.startedAt = options.realNow()
    this.clock = makeClock({ nowNs: this.nowNs, wake: (ns, fire) => this.wake(ns, fire) }, options.startMillis)
    options.world.addHold(this)
  }

  readonly nowNs = (): number =>
    this.endNs === undefined ? this.startNs + this.elapsedNs() : Math.max(this.endNs, this.world.nowNs)

  /** The result cannot come before the time that the work has taken so far: up to there the world may move. */
  readonly limitNs = (): number => this.charge ? this.startNs + this.elapsedNs() : this.startNs

  /** Ends the work; returns the time at which its result is due. Idempotent. */
  release(): number {
    if (this.endNs !== undefined) return this.endNs
    this.endNs = this.charge ? this.startNs + this.elapsedNs() : this.startNs
    for (const sleep of this.sleeps) {
      clearTimeout(sleep.handle)
      sleep.timer = this.world.addTimer(sleep.dueNs, sleep.fire)
    }
    this.sleeps.clear()
    this.world.removeHold(this)
    return this.endNs
  }

  private elapsedNs(): number {
    return Math.max(0, Math.round((this.realNow() - this.startedAt) * 1e6))
  }

  private wake(ns: number, fire: () => void): () => void {
    if (this.endNs !== undefined) {
      const timer = this.world.addTimer(this.nowNs() + ns, fire)
      return () => this.world.cancelTimer(timer)
    }
    const sleep: RealSleep = {
      dueNs: this.nowNs() + ns,
      fire: () => {
        this.sleeps.delete(sleep)
        fire()
      },
      handle: undefined,
      timer: undefined
    }
    sleep.handle = setTimeout(sleep.fire, Math.min(ns / 1e6, 2 ** 31 - 1))
    this.sleeps.add(sleep)
    return () => {
      this.sleeps.delete(sleep)
      clearTimeout(sleep.handle)
      if (sleep.timer !== undefined) this.world.cancelTimer(sleep.timer)
    }
  }
}
