import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

/** One line of the conversation with its words: text, and how many characters of it count as heard. */
export const RememberedLine = Schema.Struct({
  role: Schema.Literals(["system", "user", "assistant"]),
  turn_id: Schema.optionalKey(Schema.String),
  parts: Schema.Array(Schema.Struct({ text: Schema.String, chars: Schema.Int }))
})
export type RememberedLine = typeof RememberedLine.Type

/**
 * What of a session outlives its runtime (session-durable state): enough to go on, on another machine and under another
 * epoch, without repeating or forgetting anything that was settled.
 */
export const DurableState = Schema.Struct({
  session_id: Schema.String,
  /** The epoch under which it was written. */
  authority_epoch: Schema.Int,
  /** Counts the writes of this epoch, from 1. */
  revision: Schema.Int,
  /** Ordinals that were given out, so that ids are not given out again. */
  turns: Schema.Int,
  invocations: Schema.Int,
  /** Turns that were accepted: they count against the quota. */
  accepted_turns: Schema.Int,
  /** The newest idempotency keys that were seen, at most 1024, oldest first. */
  idempotency_keys: Schema.Array(Schema.String),
  conversation: Schema.Array(RememberedLine)
})
export type DurableState = typeof DurableState.Type

/** The store could not be read or written, or refused a writer whose epoch is over. */
export class StateStoreFailure extends Schema.TaggedError<StateStoreFailure>()("StateStoreFailure", {
  reason: Schema.Literals(["unavailable", "stale_epoch", "damaged"]),
  message: Schema.String
}) {}

export interface SessionStateStoreService {
  readonly load: (session_id: string) => Effect.Effect<DurableState | undefined, StateStoreFailure>
  /**
   * Replaces the state of its session. A state of a lower epoch than what is there is refused with `stale_epoch`
   * (I-STATE-FENCE): a runtime that was only paused cannot overwrite its successor's.
   */
  readonly save: (state: DurableState) => Effect.Effect<void, StateStoreFailure>
}

/** Keeps nothing: state is not even put together for it. */
export const noStateStore: SessionStateStoreService = {
  load: () => Effect.succeed(undefined),
  save: () => Effect.void
}

/**
 * Where session-durable state is kept (a port of RK-20). Without a Layer nothing is kept, and a session that is resumed
 * starts empty.
 */
export const SessionStateStore = Context.Reference<SessionStateStoreService>("rspp/SessionStateStore", {
  defaultValue: () => noStateStore
})

/** Keeps state in memory, for tests and for the sessions of one process. */
export const layerMemory: Layer.Layer<never> = Layer.sync(SessionStateStore, () => {
  const states = new Map<string, DurableState>()
  return {
    load: (session_id) => Effect.sync(() => states.get(session_id)),
    save: (state) =>
      Effect.suspend(() => {
        const known = states.get(state.session_id)
        if (known !== undefined && known.authority_epoch > state.authority_epoch) {
          return Effect.fail(
            new StateStoreFailure({
              reason: "stale_epoch",
              message: `the session is written under epoch ${known.authority_epoch}; ${state.authority_epoch} is over`
            })
          )
        }
        states.set(state.session_id, state)
        return Effect.void
      })
  }
})
