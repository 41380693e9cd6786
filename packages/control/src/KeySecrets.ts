import { createHash, timingSafeEqual } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SecureRandom } from "effect/crypto"

/** Random bytes for keys, salts and ids; from the system's secure source. */
export class KeySecrets extends Context.Service<KeySecrets, {
  /** `bytes` random bytes as lower-case hex. */
  readonly hex: (bytes: number) => Effect.Effect<string>
}>()("rspp/KeySecrets") {
  static readonly layer: Layer.Layer<KeySecrets> = Layer.effect(
    KeySecrets,
    Effect.map(SecureRandom.SecureRandom, (random) =>
      KeySecrets.of({
        hex: (bytes) => Effect.map(random.randomBytes(bytes), (drawn) => Buffer.from(drawn).toString("hex"))
      }))
  ).pipe(Layer.provide(SecureRandom.layerWebCrypto))
}

/** Bytes of a secret: more than can be guessed, so that a fast hash is enough. */
export const secretBytes = 32

/** The hash of a key's secret, under the key's own salt. */
export const hashSecret = (secret: string, salt: string): string =>
  createHash("sha256").update(`rspp-key:${salt}:${secret}`).digest("hex")

/** Compares two hashes in a time that does not tell where they differ. */
export const isSameHash = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

const form = /^rspp_([0-9a-f]{12})_([0-9a-f]{64})$/u

/** `rspp_<key id>_<secret>`: the id in front is what it is looked up by. */
export const keyText = (key_id: string, secret: string): string => `rspp_${key_id}_${secret}`

export const readKey = (text: string): { readonly key_id: string; readonly secret: string } | undefined => {
  const [, key_id, secret] = form.exec(text) ?? []
  return key_id === undefined || secret === undefined ? undefined : { key_id, secret }
}
