import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { leaseTtl, pipelineFlags } from "./CallFlags.ts"
import { json, optional } from "./Flags.ts"

// A LiveKit server on the command line: its jobs, and tokens for its rooms. What a command does is loaded when it runs.

const serverFlags = {
  url: optional(
    Flag.String("url").pipe(
      Flag.withDescription(
        "The LiveKit server, ws://… or wss://…; default: what LIVEKIT_URL says. Its key pair is in LIVEKIT_API_KEY and LIVEKIT_API_SECRET"
      )
    )
  ),
  dev: Flag.Boolean("dev").pipe(
    Flag.withDefault(false),
    Flag.withDescription("The server is livekit-server --dev on this machine: its address and key pair are known")
  )
}

export const worker = Command.make(
  "worker",
  {
    ...serverFlags,
    agentName: Flag.String("agent-name").pipe(
      Flag.withDefault(""),
      Flag.withDescription("Take the jobs that are dispatched to this name; without it: one job for each new room")
    ),
    ...pipelineFlags,
    sessions: Flag.Int("sessions").pipe(
      Flag.withDefault(8),
      Flag.withDescription("How many sessions it runs at once, at most; default 8")
    ),
    timelines: optional(
      Flag.String("timelines").pipe(
        Flag.withMetavar("DIR"),
        Flag.withDescription("Record each session to DIR/ROOM.JOB.timeline; default: not recorded")
      )
    ),
    leases: optional(
      Flag.String("leases").pipe(
        Flag.withDescription("Hold the sessions' leases in a database that others share: sqlite:PATH or postgres://…")
      )
    ),
    leaseTtl,
    controlPlane: optional(
      Flag.String("control-plane").pipe(
        Flag.withMetavar("URL"),
        Flag.withDescription(
          "Each room is a session of this control plane: its pipeline and snapshots come from there, and it is told of this runtime; the key is in RSPP_API_KEY"
        )
      )
    ),
    drain: Flag.Int("drain").pipe(
      Flag.withDefault(60_000),
      Flag.withDescription("When stopped, let running sessions end within this time, in ms; default 60000")
    ),
    listen: optional(
      Flag.String("listen").pipe(
        Flag.withMetavar("HOST:PORT"),
        Flag.withDescription(
          "Answer GET /healthz, /readyz and /metrics there; port 0 takes a free one; default: nowhere"
        )
      )
    ),
    simulate: optional(
      Flag.String("simulate").pipe(
        Flag.withMetavar("ROOM"),
        Flag.withDescription("Ask the server for one job in this room when registered, as a self-test")
      )
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Print what happens as JSON, an event on each line")
    )
  },
  (flags) => Effect.flatMap(Effect.promise(() => import("./command/Worker.ts")), ({ runWorker }) => runWorker(flags))
).pipe(
  Command.withDescription("Take jobs from a LiveKit server, and run each as a session in its room, until stopped"),
  Command.withExamples([
    {
      command: "rspp worker --dev --agent-name assistant --listen 127.0.0.1:7810",
      description: "At a livekit-server --dev on this machine"
    }
  ])
)

export const token = Command.make(
  "token",
  {
    ...serverFlags,
    room: Flag.String("room").pipe(Flag.withDescription("The room that it lets its bearer join")),
    identity: optional(
      Flag.String("identity").pipe(Flag.withDescription("Who joins; default: caller, or what --kind says"))
    ),
    name: optional(Flag.String("name").pipe(Flag.withDescription("What others in the room are shown"))),
    kind: Flag.Literals("kind", ["standard", "agent", "ingress", "egress", "sip", "connector"]).pipe(
      Flag.withDefault("standard"),
      Flag.withDescription("standard: a person; agent: what front ends look for. Default: standard")
    ),
    ttl: optional(
      Flag.Int("ttl").pipe(Flag.withDescription("How long it lets its bearer join, in ms; default 600000"))
    ),
    agent: optional(
      Flag.String("agent").pipe(Flag.withDescription("The agent to dispatch when the token creates the room"))
    ),
    agentMetadata: optional(
      Flag.String("agent-metadata").pipe(Flag.withDescription("What the --agent's job is told, as it is"))
    ),
    json
  },
  (flags) => Effect.flatMap(Effect.promise(() => import("./command/Token.ts")), ({ mintToken }) => mintToken(flags))
).pipe(
  Command.withDescription("Mint a token for a LiveKit room, for tests and for rspp room join"),
  Command.withExamples([
    {
      command: "rspp token --dev --room lobby --agent assistant",
      description: "For a caller; the agent comes when the room is made"
    }
  ])
)

const room = Flag.String("room").pipe(Flag.withDescription("The room"))

type Dispatches = typeof import("./command/Dispatches.ts")

const ask = <F, A, E, R>(run: (client: Dispatches) => (flags: F) => Effect.Effect<A, E, R>) => (flags: F) =>
  Effect.flatMap(Effect.promise(() => import("./command/Dispatches.ts")), (client) => run(client)(flags))

export const dispatch = Command.make("dispatch").pipe(
  Command.withDescription("Agents that a LiveKit server sends to rooms"),
  Command.withSubcommands([
    Command.make("create", {
      ...serverFlags,
      room,
      agent: Flag.String("agent").pipe(Flag.withDescription("The --agent-name of the workers that it is for")),
      metadata: optional(Flag.String("metadata").pipe(Flag.withDescription("What the job is told, as it is"))),
      json
    }, ask((client) => client.createDispatch)).pipe(
      Command.withDescription(
        "Send an agent to a room, which is made if there is none; a worker gets the job now, or nobody does"
      )
    ),
    Command.make("list", { ...serverFlags, room, json }, ask((client) => client.listDispatches)).pipe(
      Command.withDescription("List the agents that were sent to a room, and their jobs")
    ),
    Command.make("remove", {
      ...serverFlags,
      room,
      dispatch: Argument.String("DISPATCH").pipe(Argument.withDescription("Its id, as create and list print it")),
      json
    }, ask((client) => client.removeDispatch)).pipe(
      Command.withDescription("Take an agent back: its job is ended, and it leaves the room")
    )
  ])
)
