// Ten thousand sessions of a rollout at 10 %, made by the real modules: on SQLite and on PostgreSQL.
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { controlModules } from "../../src/ControlModules.ts"
import { ControlPlane } from "../../src/ControlPlane.ts"
import { LeaseAuthority } from "../../src/LeaseAuthority.ts"
import { LeaseTokens } from "../../src/LeaseTokens.ts"
import { PipelineRegistry } from "../../src/PipelineRegistry.ts"
import { Rollout } from "../../src/Rollout.ts"
import type { Session } from "../../src/SessionDirectory.ts"
import { SessionDirectory } from "../../src/SessionDirectory.ts"
import { onBothDatabases } from "./support/Databases.ts"

const sessions = 10_000
/** Sessions of a tenant are counted for its quota each time that one is made: fewer of them take less time. */
const tenants = Array.from({ length: 20 }, (_, i) => `tenant-${i}`)
const percent = 10

const modules = controlModules().pipe(
  Layer.provideMerge(LeaseAuthority.layerMemory()),
  Layer.provideMerge(LeaseTokens.layerSeeded(1)),
  Layer.provideMerge(ControlPlane.layerMemory())
)

const all = Effect.fnUntraced(function*(tenant_id: string) {
  const directory = yield* SessionDirectory
  const found: Array<Session> = []
  let cursor: string | undefined
  do {
    const page = yield* directory.list(tenant_id, { limit: 200, cursor })
    found.push(...page.items)
    cursor = page.next_cursor
  } while (cursor !== undefined)
  return found
})

onBothDatabases("a rollout at 10 %", (make) => {
  it.live(
    "gives its share of 10,000 sessions the candidate, and each keeps its version until a rollback",
    () =>
      Effect.flatMap(make, ({ client }) =>
        Effect.gen(function*() {
          const registry = yield* PipelineRegistry
          const rollout = yield* Rollout
          const directory = yield* SessionDirectory
          const plan = { stable_version: "1", candidate_version: "2", percent }
          const putAll = (more: object = {}) =>
            Effect.forEach(tenants, (tenant_id) => rollout.put(tenant_id, "assistant", { ...plan, ...more }))
          for (const tenant_id of tenants) {
            for (const version of ["1", "2"]) {
              const spec = { schema_version: "v1.0", pipeline_id: "assistant", pipeline_version: version }
              yield* registry.publish({ tenant_id, spec })
            }
          }
          yield* putAll()
          const given = new Map<string, string>()
          for (let i = 0; i < sessions; i++) {
            const tenant_id = tenants[i % tenants.length] ?? ""
            const { pipeline_version, session_id } = yield* directory.create(tenant_id, {
              pipeline_id: "assistant",
              caller: `caller-${i}`
            })
            given.set(session_id, pipeline_version)
          }
          const got = [...given.values()].filter((version) => version === "2").length
          const mean = sessions * percent / 100
          // 4.5 standard deviations: once in 150,000 draws of chance; these callers never change
          assert.isAtMost(Math.abs(got - mean), 4.5 * Math.sqrt(mean * (1 - percent / 100)), `${got} of ${sessions}`)

          const versions = Effect.map(
            Effect.forEach(tenants, all),
            (found) => new Map(found.flat().map(({ pipeline_version, session_id }) => [session_id, pipeline_version]))
          )
          // a caller that calls again gets the same; whatever the share becomes, sessions that are there stay
          for (let i = 0; i < 200; i++) {
            const tenant_id = tenants[i % tenants.length] ?? ""
            const again = yield* directory.create(tenant_id, { pipeline_id: "assistant", caller: `caller-${i}` })
            assert.strictEqual(again.pipeline_version, [...given.values()][i])
            given.set(again.session_id, again.pipeline_version)
          }
          yield* putAll({ percent: 60 })
          assert.deepStrictEqual(yield* versions, given)
          yield* putAll({ percent: 0 })
          assert.deepStrictEqual(yield* versions, given)
          // until the candidate is taken back
          for (const tenant_id of tenants) yield* rollout.rollback(tenant_id, "assistant", "it stammers")
          assert.deepStrictEqual([...new Set((yield* versions).values())], ["1"])
        }).pipe(Effect.provide(modules.pipe(Layer.provideMerge(client)), { local: true }))),
    180_000
  )
})
