import { MeasuredWork } from "@rspp/runtime/ports/MeasuredWork"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import { VirtualWorld } from "../internal/VirtualWorld.ts"
import { Hold, worldClock } from "../internal/WorldClock.ts"

/**
 * Virtual time cannot go on: every fiber waits, and nothing that the clock knows of will wake one (or a fiber spins
 * without ever sleeping). `message` says which, and at what virtual time.
 */
export class VirtualTimeStall extends Schema.TaggedError<VirtualTimeStall>()("VirtualTimeStall", {
  message: Schema.String
}) {}

export interface VirtualTimeOptions {
  /** The wall clock at the start, in Unix ms. Default 0. */
  readonly startMillis?: number
  /** Real time without progress after which {@link VirtualTimeStall} is raised, in ms. Default 10 000. */
  readonly stallAfterMs?: number
  /** How long time waits, really, for file-system requests that nobody measures, in ms. Default 100. */
  readonly patienceMs?: number
  /** The stopwatch that measures work, in ms. Default `performance.now`. */
  readonly realNow?: () => number
}

/** Defaults of {@link VirtualTimeOptions}. */
export const virtualTimeDefaults = { startMillis: 0, stallAfterMs: 10_000, patienceMs: 100 } as const

type Work = <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * Stops the session's clock while `work` runs and charges nothing for it: for the transport's own disk writes, which a
 * call at real time does not wait for either. In real time it does nothing.
 */
export const HeldWork = Context.Reference<Work>("rspp/transports/HeldWork", { defaultValue: () => (work) => work })

/** {@link HeldWork} applied to one effect. */
export const held: Work = (work) => Effect.flatMap(HeldWork, (hold) => hold(work))

/**
 * Runs `effect` in virtual time: what sleeps costs nothing, what works takes as long as it took.
 *
 * Inside, `Clock` is virtual, all fibers share one run-queue, and `MeasuredWork` is provided:
 *
 * - Time moves only when no fiber is runnable, every promise chain has come to rest (the event loop has turned), and
 *   then straight to the next timer. Timers due together fire in the order in which they were set.
 * - `measured(work)`, begun at virtual t0 and taking d of real time, gives its result at t0 + d: every timer due
 *   before has fired. While it runs, time moves no further than what it has taken so far, so a timeout around work that
 *   hangs fires, and several works may run at once. Inside of it the clock runs in real time. Interrupting it lets go
 *   of the clock at once.
 * - Real waiting that is not measured costs no virtual time: time waits while a file-system request or an immediate of
 *   the process is in flight (at most `patienceMs`, then it moves on). Other unmeasured waiting (network, worker
 *   threads, `setTimeout`, thread-pool jobs) gets one turn of the event loop and then loses against the next timer.
 * - CPU time on the main thread costs no virtual time.
 *
 * With the same durations of measured work the order of everything is the same.
 *
 * Fibers that outlive `effect` still run, but for them time stands still. Interruption is passed on and waits for the
 * finalizers, in virtual time. Fails with {@link VirtualTimeStall} when nothing can happen any more.
 *
 * @example
 * const [a, b] = yield* VirtualTime.run(Effect.all([
 *   Effect.as(Effect.sleep("1 hour"), "slept"),
 *   measured(recogniseInAWorker)
 * ], { concurrency: 2 }))
 */
export const run = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: VirtualTimeOptions
): Effect.Effect<A, E | VirtualTimeStall, R> =>
  Effect.flatMap(Effect.context<R>(), (context) =>
    Effect.callback<A, E | VirtualTimeStall>((resume) => {
      const startMillis = options?.startMillis ?? virtualTimeDefaults.startMillis
      const realNow = options?.realNow ?? (() => performance.now())
      let stall: VirtualTimeStall | undefined
      const world = new VirtualWorld({
        stallAfterMs: options?.stallAfterMs ?? virtualTimeDefaults.stallAfterMs,
        patienceMs: options?.patienceMs ?? virtualTimeDefaults.patienceMs,
        realNow,
        onStall: (message) => {
          const again = stall !== undefined
          stall ??= new VirtualTimeStall({ message })
          if (again) {
            world.close()
            resume(Effect.fail(new VirtualTimeStall({ message })))
          } else {
            fiber.interruptUnsafe()
          }
        }
      })
      const nowNs = () => world.nowNs
      const inWorld: Context.Context<R> = context.pipe(
        Context.add(Scheduler.Scheduler, world.scheduler),
        Context.add(Clock.Clock, worldClock(world, startMillis)),
        Context.add(MeasuredWork, work({ world, startMillis, realNow, charge: true, nowNs })),
        Context.add(HeldWork, work({ world, startMillis, realNow, charge: false, nowNs }))
      )
      const fiber = Effect.runForkWith(inWorld)(effect)
      fiber.addObserver((exit) => {
        world.close()
        resume(stall !== undefined && Exit.hasInterrupts(exit) ? Effect.fail(stall) : exit)
      })
      return Effect.callback<void>((done) => {
        fiber.addObserver(() => done(Effect.void))
        fiber.interruptUnsafe()
      })
    }))

const work = (options: {
  readonly world: VirtualWorld
  readonly startMillis: number
  readonly realNow: () => number
  readonly charge: boolean
  /** The clock of the fiber that starts the work: the world's, or that of the work around it. */
  readonly nowNs: () => number
}): Work =>
(effect) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const hold = new Hold({ ...options, startNs: options.nowNs() })
      const inner = { ...options, nowNs: hold.nowNs }
      return Effect.flatMap(
        Effect.exit(
          restore(effect).pipe(
            Effect.provideService(Clock.Clock, hold.clock),
            Effect.provideService(MeasuredWork, work({ ...inner, charge: true })),
            Effect.provideService(HeldWork, work({ ...inner, charge: false }))
          )
        ),
        (exit) => {
          const dueNs = hold.release()
          if (dueNs <= options.nowNs() || Exit.hasInterrupts(exit)) return exit
          return Effect.flatMap(
            restore(Effect.callback<void>((resume) => {
              const timer = options.world.addTimer(dueNs, () => resume(Effect.void))
              return Effect.sync(() => options.world.cancelTimer(timer))
            })),
            () => exit
          )
        }
      )
    })
  )
