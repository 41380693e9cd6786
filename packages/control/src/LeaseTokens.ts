import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SecureRandom } from "effect/crypto"

/**
 * Where lease tokens come from: 32 hex characters (128 bits) each.
 *
 * A token proves that its bearer holds the lease, so production draws it from the system's secure source. A seeded
 * session (tests, replayable runs) takes {@link LeaseTokens.layerSeeded}: the same seed gives the same tokens in the
 * same order, and nothing else draws from its stream.
 */
export class LeaseTokens extends Context.Service<LeaseTokens, {
  readonly next: Effect.Effect<string>
}>()("rspp/LeaseTokens") {
  /** From Effect's `SecureRandom`, whichever is provided. */
  static readonly layerNoDeps = Layer.effect(
    LeaseTokens,
    Effect.map(
      SecureRandom.SecureRandom,
      (random) => LeaseTokens.of({ next: Effect.map(random.randomBytes(tokenBytes), hex) })
    )
  )

  /** From the system's secure source (Web Crypto). */
  static readonly layer = LeaseTokens.layerNoDeps.pipe(Layer.provide(SecureRandom.layerWebCrypto))

  /** From a stream that `seed` (an unsigned 32-bit integer) names. Predictable: never for production. */
  static readonly layerSeeded = (seed: number): Layer.Layer<LeaseTokens> =>
    Layer.sync(LeaseTokens, () => {
      const draw = mulberry32(seed ^ streamName)
      return LeaseTokens.of({
        next: Effect.sync(() => hex(Uint8Array.from({ length: tokenBytes }, () => draw() & 0xff)))
      })
    })
}

const tokenBytes = 16

/** Keeps this stream apart from others that are made from the same session seed ("LEAS"). */
const streamName = 0x4c454153

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

/** mulberry32 (T. Ettinger, public domain): 32-bit draws from a 32-bit state. */
const mulberry32 = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return (t ^ (t >>> 14)) >>> 0
}
