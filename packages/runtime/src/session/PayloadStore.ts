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
 * bounded by {@link rememberedTexts}, audio by the voice edge of the plan: egress takes each chunk out once, and what it
 * never takes (of a turn that was cut) goes when the turn's cancellation grace is over.
 */
export class PayloadStore {
  /** Keyed once; each text works on a copy. */
  readonly #mac: ReturnType<typeof hmac.create>
  readonly #texts = new Map<string, string>()
  readonly #audio = new Map<string, Int16Array>()
  /** Chunks that wait, by the provider call that they came from. */
  readonly #chunks = new Map<string, Set<string>>()
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

  /** A chunk of speech of a provider call, kept until egress takes it or {@link release} lets it go. */
  audio(samples: Int16Array, invocation: string): PayloadHandle {
    const id = `h_${++this.#ordinal}`
    const chunks = this.#chunks.get(invocation)
    if (chunks !== undefined) {
      this.#audio.set(id, samples)
      chunks.add(id)
    }
    return {
      id,
      payload_class: "audio_raw",
      length: samples.length,
      facts: { duration_ms: Math.round(samples.length / samplesPerMs) }
    }
  }

  /** A call begins: its chunks are kept. */
  expect(invocation: string): void {
    this.#chunks.set(invocation, new Set())
  }

  /** Nobody will ask for what a call has said any more: its chunks are let go, and later ones are not kept. */
  release(invocation: string): void {
    for (const id of this.#chunks.get(invocation) ?? []) this.#audio.delete(id)
    this.#chunks.delete(invocation)
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
