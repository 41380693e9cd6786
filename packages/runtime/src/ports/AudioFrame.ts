/** Samples per second of all audio inside RSPP: mono, 16-bit signed PCM. */
export const sampleRateHz = 16_000

/** Duration of one frame, in milliseconds. */
export const frameMs = 20

/** Samples in one frame: 16 000 Hz × 20 ms. */
export const frameSamples = 320

/** Samples in one millisecond. */
export const samplesPerMs = 16

/**
 * One 20 ms frame of caller audio.
 *
 * `sampleIndex` counts samples from the start of the caller's stream, so that positions survive loss and pauses.
 * `samples` holds exactly {@link frameSamples} values and owns its buffer.
 */
export interface AudioFrame {
  readonly sampleIndex: number
  readonly samples: Int16Array
}
