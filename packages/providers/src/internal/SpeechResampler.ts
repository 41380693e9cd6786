import SpeexResampler from "@echogarden/speex-resampler-wasm"
import * as Effect from "effect/Effect"
import type { Scope } from "effect"

/** Speex quality 0–10; 5 keeps aliases far below what 16 bits can hold. */
const quality = 5

/** Samples per call into the module; bounds its two buffers. */
const blockSamples = 8192

/** Sound of one stream at another rate, without delay and without seams: output sample 0 is input sample 0. */
export interface SpeechResampler {
  /** Takes samples of any number; gives those that are ready, in a buffer of their own, or none. */
  readonly push: (input: Int16Array) => Int16Array
  /** The input has ended: gives the rest. In all, `round(input × outRate / inRate)` samples have been given. */
  readonly end: () => Int16Array
}

/** Makes {@link SpeechResampler}s of one pair of rates; each lives as long as its scope. */
export type Resamplers = Effect.Effect<SpeechResampler, never, Scope.Scope>

/** Loads the module, whose buffers all resamplers that come of it share, and gives the way to make them. */
export const resamplers = (inRate: number, outRate: number): Effect.Effect<Resamplers> =>
  Effect.map(Effect.promise(() => SpeexResampler()), (module) => {
    const outSamples = Math.ceil(blockSamples * outRate / inRate) + 16
    // One block of memory: input, output, then three 32-bit cells (input length, output length, error).
    const heap = module._malloc((blockSamples + outSamples + 3) * 4)
    const output = heap + blockSamples * 4
    const inLength = output + outSamples * 4
    const outLength = inLength + 4
    const zeros = new Int16Array(blockSamples)
    let ready = new Int16Array(outSamples)

    const start = (): number => {
      const state = module._speex_resampler_init(1, inRate, outRate, quality, outLength + 4)
      if (state === 0) throw new Error(`The Speex resampler has no state for ${inRate} → ${outRate} Hz`)
      module._speex_resampler_skip_zeros(state)
      return state
    }

    /** Appends what comes of `input` to `ready`, from `at`; gives where it ends. */
    const process = (state: number, input: Int16Array, at: number): number => {
      let end = at
      for (let from = 0; from < input.length;) {
        const block = input.subarray(from, from + blockSamples)
        module.HEAPF32.set(block, heap / 4)
        module.HEAP32[inLength / 4] = block.length
        module.HEAP32[outLength / 4] = outSamples
        module._speex_resampler_process_float(state, 0, heap, inLength, output, outLength)
        from += module.HEAP32[inLength / 4]!
        const made = module.HEAP32[outLength / 4]!
        if (end + made > ready.length) {
          const more = new Int16Array((end + made) * 2)
          more.set(ready)
          ready = more
        }
        for (let sample = 0; sample < made; sample++) {
          const value = Math.round(module.HEAPF32[output / 4 + sample]!)
          ready[end + sample] = Math.max(-32_768, Math.min(32_767, value))
        }
        end += made
      }
      return end
    }

    return Effect.map(
      Effect.acquireRelease(
        Effect.sync(start),
        (state) => Effect.sync(() => module._speex_resampler_destroy(state))
      ),
      (state) => {
        let taken = 0
        let given = 0
        return {
          push: (input) => {
            taken += input.length
            const end = process(state, input, 0)
            given += end
            return ready.slice(0, end)
          },
          end: () => {
            const wanted = Math.round(taken * outRate / inRate) - given
            const some = zeros.subarray(0, module._speex_resampler_get_input_latency(state) + 64)
            let end = 0
            while (end < wanted) end = process(state, some, end)
            given += wanted
            return ready.slice(0, Math.max(0, wanted))
          }
        }
      }
    )
  })
