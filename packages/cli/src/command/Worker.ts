import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LocalHealth } from "@rspp/control/LocalHealth"
import * as NodeWS from "@effect/platform-node/NodeWS"
import { SessionStates } from "@rspp/timeline/state/SessionStates"
import { rsppVersion } from "@rspp/runtime/session/Session"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { AdmissionLedger } from "@rspp/runtime/limits/AdmissionLedger"
import { AccessTokens } from "@rspp/transports/livekit/AccessTokens"
import { nativeClient } from "@rspp/transports/livekit/NativeClient"
import { AgentEndpoint } from "@rspp/transports/livekit/worker/AgentEndpoint"
import { JobFailure } from "@rspp/transports/livekit/worker/Job"
import { Worker } from "@rspp/transports/livekit/worker/Worker"
import type { WorkerState } from "@rspp/transports/livekit/worker/Worker"
import type { WorkerEvent } from "@rspp/transports/livekit/worker/WorkerEvent"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import { Context, Deferred, Effect, FileSystem, Latch, Layer, Path } from "effect"
import type { Stdio } from "effect"
import { createServer } from "node:http"
import { describeCall } from "../CallSummary.ts"
import { CleanStop } from "../CleanStop.ts"
import { CliFailure } from "../CliFailure.ts"
import { control, providers } from "../Composition.ts"
import { parseControlServer } from "../ControlServerAddress.ts"
import { makePlacementId, parseLeases, sharedLeases, sharedTtl } from "../LeaseDatabase.ts"
import type { SharedLeases } from "../LeaseDatabase.ts"
import { listenAddress, listening } from "../ListenAddress.ts"
import { liveKitKeys, requiredLiveKitUrl } from "../LiveKitKeys.ts"
import type { LiveKitServerFlags } from "../LiveKitKeys.ts"
import { nextSignal } from "../NextSignal.ts"
import { loadNodes } from "../NodesFile.ts"
import { makeDirectories, timelineFile } from "../OutputFiles.ts"
import { loadPipeline } from "../PipelineFile.ts"
import { registeredRooms, roomsOf } from "../RegisteredRooms.ts"
import type { RoomSession } from "../RegisteredRooms.ts"
import { joinCall } from "../RoomCall.ts"
import { roomTakeovers } from "../RoomTakeover.ts"
import type { Place } from "../RoomTakeover.ts"
import { sharedTelemetry, withTelemetry } from "../ProgramTelemetry.ts"
import { withProviders } from "../ProviderCatalog.ts"
import { Screen } from "../Screen.ts"
import { sessionIdOfJob } from "../SessionName.ts"
import { aboutSession, claimSession } from "../SessionWatch.ts"
import type { ClaimedSession } from "../SessionWatch.ts"
import { sharedStates } from "../StateDatabase.ts"
import { workerHealth } from "../WorkerHealth.ts"

export interface WorkerFlags extends LiveKitServerFlags {
  readonly agentName: string
  readonly pipeline: string | undefined
  readonly providers: string | undefined
  readonly nodes: string | undefined
  readonly sessions: number
  readonly timelines: string | undefined
  readonly leases: string | undefined
  readonly leaseTtl: number | undefined
  readonly drain: number
  readonly listen: string | undefined
  readonly controlPlane: string | undefined
  readonly simulate: string | undefined
  readonly json: boolean
}

/** What a session wants of the program. */
type CallServices = Screen | FileSystem.FileSystem | Path.Path | Stdio.Stdio

/** How long a session that was taken over waits for its caller, who was in the room a moment ago, ms. */
const callerReturnMs = 20_000

/** Longest time of a drain, ms: a day. */
const maxDrainMs = 86_400_000

/** While the models are loaded. */
const notStarted: WorkerState = { registered: false, draining: false, running: 0, reserved: 0, load: 0 }

const usage = (message: string, hint: string) => new CliFailure({ exit: "usage", message, hint })

/** An event in words; undefined: it is told in another way. */
const wordsOf = (event: WorkerEvent): string | undefined => {
  switch (event.event) {
    case "registered":
      return event.again ? "registered again" : `registered as ${event.worker_id}`
    case "disconnected":
      return `not registered: ${event.message}`
    case "draining":
      return `draining: ${event.running} jobs run, and no new one is taken`
    case "accepted":
      return undefined
    case "refused":
      return `${event.room}: refused ${event.job_id} (${event.reason})`
    case "unassigned":
      return `${event.room}: ${event.job_id} was accepted and never assigned`
    case "started":
      return `${event.room}: ${event.job_id} runs`
    case "succeeded":
      return `${event.room}: ${event.job_id} has ended`
    case "failed":
      return `${event.room}: ${event.job_id} failed: ${event.message}`
    case "terminated":
      return `${event.room}: ${event.job_id} was ended by the LiveKit server`
    case "cut":
      return `${event.room}: ${event.job_id} was interrupted`
  }
}

const work = Effect.fn("rspp.worker")(function*(flags: WorkerFlags) {
  const screen = yield* Screen
  const cleanStop = yield* CleanStop
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const url = yield* requiredLiveKitUrl(flags)
  const keys = yield* liveKitKeys(flags)
  if (flags.sessions < 1) {
    return yield* usage(`--sessions ${flags.sessions} is not allowed`, "--sessions is at least 1.")
  }
  if (flags.drain < 0 || flags.drain > maxDrainMs) {
    return yield* usage(
      `--drain ${flags.drain} is no time to drain in`,
      `Give milliseconds from 0 to ${maxDrainMs}.`
    )
  }
  if (flags.leases === undefined && flags.leaseTtl !== undefined) {
    return yield* usage("--lease-ttl is of --leases", "Say where the leases are: --leases sqlite:PATH or postgres://…")
  }
  if (flags.controlPlane !== undefined && flags.leases === undefined) {
    return yield* usage(
      "--control-plane needs to know where leases are held: it publishes snapshots for who has the session's lease",
      "Add --leases with the database of the control plane."
    )
  }
  const plane = flags.controlPlane === undefined
    ? undefined
    : yield* parseControlServer(flags.controlPlane, "--control-plane")
  const ttlMs = yield* sharedTtl(flags.leaseTtl)
  const address = flags.listen === undefined ? undefined : yield* listenAddress(flags.listen)
  const nodes = flags.nodes === undefined ? undefined : yield* loadNodes(flags.nodes)
  const spec = yield* Effect.provide(loadPipeline(flags.pipeline, nodes?.file.nodes.map(({ id }) => id)), control)
  const leases: SharedLeases | undefined = flags.leases === undefined
    ? undefined
    : { database: yield* parseLeases(flags.leases), ttlMs, placementId: makePlacementId() }
  if (flags.timelines !== undefined) yield* makeDirectories(flags.timelines)

  const tell = (event: Readonly<Record<string, string | number | boolean>>, words: string | undefined) => {
    if (flags.json) screen.line(JSON.stringify(event))
    else if (words !== undefined) screen.line(words)
  }

  return yield* Effect.gen(function*() {
    let state = () => notStarted
    const http = createServer()
    if (address !== undefined) {
      const served = HttpRouter.serve(workerHealth(() => state()), { disableLogger: true, disableListenLog: true })
      const { address: at } = Context.get(
        yield* Layer.build(Layer.provideMerge(served, listening(http, address))),
        HttpServer.HttpServer
      )
      // Whoever keeps a connection open does not keep the worker.
      yield* Effect.addFinalizer(() => Effect.sync(() => http.closeAllConnections()))
      const place = HttpServer.formatAddress(at)
      tell({ event: "listening", url: place }, `health at ${place}/readyz, metrics at ${place}/metrics`)
    }
    // Held and loaded before they are needed: a caller does not wait for them.
    yield* nativeClient
    const ready = Layer.succeedContext(yield* Layer.build(providers(spec.pipeline.provider_bindings)))

    const ledger = Layer.succeedContext(yield* Layer.build(AdmissionLedger.layer))
    const health = Layer.succeedContext(yield* Layer.build(LocalHealth.layer()))

    const rooms = plane === undefined || leases === undefined
      ? roomsOf(spec, ready)
      : yield* registeredRooms(plane, leases.placementId, spec, ready)
    const shared = leases === undefined ? undefined : yield* sharedWith(leases)
    /** The lease of a session that begins here, for as long as the scope. */
    const begun = Effect.fnUntraced(function*(session_id: string, { spec }: RoomSession, { identity, room }: Place) {
      if (shared === undefined) return undefined
      const { authority, leases: { placementId }, states } = shared
      const lease = yield* authority.hold(session_id, placementId, { regain: true, leaves: true })
      return yield* claimSession(states, lease, {
        about: aboutSession(spec, { name: room, identity }),
        begins: true
      })
    })
    const forgotten = (session_id: string, epoch: number) =>
      shared === undefined ? Effect.void : Effect.ignore(shared.states.forget(session_id, epoch))
    /** One session in a room: begun here, or taken over as it was claimed. */
    const run = Effect.fnUntraced(function*(session_id: string, place: Place, taken?: ClaimedSession) {
      const { leaving, terminated, token, url } = place
      const directory = flags.timelines ?? (yield* fs.makeTempDirectoryScoped({ prefix: "rspp-" }))
      const session = yield* rooms.of(session_id)
      const claimed = taken ?? (yield* begun(session_id, session, place))
      const epoch = claimed?.lease.authority_epoch ?? 1
      const file = epoch === 1 ? `${session_id}.timeline` : `${session_id}.e${epoch}.timeline`
      // Another placement has the session for good: what is left here must not stay in the room under its identity.
      const revoked = yield* Deferred.make<never, JobFailure>()
      const authority: SessionObserver = {
        input: ({ input }) => {
          if (input.type !== "lease" || input.status !== "revoked") return
          Deferred.doneUnsafe(revoked, Effect.fail(new JobFailure({ message: "another placement has the session" })))
        }
      }
      const played = yield* Effect.raceFirst(
        joinCall({
          room: { url, token },
          leaving,
          ...session,
          session_id,
          live: false,
          timeline: yield* timelineFile(paths.join(directory, file), session_id),
          ledger,
          health,
          telemetry: sharedTelemetry,
          observers: [authority],
          ...(taken === undefined ? {} : { callerWaitMs: callerReturnMs }),
          ...(claimed === undefined || shared === undefined ? {} : {
            leases: shared.leases,
            takeover: { lease: claimed.lease, leases: shared.authority, states: shared.states, before: claimed.before }
          }),
          ...(nodes === undefined ? {} : { nodes })
        }),
        Effect.raceFirst(terminated, Deferred.await(revoked))
      )
      const notEnded = yield* rooms.ended(session_id)
      if (notEnded !== undefined) screen.note(`${session_id} is over, and still counts: ${notEnded}`)
      // Ended by the server and not left to others: there is nothing to go on with.
      if (played === undefined) return yield* forgotten(session_id, epoch)
      const { accepted_turns, incomplete } = yield* describeCall(played, {})
      for (const line of incomplete) screen.note(`${session_id}: ${line}`)
      tell(
        { event: "ended", session_id, authority_epoch: epoch, accepted_turns },
        `${session_id}: ended, ${accepted_turns} turns`
      )
    })
    const registered = yield* Latch.make(false)
    const context = yield* Effect.context<CallServices>()
    const asJob = <E extends { readonly message: string }, R>(session: Effect.Effect<void, E, R | CallServices>) =>
      session.pipe(
        Effect.mapError(({ message }) => new JobFailure({ message })),
        Effect.provide(context)
      )
    const worker = Context.get(
      yield* Layer.build(
        Worker.layer({
          agentName: flags.agentName,
          version: rsppVersion,
          url,
          maxSessions: flags.sessions,
          run: (job) => asJob(run(plane === undefined ? sessionIdOfJob(job.room, job.job_id) : job.room, job)),
          watch: (event) => {
            tell(event, wordsOf(event))
            if (event.event === "registered") registered.openUnsafe()
          }
        }).pipe(
          Layer.provide(AgentEndpoint.layer({ url })),
          Layer.provide(AccessTokens.layer(keys)),
          Layer.provide(NodeWS.layerWebSocketConstructor)
        )
      ),
      Worker
    )

    state = worker.state
    const takeovers = shared === undefined ? undefined : yield* roomTakeovers({
      ...shared,
      worker,
      server: { url, ...keys },
      sessions: flags.sessions,
      spec,
      // What a session of a control plane runs is that one's to say.
      isWanted: (hash) => plane !== undefined || hash === aboutSession(spec).pipeline.hash,
      run: (claimed, place) => asJob(run(claimed.lease.session_id, place, claimed)),
      tell,
      onAway: ({ message }) => screen.note(message)
    })
    const { simulate } = flags
    if (simulate !== undefined) {
      yield* Effect.forkScoped(registered.whenOpen(Effect.suspend(() => worker.simulate(simulate))))
    }
    const drained = Effect.gen(function*() {
      const enough = Effect.raceFirst(Effect.sleep(flags.drain), nextSignal)
      const [own, taken] = yield* Effect.all([worker.drain(enough), takeovers?.drain(enough) ?? Effect.succeed(0)], {
        concurrency: "unbounded"
      })
      const cut = own + taken
      if (cut === 0) cleanStop.done()
      else screen.note(`${cut} sessions were interrupted before their callers had left`)
    })
    return yield* worker.failure.pipe(Effect.onInterrupt(() => drained))
  }).pipe(Effect.scoped)
})

/** What workers share that take over each other's sessions. */
const sharedWith = Effect.fnUntraced(function*(leases: SharedLeases) {
  const context = yield* Layer.build(Layer.merge(sharedLeases(leases), sharedStates(leases.database)))
  return { leases, authority: Context.get(context, LeaseAuthority), states: Context.get(context, SessionStates) }
})

/**
 * `rspp worker`: takes jobs from a LiveKit server and runs each as a session in its room, until it is stopped.
 *
 * Stopped by SIGTERM or SIGINT it drains: it takes no new job, lets the running ones end, and ends with 0; with 130 when it
 * had to interrupt some, at the end of `--drain` or at a second signal. It ends by itself only when the LiveKit server
 * refuses it from the first.
 */
export const runWorker = (flags: WorkerFlags) => withProviders(flags.providers, withTelemetry(work(flags)))
