import * as Context from "effect/Context"
import * as Layer from "effect/Layer"

/** Idempotency keys that a session remembers; the oldest is forgotten first. */
export const rememberedKeys = 1024

/** Remembers idempotency keys of one session, bounded by {@link rememberedKeys}. */
export interface SeenKeys {
  /** True the first time a key is given; false for a duplicate. No key is never a duplicate. */
  readonly firstTime: (key: string | undefined) => boolean
  /** Keys that were seen before this session was resumed. */
  readonly restore: (keys: ReadonlyArray<string>) => void
}

/**
 * Identity and idempotency (RK-21): ids are functions of counters, never of a clock or of chance.
 *
 * Guarantees: I-ID-STABLE the same inputs give the same ids; I-IDEMPOTENT an input that repeats a key is applied once.
 */
export class Identity extends Context.Service<Identity, {
  readonly eventId: (sequence: number) => string
  readonly turnId: (ordinal: number) => string
  /** The id of the n-th invocation of a session. */
  readonly invocationId: (ordinal: number) => string
  readonly segmentId: (turnId: string, ordinal: number) => string
  /** Stable across retries of the same work: it names the work, not the attempt. */
  readonly invocationKey: (sessionId: string, work: string) => string
  readonly openKeys: () => SeenKeys
}>()("rspp/Identity") {
  static readonly layer = Layer.succeed(Identity, {
    eventId: (sequence) => `evt_${sequence}`,
    turnId: (ordinal) => `turn_${ordinal}`,
    invocationId: (ordinal) => `inv_${ordinal}`,
    segmentId: (turnId, ordinal) => `${turnId}_seg_${ordinal}`,
    invocationKey: (sessionId, work) => `${sessionId}/${work}`,
    openKeys: () => {
      const seen = new Set<string>()
      return {
        restore: (keys) => {
          for (const key of keys.slice(-rememberedKeys)) seen.add(key)
        },
        firstTime: (key) => {
          if (key === undefined) return true
          if (seen.has(key)) return false
          seen.add(key)
          if (seen.size > rememberedKeys) {
            for (const oldest of seen) {
              seen.delete(oldest)
              break
            }
          }
          return true
        }
      }
    }
  })
}
