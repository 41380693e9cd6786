import * as Context from "effect/Context"
import type { Effect } from "effect"
import type { Message } from "./LanguageModel.ts"
import type { ProviderFailure } from "./ProviderFailure.ts"

/**
 * A model that says how probable it is that the caller has finished: 0 to 100 per cent (what lies outside is taken for
 * the nearest, fractions are rounded). `messages` is the conversation, the caller's words before this pause last.
 *
 * It is asked in each pause for which there is a final text; interrupting it cancels the work. It fails with
 * {@link ProviderFailure}, which is recorded, and the text cue decides.
 */
export interface TurnPrediction {
  readonly predict: (messages: ReadonlyArray<Message>) => Effect.Effect<number, ProviderFailure>
}

/**
 * Semantic end-of-turn detection (RK-02's third port), used by sessions with `end_of_turn.enabled`.
 *
 * By default there is none: a session that asks for it records for each pause that it has no model.
 */
export const EndOfTurnModel = Context.Reference<TurnPrediction | undefined>("rspp/EndOfTurnModel", {
  defaultValue: () => undefined
})
