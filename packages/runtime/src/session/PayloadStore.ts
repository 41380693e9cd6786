import { hmac } from "@noble/hashes/hmac.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { ConversationMessage } from "@rspp/contracts/SessionCommand"
import { samplesPerMs } from "../ports/AudioFrame.ts"
import type { Message } from "../ports/LanguageModel.ts"

/** Texts that a session keeps for its conversation; the oldest is forgotten first. */
export const rememberedTexts = 1024

/** Interim texts that a session keeps for whoever watches; the conversation never asks for them. */
export const rememberedInterims = 64

/**
 * Texts on their way from node to node that a session keeps, until the next node has room for them: more than edges
 * hold. A node whose item is forgotten fails, and says so.
 */
export const rememberedPassing = 4096

/** How long a text is asked for: `conversation`, `passing` (until the next node), `interim` (only while it is new), or not at all. */
export type Keep = "conversation" | "passing" | "interim" | "no"

/**
 * The payloads of one session, outside of the kernel: the kernel sees handles, ports ask here for what is behind them.
 *
 * Texts carry a keyed hash, so that two recordings cannot be compared without the key; audio carries none. Texts are
 * bounded by {@link rememberedTexts}, audio by the voice edge of the plan: egress takes each chunk out once, and what no
 * egress took goes with its turn.
 */
export class PayloadStore {
  /** Keyed once; each text works on a copy, in the room of the one before. */
  readonly #mac: ReturnType<typeof hmac.create>
  readonly #working: ReturnType<typeof hmac.create>
  readonly #digest = new Uint8Array(sha256.outputLen)
  readonly #texts = new Map<string, string>()
  readonly #passing = new Map<string, string>()
  readonly #interims = new Map<string, string>()
  readonly #audio = new Map<string, { readonly owner: string; readonly samples: Int16Array }>()
  readonly #scrub: (text: string) => string
  #ordinal = 0

  /** `scrub` takes secrets out of labels, which are recorded at every level. */
  constructor(key: string, scrub: (text: string) => string = (text) => text) {
    this.#scrub = scrub
    this.#mac = hmac.create(sha256, utf8ToBytes(key))
    this.#working = hmac.create(sha256, utf8ToBytes(key))
  }

  text(content: string, facts?: PayloadHandle["facts"], keep: Keep = "conversation"): PayloadHandle {
    const id = `h_${++this.#ordinal}`
    if (keep === "conversation") remember(this.#texts, id, content, rememberedTexts)
    else if (keep === "passing") remember(this.#passing, id, content, rememberedPassing)
    else if (keep === "interim") remember(this.#interims, id, content, rememberedInterims)
    return {
      id,
      payload_class: "text_raw",
      length: content.length,
      hash: this.#hash(content),
      ...(facts === undefined
        ? {}
        : { facts: facts.label === undefined ? facts : { ...facts, label: this.#scrub(facts.label) } })
    }
  }

  /**
   * Keeps speech until it is taken or its owner's is dropped; without an owner it is not kept. `spokenChars`: how much of
   * its sentence has been spoken by its end.
   */
  audio(samples: Int16Array, owner: string | undefined, spokenChars?: number): PayloadHandle {
    const id = `h_${++this.#ordinal}`
    if (owner !== undefined) this.#audio.set(id, { owner, samples })
    return {
      id,
      payload_class: "audio_raw",
      length: samples.length,
      facts: spokenChars === undefined
        ? { duration_ms: Math.round(samples.length / samplesPerMs) }
        : { duration_ms: Math.round(samples.length / samplesPerMs), spoken_chars: spokenChars }
    }
  }

  #hash(content: string): string {
    this.#mac._cloneInto(this.#working).update(utf8ToBytes(content)).digestInto(this.#digest)
    return bytesToHex(this.#digest)
  }

  readText(id: string): string | undefined {
    return this.#texts.get(id) ?? this.#passing.get(id) ?? this.#interims.get(id)
  }

  /** What a node is to work on. It stays: others may have it too; it goes with its owner's, at the latest. */
  readAudio(id: string): Int16Array | undefined {
    return this.#audio.get(id)?.samples
  }

  /** The lines of a conversation, as texts; what is forgotten is empty. */
  messages(conversation: ReadonlyArray<ConversationMessage>): ReadonlyArray<Message> {
    return conversation.map(({ parts, role }) => {
      const [only] = parts
      const text = only !== undefined && parts.length === 1
        ? this.#said(only)
        : parts.map((part) => this.#said(part)).join(" ")
      return { role, text }
    })
  }

  #said({ chars, handle_id }: ConversationMessage["parts"][number]): string {
    const text = this.readText(handle_id) ?? ""
    return chars < text.length ? text.slice(0, chars) : text
  }

  takeAudio(id: string): Int16Array | undefined {
    const kept = this.#audio.get(id)
    this.#audio.delete(id)
    return kept?.samples
  }

  /** Nobody will take what is left of this owner's speech. */
  dropAudio(owner: string): void {
    for (const [id, kept] of this.#audio) if (kept.owner === owner) this.#audio.delete(id)
  }

  /** Chunks of speech that wait for egress. */
  get waitingAudio(): number {
    return this.#audio.size
  }
}

const remember = (texts: Map<string, string>, id: string, content: string, bound: number): void => {
  texts.set(id, content)
  if (texts.size <= bound) return
  for (const oldest of texts.keys()) {
    texts.delete(oldest)
    return
  }
}
