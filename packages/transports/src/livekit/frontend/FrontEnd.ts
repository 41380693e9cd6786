import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import type { RoomExtension } from "../RoomExtension.ts"
import { agentState } from "./AgentState.ts"
import { transcription } from "./Transcription.ts"

/** The conventions of LiveKit's own front ends, for one room and one session. */
export const frontEnd = (): ReadonlyArray<RoomExtension> => [agentState(), transcription()]

/** What is to be among the session's observers. */
export const observersOf = (extensions: ReadonlyArray<RoomExtension>): ReadonlyArray<SessionObserver> =>
  extensions.flatMap(({ observer }) => observer === undefined ? [] : [observer])
