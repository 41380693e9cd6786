import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import type { RoomExtension } from "../RoomExtension.ts"
import { agentState } from "./AgentState.ts"
import { chatInput } from "./ChatInput.ts"
import { dataInput } from "./DataInput.ts"
import type { DigitText } from "./DataInput.ts"
import { preConnectAudio } from "./PreConnectAudio.ts"
import { transcription } from "./Transcription.ts"

export interface FrontEndOptions {
  /** Length of a chat message, bytes. Default 16,384. */
  readonly maxChatBytes?: number
  /** Takes the keys of a telephone as text. Default: they are ignored. */
  readonly digits?: DigitText
}

/**
 * The conventions of LiveKit's own front ends (playground, components, starter apps), for one room and one session.
 *
 * They go to the room's transport, and their observers to the session: see {@link observersOf}.
 */
export const frontEnd = (options: FrontEndOptions = {}): ReadonlyArray<RoomExtension> => [
  agentState(),
  transcription(),
  chatInput(options.maxChatBytes === undefined ? {} : { maxBytes: options.maxChatBytes }),
  preConnectAudio(),
  dataInput(options.digits === undefined ? {} : { digits: options.digits })
]

/** What is to be among the session's observers (`SessionObservers`). */
export const observersOf = (extensions: ReadonlyArray<RoomExtension>): ReadonlyArray<SessionObserver> =>
  extensions.flatMap(({ observer }) => observer === undefined ? [] : [observer])
