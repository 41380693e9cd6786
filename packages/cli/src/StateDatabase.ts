import type { DurableState, SessionStateStoreService, StateStoreFailure } from "@rspp/runtime/ports/SessionStateStore"
import { SessionStateStore, StateStoreFailure as Failure } from "@rspp/runtime/ports/SessionStateStore"
import { sqlReason } from "@rspp/sql/SqlReason"
import type { SessionAbout } from "@rspp/timeline/state/SessionStates"
import { SessionStates } from "@rspp/timeline/state/SessionStates"
import { Effect, Exit, Layer, Redacted } from "effect"
import type { DatabaseAddress } from "./LeaseDatabase.ts"

/** Connections of one process to PostgreSQL for state: one write of a session is under way at a time. */
const stateConnections = 2

/** How long the end of a session waits until what was kept of it is removed, ms. */
const forgetWithinMs = 500

/** The durable states of sessions in a shared database; its code is loaded only then. */
export const sharedStates = (database: DatabaseAddress): Layer.Layer<SessionStates, StateStoreFailure> =>
  Layer.unwrap(Effect.promise(async () => {
    if (database.kind === "sqlite") {
      const { layer } = await import("@rspp/sql/NodeSqlite")
      return SessionStates.layerSql({ name: `sqlite ${database.path}` }).pipe(Layer.provide(layer(database.path)))
    }
    const { layer, nameOf } = await import("@rspp/sql/Postgres")
    const name = nameOf(Redacted.value(database.url))
    const client = layer(database.url, { maxConnections: stateConnections }).pipe(
      Layer.catch((error) =>
        Layer.effectContext(Effect.fail(
          new Failure({
            reason: "unavailable",
            message: `${name}: its session states cannot be reached (${sqlReason(error)})`
          })
        ))
      )
    )
    return SessionStates.layerSql({ name }).pipe(Layer.provide(client))
  }))

interface Kept {
  /** Nothing is written under a lower one: a session without its lease has nothing to keep that is not kept already. */
  readonly firstEpoch: number
  /** What the session goes on from. */
  readonly before?: DurableState | undefined
  /** Interrupted, the session goes to another runtime. */
  readonly moves?: boolean
  /** What the session is, for whoever might take it over, unless that has been said. */
  readonly about?: SessionAbout
}

/**
 * The port of one session over shared states. When the scope closes the session is over, unless it moves, and what was
 * kept of it is removed; a process that dies leaves it to its successor.
 */
export const keptBy = Effect.fnUntraced(
  function*(states: SessionStates["Service"], { about, before, firstEpoch, moves = false }: Kept) {
    const written = new Map<string, number>()
    if (before !== undefined) written.set(before.session_id, firstEpoch)
    yield* Effect.addFinalizer((exit) =>
      moves && Exit.hasInterrupts(exit) ? Effect.void : Effect.forEach(
        written,
        ([session_id, epoch]) => states.forget(session_id, epoch)
      ).pipe(
        Effect.ignore,
        Effect.interruptible,
        Effect.timeoutOption(forgetWithinMs)
      )
    )
    const store: SessionStateStoreService = {
      load: (session_id) => before?.session_id === session_id ? Effect.succeed(before) : states.load(session_id),
      save: (state) => {
        if (state.authority_epoch < firstEpoch) return Effect.void
        written.set(state.session_id, state.authority_epoch)
        return states.save(state, about)
      }
    }
    return store
  }
)

/** The first epoch that there is. */
const anyEpoch = 1

/** Port ← timeline: the state of a session of this process, for whoever takes it over. */
export const keptState = (about: SessionAbout): Layer.Layer<never, never, SessionStates> =>
  Layer.effect(
    SessionStateStore,
    Effect.flatMap(SessionStates, (states) => keptBy(states, { firstEpoch: anyEpoch, about }))
  )
