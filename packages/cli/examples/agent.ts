// An agent: one pipeline, and the session that takes its calls. Who listens, thinks and speaks, where the call takes place
// and who records it are Layers of their own, left to whoever runs it: answer.ts, or a test.
import * as ControlPlaneFeed from "@rspp/cli/ControlPlaneFeed"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import * as Segmenter from "@rspp/providers/Segmenter"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import { Session } from "@rspp/runtime/session/Session"
import { Effect, Layer } from "effect"

/** What the agent is. Whatever is left out has its default; `npx rspp spec explain` says which. */
export const pipeline = {
  schema_version: "v1.0",
  pipeline_id: "assistant",
  pipeline_version: "assistant/1",
  session_config: { barge_in: { min_ms: 400 } }
}

export interface Call {
  readonly session_id: string
  /** The ids of the providers that this call is held with. */
  readonly providers: { readonly stt: string; readonly llm: string; readonly tts: string }
  /** `virtual`: under TestClock or VirtualTime. */
  readonly clock: "realtime" | "virtual"
}

/** Takes one call, from the first frame to the last record. */
export const takeCall = Effect.fn("takeCall")(function*({ clock, providers, session_id }: Call) {
  const normalizer = yield* SpecNormalizer
  const spec = yield* normalizer.normalize({ ...pipeline, providers })

  // Read it from the bottom up: each line gets what it needs from those below it.
  const session = Session.layer.pipe(
    Layer.provide(ProviderManager.layerNoDeps),
    Layer.provide(Segmenter.layer),
    Layer.provide(ControlPlaneFeed.layer(spec)),
    Layer.provide([ControlPlane.layerMemory(), LeaseAuthority.layerMemory()]),
    Layer.provide(LeaseTokens.layer)
  )
  return yield* Effect.flatMap(Session, ({ run }) =>
    run({
      session_id,
      tenant_id: "local",
      pipeline: spec.pipeline,
      seed: 1,
      payloadKey: "what was said is hashed under this key",
      clock
    })).pipe(Effect.provide(session))
}, Effect.provide(SpecNormalizer.layer))
