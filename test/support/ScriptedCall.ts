import { layer as controlPlaneFeed } from "@rspp/cli/ControlPlaneFeed"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import type { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { Recorder } from "@rspp/runtime/ports/Recorder"
import type { Transport } from "@rspp/runtime/ports/Transport"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import { Session } from "@rspp/runtime/session/Session"
import type { SessionOptions } from "@rspp/runtime/session/Session"
import * as MemoryRecorder from "@rspp/timeline/recorder/MemoryRecorder"
import type { CallScript } from "@rspp/transports/loopback/CallScript"
import * as MemoryTransport from "@rspp/transports/loopback/MemoryTransport"
import { Effect, Layer } from "effect"
import * as Scripted from "@rspp/providers/scripted/ScriptedProviders"
import * as ScriptedVoiceActivity from "@rspp/providers/scripted/ScriptedVoiceActivity"

export { speech } from "@rspp/providers/scripted/ScriptedVoiceActivity"

/** A pipeline that is bound to the scripted providers. */
export const scriptedSpec = (more: Record<string, unknown> = {}) =>
  Effect.flatMap(SpecNormalizer, (normalizer) =>
    normalizer.normalize({
      schema_version: "v1.0",
      pipeline_id: "scripted",
      pipeline_version: "scripted-1",
      providers: Scripted.bindings,
      ...more
    })).pipe(Effect.provide(SpecNormalizer.layer))

/** Of a scripted call that names none. */
export const scriptedSessionId = "ses_scripted"

export interface ScriptedCall {
  readonly script: CallScript
  readonly heard: ReadonlyArray<string>
  readonly replies: ReadonlyArray<string>
  readonly spec?: Record<string, unknown>
  readonly options?: Partial<SessionOptions>
  /** Takes the place of the scripted model; its id is to be bound in `spec`. */
  readonly model?: Layer.Layer<LanguageModel>
}

/** The session with scripted providers: what is missing is a transport and a recorder. */
export const layerOf = (
  spec: NormalizedSpec,
  call: Pick<ScriptedCall, "heard" | "model" | "replies">
): Layer.Layer<Session, never, Recorder | Transport> =>
  Session.layer.pipe(
    Layer.provide(ProviderManager.layerNoDeps),
    Layer.provide([
      Scripted.recogniser(call.heard),
      call.model ?? Scripted.model(call.replies),
      Scripted.voice(),
      Scripted.segmenter,
      ScriptedVoiceActivity.layer,
      controlPlaneFeed(spec).pipe(
        Layer.provide([ControlPlane.layerMemory(), LeaseAuthority.layerMemory()]),
        Layer.provide(LeaseTokens.layerSeeded(7))
      )
    ])
  )

/** A call whose caller and providers follow a script, on the clock of whoever runs it, with the recorder at hand. */
export const playScriptedCall = Effect.fn("playScriptedCall")(function*(call: ScriptedCall) {
  const spec = yield* scriptedSpec(call.spec)
  const runtime = layerOf(spec, call).pipe(
    Layer.provideMerge(MemoryTransport.layer({ script: call.script }))
  )
  return yield* Effect.gen(function*() {
    const session = yield* Session
    const summary = yield* session.run({
      session_id: scriptedSessionId,
      tenant_id: "tests",
      pipeline: spec.pipeline,
      seed: 7,
      payloadKey: "a key for tests",
      clock: "virtual",
      ...call.options
    })
    const tracks = yield* (yield* MemoryTransport.MemoryTracks).tracks
    return { summary, tracks }
  }).pipe(Effect.provide(runtime, { local: true }))
})

/** The same, with its recording. */
export const runScriptedCall = Effect.fn("runScriptedCall")(function*(call: ScriptedCall) {
  return yield* Effect.gen(function*() {
    const played = yield* playScriptedCall(call)
    const timelines = yield* MemoryRecorder.MemoryTimelines
    const timeline = timelines.get(call.options?.session_id ?? scriptedSessionId)
    if (timeline === undefined) return yield* Effect.die("the session left no timeline")
    return { ...played, timeline }
  }).pipe(Effect.provide(MemoryRecorder.layer(), { local: true }))
})
