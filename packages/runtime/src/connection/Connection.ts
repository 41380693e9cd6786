import type { ConnectionState } from "@rspp/contracts/SessionInput"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { SessionGateway } from "../events/EventGateway.ts"

/** What a change of the connection means for turns. */
export type ConnectionEffect = "none" | "lost" | "over"

/** The connection of one session. */
export interface SessionConnection {
  readonly change: (state: ConnectionState) => ConnectionEffect
  readonly state: () => ConnectionState | undefined
}

/**
 * Connection (RK-23): what becomes of the transport's connection, as signals.
 *
 * `disconnected` and `stall` end an active turn; `ended` ends it and the session; `reconnecting` and `silence` are
 * only told. A state that repeats is told once.
 */
export class Connection extends Context.Service<Connection, {
  readonly open: (gateway: SessionGateway) => SessionConnection
}>()("rspp/Connection") {
  static readonly layer = Layer.succeed(Connection, {
    open: (gateway) => {
      let current: ConnectionState | undefined
      return {
        state: () => current,
        change: (state) => {
          if (state === current || current === "ended") return "none"
          current = state
          gateway.signal(state, "RK-23")
          switch (state) {
            case "ended":
              return "over"
            case "disconnected":
            case "stall":
              return "lost"
            default:
              return "none"
          }
        }
      }
    }
  })
}
