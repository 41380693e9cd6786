import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import type { Lease } from "@rspp/control/LeaseAuthority"
import type { LeaseStoreFailure } from "@rspp/control/LeaseStore"
import { SessionStates } from "@rspp/timeline/state/SessionStates"
import { Deferred, Effect, FiberMap, FileSystem, Layer, Path, Schedule, Semaphore } from "effect"
import type { Stdio } from "effect"
import { playCall } from "../Call.ts"
import { readCaller } from "../CallerInput.ts"
import type { CallerFlags } from "../CallerInput.ts"
import { describeCall } from "../CallSummary.ts"
import { CliFailure } from "../CliFailure.ts"
import { control, providers } from "../Composition.ts"
import { makePlacementId, parseLeases, sharedLeases, sharedTtl } from "../LeaseDatabase.ts"
import type { SharedLeases } from "../LeaseDatabase.ts"
import { loadNodes } from "../NodesFile.ts"
import { makeDirectories, timelineFile } from "../OutputFiles.ts"
import { loadPipeline } from "../PipelineFile.ts"
import { Screen } from "../Screen.ts"
import { endsAlone } from "../SessionFault.ts"
import { readSnapshots, sharedSnapshots, usualScope } from "../SnapshotAddress.ts"
import type { SnapshotFlags } from "../SnapshotAddress.ts"
import { sharedStates } from "../StateDatabase.ts"
import { placedRuntimes } from "../PlacementDatabase.ts"
import { nothingKept } from "../Takeover.ts"

export interface StandbyFlags extends CallerFlags, SnapshotFlags {
  readonly leases: string
  readonly leaseTtl: number | undefined
  readonly pipeline: string | undefined
  readonly nodes: string | undefined
  readonly timelines: string | undefined
  readonly sessions: number
  readonly abandonedAfter: number
  readonly placed: boolean
  readonly once: boolean
  readonly json: boolean
}

/** What a call wants of the program. */
type CallServices = Screen | FileSystem.FileSystem | Path.Path | Stdio.Stdio

/** Where the session's id goes in a flag. */
const placeholder = "{session}"

/** How often it is looked whether a session has lost its runtime: a part of the TTL, within bounds, ms. */
const lookEveryPartOfTtl = 0.05
const lookEveryMs = { least: 50, most: 500 }

/** How often a database that is away is asked again for a session's state, ms. */
const againMs = 200

const usage = (message: string, hint: string) => new CliFailure({ exit: "usage", message, hint })

/**
 * `rspp standby`: takes over sessions whose runtime is gone (their lease ran out and was not given back), each under the
 * next epoch, and goes on with them from the state that was left, until it is interrupted.
 */
export const standBy = Effect.fn("rspp.standby")(function*(flags: StandbyFlags) {
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
  if (!named) yield* readCaller(flags)
  if (flags.timelines !== undefined) yield* makeDirectories(flags.timelines)

  const tell = (event: Readonly<Record<string, string | number>>, words: string) =>
    screen.line(flags.json ? JSON.stringify(event) : words)

  return yield* Effect.gen(function*() {
    const authority = yield* LeaseAuthority
    const states = yield* SessionStates
    // Loaded before they are needed: a session that is taken over waits for its lease only.
    const ready = Layer.succeedContext(yield* Layer.build(providers(spec.pipeline.provider_bindings)))
    // One for all: a session that comes while its source is away has what another has read.
    const follower = snapshots === undefined
      ? undefined
      : Layer.succeedContext(yield* Layer.build(sharedSnapshots(snapshots)))
    const running = yield* FiberMap.make<string>()
    const ended = yield* Deferred.make<void>()
    /** One for each session that runs here, however it came. */
    const room = yield* Semaphore.make(flags.sessions)

    const goOn = Effect.fnUntraced(function*(lease: Lease, placed: boolean) {
      const { authority_epoch, session_id } = lease
      const { over, state } = yield* states.claim(session_id, authority_epoch).pipe(
        Effect.retry({ schedule: Schedule.spaced(againMs), while: ({ reason }) => reason === "unavailable" })
      )
      // Its runtime ended it, and had no time to give the lease back; or another has ended it since it was placed.
      if (over) return
      const begins = placed && state === undefined && authority_epoch === 1
      const before = begins ? undefined : state ?? nothingKept(session_id, authority_epoch - 1)
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
        script: caller.script,
        session_id,
        speed: "real",
        live: false,
        timeline: yield* timelineOf(flags.timelines, session_id, authority_epoch),
        leases,
        takeover: { lease, leases: authority, states, before },
        ready,
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

    let away = false
    /** The database is asked again before long; it is said once. */
    const noAnswer = ({ message }: LeaseStoreFailure) =>
      Effect.sync(() => {
        if (!away) screen.note(message)
        away = true
      })
    /** Another that stands by may be faster; then there is nothing to do. */
    const takeOver = (session_id: string) =>
      authority.hold(session_id, leases.placementId, { regain: true, leaves: true }).pipe(
        Effect.flatMap((lease) => runs(lease, false)),
        Effect.scoped,
        Effect.catchTags({ LeaseHeld: () => Effect.void, LeaseStoreFailure: noAnswer }),
        room.withPermitsIfAvailable(1)
      )
    if (placements !== undefined) {
      const context = yield* Effect.context<CallServices>()
      yield* Layer.build(
        placements({
          placement_id: leases.placementId,
          maxSessions: flags.sessions,
          room: Effect.acquireRelease(room.take(1), () => room.release(1), { interruptible: true }),
          run: (lease) => Effect.provide(runs(lease, true), context)
        }).pipe(Layer.provide(Layer.succeed(LeaseAuthority, authority)))
      )
    }

    const look = Effect.gen(function*() {
      const room = flags.sessions - (yield* FiberMap.size(running))
      if (room <= 0) return
      const orphans = yield* authority.orphans(flags.sessions + room, flags.abandonedAfter)
      const wanted = orphans.filter((session_id) => !FiberMap.hasUnsafe(running, session_id)).slice(0, room)
      for (const session_id of wanted) yield* FiberMap.run(running, session_id, takeOver(session_id))
      away = false
    }).pipe(Effect.catch(noAnswer))
    const everyMs = Math.min(lookEveryMs.most, Math.max(lookEveryMs.least, Math.floor(ttlMs * lookEveryPartOfTtl)))
    tell({ event: "standing_by", placement_id: leases.placementId }, `standing by as ${leases.placementId}`)
    const watching = Effect.repeat(look, Schedule.spaced(everyMs))
    return yield* flags.once
      ? Effect.raceFirst(Effect.asVoid(watching), Deferred.await(ended))
      : Effect.asVoid(watching)
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(sharedLeases(leases), sharedStates(leases.database)))
  )
})

/** The recording of a session under an epoch: in the directory that was given, or one that does not stay. */
const timelineOf = Effect.fnUntraced(
  function*(directory: string | undefined, session_id: string, authority_epoch: number) {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const place = directory ?? (yield* fs.makeTempDirectoryScoped({ prefix: "rspp-" }))
    return yield* timelineFile(paths.join(place, `${session_id}.e${authority_epoch}.timeline`), session_id)
  }
)
