import SpeexResampler from "@echogarden/speex-resampler-wasm"
import * as Effect from "effect/Effect"
import type { Scope } from "effect"

/** Speex quality 0–10; 5 keeps aliases below −136 dB at 48 → 16 kHz (SPEECH.md). */
const quality = 5

/** Samples per call into the module; bounds its two buffers. */
const blockSamples = 8192

/** A mono stream at one rate turned into another, without delay: output sample 0 is input sample 0. */
export interface Resampler {
  /** Takes input of any length; gives what is ready to `emit`, which must copy it. */
  readonly push: (input: Float32Array, emit: (output: Float32Array) => void) => void
  /** The input has ended: gives the rest. In all, `round(input × outRate / inRate)` samples have been given. */
  readonly end: (emit: (output: Float32Array) => void) => void
}

export const makeResampler = (inRate: number, outRate: number): Effect.Effect<Resampler, never, Scope.Scope> =>
  Effect.gen(function*() {
    const module = yield* Effect.promise(() => SpeexResampler())
    const outSamples = Math.ceil(blockSamples * outRate / inRate) + 16
    // One block of memory: input, output, then three 32-bit cells (input length, output length, error).
    const heap = yield* Effect.acquireRelease(
      Effect.sync(() => module._malloc((blockSamples + outSamples + 3) * 4)),
      (pointer) => Effect.sync(() => module._free(pointer))
    )
    const output = heap + blockSamples * 4
    const inLength = output + outSamples * 4
    const outLength = inLength + 4
    const state = yield* Effect.acquireRelease(
      Effect.sync(() => module._speex_resampler_init(1, inRate, outRate, quality, outLength + 4)),
      (state) => Effect.sync(() => module._speex_resampler_destroy(state))
    )
    if (state === 0) return yield* Effect.die(new Error(`Speex resampler ${inRate} → ${outRate} Hz`))
    module._speex_resampler_skip_zeros(state)

    let taken = 0
    let given = 0
    const process = (input: Float32Array, emit: (output: Float32Array) => void) => {
      for (let at = 0; at < input.length;) {
        const block = input.subarray(at, at + blockSamples)
        module.HEAPF32.set(block, heap / 4)
        module.HEAP32[inLength / 4] = block.length
        module.HEAP32[outLength / 4] = outSamples
        module._speex_resampler_process_float(state, 0, heap, inLength, output, outLength)
        at += module.HEAP32[inLength / 4]!
        const made = module.HEAP32[outLength / 4]!
        given += made
        if (made > 0) emit(module.HEAPF32.subarray(output / 4, output / 4 + made))
      }
    }
    return {
      push: (input, emit) => {
        taken += input.length
        process(input, emit)
      },
      end: (emit) => {
        const wanted = Math.round(taken * outRate / inRate)
        const zeros = new Float32Array(Math.min(blockSamples, module._speex_resampler_get_input_latency(state) + 64))
        while (given < wanted) {
          process(zeros, (block) => {
            const excess = given - wanted
            emit(excess > 0 ? block.subarray(0, block.length - excess) : block)
          })
        }
      }
    }
  })
