import * as Effect from "effect/Effect"
export const examine = (_: unknown) => Effect.void
