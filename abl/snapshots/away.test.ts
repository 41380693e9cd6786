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
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import { Transport } from "@rspp/runtime/ports/Transport"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import { Session } from "@rspp/runtime/session/Session"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import { listening } from "@rspp/sql/Listening"
import * as Postgres from "@rspp/sql/Postgres"
import { postgresServer } from "@rspp/sql/test/support/PostgresServer"
import * as MemoryRecorder from "@rspp/timeline/recorder/MemoryRecorder"
import { Deferred, Effect, Layer, Redacted, Schedule, Stream } from "effect"
import { assert, describe, it } from "vitest"

/** A snapshot counts for so long after it was published, and so much longer as the operator allows; ms. */
const ttlMs = 4000
const maxStalenessMs = 2000

/** What became of each thing that the caller typed: `opened`, or the outcome and its reason. */
type Heard = Array<string>

/** A call in which the caller types something every 100 ms until `done`. */
const typed = (spec: NormalizedSpec, scope: string, heard: Heard, done: Deferred.Deferred<void>) => {
  const ports = Layer.mergeAll(
    Layer.succeed(Transport, {
      open: () =>
        Effect.succeed({
          transport_id: "test/typed",
          output: { capacityMs: 200, capture: () => Effect.void, queuedSamples: () => 0, clear: () => 0 },
          run: (ingress) =>
            Effect.suspend(() => {
              ingress.connection("connected")
              return Effect.forever(
                Effect.andThen(Effect.sync(() => ingress.text("what time is it")), Effect.sleep(100))
              )
            }).pipe(Effect.raceFirst(Deferred.await(done)))
        })
    }),
    ProviderManager.layerOf({
      stt: [{ descriptor: { provider_id: "test/stt", modality: "stt" }, recognise: () => Stream.empty }],
      llm: [{ descriptor: { provider_id: "test/llm", modality: "llm" }, reply: () => Stream.succeed("Noon. ") }],
      tts: [{
        descriptor: { provider_id: "test/tts", modality: "tts" },
        synthesise: () => Stream.succeed(new Int16Array(320).fill(9))
      }]
    }),
    Layer.succeed(SentenceSegmenter, { start: () => ({ push: (delta) => [delta], flush: () => undefined }) }),
    Layer.succeed(VoiceActivity, { open: () => Effect.succeed({ push: () => {}, end: () => {} }) }),
    MemoryRecorder.layer()
  )
  return Effect.flatMap(Session, (session) =>
    session.run({
      session_id: `ses_${scope}_${Math.trunc(performance.now())}`,
      tenant_id: "tests",
      pipeline: spec.pipeline,
      seed: 7,
      payloadKey: "a key for tests",
      clock: "realtime"
    })).pipe(
      Effect.provideService(SessionObservers, [{
        outputs: (outputs) => {
          for (const output of outputs) {
            if (output.record === "signal" && output.signal.signal === "turn_open") heard.push("opened")
            if (output.record === "decision" && /^(?:defer|reject)$/u.test(output.decision.outcome_kind)) {
              heard.push(`${output.decision.outcome_kind} ${output.decision.reason}`)
            }
          }
        }
      }]),
      Effect.provide(
        Session.layer.pipe(
          Layer.provide(ports),
          Layer.provide(controlPlaneFeed(spec, "here", scope)),
          Layer.provide([ControlPlane.layerMemory(), LeaseAuthority.layerMemory()]),
          Layer.provide(LeaseTokens.layerSeeded(7))
        ),
        { local: true }
      )
    )
}

/** Waits until something was heard after the first `from` things. */
const until = (heard: Heard, from: number, what: RegExp) =>
  Effect.suspend(() =>
    heard.slice(from).some((line) => what.test(line))
      ? Effect.void
      : Effect.fail(`not heard: ${what}; but ${[...new Set(heard.slice(from))].join(", ")}`)
  ).pipe(Effect.retry({ schedule: Schedule.spaced(50), times: 400 }))

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

        const done = yield* Deferred.make<void>()
        yield* Effect.gen(function*() {
          const running: Heard = []
          const call = (scope: string, heard: Heard) => Effect.forkScoped(typed(spec, scope, heard, done))
          yield* call("away", running)
          yield* until(running, 0, /opened/u)

          crash()
          const atCrash = running.length
          const begunAway: Heard = []
          const neverRead: Heard = []
          yield* call("away", begunAway)
          yield* call("elsewhere", neverRead)
          yield* until(running, atCrash, /opened/u)
          yield* until(begunAway, 0, /opened/u)
          yield* until(neverRead, 0, /^reject snapshot_missing:routing_view_snapshot$/u)

          yield* until(running, atCrash, /^defer snapshot_stale:/u)
          yield* until(begunAway, 0, /^defer snapshot_stale:/u)
          // All the way it was one or the other, in this order.
          assert.match(running.slice(atCrash).join("\n"), /^(?:opened\n)+(?:defer snapshot_stale:\S+\n?)+$/u)
          assert.notInclude(neverRead, "opened")

          start()
          for (const heard of [running, begunAway]) yield* until(heard, heard.length, /opened/u)
          yield* Deferred.succeed(done, undefined)
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
