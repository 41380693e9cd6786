import { hmac } from "@noble/hashes/hmac.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import { samplesPerMs } from "../ports/AudioFrame.ts"

/** Texts that a session keeps for its conversation; the oldest is forgotten first. */
export const rememberedTexts = 1024

/**
 * The payloads of one session, outside of the kernel: the kernel sees handles, ports ask here for what is behind them.
 *
 * Texts carry a keyed hash, so that two recordings cannot be compared without the key; audio carries none. Texts are
 * bounded by {@link rememberedTexts}, audio by the voice edge of the plan: egress takes each chunk out once.
 */
export class PayloadStore {
  /** Keyed once; each text works on a copy. */
  readonly #mac: ReturnType<typeof hmac.create>
  readonly #texts = new Map<string, string>()
  readonly #audio = new Map<string, Int16Array>()
  #ordinal = 0

  constructor(key: string) {
    this.#mac = hmac.create(sha256, utf8ToBytes(key))
  }

  text(content: string, facts?: PayloadHandle["facts"], keep = true): PayloadHandle {
    const id = `h_${++this.#ordinal}`
    if (keep) {
      this.#texts.set(id, content)
      if (this.#texts.size > rememberedTexts) {
        for (const oldest of this.#texts.keys()) {
          this.#texts.delete(oldest)
          break
        }
      }
    }
    return {
      id,
      payload_class: "text_raw",
      length: content.length,
      hash: bytesToHex(this.#mac.clone().update(utf8ToBytes(content)).digest()),
      ...(facts === undefined ? {} : { facts })
    }
  }

  audio(samples: Int16Array): PayloadHandle {
    const id = `h_${++this.#ordinal}`
    this.#audio.set(id, samples)
    return {
      id,
      payload_class: "audio_raw",
      length: samples.length,
      facts: { duration_ms: Math.round(samples.length / samplesPerMs) }
    }
  }

  readText(id: string): string | undefined {
    return this.#texts.get(id)
  }

  takeAudio(id: string): Int16Array | undefined {
    const samples = this.#audio.get(id)
    this.#audio.delete(id)
    return samples
  }

  /** Chunks of speech that wait for egress. */
  get waitingAudio(): number {
    return this.#audio.size
  }
}
