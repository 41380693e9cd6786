import type { Snapshot } from "@rspp/contracts/Snapshot"
import { ControlPlane, defaultControlPlaneOptions, minSnapshotTtlMs } from "@rspp/control/ControlPlane"
import type { SnapshotLogFailure } from "@rspp/control/SnapshotLog"
import { SnapshotLog } from "@rspp/control/SnapshotLog"
import { Effect, Layer, Queue, Schedule } from "effect"
import { CliFailure } from "../CliFailure.ts"
import { control } from "../Composition.ts"
import { loadPipeline } from "../PipelineFile.ts"
import { withProviders } from "../ProviderCatalog.ts"
import { Screen } from "../Screen.ts"
import { parseSnapshots, snapshotLog } from "../SnapshotAddress.ts"
import { isControlServer } from "../ControlServerAddress.ts"

export interface SnapshotsPublishFlags {
  readonly to: string
  readonly scope: string | undefined
  readonly pipeline: string | undefined
  readonly ttl: number | undefined
  readonly once: boolean
  readonly json: boolean
}

/** Snapshots that wait for a log that is away; older ones are overtaken and dropped. */
const maxWaiting = 64
const againMs = 200

/**
 * `rspp snapshots publish`: the six snapshots of a pipeline, published where runtimes read them, and issued anew before
 * half their TTL until it is interrupted. While the log is away the latest wait for it.
 */
export const publishSnapshots = Effect.fn("rspp.snapshots.publish")(function*(flags: SnapshotsPublishFlags) {
  const screen = yield* Screen
  // before it is read as one: that asks for a key
  if (isControlServer(flags.to)) {
    return yield* new CliFailure({
      exit: "usage",
      message: "a control plane publishes the snapshots of its sessions itself",
      hint: "Publish to dir:PATH, sqlite:PATH or postgres://…; rspp run --snapshots follows a control plane."
    })
  }
  const address = yield* parseSnapshots(flags.to)
  const spec = yield* Effect.provide(withProviders(undefined, loadPipeline(flags.pipeline)), control)
  const snapshotTtlMs = flags.ttl ?? defaultControlPlaneOptions.snapshotTtlMs
  if (snapshotTtlMs < minSnapshotTtlMs) {
    return yield* new CliFailure({
      exit: "usage",
      message: `snapshots that last ${snapshotTtlMs} ms are not allowed`,
      hint: `--ttl is at least ${minSnapshotTtlMs} ms.`
    })
  }
  const scope = flags.scope ?? spec.pipeline.pipeline_id
  const tell = ({ content_hash, snapshot_kind, version }: Snapshot) =>
    screen.line(
      flags.json
        ? JSON.stringify({ scope, snapshot_kind, version, content_hash })
        : `${scope}: ${snapshot_kind} version ${version}`
    )

  return yield* Effect.gen(function*() {
    const log = yield* SnapshotLog
    const plane = yield* ControlPlane
    const waiting = yield* Queue.sliding<Snapshot>(maxWaiting)
    yield* plane.subscribe(scope, (snapshot) => void Queue.offerUnsafe(waiting, snapshot))
    const issued = yield* plane.openSession({ session_id: scope, placement_id: "any", authority_epoch: 0, spec })
    const publishNext = Effect.flatMap(Queue.take(waiting), (snapshot) => log.publish(scope, snapshot))
    if (flags.once) {
      for (const _ of issued) tell(yield* publishNext)
      return undefined
    }
    const retried = Effect.flatMap(Queue.take(waiting), (snapshot) =>
      log.publish(scope, snapshot).pipe(
        Effect.tapError((error: SnapshotLogFailure) => Effect.sync(() => screen.note(error.message))),
        Effect.retry(Schedule.spaced(againMs))
      ))
    return yield* Effect.forever(Effect.map(retried, tell))
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(snapshotLog(address), ControlPlane.layerMemory({ snapshotTtlMs })))
  )
})
