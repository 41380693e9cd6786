import * as Effect from "effect/Effect"
export const showTimeline = (_: unknown) => Effect.void
