import { schemaVersion } from "@rspp/contracts/Identity"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import * as Segmenter from "@rspp/providers/Segmenter"
import * as Scripted from "@rspp/providers/scripted/ScriptedProviders"
import * as ScriptedVoiceActivity from "@rspp/providers/scripted/ScriptedVoiceActivity"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import { Effect, Layer } from "effect"
import { CliFailure } from "../CliFailure.ts"
import { control, providers } from "../Composition.ts"
import type { CompositionOptions } from "../Composition.ts"
import { loadNodes } from "../NodesFile.ts"
import { loadPipeline } from "../PipelineFile.ts"

/** What the sessions of a load run, by the flags. */
export interface SetupFlags {
  readonly pipeline: string | undefined
  readonly providers: string | undefined
  readonly nodes: string | undefined
  readonly recogniserMs: number | undefined
  readonly modelMs: number | undefined
  readonly voiceMs: number | undefined
}

/** How long the scripted providers take, ms: of the order of hosted ones that are near. */
export const scriptedDefaults = { recogniserMs: 120, modelMs: 250, voiceMs: 120 } as const

/** A scripted provider may be slower than any gate, and need not be slower than any budget. */
const maxLatencyMs = 60_000

/** What the budgets of scripted providers leave beyond their own time, ms: enough for a machine that does not keep up. */
const patienceMs = 5000

/** What one session of the load is composed of, besides its transport and its recording. */
export type LoadSetup = Pick<CompositionOptions, "nodes"> & {
  readonly spec: NormalizedSpec
  readonly ready: NonNullable<CompositionOptions["ready"]>
  /** The providers are scripted: what the caller says need not be speech. */
  readonly scripted: boolean
  /** What the script gives them for an answer, ms; 0 where nobody knows. */
  readonly answerMs: number
}

const usage = (message: string, hint: string) => new CliFailure({ exit: "usage", message, hint })

/** What a caller is heard to say, and what it is answered: two sentences, so that one can be cut between them. */
const heard = ["Is there a table for two tonight?", "And tomorrow at seven?", "What does the set menu cost?"]
const replies = [
  "There is one at eight. Shall I keep it?",
  "Seven is free by the window. Is that all right?",
  "It is forty two with wine. May I book it?"
]

const latency = (name: string, given: number | undefined, standard: number) => {
  const value = given ?? standard
  return Number.isFinite(value) && value >= 0 && value <= maxLatencyMs
    ? Effect.succeed(value)
    : Effect.fail(usage(`--${name} ${value} is no latency`, `Give milliseconds from 0 to ${maxLatencyMs}.`))
}

const scripted = Effect.fnUntraced(function*(flags: SetupFlags) {
  for (const name of ["providers", "nodes"] as const) {
    if (flags[name] === undefined) continue
    return yield* usage(`--${name} is of --pipeline`, "Without a pipeline the providers are scripted.")
  }
  const finalMs = yield* latency("recogniser-ms", flags.recogniserMs, scriptedDefaults.recogniserMs)
  const firstWordMs = yield* latency("model-ms", flags.modelMs, scriptedDefaults.modelMs)
  const firstChunkMs = yield* latency("voice-ms", flags.voiceMs, scriptedDefaults.voiceMs)
  const spec = yield* Effect.flatMap(SpecNormalizer, (normalizer) =>
    normalizer.normalize({
      schema_version: schemaVersion,
      pipeline_id: "load",
      pipeline_version: "load/1",
      providers: Scripted.bindings,
      // A provider that is scripted to be slow is slow, and is not cut off for it.
      budgets: {
        turn_budget_ms: finalMs + firstWordMs + firstChunkMs + patienceMs,
        path_budget_ms_default: finalMs + firstWordMs + firstChunkMs + patienceMs
      }
    })).pipe(Effect.provide(control))
  const setup: LoadSetup = {
    spec,
    ready: Layer.mergeAll(
      ScriptedVoiceActivity.layer,
      ProviderManager.layerOf({
        stt: [Scripted.recogniserService({ texts: heard, finalMs, firstResultCapMs: finalMs + patienceMs })],
        llm: [Scripted.modelService({ replies, firstWordMs, firstResultCapMs: firstWordMs + patienceMs })],
        tts: [Scripted.voiceService({ firstChunkMs, firstResultCapMs: firstChunkMs + patienceMs })]
      }),
      Segmenter.layer
    ),
    scripted: true,
    answerMs: finalMs + firstWordMs + firstChunkMs
  }
  return setup
})

const real = Effect.fnUntraced(function*(flags: SetupFlags) {
  for (
    const [name, value] of [
      ["recogniser-ms", flags.recogniserMs],
      ["model-ms", flags.modelMs],
      ["voice-ms", flags.voiceMs]
    ] as const
  ) {
    if (value === undefined) continue
    return yield* usage(`--${name} is of the scripted providers`, "Leave it out, or leave out --pipeline.")
  }
  const nodes = flags.nodes === undefined ? undefined : yield* loadNodes(flags.nodes)
  const external = nodes?.file.nodes.map(({ id }) => id)
  const spec = yield* Effect.provide(loadPipeline(flags.pipeline, external), control)
  const setup: LoadSetup = {
    spec,
    // Made once: what is loaded is loaded before the first caller comes, and shared by all.
    ready: Layer.succeedContext(yield* Layer.build(providers(spec.pipeline.provider_bindings))),
    scripted: false,
    answerMs: 0,
    ...(nodes === undefined ? {} : { nodes })
  }
  return setup
})

/**
 * What the sessions run: scripted providers that answer after the given times, or those that a pipeline binds. Providers
 * live as long as the scope. Fails when a flag does not fit, or the pipeline is not accepted, or a provider cannot start.
 */
export const loadSetup = (flags: SetupFlags) => flags.pipeline === undefined ? scripted(flags) : real(flags)
