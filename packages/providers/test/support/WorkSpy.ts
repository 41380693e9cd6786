import { Effect, Layer } from "effect"
import { MeasuredWork } from "@rspp/runtime/ports/MeasuredWork"

/** Counts measured work: how much runs now, and how much there was. */
export interface WorkSpy {
  running: number
  total: number
}

/** A {@link WorkSpy} and the Layer that provides it as {@link MeasuredWork}. */
export const workSpy = (): { readonly spy: WorkSpy; readonly layer: Layer.Layer<never> } => {
  const spy: WorkSpy = { running: 0, total: 0 }
  const layer = Layer.succeed(MeasuredWork, <A, E, R>(work: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      spy.running++
      spy.total++
      return Effect.ensuring(work, Effect.sync(() => spy.running--))
    }))
  return { spy, layer }
}
