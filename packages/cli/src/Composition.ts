import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { GraphCompiler } from "@rspp/control/GraphCompiler"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LocalHealth } from "@rspp/control/LocalHealth"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import type { SnapshotFollower } from "@rspp/control/SnapshotFollower"
import * as Catalog from "@rspp/providers/Catalog"
import { builtInNodes } from "@rspp/providers/nodes/BuiltInNodes"
import { ExternalNodes } from "@rspp/providers/nodes/ExternalNodes"
import type { NodesFile } from "@rspp/providers/nodes/ExternalNodes"
import type { ProviderUnavailable } from "@rspp/providers/ProviderUnavailable"
import * as Segmenter from "@rspp/providers/Segmenter"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { NodeRegistry, registryOf } from "@rspp/runtime/nodes/NodeRegistry"
import { AdmissionLedger } from "@rspp/runtime/limits/AdmissionLedger"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import type { Transport } from "@rspp/runtime/ports/Transport"
import type { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import { Session } from "@rspp/runtime/session/Session"
import type { Durability } from "@rspp/timeline/recorder/Durability"
import * as FileRecorder from "@rspp/timeline/recorder/FileRecorder"
import { NodeResimulation } from "@rspp/timeline/replay/NodeResimulation"
import { ReplayCursors } from "@rspp/timeline/replay/ReplayCursor"
import * as TimelineShipper from "@rspp/timeline/store/TimelineShipper"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { SessionLog } from "@rspp/timeline/telemetry/SessionLog"
import { SessionMetrics } from "@rspp/timeline/telemetry/SessionMetrics"
import { SessionTracer } from "@rspp/timeline/telemetry/SessionTracer"
import type { CallReports } from "@rspp/transports/loopback/CallReport"
import * as Loopback from "@rspp/transports/loopback/LoopbackTransport"
import { Context, Effect, Layer } from "effect"
import type { FileSystem } from "effect"
import { ContractValidation } from "./ContractValidation.ts"
import * as ControlPlaneFeed from "./ControlPlaneFeed.ts"
import { LocalRunner } from "./LocalRunner.ts"
import { modelNames, programTelemetry } from "./ProgramTelemetry.ts"
import { ProviderCatalog } from "./ProviderCatalog.ts"
import { sharedLeases } from "./LeaseDatabase.ts"
import type { SharedLeases } from "./LeaseDatabase.ts"
import { RuntimeReports } from "./RuntimeReports.ts"
import { sharedSnapshots } from "./SnapshotAddress.ts"
import type { SharedSnapshots } from "./SnapshotAddress.ts"
import { aboutSession } from "./SessionWatch.ts"
import { keptState, sharedStates } from "./StateDatabase.ts"
import { adoptedLease, takenState } from "./Takeover.ts"
import type { Takeover } from "./Takeover.ts"
import { storeLayer } from "./StoreAddress.ts"
import type { StoreAddress } from "./StoreAddress.ts"

/** A transport of one call, with a report of how the call went if it makes one. */
export type CallTransport = Layer.Layer<Transport | CallReports, never, FileSystem.FileSystem>

/** What one call is composed for. */
export interface CompositionOptions {
  /** The pipeline, as the control plane accepted it. */
  readonly spec: NormalizedSpec
  /** Where the call takes place: files ({@link loopback}), or a room. */
  readonly transport: CallTransport
  /** The timeline file to write. Must not exist. */
  readonly timeline: string
  /** A directory for the key that payloads in the timeline are sealed under. */
  readonly keys?: string
  /** When the timeline is forced onto the disk; with each turn that ends by default. */
  readonly durability?: Durability
  /** Where the timeline is shipped to while it is written. */
  readonly store?: StoreAddress
  /** Where the session's lease and its durable state are kept; in this process only by default. */
  readonly leases?: SharedLeases
  /** The session was another runtime's: the lease that was taken, and what was kept of it. */
  readonly takeover?: Takeover
  /** Providers that are ready already; made for this call by default. */
  readonly ready?: Layer.Layer<ProviderManager | VoiceActivity | SentenceSegmenter>
  /** Places of tenants, shared by the sessions of this process; of this call only by default. */
  readonly ledger?: Layer.Layer<AdmissionLedger>
  /** Where the session's snapshots are published; made in this process by default. */
  readonly snapshots?: SharedSnapshots
  /** Who follows them there for all sessions of this process; for this call only by default. */
  readonly follower?: Layer.Layer<SnapshotFollower>
  /** Whose session it is; by default the user's own. */
  readonly tenant_id?: string
  /** A control plane that is told of this runtime and of its providers; by default the breakers of `health`. */
  readonly reports?: Layer.Layer<RuntimeReports>
  /** What the providers' circuits are decided by, shared by the sessions of this process; of this call only by default. */
  readonly health?: Layer.Layer<LocalHealth>
  /** A file for the spans of the call. */
  readonly trace?: string
  /** Where traces, metrics and logs go, for all calls of this process; for this call only by default. */
  readonly telemetry?: Layer.Layer<never>
  /** Nodes in processes of their own, and the directory that their commands start in. */
  readonly nodes?: { readonly file: NodesFile; readonly directory: string }
}

/*
 * The composition root: how the packages become one program. Read it from the bottom up; every arrow between packages
 * that the walls forbid in code is drawn here, as a Layer.
 *
 *   Session (runtime)
 *     ├─ kernel: arbiter, plan, guard, lanes, budgets …   SessionKernel.layer, inside of Session.layer
 *     ├─ Transport          ← transports                  loopback: files in, files out; a room (RoomCall.ts)
 *     ├─ VoiceActivity      ← providers
 *     ├─ ProviderManager    ← providers                   recogniser, models and voices that the pipeline binds
 *     ├─ SentenceSegmenter,
 *     │  NodeRegistry       ← providers                   built-in nodes, and those of a nodes file
 *     ├─ Recorder           ← timeline                    a file, shipped to a store if one was given
 *     ├─ observers          ← timeline, cli, control      spans, metrics, logs, the live view, provider health
 *     ├─ SessionStateStore  ← timeline                    durable state, when others may take the session over
 *     └─ ControlPlaneFeed   ← control                     leases and snapshots: in this process, or shared with others
 */

/**
 * Port ← providers: every provider that the pipeline binds, stand-ins included, by its id in the catalog. Its code is
 * loaded only then, and once however many nodes call it.
 */
export const providers = (bindings: Readonly<Record<string, string>>) =>
  Layer.mergeAll(
    bound("vad", "embedded/silero"),
    Layer.unwrap(Effect.gen(function*() {
      const { catalog } = yield* ProviderCatalog
      return ProviderManager.layerOf({
        stt: yield* allOf(bindings, "stt", SpeechToText, catalog),
        llm: yield* allOf(bindings, "llm", LanguageModel, catalog),
        tts: yield* allOf(bindings, "tts", TextToSpeech, catalog)
      })
    })),
    Segmenter.layer
  )

/** The providers of a modality that are bound: to the modality, to nodes of it, or as its stand-in. */
const allOf = <M extends "stt" | "llm" | "tts", I, S>(
  bindings: Readonly<Record<string, string>>,
  modality: M,
  port: Context.Key<I, S>,
  catalog: Catalog.Catalog
) => {
  const keys = Object.keys(bindings).filter((key) => key === modality || key.startsWith(`${modality}.`))
  const ids = new Set(keys.map((key) => bindings[key] ?? ""))
  return Effect.forEach([...ids], (id) =>
    Effect.map(
      Layer.build(bound(modality, id, catalog) as Layer.Layer<I, ProviderUnavailable>),
      (context) => Context.get(context, port)
    ))
}

const bound = <M extends Catalog.CatalogEntry["modality"]>(modality: M, id: string, catalog = Catalog.catalog) => {
  const entry = Catalog.find(modality, id, catalog)
  // The normalizer has checked the ids against the same catalog.
  if (entry === undefined) throw new Error(`there is no ${modality} provider ${id} in the catalog`)
  return entry.layer as Catalog.CatalogEntryOf<M>["layer"]
}

/** Nodes ← providers: those that come with RSPP, and the external ones. */
export const nodes = (external: CompositionOptions["nodes"]) =>
  Layer.effect(
    NodeRegistry,
    Effect.map(ExternalNodes, ({ definitions }) => registryOf([...builtInNodes, ...definitions]))
  ).pipe(Layer.provideMerge(ExternalNodes.layerOf(external?.file ?? { nodes: [] }, external?.directory)))

/** The control plane, in this process and in memory: normalizer, compiler, leases with epochs, six snapshots a session. */
export const control = Layer.mergeAll(
  SpecNormalizer.layerNoDeps.pipe(Layer.provideMerge(GraphCompiler.layer)),
  ControlPlane.layerMemory(),
  LeaseAuthority.layerMemory().pipe(Layer.provide(LeaseTokens.layer))
)

/** Port ← control: leases and snapshots. */
const feed = ({ follower, leases, snapshots, spec, tenant_id }: CompositionOptions) => {
  const here = ControlPlaneFeed.layer(spec, { tenant_id, placementId: leases?.placementId, ...snapshots })
  return snapshots === undefined ? here : Layer.provide(here, follower ?? sharedSnapshots(snapshots))
}

/** The same for a call whose lease others may want too. */
const controlOf = ({ leases, takeover }: CompositionOptions) => {
  if (takeover !== undefined) return Layer.provideMerge(adoptedLease(takeover), control)
  return leases === undefined ? control : Layer.provideMerge(sharedLeases(leases), control)
}

/** Port ← timeline: where durable state is kept, when others may take the session over. */
const stateOf = ({ leases, spec, takeover }: CompositionOptions) => {
  if (takeover !== undefined) return takenState(takeover)
  return leases === undefined
    ? Layer.empty
    : Layer.provide(keptState(aboutSession(spec)), sharedStates(leases.database))
}

/** Port ← transports: a scripted caller, and WAV files of the agent's track and of both, if they are asked for. */
export const loopback: (options: Loopback.LoopbackOptions) => CallTransport = Loopback.layer

/** Port ← timeline: the recorder (stage A), on top of the shipper (stage B) if there is a store. */
const recorder = ({ durability, keys, store, timeline }: CompositionOptions) => {
  const file = FileRecorder.layer({
    to: () => timeline,
    ...(durability === undefined ? {} : { durability }),
    ...(keys === undefined ? {} : { keys })
  })
  return store === undefined ? file : file.pipe(
    Layer.provideMerge(TimelineShipper.layer()),
    Layer.provide(storeLayer(store))
  )
}

/** Everything that one call needs, from the runner down to the files. Every module of the program can be asked for. */
export const call = (options: CompositionOptions) =>
  LocalRunner.layerNoDeps.pipe(
    Layer.provideMerge(Session.layerNoLedger),
    Layer.provideMerge(options.ledger ?? AdmissionLedger.layer),
    Layer.provideMerge(nodes(options.nodes)),
    Layer.provideMerge(options.ready ?? providers(options.spec.pipeline.provider_bindings)),
    Layer.provideMerge(stateOf(options)),
    Layer.provideMerge(feed(options)),
    Layer.provideMerge(controlOf(options)),
    Layer.provideMerge(recorder(options)),
    Layer.provideMerge(options.transport),
    Layer.provideMerge(Layer.mergeAll(SessionTracer.layer, SessionMetrics.layer, SessionLog.layer)),
    Layer.provideMerge(modelNames),
    Layer.provideMerge(options.reports ?? RuntimeReports.layerLocal),
    Layer.provideMerge(options.health ?? LocalHealth.layer()),
    Layer.provideMerge(options.telemetry ?? programTelemetry(options.trace))
  )

/** What executes a recorded session again: the same kernel, from the same Layer, and no port at all. */
export const replay = Replayer.layerNoDeps.pipe(Layer.provideMerge(SessionKernel.layer))

/** A hand on such an execution. */
export const cursors = ReplayCursors.layerNoDeps.pipe(Layer.provide(SessionKernel.layer))

/** What hears a recorded caller again, and works on recorded texts: voice activity, loaded only then, and the built-in nodes. */
export const resimulation = NodeResimulation.layerNoDeps.pipe(
  Layer.provide([
    Layer.suspend(() => bound("vad", "embedded/silero")),
    Segmenter.layer,
    Layer.succeed(NodeRegistry, registryOf(builtInNodes))
  ])
)

/** What judges artifacts and pipeline specs, without a session. */
export const validation = Layer.mergeAll(ContractValidation.layer, control)
