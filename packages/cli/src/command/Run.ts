import { Effect, FileSystem, Path } from "effect"
import { playCall } from "../Call.ts"
import { readCaller } from "../CallerInput.ts"
import type { CallerFlags } from "../CallerInput.ts"
import { checkTextOutput, checkWaveOutput, timelineFile } from "../OutputFiles.ts"
import { metricsAt } from "../MetricsServer.ts"
import { loadNodes } from "../NodesFile.ts"
import { loadPipeline } from "../PipelineFile.ts"
import { withProviders } from "../ProviderCatalog.ts"
import { Screen } from "../Screen.ts"
import { makePlacementId, parseLeases, sharedTtl } from "../LeaseDatabase.ts"
import { parseControlServer } from "../ControlServerAddress.ts"
import { endRegistered, registeredSession } from "../RegisteredSession.ts"
import { runtimeReports } from "../RuntimeReports.ts"
import { readSnapshots, usualScope } from "../SnapshotAddress.ts"
import type { SharedSnapshots, SnapshotFlags } from "../SnapshotAddress.ts"
import type { ControlServer } from "@rspp/control/http/ControlClient"
import type { PinnedSession } from "@rspp/control/http/PinnedPipelines"
import { parseStore } from "../StoreAddress.ts"
import { CliFailure } from "../CliFailure.ts"
import { control, loopback } from "../Composition.ts"
import { sessionIdOf } from "../SessionName.ts"
import { describeCall, judgeCall, showCall } from "../CallSummary.ts"

export interface RunFlags extends CallerFlags, SnapshotFlags {
  readonly output: string | undefined
  readonly stereo: string | undefined
  readonly timeline: string | undefined
  readonly store: string | undefined
  readonly session: string | undefined
  readonly leases: string | undefined
  readonly leaseTtl: number | undefined
  readonly controlPlane: string | undefined
  readonly pipeline: string | undefined
  readonly providers: string | undefined
  readonly nodes: string | undefined
  readonly speed: "real" | "max" | undefined
  readonly durability: "terminal" | "interval" | "none" | undefined
  readonly keys: string | undefined
  readonly trace: string | undefined
  readonly metrics: string | undefined
  readonly json: boolean
}

const run = Effect.fn("rspp.run")(function*(flags: RunFlags) {
  const screen = yield* Screen
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const { output, stereo } = flags
  const nodes = flags.nodes === undefined ? undefined : yield* loadNodes(flags.nodes)
  const external = nodes?.file.nodes.map(({ id }) => id)
  const leases = yield* readLeases(flags)
  const registered = yield* readRegistered(flags)
  const spec = registered?.pinned.spec ?? (yield* Effect.provide(loadPipeline(flags.pipeline, external), control))
  const caller = yield* readCaller(flags)
  const inputs = [flags.input, flags.script].filter((path) => path !== undefined && path !== "-") as ReadonlyArray<
    string
  >
  if (output !== undefined) yield* checkWaveOutput(output, inputs)
  if (stereo !== undefined) yield* checkWaveOutput(stereo, output === undefined ? inputs : [...inputs, output])
  if (flags.trace !== undefined) yield* checkTextOutput(flags.trace, inputs)
  if (flags.timeline === undefined && flags.store === undefined) {
    for (const name of ["keys", "durability"] as const) {
      if (flags[name] === undefined) continue
      return yield* new CliFailure({
        exit: "usage",
        message: `--${name} is about the recording, and none is kept`,
        hint: "Add --timeline FILE, or --store STORE."
      })
    }
  }
  const store = flags.store === undefined ? undefined : yield* parseStore(flags.store)
  const snapshots = yield* snapshotsOf(flags, registered, spec.pipeline.pipeline_id)
  const session_id = yield* sessionIdOf(flags.session)
  const kept = flags.timeline === undefined ? undefined : yield* timelineFile(flags.timeline, session_id)
  for (const notice of caller.notices) screen.note(`${screen.style.yellow("notice:")} ${notice}`)

  yield* Effect.scoped(Effect.gen(function*() {
    // The table is computed from a timeline in any case; one that nobody asked for does not stay, unless it is the only
    // copy of what should be in a store.
    let stays = store !== undefined
    let named = false
    const directory = yield* Effect.acquireRelease(
      fs.makeTempDirectory({ prefix: "rspp-" }),
      (path) =>
        Effect.ignore(Effect.gen(function*() {
          const file = paths.join(path, "call.timeline")
          if (!stays || !(yield* fs.exists(file))) yield* fs.remove(path, { recursive: true })
          else if (!named) screen.note(`The recording stays in ${file}.`)
        }))
    )
    const timeline = kept ?? paths.join(directory, "call.timeline")
    yield* metricsAt(flags.metrics)
    const files = {
      ...(output === undefined ? {} : { reply: output }),
      ...(stereo === undefined ? {} : { stereo })
    }
    const result = yield* playCall({
      spec,
      transport: loopback({ script: caller.script, ...files }),
      session_id,
      ...(registered === undefined ? {} : { tenant_id: registered.pinned.session.tenant_id }),
      ...(registered === undefined || leases === undefined
        ? {}
        : { reports: runtimeReports({ server: registered.server, placementId: leases.placementId }) }),
      speed: flags.speed ?? "real",
      live: !flags.json,
      timeline,
      ...(store === undefined ? {} : { store }),
      ...(leases === undefined ? {} : { leases }),
      ...(snapshots === undefined ? {} : { snapshots }),
      ...(nodes === undefined ? {} : { nodes }),
      ...(flags.durability === undefined
        ? {}
        : { durability: flags.durability === "interval" ? { intervalMs: 1000 } : flags.durability }),
      ...(flags.keys === undefined ? {} : { keys: flags.keys }),
      ...(flags.trace === undefined ? {} : { trace: flags.trace })
    })
    const notEnded = registered === undefined ? undefined : yield* endRegistered(registered.server, session_id)
    if (notEnded !== undefined) {
      screen.note(`${session_id} is over, and still counts: ${notEnded}. Later: rspp session end ${session_id}`)
    }
    const summary = yield* describeCall(result, {
      ...files,
      ...(kept === undefined ? {} : { timeline: kept }),
      ...(flags.trace === undefined ? {} : { trace: flags.trace })
    })
    if (flags.json) screen.line(JSON.stringify({ ...summary, notices: [...caller.notices, ...summary.notices] }))
    else showCall(screen, summary)
    stays = kept === undefined && summary.stored?.complete === false
    named = stays
    if (summary.stored?.complete === false) {
      const { problem } = summary.stored
      return yield* new CliFailure({
        exit: "unavailable",
        message: `the recording is not complete in the store${problem === undefined ? "" : `: ${problem}`}`,
        hint: `All of it is in ${timeline}: ship it later with rspp timeline ship ${timeline} --to STORE.`
      })
    }
    return yield* judgeCall(summary, caller.script)
  }))
})

const usage = (message: string, hint: string) => Effect.fail(new CliFailure({ exit: "usage", message, hint }))

/** What is said of the session's lease, as far as it is said. */
const readLeases = Effect.fnUntraced(function*({ leaseTtl, leases, speed }: RunFlags) {
  if (leases === undefined) {
    if (leaseTtl === undefined) return undefined
    return yield* usage("--lease-ttl is of --leases", "Say where the leases are: --leases sqlite:PATH or postgres://…")
  }
  if (speed === "max") {
    return yield* usage("a shared lease runs in real time", "Leave out --speed max or --leases.")
  }
  const ttlMs = yield* sharedTtl(leaseTtl)
  return { database: yield* parseLeases(leases), ttlMs, placementId: makePlacementId() }
})

/** The session that a control plane has, with the pipeline that its registry pins it to. */
interface Registered {
  readonly server: ControlServer
  readonly pinned: PinnedSession
}

/** Asks for it, if a control plane is named. */
const readRegistered = Effect.fnUntraced(function*({ controlPlane, leases, pipeline, session }: RunFlags) {
  if (controlPlane === undefined) return undefined
  const server = yield* parseControlServer(controlPlane, "--control-plane")
  if (session === undefined) {
    return yield* usage("--control-plane runs a session that it has", "Add --session: rspp session create makes one.")
  }
  if (pipeline !== undefined) {
    return yield* usage(
      "--pipeline and --control-plane exclude each other",
      "The session's pipeline comes from the control plane's registry."
    )
  }
  if (leases === undefined) {
    return yield* usage(
      "--control-plane needs to know where leases are held: it publishes snapshots for who has the session's lease",
      "Add --leases with the database of the control plane."
    )
  }
  const registered: Registered = { server, pinned: yield* registeredSession(server, session) }
  return registered
})

/** Where snapshots are followed, as far as it is said. */
const snapshotsOf = Effect.fnUntraced(
  function*(flags: RunFlags, registered: Registered | undefined, pipelineId: string) {
    const { session, snapshotScope, speed } = flags
    const read = yield* readSnapshots({ ...flags, snapshots: flags.snapshots ?? registered?.server.url })
    if (read === undefined) return undefined
    if (speed === "max") {
      return yield* usage("snapshots are followed in real time", "Leave out --speed max or --snapshots.")
    }
    if (read.address.kind === "http" && snapshotScope === undefined && session === undefined) {
      return yield* usage(
        "a control plane has snapshots of its sessions, and none is named",
        "Add --session, or --snapshot-scope SESSION."
      )
    }
    const shared: SharedSnapshots = {
      ...read,
      scope: snapshotScope ?? registered?.pinned.session.session_id ??
        usualScope(read.address, session ?? pipelineId, pipelineId),
      ...(registered === undefined ? {} : { group: registered.pinned.group })
    }
    return shared
  }
)

/** `rspp run`: one call, live, with the files that the flags ask for. */
export const runCall = (flags: RunFlags) => withProviders(flags.providers, run(flags))
