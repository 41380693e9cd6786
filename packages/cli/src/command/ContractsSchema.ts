import * as Effect from "effect/Effect"
export const showSchema = (_: unknown) => Effect.void
