import * as Effect from "effect/Effect"
export const verifyTimelines = (_: unknown) => Effect.void
