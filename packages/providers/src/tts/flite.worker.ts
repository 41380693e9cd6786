import { readFileSync } from "node:fs"
import { workerData } from "node:worker_threads"
import { runWasi } from "../internal/WasiHost.ts"
import { serve } from "../internal/WorkerServer.ts"

/** Speak `text` with a voice of the file. An empty text only loads the voices. */
export interface FliteRequest {
  readonly voice: string
  readonly text: string
}

// Compiled once (about 50 ms); each sentence runs in a fresh instance, because the module is a program that exits.
const module = new WebAssembly.Module(readFileSync(workerData.wasmPath as string))

/** The samples of a 16-bit mono WAV file. */
const samplesOfWav = (wav: Uint8Array): Int16Array => {
  const view = new DataView(wav.buffer, wav.byteOffset, wav.byteLength)
  const rate = view.getUint32(24, true)
  if (rate !== 16_000) throw new Error(`the voice speaks at ${rate} Hz, not at 16000 Hz`)
  for (let at = 12; at + 8 <= wav.byteLength;) {
    const size = view.getUint32(at + 4, true)
    if (view.getUint32(at) === 0x64617461) {
      const end = Math.min(wav.byteLength, at + 8 + size)
      return new Int16Array(wav.slice(at + 8, end - (end - at) % 2).buffer)
    }
    at += 8 + size + size % 2
  }
  throw new Error("Flite wrote a WAV file without samples")
}

serve<FliteRequest, Int16Array>(({ text, voice }) => {
  if (text === "") return { value: new Int16Array(0) }
  const result = runWasi(module, ["flite", "-voice", voice, "-t", text, "-o", "/w/speech.wav"])
  const wav = [...result.files.values()][0]
  if (result.exitCode !== 0 || wav === undefined) {
    throw new Error(`Flite ended with code ${result.exitCode} and ${wav === undefined ? "no" : "a"} file`)
  }
  const samples = samplesOfWav(wav)
  return { value: samples, transfer: [samples.buffer as ArrayBuffer] }
})
