import { Dispatch } from "@rspp/transports/livekit/Dispatch"
import type { DispatchedAgent } from "@rspp/transports/livekit/Dispatch"
import { Effect } from "effect"
import { liveKitKeys, requiredLiveKitUrl } from "../LiveKitKeys.ts"
import type { LiveKitServerFlags } from "../LiveKitKeys.ts"
import { Screen } from "../Screen.ts"

export interface DispatchFlags extends LiveKitServerFlags {
  readonly room: string
  readonly json: boolean
}

const dispatcher = Effect.fnUntraced(function*(flags: DispatchFlags) {
  const url = yield* requiredLiveKitUrl(flags)
  return Dispatch.layer({ url, ...(yield* liveKitKeys(flags)) })
})

const describe = ({ agent_name, dispatch_id, jobs }: DispatchedAgent): string => {
  const name = agent_name === "" ? "workers without a name" : agent_name
  const runs = jobs.map(({ identity, job_id, status }) => `${job_id} ${status} as ${identity}`).join(", ")
  return `${dispatch_id}  ${name}${runs === "" ? "" : `  ${runs}`}`
}

/** `rspp dispatch create`: sends an agent to a room. */
export const createDispatch = Effect.fn("rspp.dispatch.create")(
  function*(flags: DispatchFlags & { readonly agent: string; readonly metadata: string | undefined }) {
    const screen = yield* Screen
    const layer = yield* dispatcher(flags)
    const { agent, metadata, room } = flags
    const made = yield* Effect.flatMap(
      Dispatch,
      (dispatch) => dispatch.create({ room, agentName: agent, ...(metadata === undefined ? {} : { metadata }) })
    ).pipe(
      Effect.provide(layer)
    )
    screen.line(flags.json ? JSON.stringify(made) : `${made.dispatch_id}: ${agent} is sent to ${room}`)
  }
)

/** `rspp dispatch list`: the agents that were sent to a room, and their jobs. */
export const listDispatches = Effect.fn("rspp.dispatch.list")(function*(flags: DispatchFlags) {
  const screen = yield* Screen
  const layer = yield* dispatcher(flags)
  const found = yield* Effect.flatMap(Dispatch, ({ list }) => list(flags.room)).pipe(Effect.provide(layer))
  if (flags.json) screen.line(JSON.stringify(found))
  else for (const one of found) screen.line(describe(one))
})

/** `rspp dispatch remove`: takes an agent back, whose job is ended. */
export const removeDispatch = Effect.fn("rspp.dispatch.remove")(
  function*(flags: DispatchFlags & { readonly dispatch: string }) {
    const screen = yield* Screen
    const layer = yield* dispatcher(flags)
    const { dispatch: dispatch_id, room } = flags
    yield* Effect.flatMap(Dispatch, ({ remove }) => remove({ room, dispatch_id })).pipe(Effect.provide(layer))
    screen.line(flags.json ? JSON.stringify({ dispatch_id, room }) : `${dispatch_id}: taken back from ${room}`)
  }
)
