// One of the processes that contend for sessions. `node contender.child.ts '{"url":…,"name":…,"log":…,…}'`
//
// Whole sessions of the real runtime, over ports that cost next to nothing: a caller who types, a model and a voice that
// answer at once. Each frame of the voice carries, as the value of its samples, the epoch under which it was made.
import { layer as controlPlaneFeed } from "@rspp/cli/ControlPlaneFeed"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseStore } from "@rspp/control/LeaseStore"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import * as SqlLeaseStore from "@rspp/control/sql/SqlLeaseStore"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import { ControlPlaneFeed } from "@rspp/runtime/ports/ControlPlaneFeed"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import { Transport } from "@rspp/runtime/ports/Transport"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import { Session } from "@rspp/runtime/session/Session"
import { RandomStreams } from "@rspp/simulation/RandomStreams"
import { listening } from "@rspp/sql/Listening"
import * as Postgres from "@rspp/sql/Postgres"
import { RecordAssembler } from "@rspp/timeline/recorder/RecordAssembler"
import { Clock, Deferred, Effect, Layer, Queue, Redacted, Schedule, Stream } from "effect"
import { now, openLog } from "./Log.ts"

export interface ContenderOptions {
  readonly url: string
  readonly name: string
  readonly log: string
  readonly sessions: number
  readonly ttlMs: number
  readonly turnEveryMs: number
  readonly seed: number
  /** Of the sessions that nobody has had yet, those that this process begins with: every n-th, from `from`. */
  readonly begins?: { readonly from: number; readonly every: number }
}

const options = JSON.parse(process.argv[2] ?? "") as ContenderOptions
const { name, sessions, ttlMs, turnEveryMs } = options
const log = openLog(options.log)
log({ k: "begin", t: now(), p: name, ttl_ms: ttlMs, sessions })
const chance = new RandomStreams(options.seed).of("contender")

/** Length of what the agent says in each turn: ten frames. */
const voiceMs = 200
/** How many sessions that are not its own a process looks at in each round, besides those whose holder is gone. */
const lookedAt = 3
/** Of the sessions that anybody may take, the part that a process tries in one round: all would want the same ones. */
const triedPart = 0.3
/** How many orphans a process tries to take in one round. */
const takenAtOnce = 10

/** A session here: its epoch as the runtime was told, and how its caller hangs up. */
interface Line {
  epoch: number
  readonly hangUp: Deferred.Deferred<void>
}
const lines = new Map<string, Line>()

/** The time that egress has just asked for. */
let asked = 0n

/** The system's clock; what it has answered last is kept. */
const clock = Effect.map(Clock.Clock, (real): Clock.Clock =>
  Object.create(real, {
    monotonicTimeNanosUnsafe: { value: () => (asked = real.monotonicTimeNanosUnsafe()) }
  }))

const transport = Layer.succeed(Transport, {
  open: ({ session_id }) =>
    Effect.sync(() => {
      const line = lines.get(session_id)
      if (line === undefined) throw new Error(`nobody has called ${session_id}`)
      let untilMs = 0
      return {
        transport_id: "hammer/line",
        output: {
          capacityMs: 200,
          capture: (samples) => {
            const b = String(asked)
            log({ k: "out", b, t: now(), s: session_id, e: samples[0] ?? 0 })
            untilMs = Math.max(untilMs, performance.now()) + samples.length / 16
            return Effect.void
          },
          queuedSamples: () => Math.max(0, Math.ceil((untilMs - performance.now()) * 16)),
          clear: () => {
            const dropped = Math.max(0, Math.ceil((untilMs - performance.now()) * 16))
            untilMs = 0
            return dropped
          }
        },
        run: (ingress) =>
          Effect.gen(function*() {
            ingress.connection("connected")
            yield* Effect.sleep(chance.between(0, turnEveryMs))
            for (;;) {
              ingress.text(session_id)
              yield* Effect.sleep(turnEveryMs + chance.between(0, 200))
            }
          }).pipe(Effect.raceFirst(Deferred.await(line.hangUp)))
      }
    })
})

const providers = ProviderManager.layerOf({
  stt: [{ descriptor: { provider_id: "hammer/stt", modality: "stt" }, recognise: () => Stream.empty }],
  llm: [{
    descriptor: { provider_id: "hammer/llm", modality: "llm" },
    reply: (messages) => Stream.succeed(messages.at(-1)?.text ?? "")
  }],
  // What is said is the name of the session; how it sounds is the epoch of the moment.
  tts: [{
    descriptor: { provider_id: "hammer/tts", modality: "tts" },
    synthesise: (text) => Stream.sync(() => new Int16Array(voiceMs * 16).fill(lines.get(text.trim())?.epoch ?? 0))
  }]
})

const ports = Layer.mergeAll(
  transport,
  providers,
  Layer.succeed(SentenceSegmenter, { start: () => ({ push: (delta) => [delta], flush: () => undefined }) }),
  Layer.succeed(VoiceActivity, { open: () => Effect.succeed({ push: () => {}, end: () => {} }) }),
  // The real assembler of records; nothing is kept.
  Layer.succeed(Recorder, {
    open: ({ header, onAppended }) =>
      Effect.gen(function*() {
        const answers = yield* Queue.bounded<string>(256)
        const assembler = new RecordAssembler(header, {
          emit: () => {},
          appendRequested: (turnId) => void Queue.offerUnsafe(answers, turnId)
        })
        yield* Effect.forkScoped(
          Effect.forever(Effect.map(Queue.take(answers), (turnId) => onAppended(turnId, "appended")))
        )
        return {
          audio: (sequence, sampleIndex, timestampMs) => assembler.audio(sequence, sampleIndex, timestampMs),
          input: (record) => assembler.input(record),
          outputs: (outputs) => assembler.outputs(outputs),
          payload: (handle, content) => assembler.payload(handle, content),
          callerAudio: (sampleIndex, samples) => assembler.callerAudio(sampleIndex, samples),
          closing: () => {}
        }
      })
  })
)

/** The real store; each row of a held lease that is to be written is written down first. */
const store = Layer.effect(
  LeaseStore,
  Effect.map(LeaseStore, (inner) => {
    let tries = 0
    return LeaseStore.of({
      ...inner,
      compareAndSet: (expected, row) => {
        if (row.state !== "held") return inner.compareAndSet(expected, row)
        return Effect.suspend(() => {
          const n = ++tries
          log({ k: "try", t: now(), n, s: row.session_id, e: row.authority_epoch })
          return Effect.tap(
            inner.compareAndSet(expected, row),
            (won) => Effect.sync(() => log({ k: "tried", t: now(), n, won }))
          )
        })
      }
    })
  })
).pipe(
  Layer.provide(Layer.unwrap(
    Effect.map(
      listening,
      (listen) => SqlLeaseStore.layer({ name: "hammer", answerWithinMs: Math.floor(ttlMs / 5), listen })
    )
  )),
  Layer.provide(Postgres.layer(Redacted.make(new URL(options.url)), { maxConnections: 4 }))
)

/** The feed of the `rspp` program; what the runtime is told, and when, is written down. */
const feed = (inner: Layer.Layer<ControlPlaneFeed, never, LeaseAuthority | ControlPlane>) =>
  Layer.effect(
    ControlPlaneFeed,
    Effect.map(ControlPlaneFeed, (real) =>
      ControlPlaneFeed.of({
        open: (session) =>
          Effect.gen(function*() {
            const s = session.session_id
            const line = lines.get(s)
            yield* real.open({
              ...session,
              onLease: (change, asOfNs) => {
                const holds = change.status !== "revoked" && change.status !== "expired"
                if (asOfNs === undefined) throw new Error("a lease over a database says as of when")
                const until = asOfNs + BigInt(change.ttl_ms) * 1_000_000n
                if (
                  !holds && line !== undefined && change.authority_epoch === line.epoch && change.status === "revoked"
                ) {
                  Deferred.doneUnsafe(line.hangUp, Effect.void)
                }
                if (line !== undefined) line.epoch = Math.max(line.epoch, change.authority_epoch)
                session.onLease(change, asOfNs)
                log({ k: "lease", t: now(), s, e: change.authority_epoch, ...(holds ? { until: String(until) } : {}) })
              }
            })
            yield* Effect.addFinalizer(() => Effect.sync(() => log({ k: "closing", t: now(), s, e: line?.epoch ?? 0 })))
          })
      }))
  ).pipe(Layer.provide(inner))

const contend = Effect.gen(function*() {
  const spec = yield* (yield* SpecNormalizer).normalize({
    schema_version: "v1.0",
    pipeline_id: "hammer",
    pipeline_version: "hammer-1",
    providers: { stt: "hammer/stt", llm: "hammer/llm", tts: "hammer/tts" }
  })
  const leases = yield* LeaseAuthority
  yield* Effect.gen(function*() {
    const session = yield* Session
    const scope = yield* Effect.scope
    const run = (session_id: string) =>
      session.run({
        session_id,
        tenant_id: "hammer",
        pipeline: spec.pipeline,
        seed: 7,
        payloadKey: "hammer",
        clock: "realtime"
      }).pipe(
        // now and then a session is given back by its owner
        Effect.timeoutOption(ttlMs * chance.between(10, 60)),
        Effect.catchTag("ControlPlaneFailure", () => Effect.void),
        Effect.ensuring(Effect.sync(() => lines.delete(session_id)))
      )
    // A session is opened for whoever seems free only: most of those that want it come too late.
    const take = (session_id: string): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (lines.has(session_id)) return Effect.void
        // Its place is taken before anything is waited for: a process runs a session once.
        lines.set(session_id, { epoch: 0, hangUp: Deferred.makeUnsafe() })
        const leave = Effect.sync(() => void lines.delete(session_id))
        return leases.current(session_id).pipe(
          Effect.flatMap((held) => held === undefined ? Effect.asVoid(Effect.forkIn(run(session_id), scope)) : leave),
          Effect.catch(() => leave)
        )
      })
    const ids = Array.from({ length: sessions }, (_, i) => `ses_${i}`)
    const unbegun = ids.filter((_, i) =>
      options.begins !== undefined && i % options.begins.every === options.begins.from
    )
    const round = Effect.gen(function*() {
      const orphans = yield* leases.orphans(200)
      const wanted = [
        ...unbegun.splice(0, takenAtOnce),
        ...orphans.filter(() => chance.chance(triedPart)).slice(0, takenAtOnce),
        ...Array.from({ length: lookedAt }, () => ids[chance.between(0, sessions - 1)] ?? "")
      ]
      yield* Effect.forEach(wanted, take, { concurrency: "unbounded", discard: true })
    })
    yield* Effect.repeat(Effect.ignore(round), Schedule.spaced(Math.floor(ttlMs / 20)))
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Session.layer.pipe(
        Layer.provide(ports),
        Layer.provide(feed(controlPlaneFeed(spec, { placementId: name }))),
        Layer.provide(ControlPlane.layerMemory())
      )
    )
  )
}).pipe(
  Effect.provide(Layer.mergeAll(
    SpecNormalizer.layer,
    LeaseAuthority.layerNoDeps({ ttlMs }).pipe(Layer.provide(store), Layer.provide(LeaseTokens.layer))
  ))
)

await Effect.runPromise(
  Effect.flatMap(clock, (spied) => Effect.provideService(contend, Clock.Clock, spied)).pipe(
    // Begun while the database is away, it waits for it.
    Effect.retry(Schedule.spaced(500))
  )
)
