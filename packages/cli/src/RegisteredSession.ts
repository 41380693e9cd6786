import type { ControlRequestFailure, ControlServer } from "@rspp/control/http/ControlClient"
import type { PinnedSession } from "@rspp/control/http/PinnedPipelines"
import { Effect, Layer } from "effect"
import { CliFailure } from "./CliFailure.ts"
import { knownProviders } from "./PipelineFile.ts"
import type { ExitName } from "./ExitCode.ts"

const exitOf = ({ reason, status }: ControlRequestFailure): ExitName =>
  reason === "unavailable" || status === 401 || status === 403
    ? "unavailable"
    : reason === "damaged"
    ? "violation"
    : "bad_input"

const hints: Readonly<Record<ControlRequestFailure["reason"], string>> = {
  unavailable: "A session starts with what the registry says: start it again when the control plane is back.",
  refused: "Make a session with rspp session create, and give a key of its tenant in RSPP_API_KEY.",
  damaged: "It is not run. Publish the pipeline again under another version, and look at rspp audit verify."
}

/** The session and its pipeline from a control plane's registry, asked once, before the call. Its code is loaded only then. */
export const registeredSession = Effect.fn("registeredSession")(
  function*(server: ControlServer, session_id: string): Effect.fn.Return<PinnedSession, CliFailure> {
    const { PinnedPipelines } = yield* Effect.promise(() => import("@rspp/control/http/PinnedPipelines"))
    const FetchHttpClient = yield* Effect.promise(() => import("effect/http/FetchHttpClient"))
    const pinned = yield* Effect.flatMap(PinnedPipelines, (pipelines) => pipelines.of(session_id)).pipe(
      Effect.provide(Layer.provide(PinnedPipelines.layer(server), FetchHttpClient.layer)),
      Effect.mapError((error) =>
        new CliFailure({ exit: exitOf(error), message: error.message, hint: hints[error.reason] })
      )
    )
    const unknown = unknownProviders(pinned, yield* knownProviders)
    if (unknown.length === 0) return pinned
    return yield* new CliFailure({
      exit: "unavailable",
      message: `this program has no provider ${unknown.join(", ")}, which the pipeline binds`,
      hint: "Run the session with the release that the pipeline was published for."
    })
  }
)

/**
 * Tells the control plane that the call is over, so that it no longer counts among the sessions of its tenant. What is
 * wrong with that, in words; undefined when it is done.
 */
export const endRegistered = Effect.fn("endRegistered")(
  function*(server: ControlServer, session_id: string): Effect.fn.Return<string | undefined> {
    const { asked, controlClient } = yield* Effect.promise(() => import("@rspp/control/http/ControlClient"))
    const FetchHttpClient = yield* Effect.promise(() => import("effect/http/FetchHttpClient"))
    return yield* Effect.flatMap(
      controlClient(server),
      (client) => asked(server, client.sessions.end({ params: { session_id } }))
    ).pipe(
      Effect.as(undefined),
      Effect.catch(({ message }) => Effect.succeed(message)),
      Effect.provide(FetchHttpClient.layer)
    )
  }
)

/** Providers that a published pipeline binds and this program does not know: the control plane may be of another release. */
const unknownProviders = (
  { spec }: PinnedSession,
  known: Readonly<Record<"stt" | "llm" | "tts", ReadonlyArray<string>>>
): ReadonlyArray<string> => {
  return Object.entries(spec.pipeline.provider_bindings).flatMap(([key, id]) => {
    const modality = key.split(".")[0]
    if (modality !== "stt" && modality !== "llm" && modality !== "tts") return []
    return known[modality].includes(id) ? [] : [id]
  })
}
