import * as Effect from "effect/Effect"
export const runDemo = (_: unknown) => Effect.void
