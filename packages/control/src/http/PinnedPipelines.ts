import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import { contentHash } from "../internal/ContentHash.ts"
import { setLatest } from "../internal/Latest.ts"
import { hashOfPublication, specOf } from "../PipelineRegistry.ts"
import type { PublishedPipeline } from "../PipelineRegistry.ts"
import type { Session } from "../SessionDirectory.ts"
import type { NormalizedSpec } from "../SpecNormalizer.ts"
import { asked, controlClient, ControlRequestFailure } from "./ControlClient.ts"
import type { ControlServer } from "./ControlClient.ts"

/** A session of a control plane, with the pipeline version that it is to run. */
export interface PinnedSession {
  readonly session: Session
  readonly spec: NormalizedSpec
  /** Of the published version. */
  readonly content_hash: string
  /** What sessions have in common that get the same snapshots but for the routing view: tenant, version and facets. */
  readonly group: string
}

/** Sessions, and published versions (some 30 KB each), that stay read. */
const maxKnown = { sessions: 1024, versions: 256 }

/**
 * The pipelines of sessions, from the registry of a control plane: asked when a session starts, and at no other time.
 *
 * Guarantees:
 * - **PP1** what is handed out is the version that the session is pinned to, and its content hash is that of its spec and
 *   compatibility window; its graph is the one that `graph_definition_ref` names. Anything else fails as `damaged`.
 * - **PP2** while the control plane is away, a session that was asked for before still gets what it got then.
 * - **PP3** a session that has ended is `refused`.
 *
 * It does not prove that the normalized form belongs to the spec: later versions of the normalizer fill in other defaults,
 * and a published version keeps those that it was published with.
 */
export class PinnedPipelines extends Context.Service<PinnedPipelines, {
  readonly of: (session_id: string) => Effect.Effect<PinnedSession, ControlRequestFailure>
}>()("rspp/PinnedPipelines") {
  static readonly layer = (server: ControlServer): Layer.Layer<PinnedPipelines, never, HttpClient.HttpClient> =>
    Layer.effect(PinnedPipelines, make(server))
}

const damaged = (message: string) => new ControlRequestFailure({ reason: "damaged", message })

/** What is wrong with a published version, if anything (PP1). */
const flawOf = (published: PublishedPipeline, { pipeline_id, pipeline_version }: Session): string | undefined => {
  const { compatibility, content_hash, pipeline, spec } = published
  const name = `${pipeline_id}@${pipeline_version}`
  const hash = hashOfPublication(spec, compatibility)
  if (hash !== content_hash) {
    return `the pipeline ${name} was changed after it was published: its content hash is ${content_hash}, but that of its content is ${hash}`
  }
  const { graph_definition_ref, ...graph } = pipeline.graph
  const ref = `sha256:${contentHash(graph)}`
  if (ref !== graph_definition_ref) {
    return `the graph of pipeline ${name} was changed after it was published: it is ${graph_definition_ref}, but its content is ${ref}`
  }
  const named = `${pipeline.pipeline_id}@${pipeline.pipeline_version}`
  return named === name ? undefined : `the pipeline ${name} was asked for, and ${named} was answered`
}

const make = Effect.fnUntraced(function*(server: ControlServer) {
  const client = yield* controlClient(server)
  const sessions = new Map<string, PinnedSession>()
  const versions = new Map<string, PublishedPipeline>()

  const versionOf = Effect.fnUntraced(function*(session: Session) {
    const { pipeline_id, pipeline_version, tenant_id } = session
    const key = JSON.stringify([tenant_id, pipeline_id, pipeline_version])
    const known = versions.get(key)
    if (known !== undefined) return known
    const published = yield* asked(server, client.pipelines.get({ params: { pipeline_id, pipeline_version } }))
    const flaw = flawOf(published, session)
    if (flaw !== undefined) return yield* damaged(flaw)
    setLatest(versions, key, published, maxKnown.versions)
    return published
  })

  const ask = Effect.fnUntraced(function*(session_id: string) {
    const session = yield* asked(server, client.sessions.get({ params: { session_id } }))
    if (session.session_id !== session_id) return yield* damaged(`session ${session.session_id} is not ${session_id}`)
    if (session.ended_ms !== undefined) {
      return yield* new ControlRequestFailure({
        reason: "refused",
        message: `session ${session_id} has ended: make another one`
      })
    }
    const published = yield* versionOf(session)
    const { cost_tier, language, pipeline_id, pipeline_version, region, tenant_id } = session
    const pinned: PinnedSession = {
      session,
      spec: specOf(published),
      content_hash: published.content_hash,
      group: JSON.stringify([tenant_id, pipeline_id, pipeline_version, language, region, cost_tier])
    }
    setLatest(sessions, session_id, pinned, maxKnown.sessions)
    return pinned
  })

  return PinnedPipelines.of({
    of: Effect.fn("PinnedPipelines.of")((session_id: string) =>
      Effect.catchIf(ask(session_id), ({ reason }) => reason === "unavailable", (error) => {
        const known = sessions.get(session_id)
        return known === undefined ? Effect.fail(error) : Effect.succeed(known) // PP2
      })
    )
  })
})
