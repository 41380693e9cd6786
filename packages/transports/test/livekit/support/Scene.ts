import type { Room } from "@livekit/rtc-node"
import { frontEnd, observersOf } from "@rspp/transports/livekit/frontend/FrontEnd"
import type { FrontEndOptions } from "@rspp/transports/livekit/frontend/FrontEnd"
import type { RoomExtension } from "@rspp/transports/livekit/RoomExtension"
import type { VideoGrant } from "livekit-server-sdk"
import { join, joinExtended, leave, publishMicrophone, watch } from "./Rooms.ts"
import type { ExtendedRoom, Server, Watcher } from "./Rooms.ts"

/** Everybody who is in a room, to be sent home. */
export const leaving: Array<() => Promise<void>> = []

export interface Scene {
  readonly agent: ExtendedRoom
  readonly user: Room
  readonly watcher: Watcher
  readonly microphone: string
  readonly extensions: ReadonlyArray<RoomExtension>
  readonly observers: ReturnType<typeof observersOf>
}

/** An agent with the conventions of front ends, and a user who looks at it, in one room. */
export const scene = async (
  server: Server,
  room: string,
  options: FrontEndOptions & { readonly grant?: VideoGrant } = {}
): Promise<Scene> => {
  let watcher: Watcher | undefined
  const user = await join(server, {
    room,
    identity: "user",
    before: (connecting) => void (watcher = watch(connecting))
  })
  leaving.push(() => leave(user))
  const microphone = await publishMicrophone(user)
  const extensions = frontEnd(options)
  const agent = await joinExtended(server, {
    room,
    caller: "user",
    extensions,
    trackSid: () => "TR_agent",
    grant: options.grant ?? {}
  })
  leaving.push(agent.leave)
  if (watcher === undefined) throw new Error("nobody watches")
  return { agent, user, watcher, microphone, extensions, observers: observersOf(extensions) }
}
