import * as Effect from "effect/Effect"
export const replayFiles = (_: unknown) => Effect.void
