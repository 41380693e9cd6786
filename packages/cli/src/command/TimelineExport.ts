import * as Effect from "effect/Effect"
export const exportTimeline = (_: unknown) => Effect.void
