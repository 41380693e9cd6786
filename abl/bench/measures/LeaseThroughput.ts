import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import type { Lease } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import * as SqlLeaseStore from "@rspp/control/sql/SqlLeaseStore"
import { Effect, Layer } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { onDatabases } from "../Databases.ts"
import type { Figure, Measure } from "../Figure.ts"
import { percentile } from "../Figure.ts"

const sessions = 500
/** Calls that are under way at the same time. */
const atOnce = 16
const rounds = 4

const measure: Measure = {
  about:
    `Leases of ${sessions} sessions, ${atOnce} calls at once from one process: taken, then renewed ${rounds} times. Each is a read and a compare-and-set that is on the disk when it answers. Bare: one UPDATE of one row each, by the same client.`,
  run: (tell) =>
    onDatabases(({ client, name }) =>
      Effect.runPromise(
        Effect.gen(function*() {
          const leases = yield* LeaseAuthority
          const sql = yield* SqlClient.SqlClient
          const ids = Array.from({ length: sessions }, (_, i) => `ses_${i}`)
          /** Runs `call` for each, and gives how many a second, and how long each took. */
          const timed = Effect.fnUntraced(
            function*<A, B, E>(of: ReadonlyArray<A>, call: (a: A) => Effect.Effect<B, E>) {
              const ms: Array<number> = []
              const results: Array<B> = []
              const began = performance.now()
              yield* Effect.forEach(
                of,
                (a) =>
                  Effect.suspend(() => {
                    const from = performance.now()
                    return Effect.map(call(a), (b) => {
                      ms.push(performance.now() - from)
                      results.push(b)
                    })
                  }),
                { concurrency: atOnce, discard: true }
              )
              return { ms, results, perSecond: of.length / ((performance.now() - began) / 1000) }
            }
          )
          yield* sql`CREATE TABLE bare (id TEXT PRIMARY KEY, n INTEGER NOT NULL)`
          yield* Effect.forEach(ids, (id) => sql`INSERT INTO bare VALUES (${id}, 0)`, { discard: true })
          const many = Array.from({ length: rounds }, () => ids).flat()
          tell(`${name}: bare`)
          const bare = yield* timed(many, (id) => sql`UPDATE bare SET n = n + 1 WHERE id = ${id}`)
          tell(`${name}: taken`)
          const taken = yield* timed(ids, (id) => leases.acquire(id, "bench"))
          tell(`${name}: renewed`)
          const renewed = yield* timed<Lease, Lease, unknown>(
            Array.from({ length: rounds }, () => taken.results).flat(),
            (lease) => leases.renew(lease)
          )
          const against = "one UPDATE of one row"
          const figures: ReadonlyArray<Figure> = [
            {
              name: `leases taken, ${name}`,
              value: taken.perSecond,
              unit: "a second",
              bare: bare.perSecond,
              against
            },
            {
              name: `leases renewed, ${name}`,
              value: renewed.perSecond,
              unit: "a second",
              bare: bare.perSecond,
              against
            },
            {
              name: `a renewal, ${name}, p50`,
              value: percentile(renewed.ms, 0.5),
              unit: "ms",
              bare: percentile(bare.ms, 0.5),
              against
            },
            {
              name: `a renewal, ${name}, p99`,
              value: percentile(renewed.ms, 0.99),
              unit: "ms",
              bare: percentile(bare.ms, 0.99),
              against
            }
          ]
          return figures
        }).pipe(
          Effect.provide(
            LeaseAuthority.layerNoDeps({ ttlMs: 600_000 }).pipe(
              Layer.provide(SqlLeaseStore.layer({ name, answerWithinMs: 60_000 })),
              Layer.provideMerge(client()),
              Layer.provide(LeaseTokens.layer)
            )
          )
        )
      )
    )
}
export default measure
