import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { Snapshot } from "@rspp/contracts/Snapshot"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { LoggedSnapshot } from "./SnapshotLog.ts"
import { inKindOrder, keptVersions, reversioned, SnapshotLog, SnapshotLogFailure, snapshotOf } from "./SnapshotLog.ts"

const Stored = Schema.Struct({
  kind: Schema.String,
  version: Schema.Int,
  issued_at_ms: Schema.Int,
  ttl_ms: Schema.Int,
  content_hash: Schema.String,
  published_ms: Schema.Int,
  body: Schema.Unknown
})
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Stored))

/** Publishers that publish the same kind in the same scope at the same instant. */
const maxRounds = 32

/**
 * Published snapshots as files, for one machine: `DIRECTORY/<scope>/<kind>.<version>.json`. Each is written aside and
 * linked to its name, which gives a version out once (SL1) and never shows half a file. Time is the machine's. It cannot
 * push: readers poll.
 */
export const layer = (
  directory: string
): Layer.Layer<SnapshotLog, SnapshotLogFailure, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(SnapshotLog, make(directory))

const make = Effect.fnUntraced(function*(directory: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const name = `directory ${directory}`
  const failure = (reason: SnapshotLogFailure["reason"], what: string, cause?: unknown) =>
    new SnapshotLogFailure({
      log: name,
      reason,
      message: `${name}: ${what}`,
      ...(cause === undefined ? {} : { cause })
    })
  const done = <A, E extends { readonly message: string }, R>(step: Effect.Effect<A, E, R>) =>
    Effect.mapError(
      step,
      (error) => failure("unavailable", `its snapshots cannot be reached (${error.message})`, error)
    )
  const directoryOf = (scope: string) => paths.join(directory, encodeURIComponent(scope).replace(/^\./u, "%2E"))

  /** The versions of each kind that are there, oldest first. */
  const versions = Effect.fnUntraced(function*(scope: string) {
    const at = directoryOf(scope)
    const files = (yield* done(fs.exists(at))) ? yield* done(fs.readDirectory(at)) : []
    return new Map(snapshotKinds.map((kind) => [
      kind,
      files.flatMap((file) => {
        const found = /^(?<kind>[a-z_]+)\.(?<version>[1-9]\d*)\.json$/u.exec(file)?.groups
        return found?.["kind"] === kind ? [Number(found["version"])] : []
      }).sort((a, b) => a - b)
    ]))
  })
  const fileOf = (scope: string, kind: string, version: number) =>
    paths.join(directoryOf(scope), `${kind}.${version}.json`)

  const publish = Effect.fn("SnapshotLog.publish")(function*(scope: string, snapshot: Snapshot) {
    const kind = snapshot.snapshot_kind
    yield* done(fs.makeDirectory(directoryOf(scope), { recursive: true }))
    for (let round = 0; round < maxRounds; round++) {
      const there = (yield* versions(scope)).get(kind) ?? []
      const version = (there.at(-1) ?? 0) + 1
      const { body, content_hash, issued_at_ms, ttl_ms } = snapshot
      const published_ms = Math.floor(yield* Clock.currentTimeMillis)
      const text = canonicalJson({ kind, version, issued_at_ms, ttl_ms, content_hash, published_ms, body })
      const linked = yield* Effect.scoped(Effect.gen(function*() {
        const aside = yield* done(fs.makeTempFileScoped({ directory: directoryOf(scope), prefix: ".publishing-" }))
        yield* done(fs.writeFileString(aside, text))
        return yield* fs.link(aside, fileOf(scope, kind, version)).pipe(
          Effect.as(true),
          Effect.catch((error) =>
            error.reason._tag === "AlreadyExists"
              ? Effect.succeed(false)
              : Effect.fail(failure("unavailable", `its snapshots cannot be reached (${error.message})`, error))
          )
        )
      }))
      if (!linked) continue
      for (const old of there) {
        if (old <= version - keptVersions) yield* Effect.ignore(fs.remove(fileOf(scope, kind, old)))
      }
      return reversioned(snapshot, version)
    }
    return yield* failure("conflict", `${maxRounds} other versions of ${kind} were published first`)
  })

  const latest = Effect.fn("SnapshotLog.latest")(function*(scope: string) {
    const now = Math.floor(yield* Clock.currentTimeMillis)
    const logged: Array<LoggedSnapshot> = []
    for (const [kind, there] of yield* versions(scope)) {
      const version = there.at(-1)
      if (version === undefined) continue
      const file = fileOf(scope, kind, version)
      const stored = yield* Effect.mapError(
        decode(yield* done(fs.readFileString(file))),
        (error) => failure("damaged", `${file} holds no snapshot`, error)
      )
      const snapshot = snapshotOf(stored)
      if (typeof snapshot === "string") return yield* failure("damaged", `in scope ${scope} ${snapshot}`)
      logged.push({ snapshot, age_ms: Math.max(0, now - stored.published_ms) })
    }
    return inKindOrder(logged)
  })

  return SnapshotLog.of({ name, publish, latest, changes: Stream.never })
})
