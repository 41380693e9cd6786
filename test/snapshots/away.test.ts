// Sessions that decide from snapshots that PostgreSQL brings, while it is really stopped and started again.
import { layer as controlPlaneFeed } from "@rspp/cli/ControlPlaneFeed"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import { SnapshotFollower } from "@rspp/control/SnapshotFollower"
import { SnapshotLog } from "@rspp/control/SnapshotLog"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import * as SqlSnapshotLog from "@rspp/control/sql/SqlSnapshotLog"
import { listening } from "@rspp/sql/Listening"
import * as Postgres from "@rspp/sql/Postgres"
import { postgresServer } from "@rspp/sql/test/support/PostgresServer"
import { Effect, Layer, Redacted, Schedule } from "effect"
import { assert, describe, it } from "vitest"
import { TypedCall } from "../support/TypedCall.ts"

/** A snapshot counts for so long after it was published, and so much longer as the operator allows; ms. */
const ttlMs = 4000
const maxStalenessMs = 2000

/** A call in which the caller types something every 100 ms until the call is over. */
const typed = (spec: NormalizedSpec, scope: string, call: TypedCall) => {
  const feed = controlPlaneFeed(spec, { placementId: "here", scope }).pipe(
    Layer.provide([ControlPlane.layerMemory(), LeaseAuthority.layerMemory()]),
    Layer.provide(LeaseTokens.layerSeeded(7))
  )
  return Effect.raceFirst(
    call.run(`ses_${scope}_${Math.trunc(performance.now())}`, spec, feed),
    Effect.forever(Effect.andThen(call.say, Effect.sleep(100)))
  )
}

/** What became of each thing that the caller typed since then: `opened`, or the outcome and its reason. */
const answers = ({ heard }: TypedCall, from: number) =>
  heard.slice(from).filter((line) => !/^(?:committed|aborted)$/u.test(line))

describe("sessions whose snapshots come from PostgreSQL", () => {
  it(
    "go on without it until the snapshots are stale, then defer or reject, and recover when it is back",
    async (context) => {
      const server = postgresServer()
      if ("missing" in server) return context.skip(`not run: ${server.missing}`)
      const { crash, start } = server
      if (crash === undefined || start === undefined) {
        server.stop()
        return context.skip("not run: the server was given, it is not for this test to stop")
      }
      const log = () =>
        Layer.unwrap(Effect.map(listening, (listen) => SqlSnapshotLog.layer({ name: "postgres", listen }))).pipe(
          Layer.provide(Postgres.layer(Redacted.make(new URL(server.url))))
        )
      const test = Effect.gen(function*() {
        const spec = yield* (yield* SpecNormalizer).normalize({
          schema_version: "v1.0",
          pipeline_id: "away",
          pipeline_version: "away-1",
          providers: { stt: "test/stt", llm: "test/llm", tts: "test/tts" }
        })
        // The publisher: another program, as it were, with a connection of its own.
        const publisher = Effect.gen(function*() {
          const { publish } = yield* SnapshotLog
          const plane = yield* ControlPlane
          const snapshots = yield* plane.openSession({
            session_id: "away",
            placement_id: "any",
            authority_epoch: 0,
            spec
          })
          yield* Effect.forEach(snapshots, (snapshot) => publish("away", { ...snapshot, ttl_ms: ttlMs })).pipe(
            Effect.ignore,
            Effect.repeat(Schedule.spaced(300))
          )
        }).pipe(Effect.scoped, Effect.provide(Layer.merge(log(), ControlPlane.layerMemory()), { local: true }))
        yield* Effect.forkScoped(publisher)

        yield* Effect.gen(function*() {
          const call = Effect.fnUntraced(function*(scope: string) {
            const call = new TypedCall()
            yield* Effect.forkScoped(typed(spec, scope, call))
            return call
          })
          const running = yield* call("away")
          yield* running.until(0, /opened/u)

          crash()
          const atCrash = running.heard.length
          const begunAway = yield* call("away")
          const neverRead = yield* call("elsewhere")
          yield* running.until(atCrash, /opened/u)
          yield* begunAway.until(0, /opened/u)
          yield* neverRead.until(0, /^reject snapshot_missing:routing_view_snapshot$/u)

          yield* running.until(atCrash, /^defer snapshot_stale:/u)
          yield* begunAway.until(0, /^defer snapshot_stale:/u)
          // All the way it was one or the other, in this order.
          assert.match(answers(running, atCrash).join("\n"), /^(?:opened\n)+(?:defer snapshot_stale:\S+\n?)+$/u)
          assert.notInclude(neverRead.heard, "opened")

          start()
          for (const one of [running, begunAway]) yield* one.until(one.heard.length, /opened/u)
          for (const one of [running, begunAway, neverRead]) yield* one.hangUp
        }).pipe(
          Effect.provide(
            SnapshotFollower.layerNoDeps({ pollMs: 300, maxStalenessMs, openWithinMs: 1000 }).pipe(
              Layer.provide(log())
            ),
            { local: true }
          )
        )
      })
      try {
        await Effect.runPromise(Effect.scoped(test).pipe(Effect.provide(SpecNormalizer.layer)))
      } finally {
        server.stop()
      }
    },
    120_000
  )
})
