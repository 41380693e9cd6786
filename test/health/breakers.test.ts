// Breakers of a process that has no control plane but its own: sessions of scripted providers, on virtual time.
import { assert, describe, it } from "@effect/vitest"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { layer as controlPlaneFeed } from "@rspp/cli/ControlPlaneFeed"
import { providerObserver } from "@rspp/cli/RuntimeReports"
import { ControlPlane } from "@rspp/control/ControlPlane"
import { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import { LeaseTokens } from "@rspp/control/LeaseTokens"
import { LocalHealth } from "@rspp/control/LocalHealth"
import type { LocalHealthOptions } from "@rspp/control/LocalHealth"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import { Session } from "@rspp/runtime/session/Session"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import * as MemoryRecorder from "@rspp/timeline/recorder/MemoryRecorder"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import * as MemoryTransport from "@rspp/transports/loopback/MemoryTransport"
import { Clock, Context, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { scriptedSpec } from "../support/ScriptedCall.ts"
import * as Scripted from "@rspp/providers/scripted/ScriptedProviders"
import * as ScriptedVoiceActivity from "@rspp/providers/scripted/ScriptedVoiceActivity"

interface Timeline {
  readonly header: TimelineHeader
  readonly records: ReadonlyArray<TimelineRecord>
}

interface World {
  /** The bound model fails until then, ms. */
  readonly downForMs: number
  /** Until then it does not fail, but takes so long; its first word comes after half of that. */
  readonly slowMs?: number
  /** Turns of each session, 4 s apart. */
  readonly turns: number
  readonly spare?: boolean
  readonly sessions?: number
  readonly health?: Partial<LocalHealthOptions>
}

const bound = "scripted/llm"
const spare = "spare/llm"

/** The sessions that a world has, each with its recording, and every call of the bound model: from when to when. */
const run = Effect.fnUntraced(function*(world: World) {
  const { downForMs, health, sessions = 1, slowMs, turns } = world
  const calls: Array<{ readonly session: string; readonly fromMs: number; toMs: number }> = []
  const origin = yield* Clock.currentTimeMillis
  const now = Effect.map(Clock.currentTimeMillis, (ms) => ms - origin)
  const spec = yield* scriptedSpec({
    ...(world.spare === false ? {} : { fallback_providers: { llm: spare } }),
    allowed_adaptive_actions: ["provider_switch"]
  })
  const words = (firstMs: number) =>
    Stream.fromIterable(["Very ", "well."]).pipe(Stream.mapEffect((word) => Effect.as(Effect.sleep(firstMs / 2), word)))
  const model = (session: string): LanguageModel["Service"] => ({
    descriptor: { provider_id: bound, modality: "llm" },
    reply: () =>
      Stream.unwrap(Effect.gen(function*() {
        const at = yield* now
        const call = { session, fromMs: at, toMs: Infinity }
        calls.push(call)
        const ended = Effect.map(now, (ms) => void (call.toMs = ms))
        if (at >= downForMs) return Stream.ensuring(words(80), ended)
        if (slowMs !== undefined) return Stream.ensuring(words(slowMs), ended)
        return Stream.ensuring(
          Stream.fromEffect(Effect.andThen(
            Effect.sleep(50),
            new ProviderFailure({
              provider_id: bound,
              outcome_class: "infrastructure_failure",
              retryable: false,
              message: "it is down"
            })
          )),
          ended
        )
      }))
  })
  const shared = yield* Layer.build(LocalHealth.layer(health))
  const { saw } = Context.get(shared, LocalHealth)
  const provided = <I, S>(port: Context.Key<I, S>, layer: Layer.Layer<I>) =>
    Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, port))
  const one = Effect.fnUntraced(function*(session_id: string) {
    const providers = ProviderManager.layerOf({
      stt: [yield* provided(SpeechToText, Scripted.recogniser([]))],
      llm: [model(session_id), { descriptor: { provider_id: spare, modality: "llm" }, reply: () => words(80) }],
      tts: [yield* provided(TextToSpeech, Scripted.voice())]
    })
    const script = makeCallScript(
      Array.from(
        { length: turns },
        (_, at) => ({ text: `question ${at}`, at: { after: "previous" as const, delay_ms: 4000 } })
      ),
      { hang_up: { after: "previous", delay_ms: 4000 } }
    )
    const layers = Session.layer.pipe(
      Layer.provide([
        providers,
        Scripted.segmenter,
        ScriptedVoiceActivity.layer,
        controlPlaneFeed(spec, { tenant_id: "t" }).pipe(
          Layer.provide([ControlPlane.layerMemory(), LeaseAuthority.layerMemory(), Layer.succeedContext(shared)]),
          Layer.provide(LeaseTokens.layerSeeded(7))
        )
      ]),
      Layer.provideMerge(MemoryTransport.layer({ script })),
      Layer.provideMerge(MemoryRecorder.layer())
    )
    return yield* Effect.gen(function*() {
      yield* (yield* Session).run({
        session_id,
        tenant_id: "t",
        pipeline: spec.pipeline,
        seed: 7,
        payloadKey: "a key for tests",
        clock: "virtual"
      })
      const timeline = (yield* MemoryRecorder.MemoryTimelines).get(session_id)
      return timeline ?? (yield* Effect.die(`${session_id} left no timeline`))
    }).pipe(
      Effect.provide(layers, { local: true }),
      Effect.provideService(SessionObservers, [providerObserver(saw)])
    )
  })
  const names = Array.from({ length: sessions }, (_, at) => `ses_${at}`)
  const all = yield* Effect.forkChild(Effect.forEach(names, one, { concurrency: "unbounded" }))
  yield* TestClock.adjust((turns + 3) * 4000)
  const timelines: ReadonlyArray<Timeline> = yield* Fiber.join(all)
  return { timelines, calls }
})

const signalsOf = ({ records }: Timeline) =>
  records.flatMap((record) => record.record === "signal" ? [record.signal] : [])
const circuitsOf = (timeline: Timeline) =>
  signalsOf(timeline).filter(({ signal }) => signal === "circuit_event").map(({ reason }) => reason?.split(":")[0])
/** What each turn was bound to, or why there was none. */
const turnsOf = (timeline: Timeline) =>
  timeline.records.flatMap((record) =>
    record.record === "plan"
      ? [record.plan.provider_bindings["llm"]]
      : record.record === "signal" && record.signal.signal === "defer"
      ? [record.signal.reason]
      : []
  )

/** Whatever is replayed is as it was recorded. */
const replaysIdentical = (timelines: ReadonlyArray<Timeline>) =>
  Effect.gen(function*() {
    const replayer = yield* Replayer
    for (const timeline of timelines) {
      for (const mode of ["playback_recorded_provider_outputs", "recompute_decisions"] as const) {
        const report = yield* replayer.replay(timeline, { mode })
        assert.deepStrictEqual([mode, report.identical, report.divergence], [mode, true, undefined])
      }
    }
  }).pipe(Effect.provide(Replayer.layerNoDeps.pipe(Layer.provide(SessionKernel.layer)), { local: true }))

/** Runs of the same thing counted once. */
const folded = <A>(all: ReadonlyArray<A>): ReadonlyArray<A> => all.filter((one, at) => one !== all[at - 1])

describe("a provider that fails, where there is no control plane", () => {
  it.effect("opens its circuit; the stand-in works until one call has tried it well, and a replay decides the same", () =>
    Effect.gen(function*() {
      const { calls, timelines } = yield* run({ downForMs: 30_000, turns: 20 })
      const [timeline] = timelines
      assert.isDefined(timeline)
      assert.deepStrictEqual(circuitsOf(timeline), ["open", "half_open", "closed"])
      const turns = turnsOf(timeline)
      assert.deepStrictEqual(folded(turns), [bound, spare, bound])
      // five calls failed, one of each turn; then none was made until the cool-down was over
      assert.strictEqual(turns.indexOf(spare), 5)
      const [fifth, trial] = [calls[4], calls[5]]
      assert.isAtLeast((trial?.fromMs ?? 0) - (fifth?.toMs ?? 0), 20_000)
      // every turn was answered, those of the failing calls by the switch
      assert.lengthOf(signalsOf(timeline).filter(({ signal }) => signal === "commit"), 20)
      assert.lengthOf(signalsOf(timeline).filter(({ signal }) => signal === "provider_switch"), 5)
      yield* replaysIdentical(timelines)
    }).pipe(Effect.scoped))

  it.effect("opens again when the trial fails, and is left alone for another cool-down", () =>
    Effect.gen(function*() {
      const { calls, timelines } = yield* run({ downForMs: 55_000, turns: 26 })
      const [timeline] = timelines
      assert.isDefined(timeline)
      assert.deepStrictEqual(circuitsOf(timeline), ["open", "half_open", "open", "half_open", "closed"])
      assert.deepStrictEqual(folded(turnsOf(timeline)), [bound, spare, bound, spare, bound])
      assert.isAtLeast((calls[6]?.fromMs ?? 0) - (calls[5]?.toMs ?? 0), 20_000)
      yield* replaysIdentical(timelines)
    }).pipe(Effect.scoped))

  it.effect("defers turns where there is no stand-in", () =>
    Effect.gen(function*() {
      const { timelines } = yield* run({ downForMs: 30_000, turns: 20, spare: false })
      const [timeline] = timelines
      assert.isDefined(timeline)
      assert.deepStrictEqual(folded(turnsOf(timeline)), [bound, `provider_unhealthy:${bound}`, bound])
      assert.deepStrictEqual(circuitsOf(timeline), ["open", "half_open", "closed"])
      yield* replaysIdentical(timelines)
    }).pipe(Effect.scoped))

  it.effect("is replaced when it is only slow, and not where there is nobody else", () =>
    Effect.gen(function*() {
      const slow = { downForMs: 30_000, slowMs: 1700, turns: 20 }
      const [replaced, alone] = [yield* run(slow), yield* run({ ...slow, spare: false })]
      const of = ({ timelines: [timeline] }: typeof replaced) => timeline ?? assert.fail("no timeline")
      assert.deepStrictEqual(circuitsOf(of(replaced)), ["open", "half_open", "closed"])
      assert.deepStrictEqual([circuitsOf(of(alone)), folded(turnsOf(of(alone)))], [[], [bound]])
    }).pipe(Effect.scoped))
})

/** Whether calls of different sessions were made at once while nobody knew whether the provider is up again. */
const triedAtOnce = ({ calls, timelines }: Effect.Success<ReturnType<typeof run>>, untilMs: number) => {
  const opened = Math.max(...timelines.map((timeline) => {
    const at = signalsOf(timeline).find(({ reason }) => reason === `open:${bound}`)
    return at?.runtime_timestamp_ms ?? Infinity
  }))
  const trials = calls.filter(({ fromMs }) => fromMs > opened + 1000 && fromMs < untilMs)
  const both = trials.filter((one, at) =>
    trials.some((other, n) => n < at && other.session !== one.session && other.toMs + 9000 > one.fromMs)
  )
  return { trials: trials.length, both: both.length }
}

describe("sessions of one process", () => {
  it.effect("know of each other's calls, and try a half-open circuit one at a time", () =>
    Effect.gen(function*() {
      const world = yield* run({ downForMs: 60_000, turns: 26, sessions: 3 })
      const { both, trials } = triedAtOnce(world, 60_000)
      assert.isAtLeast(trials, 1)
      assert.strictEqual(both, 0)
      // together they made no more than the calls that one would have made, and those that were under way
      assert.isAtMost(world.calls.filter(({ fromMs }) => fromMs < 60_000).length, 5 + 3 + trials)
      for (const timeline of world.timelines) {
        assert.strictEqual(circuitsOf(timeline).at(-1), "closed")
        assert.include(turnsOf(timeline), spare)
      }
      yield* replaysIdentical(world.timelines)
    }).pipe(Effect.scoped))

  it.effect("would all try at once if trials were not given to one at a time", () =>
    Effect.gen(function*() {
      const world = yield* run({
        downForMs: 60_000,
        turns: 18,
        sessions: 3,
        health: { trialMs: 0, settleMs: 0, roundMs: 0 }
      })
      assert.isAbove(triedAtOnce(world, 60_000).both, 0)
    }).pipe(Effect.scoped))
})
