import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { pipelineFlags, recordingFlags } from "./CallFlags.ts"
import { json, optional } from "./Flags.ts"

// LiveKit rooms on the command line. What a command does is loaded when it runs.

const join = Command.make(
  "join",
  {
    url: optional(
      Flag.String("url").pipe(
        Flag.withDescription("The LiveKit server, ws://… or wss://…; default: what LIVEKIT_URL says")
      )
    ),
    token: optional(
      Flag.String("token").pipe(
        Flag.withDescription("The agent's token for the room (rspp token mints one); default: what LIVEKIT_TOKEN says")
      )
    ),
    ...pipelineFlags,
    ...recordingFlags,
    json
  },
  (flags) => Effect.flatMap(Effect.promise(() => import("./command/RoomJoin.ts")), ({ joinRoom }) => joinRoom(flags))
).pipe(
  Command.withDescription("Join one LiveKit room as its agent, and stay until the caller has left"),
  Command.withExamples([
    {
      command: "rspp room join --url ws://127.0.0.1:7880 --token \"$(rspp token --dev --room lobby --kind agent)\"",
      description: "A room of a server on this machine"
    }
  ])
)

const demo = Command.make(
  "demo",
  {
    out: optional(
      Flag.String("out").pipe(
        Flag.withMetavar("DIR"),
        Flag.withDescription("Where the files go; default: a new directory in .rspp")
      )
    )
  },
  (flags) =>
    Effect.flatMap(Effect.promise(() => import("./command/RoomDemo.ts")), ({ runRoomDemo }) => runRoomDemo(flags))
).pipe(
  Command.withDescription(
    "A LiveKit server, a worker and a scripted caller on this machine: the shipped conversation through WebRTC"
  )
)

export const room = Command.make("room").pipe(
  Command.withDescription("Calls in LiveKit rooms"),
  Command.withSubcommands([join, demo])
)
