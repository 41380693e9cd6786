import { createRequire } from "node:module"

/** What is used of `sherpa-onnx-node`, which has no types of its own. */
export interface Sherpa {
  readonly Vad: new(config: unknown, bufferSeconds: number) => SherpaVad
  readonly OfflineRecognizer: { readonly createAsync: (config: unknown) => Promise<SherpaRecognizer> }
}

/** A voice activity model with its state. */
export interface SherpaVad {
  readonly acceptWaveform: (samples: Float32Array) => void
  readonly isDetected: () => boolean
  readonly isEmpty: () => boolean
  readonly pop: () => void
  readonly reset: () => void
}

/** A recogniser of whole utterances; `decodeAsync` runs on Node's thread pool. */
export interface SherpaRecognizer {
  readonly createStream: () => {
    readonly acceptWaveform: (wave: { readonly samples: Float32Array; readonly sampleRate: number }) => void
  }
  readonly decodeAsync: (stream: unknown) => Promise<{ readonly text: string }>
}

/** Loads the native module (about 40 ms the first time); throws one sentence when it is not there for this machine. */
export const loadSherpa = (): Sherpa => {
  try {
    return createRequire(import.meta.url)("sherpa-onnx-node") as Sherpa
  } catch (cause) {
    throw new Error(
      `sherpa-onnx-node has no build for this machine (${process.platform} ${process.arch}), or its optional package ` +
        `was not installed`,
      { cause }
    )
  }
}
