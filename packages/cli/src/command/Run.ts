import * as Effect from "effect/Effect"
export const runCall = (_: unknown) => Effect.void
