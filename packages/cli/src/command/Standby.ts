import { LocalHealth } from "@rspp/control/LocalHealth"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import type { Lease } from "@rspp/control/LeaseAuthority"
import type { SessionAbout } from "@rspp/timeline/state/SessionStates"
import { AdmissionLedger } from "@rspp/runtime/limits/AdmissionLedger"
import { SessionStates } from "@rspp/timeline/state/SessionStates"
import { Deferred, Effect, FileSystem, Layer, Path, Semaphore } from "effect"
import type { Stdio } from "effect"
import { playCall } from "../Call.ts"
import { readCaller } from "../CallerInput.ts"
import type { CallerFlags } from "../CallerInput.ts"
import { describeCall } from "../CallSummary.ts"
import { CliFailure } from "../CliFailure.ts"
import { control, loopback, providers } from "../Composition.ts"
import { makePlacementId, parseLeases, sharedLeases, sharedTtl } from "../LeaseDatabase.ts"
import type { SharedLeases } from "../LeaseDatabase.ts"
import { metricsAt } from "../MetricsServer.ts"
import { loadNodes } from "../NodesFile.ts"
import { makeDirectories, timelineFile } from "../OutputFiles.ts"
import { loadPipeline } from "../PipelineFile.ts"
import { sharedTelemetry, withTelemetry } from "../ProgramTelemetry.ts"
import { withProviders } from "../ProviderCatalog.ts"
import { Screen } from "../Screen.ts"
import { endsAlone } from "../SessionFault.ts"
import { readSnapshots, sharedSnapshots, usualScope } from "../SnapshotAddress.ts"
import type { SnapshotFlags } from "../SnapshotAddress.ts"
import { sharedStates } from "../StateDatabase.ts"
import { placedRuntimes } from "../PlacementDatabase.ts"
import { aboutSession, claimSession, watchSessions } from "../SessionWatch.ts"

export interface StandbyFlags extends CallerFlags, SnapshotFlags {
  readonly leases: string
  readonly leaseTtl: number | undefined
  readonly pipeline: string | undefined
  readonly providers: string | undefined
  readonly nodes: string | undefined
  readonly timelines: string | undefined
  readonly sessions: number
  readonly abandonedAfter: number
  readonly placed: boolean
  readonly once: boolean
  readonly metrics: string | undefined
  readonly json: boolean
}

/** What a call wants of the program. */
type CallServices = Screen | FileSystem.FileSystem | Path.Path | Stdio.Stdio

/** Where the session's id goes in a flag. */
const placeholder = "{session}"

const usage = (message: string, hint: string) => new CliFailure({ exit: "usage", message, hint })

const takeOver = Effect.fn("rspp.standby")(function*(flags: StandbyFlags) {
  const screen = yield* Screen
  const ttlMs = yield* sharedTtl(flags.leaseTtl)
  for (const [name, value] of [["--sessions", flags.sessions], ["--abandoned-after", flags.abandonedAfter]] as const) {
    if (value < 1) return yield* usage(`${name} ${value} is not allowed`, `${name} is at least 1.`)
  }
  if (flags.input === "-") {
    return yield* usage("standard input is one caller, and there may be many", "Give --input FILE or --script FILE.")
  }
  const nodes = flags.nodes === undefined ? undefined : yield* loadNodes(flags.nodes)
  const spec = yield* Effect.provide(loadPipeline(flags.pipeline, nodes?.file.nodes.map(({ id }) => id)), control)
  const snapshots = yield* readSnapshots(flags)
  const leases: SharedLeases = {
    database: yield* parseLeases(flags.leases),
    ttlMs,
    placementId: makePlacementId()
  }
  const placements = flags.placed ? yield* placedRuntimes(leases) : undefined
  // A caller that is the same for every session is wrong now, and not when it is needed.
  const named = [flags.input, flags.script].some((path) => path?.includes(placeholder))
  if (!named) yield* readCaller(flags, true)
  if (flags.timelines !== undefined) yield* makeDirectories(flags.timelines)

  const tell = (event: Readonly<Record<string, string | number>>, words: string) =>
    screen.line(flags.json ? JSON.stringify(event) : words)

  return yield* Effect.gen(function*() {
    yield* metricsAt(flags.metrics)
    const authority = yield* LeaseAuthority
    const states = yield* SessionStates
    // Loaded before they are needed: a session that is taken over waits for its lease only.
    const ready = Layer.succeedContext(yield* Layer.build(providers(spec.pipeline.provider_bindings)))
    const ledger = Layer.succeedContext(yield* Layer.build(AdmissionLedger.layer))
    const health = Layer.succeedContext(yield* Layer.build(LocalHealth.layer()))
    const context = yield* Effect.context<CallServices>()
    const about = aboutSession(spec)
    // One for all: a session that comes while its source is away has what another has read.
    const follower = snapshots === undefined
      ? undefined
      : Layer.succeedContext(yield* Layer.build(sharedSnapshots(snapshots)))
    const ended = yield* Deferred.make<void>()
    /** One for each session that runs here, however it came. */
    const room = yield* Semaphore.make(flags.sessions)

    const goOn = Effect.fnUntraced(function*(lease: Lease, placed: boolean) {
      const { authority_epoch, session_id } = lease
      const claimed = yield* claimSession(states, lease, { about, begins: placed })
      if (claimed === undefined) return
      const { before } = claimed
      const begins = before === undefined
      const turns = before?.turns ?? 0
      const conversation = before?.conversation.filter(({ role }) => role !== "system").length ?? 0
      tell(
        { event: begins ? "begun" : "taken", session_id, authority_epoch, turns, conversation },
        begins
          ? `${session_id}: begun`
          : `${session_id}: taken over under epoch ${authority_epoch}, ${turns} turns and ${conversation} lines known`
      )
      const fill = (text: string | undefined) => text?.replaceAll(placeholder, session_id)
      const caller = yield* readCaller({ ...flags, input: fill(flags.input), script: fill(flags.script) })
      const played = yield* playCall({
        spec,
        transport: loopback({ script: caller.script }),
        session_id,
        speed: "real",
        live: false,
        timeline: yield* timelineOf(flags.timelines, session_id, authority_epoch),
        leases,
        takeover: { lease, leases: authority, states, before },
        ready,
        ledger,
        health,
        telemetry: sharedTelemetry,
        ...(nodes === undefined ? {} : { nodes }),
        ...(follower === undefined || snapshots === undefined ? {} : {
          follower,
          snapshots: {
            ...snapshots,
            scope: fill(flags.snapshotScope) ??
              usualScope(snapshots.address, session_id, spec.pipeline.pipeline_id)
          }
        })
      })
      const { accepted_turns, incomplete } = yield* describeCall(played, {})
      for (const line of incomplete) screen.note(`${session_id}: ${line}`)
      tell(
        { event: "ended", session_id, authority_epoch, accepted_turns },
        `${session_id}: ended, ${accepted_turns} turns under epoch ${authority_epoch}`
      )
      yield* Deferred.succeed(ended, undefined)
    })
    /** Goes on with it for as long as it lasts. Nobody will go on with one that failed, so nobody needs its words. */
    const runs = (lease: Lease, placed: boolean) =>
      goOn(lease, placed).pipe(endsAlone((message) => {
        const { authority_epoch, session_id } = lease
        tell({ event: "failed", session_id, message }, `${session_id}: cannot go on: ${message}`)
        return Effect.ignore(states.forget(session_id, authority_epoch))
      }))

    if (placements !== undefined) {
      yield* Layer.build(
        placements({
          placement_id: leases.placementId,
          maxSessions: flags.sessions,
          room: Effect.acquireRelease(room.take(1), () => room.release(1), { interruptible: true }),
          run: (lease) => Effect.provide(runs(lease, true), context)
        }).pipe(Layer.provide(Layer.succeed(LeaseAuthority, authority)))
      )
    }

    tell({ event: "standing_by", placement_id: leases.placementId }, `standing by as ${leases.placementId}`)
    const watching = watchSessions({
      authority,
      states,
      placementId: leases.placementId,
      ttlMs,
      abandonedAfter: flags.abandonedAfter,
      sessions: flags.sessions,
      room,
      // Without words of what it is, it may be of an older release: then it is taken for one of this pipeline.
      isWanted: (found) =>
        found === undefined || (found.room === undefined && found.pipeline.hash === about.pipeline.hash),
      onForeign: (session_id, found) =>
        tell(
          { event: "foreign", session_id },
          `${session_id}: left to others; it ${foreignSession(found)}`
        ),
      goOn: (lease) => Effect.provide(runs(lease, false), context),
      onAway: ({ message }) => screen.note(message)
    })
    return yield* flags.once ? Effect.raceFirst(watching, Deferred.await(ended)) : watching
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(sharedLeases(leases), sharedStates(leases.database)))
  )
})

/** Why a session is not for a standby, in words that follow "it". */
const foreignSession = (about: SessionAbout | undefined): string =>
  about?.room === undefined
    ? `runs ${about?.pipeline.pipeline_id} ${about?.pipeline.pipeline_version}, and not the pipeline that is given here`
    : `is in the room ${about.room.name}: rspp worker goes on with it`

/** The recording of a session under an epoch: in the directory that was given, or one that does not stay. */
const timelineOf = Effect.fnUntraced(
  function*(directory: string | undefined, session_id: string, authority_epoch: number) {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const place = directory ?? (yield* fs.makeTempDirectoryScoped({ prefix: "rspp-" }))
    return yield* timelineFile(paths.join(place, `${session_id}.e${authority_epoch}.timeline`), session_id)
  }
)

/**
 * `rspp standby`: takes over sessions whose runtime is gone (their lease ran out and was not given back), each under the
 * next epoch, and goes on with them from the state that was left, until it is interrupted.
 */
export const standBy = (flags: StandbyFlags) => withProviders(flags.providers, withTelemetry(takeOver(flags)))
