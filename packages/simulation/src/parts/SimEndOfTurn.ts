import type { TurnPrediction } from "@rspp/runtime/ports/EndOfTurnModel"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import * as Effect from "effect/Effect"
import type { SimCall } from "./SimCall.ts"

/**
 * An end-of-turn model that knows nothing: any per cent, some even outside of 0 to 100, mostly in time. While faults are
 * on it is now and then much too late, fails or throws. Some calls have none although their settings ask for it.
 */
export const endOfTurnModel = (call: SimCall): TurnPrediction | undefined => {
  const stream = call.streams.of("provider/end_of_turn")
  if (stream.chance(0.1)) return undefined
  return {
    predict: () =>
      Effect.suspend(() => {
        const [percent, late, fails, dies] = [
          stream.between(-5, 105) + stream.unit(),
          stream.chance(0.15),
          stream.chance(0.1),
          stream.chance(0.05)
        ]
        const ms = stream.between(5, 140)
        const { isOn } = call.faults
        if (isOn && dies) throw new Error("the end-of-turn adapter is broken")
        const said = isOn && fails
          ? Effect.fail(
            new ProviderFailure({
              provider_id: "sim/end-of-turn",
              outcome_class: "overload",
              retryable: true,
              message: "429 too many requests"
            })
          )
          : Effect.succeed(percent)
        return Effect.andThen(Effect.sleep(isOn && late ? ms * 20 : ms), said)
      })
  }
}
