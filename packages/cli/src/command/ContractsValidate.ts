import * as Effect from "effect/Effect"
export const validateFiles = (_: unknown) => Effect.void
