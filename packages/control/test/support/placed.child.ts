// A runtime that sessions are placed on, and that writes down which it has, under which epoch.
// `node placed.child.ts '{"url":…,"name":…,"log":…,"ttlMs":…,"maxSessions":…}'`; sessions whose name begins with short end at once.
import { listening } from "@rspp/sql/Listening"
import * as Postgres from "@rspp/sql/Postgres"
import { Effect, Layer, Redacted } from "effect"
import { appendFileSync } from "node:fs"
import { LeaseAuthority } from "../../src/LeaseAuthority.ts"
import { LeaseTokens } from "../../src/LeaseTokens.ts"
import { SessionPlacement } from "../../src/SessionPlacement.ts"
import * as SqlLeaseStore from "../../src/sql/SqlLeaseStore.ts"

interface Given {
  readonly url: string
  readonly name: string
  readonly log: string
  readonly ttlMs: number
  readonly maxSessions?: number
}
const { log, maxSessions = 100, name, ttlMs, url } = JSON.parse(process.argv[2] ?? "") as Given

const tell = (k: string, s: string, e: number): void => appendFileSync(log, `${JSON.stringify({ k, p: name, s, e })}\n`)

const runtime = SessionPlacement.layerRuntime({ goneAfterMs: ttlMs }, {
  placement_id: name,
  maxSessions,
  run: ({ authority_epoch, session_id }) =>
    Effect.gen(function*() {
      tell("begin", session_id, authority_epoch)
      if (!session_id.startsWith("short")) return yield* Effect.never
      return tell("over", session_id, authority_epoch)
    })
}).pipe(
  Layer.provide(LeaseAuthority.layerNoDeps({ ttlMs })),
  Layer.provide(
    Layer.unwrap(Effect.map(listening, (listen) => SqlLeaseStore.layer({ name: "db", listen })))
  ),
  Layer.provide(LeaseTokens.layer),
  Layer.provide(Postgres.layer(Redacted.make(new URL(url))))
)

await Effect.runPromise(
  Effect.scoped(Effect.gen(function*() {
    yield* Layer.build(runtime)
    tell("ready", "", 0)
    return yield* Effect.never
  }))
)
