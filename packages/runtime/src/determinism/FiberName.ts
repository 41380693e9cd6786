import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** What a fiber is for, in words for a person who looks at a process or a simulation that does not move on. */
export const FiberName = Context.Reference<string>("rspp/FiberName", { defaultValue: () => "" })

/** The effect, under a name that its fiber and the fibers that it forks can be told by. Costs one context, no span. */
export const named = (name: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, FiberName, name)
