import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { reportUsage } from "@rspp/runtime/ports/ProviderUsage"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { number } from "./Settings.ts"

/**
 * The setting of hedged requests: when nothing came within so many ms, the same request is sent once more. Off where it is
 * left out: each such request is paid for twice.
 */
export const hedgeSetting = { hedge_after_ms: Schema.optionalKey(number(1, 60_000)) }

/**
 * A stream that is begun a second time when nothing came of it within `afterMs`; whichever speaks first goes on, the other
 * is interrupted at once. Without `afterMs` it is the stream itself.
 *
 * - Two requests at most.
 * - A regular end counts as speaking.
 * - An attempt that fails before the other was begun fails the stream: trying again is the session's decision. With two
 *   under way, the first failure leaves it to the other, and the second one is the stream's.
 * - The second request is reported through ProviderUsage as one of `attempts`.
 */
export const hedged = <A>(
  afterMs: number | undefined,
  attempt: Stream.Stream<A, ProviderFailure>
): Stream.Stream<A, ProviderFailure> => {
  if (afterMs === undefined) return attempt
  const pull = Effect.gen(function*() {
    const scope = yield* Effect.scope
    const begin = Effect.gen(function*() {
      const own = yield* Scope.fork(scope)
      const pulled = yield* Effect.provideService(Stream.toPull(attempt), Scope.Scope, own)
      const first = yield* Effect.forkIn(pulled, own, { startImmediately: true })
      return { first, pulled, leave: Effect.forkIn(Scope.close(own, Exit.void), scope) }
    })
    const one = yield* begin
    let chosen = one.pulled
    const decide = Effect.gen(function*() {
      const early = yield* Effect.timeoutOption(Fiber.await(one.first), afterMs)
      if (Option.isSome(early)) return yield* early.value
      yield* reportUsage({ attempts: 1 })
      const two = yield* begin
      const [winner, loser] = yield* Effect.raceFirst(
        Effect.as(Fiber.await(one.first), [one, two] as const),
        Effect.as(Fiber.await(two.first), [two, one] as const)
      )
      const exit = yield* Fiber.await(winner.first)
      if (Exit.isSuccess(exit) || Pull.isDoneCause(exit.cause)) {
        chosen = winner.pulled
        yield* loser.leave
        return yield* exit
      }
      chosen = loser.pulled
      yield* winner.leave
      return yield* yield* Fiber.await(loser.first)
    })
    let decided = false
    const next = () => {
      if (decided) return chosen
      decided = true
      return decide
    }
    return next
  }).pipe(Effect.map(Effect.suspend))
  return Stream.scoped(Stream.fromPull(pull))
}
