/** The package ships no types; this is what is used of it. All pointers are byte offsets into the module's heap. */
declare module "@echogarden/speex-resampler-wasm" {
  export interface SpeexResamplerModule {
    readonly HEAPF32: Float32Array
    readonly HEAP32: Int32Array
    readonly _malloc: (bytes: number) => number
    readonly _free: (pointer: number) => void
    readonly _speex_resampler_init: (
      channels: number,
      inRate: number,
      outRate: number,
      quality: number,
      error: number
    ) => number
    readonly _speex_resampler_process_float: (
      state: number,
      channel: number,
      input: number,
      inputLength: number,
      output: number,
      outputLength: number
    ) => number
    readonly _speex_resampler_skip_zeros: (state: number) => number
    readonly _speex_resampler_get_input_latency: (state: number) => number
    readonly _speex_resampler_destroy: (state: number) => void
  }
  const SpeexResampler: () => Promise<SpeexResamplerModule>
  export default SpeexResampler
}
