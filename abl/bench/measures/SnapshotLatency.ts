import { schemaVersion } from "@rspp/contracts/Identity"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { Snapshot } from "@rspp/contracts/Snapshot"
import { SnapshotFollower } from "@rspp/control/SnapshotFollower"
import { SnapshotLog } from "@rspp/control/SnapshotLog"
import * as SqlSnapshotLog from "@rspp/control/sql/SqlSnapshotLog"
import { Effect, Layer, Queue } from "effect"
import { createHash } from "node:crypto"
import type { BenchDatabase } from "../Databases.ts"
import { listenOn, onDatabases } from "../Databases.ts"
import type { Measure } from "../Figure.ts"
import { percentiles } from "../Figure.ts"

/** Without a push a reader polls; this is a tenth of the default. */
const pollMs = 100
const publications = 200

const snapshotOf = (i: number): Snapshot => {
  const body = { providers: { "bench/llm": i % 2 === 0 ? "open" as const : "closed" as const } }
  return {
    schema_version: schemaVersion,
    snapshot_kind: "provider_health_snapshot",
    snapshot_id: `snap_${i}`,
    version: 1,
    issued_at_ms: 0,
    ttl_ms: 600_000,
    content_hash: createHash("sha256").update(canonicalJson(body)).digest("hex"),
    body
  }
}

const logOf = ({ client, name, pushing }: BenchDatabase) =>
  pushing === undefined
    ? SqlSnapshotLog.layer({ name }).pipe(Layer.provide(client()))
    : Layer.unwrap(Effect.map(listenOn, (listen) => SqlSnapshotLog.layer({ name, listen }))).pipe(
      Layer.provide(pushing())
    )

const measure: Measure = {
  about:
    `From before a snapshot is published until a runtime has it, over two clients of one database, ${publications} times: PostgreSQL pushes (LISTEN), SQLite is polled each ${pollMs} ms (the default is a second). Bare: publishing alone.`,
  run: (tell) =>
    onDatabases((database) =>
      Effect.runPromise(
        Effect.gen(function*() {
          const { publish } = yield* SnapshotLog
          const arrived = yield* Queue.unbounded<number>()
          const all: Array<number> = []
          const bare: Array<number> = []
          yield* Effect.gen(function*() {
            yield* (yield* SnapshotFollower).follow("bench", ({ version }) => void Queue.offerUnsafe(arrived, version))
            // Until it listens.
            yield* Effect.sleep(500)
            for (let i = 1; i <= publications; i++) {
              if (i % 50 === 0) tell(`${database.name}: ${i}`)
              const from = performance.now()
              const { version } = yield* publish("bench", snapshotOf(i))
              bare.push(performance.now() - from)
              while ((yield* Queue.take(arrived)) !== version);
              all.push(performance.now() - from)
              // Not in step with the polling.
              yield* Effect.sleep((i * 37) % pollMs)
            }
          }).pipe(
            Effect.provide(SnapshotFollower.layerNoDeps({ pollMs }).pipe(Layer.provide(logOf(database))), {
              local: true
            })
          )
          return percentiles(`publish to runtime, ${database.name}`, "ms", all, bare, {}).map((figure) => ({
            ...figure,
            against: "publishing alone"
          }))
        }).pipe(Effect.scoped, Effect.provide(logOf(database)))
      )
    )
}
export default measure
