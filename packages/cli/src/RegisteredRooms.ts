import type { ControlServer } from "@rspp/control/http/ControlClient"
import type { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import type { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import type { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { Effect, Layer } from "effect"
import type { CompositionOptions } from "./Composition.ts"
import { endRegistered, registeredSession } from "./RegisteredSession.ts"
import { runtimeReports } from "./RuntimeReports.ts"
import { sharedSnapshots } from "./SnapshotAddress.ts"

/** What a session in a room is composed of that depends on which session it is. */
export type RoomSession = Pick<
  CompositionOptions,
  "spec" | "snapshots" | "follower" | "reports" | "ready" | "tenant_id"
>

/** Sessions of a worker, by their ids. */
export interface RoomSessions {
  readonly of: (session_id: string) => Effect.Effect<RoomSession, { readonly message: string }>
  /** The session is over: what is wrong with telling that, in words. */
  readonly ended: (session_id: string) => Effect.Effect<string | undefined>
}

type Providers = Layer.Layer<ProviderManager | VoiceActivity | SentenceSegmenter>

/** Every room is a session of one pipeline. */
export const roomsOf = (spec: NormalizedSpec, ready: Providers): RoomSessions => ({
  of: () => Effect.succeed({ spec, ready }),
  ended: () => Effect.succeed(undefined)
})

/**
 * Each room is a session of a control plane, under its id: the pipeline that it is pinned to comes from the registry, its
 * snapshots over HTTP, and the control plane is told of this runtime and of the session's end. Providers that are `ready`
 * serve the pipelines that bind the same ones.
 */
export const registeredRooms = Effect.fnUntraced(
  function*(server: ControlServer, placementId: string, spec: NormalizedSpec, ready: Providers) {
    const follower = Layer.succeedContext(
      yield* Layer.build(
        sharedSnapshots({ address: { kind: "http", server }, options: {} })
      )
    )
    const reports = Layer.succeedContext(yield* Layer.build(runtimeReports({ server, placementId })))
    const bindingsOf = (one: NormalizedSpec) =>
      JSON.stringify(Object.entries(one.pipeline.provider_bindings).sort(([a], [b]) => a < b ? -1 : 1))
    const bound = bindingsOf(spec)
    const sessions: RoomSessions = {
      of: (session_id) =>
        Effect.map(registeredSession(server, session_id), ({ group, session, spec }) => ({
          spec,
          tenant_id: session.tenant_id,
          snapshots: { address: { kind: "http", server }, scope: session_id, group, options: {} },
          follower,
          reports,
          ...(bindingsOf(spec) === bound ? { ready } : {})
        })),
      ended: (session_id) => endRegistered(server, session_id)
    }
    return sessions
  }
)
