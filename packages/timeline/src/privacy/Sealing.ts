import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { CallerAudioRecord, PayloadRecord, SealedRecord, TimelineRecord } from "@rspp/contracts/Timeline"
import { createCipheriv, createDecipheriv, createHmac } from "node:crypto"
import type { RecordingKey } from "./KeyStore.ts"

const tagBytes = 16

const derived = (secret: Uint8Array, purpose: string) => createHmac("sha256", secret).update(purpose).digest()

/** 12 bytes, big-endian: a key seals one recording, and no number of it twice. */
const nonceBytes = (nonce: number): Buffer => {
  const bytes = Buffer.alloc(12)
  bytes.writeBigUInt64BE(BigInt(nonce), 4)
  return bytes
}

/** Everything of a sealed record but its content: what stands in the clear cannot be changed either. */
const authenticated = (record: SealedRecord): Buffer => {
  const { data_base64: _, ...fields } = record
  return Buffer.from(canonicalJson(fields))
}

/**
 * Seals what a recording keeps of payloads, and makes tokens, under the key of that recording.
 *
 * The n-th record gets the nonce n, so the same calls give the same bytes (I-RECORD-SAME holds per key).
 */
export class Sealer {
  readonly #key: RecordingKey
  readonly #cipherKey: Buffer
  readonly #tokenKey: Buffer
  #next = 0

  constructor(key: RecordingKey) {
    this.#key = key
    this.#cipherKey = derived(key.secret, "rspp seal v1")
    this.#tokenKey = derived(key.secret, "rspp token v1")
  }

  seal(record: PayloadRecord | CallerAudioRecord): SealedRecord {
    const about = record.record === "payload"
      ? { of: record.record, payload_class: record.payload_class, handle_id: record.handle_id }
      : { of: record.record, payload_class: "audio_raw" as const, first_sample_index: record.first_sample_index }
    const sealed: SealedRecord = {
      record: "sealed",
      ...about,
      key_id: this.#key.key_id,
      nonce: this.#next++,
      data_base64: ""
    }
    const cipher = createCipheriv("aes-256-gcm", this.#cipherKey, nonceBytes(sealed.nonce))
    cipher.setAAD(authenticated(sealed))
    const data = Buffer.concat([cipher.update(canonicalJson(record), "utf8"), cipher.final(), cipher.getAuthTag()])
    return { ...sealed, data_base64: data.toString("base64") }
  }

  /** Stands for a text, the same for the same text within this recording; without the key it says nothing. */
  token(text: string): string {
    return `tok_${createHmac("sha256", this.#tokenKey).update(text).digest("hex").slice(0, 32)}`
  }
}

/** The record as it was before it was sealed; undefined when the key is another one or something was changed. */
export const unsealed = (record: SealedRecord, key: RecordingKey): TimelineRecord | undefined => {
  const data = Buffer.from(record.data_base64, "base64")
  if (record.key_id !== key.key_id || data.length < tagBytes) return undefined
  const decipher = createDecipheriv("aes-256-gcm", derived(key.secret, "rspp seal v1"), nonceBytes(record.nonce))
  decipher.setAAD(authenticated(record))
  decipher.setAuthTag(data.subarray(data.length - tagBytes))
  try {
    const text = Buffer.concat([decipher.update(data.subarray(0, data.length - tagBytes)), decipher.final()])
    return JSON.parse(text.toString("utf8")) as TimelineRecord
  } catch {
    return undefined
  }
}
