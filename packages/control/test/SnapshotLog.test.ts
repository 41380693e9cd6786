import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { schemaVersion } from "@rspp/contracts/Identity"
import type { Snapshot } from "@rspp/contracts/Snapshot"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import { listening } from "@rspp/sql/Listening"
import * as Postgres from "@rspp/sql/Postgres"
import { Effect, Fiber, Layer, Redacted, Stream } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as FileSnapshotLog from "../src/FileSnapshotLog.ts"
import { contentHash } from "../src/internal/ContentHash.ts"
import type { SnapshotLogFailure } from "../src/SnapshotLog.ts"
import { keptVersions, SnapshotLog } from "../src/SnapshotLog.ts"
import * as SqlSnapshotLog from "../src/sql/SqlSnapshotLog.ts"
import { withPostgres } from "./support/LeaseStores.ts"

const bodyOf = (contract: string) => ({ contract_versions: [contract] })
const snapshotOf = (contract: string): Snapshot => ({
  schema_version: schemaVersion,
  snapshot_kind: "abi_compatibility_snapshot",
  snapshot_id: "snap_abi_compatibility_snapshot_1",
  version: 1,
  issued_at_ms: 5,
  ttl_ms: 1000,
  content_hash: contentHash(bodyOf(contract)),
  body: bodyOf(contract)
})
const routing: Snapshot = {
  ...snapshotOf("v1.0"),
  snapshot_kind: "routing_view_snapshot",
  snapshot_id: "snap_routing_view_snapshot_1",
  content_hash: contentHash({ placement_id: "p", authority_epoch: 0, endpoints: [] }),
  body: { placement_id: "p", authority_epoch: 0, endpoints: [] }
}

type LogLayer = Layer.Layer<SnapshotLog, unknown>

const use = <A, E>(layer: LogLayer, calls: (log: SnapshotLog["Service"]) => Effect.Effect<A, E>) =>
  Effect.provide(Effect.flatMap(SnapshotLog, calls), layer, { local: true })

let scopes = 0
const newScope = (): string => `tenant/..//scope ${++scopes}`

const cases = (layer: LogLayer, damage: (scope: string) => Effect.Effect<unknown, unknown>) => {
  it.live("gives versions out from 1, whoever publishes, and has the latest of each kind in their order", () =>
    Effect.gen(function*() {
      const scope = newScope()
      assert.deepStrictEqual(yield* use(layer, (log) => log.latest(scope)), [])
      const first = yield* use(layer, (log) => log.publish(scope, snapshotOf("v1.0")))
      assert.deepStrictEqual(first, snapshotOf("v1.0"))
      // another publisher, which begins its own count anew
      const second = yield* use(layer, (log) => log.publish(scope, snapshotOf("v2.0")))
      assert.deepStrictEqual([second.version, second.snapshot_id], [2, "snap_abi_compatibility_snapshot_2"])
      const latest = yield* use(layer, (log) => Effect.andThen(log.publish(scope, routing), log.latest(scope)))
      assert.deepStrictEqual(latest.map(({ snapshot }) => snapshot), [routing, second])
      for (const { age_ms } of latest) assert.isTrue(age_ms >= 0 && age_ms < 20_000)
      assert.deepStrictEqual(yield* use(layer, (log) => log.latest(newScope())), [])
    }))

  it.live("gives each version out once when many publish at the same time, and keeps the newest", () =>
    use(layer, (log) =>
      Effect.gen(function*() {
        const scope = newScope()
        const published = yield* Effect.forEach(
          Array.from({ length: keptVersions + 4 }, (_, i) => `v${i}.0`),
          (contract) => log.publish(scope, snapshotOf(contract)),
          { concurrency: 4 }
        )
        assert.deepStrictEqual(
          published.map(({ version }) => version).sort((a, b) => a - b),
          published.map((_, i) => i + 1)
        )
        const last = published.find(({ version }) => version === published.length)
        assert.deepStrictEqual((yield* log.latest(scope)).map(({ snapshot }) => snapshot), [last])
      })))

  it.live("does not give out what was changed behind its back", () =>
    use(layer, (log) =>
      Effect.gen(function*() {
        const scope = newScope()
        yield* log.publish(scope, snapshotOf("v1.0"))
        yield* damage(scope)
        const error: SnapshotLogFailure = yield* Effect.flip(log.latest(scope))
        assert.strictEqual(error.reason, "damaged")
        assert.include(error.message, "its hash does not fit")
      })))
}

const directory = mkdtempSync(join(tmpdir(), "rspp-snapshots-"))
afterAll(() => rmSync(directory, { recursive: true }))

describe("snapshots in files", () => {
  cases(
    FileSnapshotLog.layer(join(directory, "files")).pipe(Layer.provide(NodeServices.layer)),
    (scope) =>
      Effect.sync(() => {
        const file = join(directory, "files", encodeURIComponent(scope), "abi_compatibility_snapshot.1.json")
        writeFileSync(file, readFileSync(file, "utf8").replace("v1.0", "v9.0"))
      })
  )
})

const change = (scope: string) => (sql: SqlClient.SqlClient) =>
  sql`UPDATE rspp_snapshots SET body = replace(body, 'v1.0', 'v9.0') WHERE scope = ${scope}`

describe("snapshots in SQLite", () => {
  const client = NodeSqlite.layer(join(directory, "snapshots.db"))
  cases(
    SqlSnapshotLog.layer({ name: "sqlite" }).pipe(Layer.provide(client)),
    (scope) => Effect.provide(Effect.flatMap(SqlClient.SqlClient, change(scope)), client)
  )
})

withPostgres("snapshots", (server) => {
  afterAll(server.stop)
  const client = Postgres.layer(Redacted.make(new URL(server.url)))
  const layer = Layer.unwrap(
    Effect.map(listening, (listen) => SqlSnapshotLog.layer({ name: "postgres", listen }))
  ).pipe(Layer.provide(client))
  cases(layer, (scope) => Effect.provide(Effect.flatMap(SqlClient.SqlClient, change(scope)), client))

  it.live("are told of as they are published, by whoever it was", () =>
    use(layer, (log) =>
      Effect.gen(function*() {
        const scope = newScope()
        const told = yield* Effect.forkChild(
          log.changes.pipe(
            Stream.tap((said) => said === "" ? use(layer, (other) => other.publish(scope, routing)) : Effect.void),
            Stream.take(2),
            Stream.runCollect
          )
        )
        assert.deepStrictEqual([...(yield* Fiber.join(told))], ["", scope])
      })))
})
