import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import { named } from "@rspp/runtime/determinism/FiberName"
import * as NodeRegistry from "@rspp/runtime/nodes/NodeRegistry"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import { EndOfTurnModel } from "@rspp/runtime/ports/EndOfTurnModel"
import { SessionStateStore } from "@rspp/runtime/ports/SessionStateStore"
import { generousPool, PoolLimits } from "@rspp/runtime/limits/ExecutionPool"
import { AdmissionLedger } from "@rspp/runtime/limits/AdmissionLedger"
import { Session } from "@rspp/runtime/session/Session"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type { Violation } from "./checkers/Checker.ts"
import { checkTimeline } from "./checkers/Registry.ts"
import { drawFaults } from "./Faults.ts"
import type { FaultKind } from "./Faults.ts"
import { checkLiveness, errorTag } from "./Liveness.ts"
import type { Lived } from "./Liveness.ts"
import { makeCall } from "./parts/SimCall.ts"
import type { SimCall } from "./parts/SimCall.ts"
import * as SimControlPlane from "./parts/SimControlPlane.ts"
import { endOfTurnModel } from "./parts/SimEndOfTurn.ts"
import { model } from "./parts/SimModel.ts"
import { simNodes } from "./parts/SimNodes.ts"
import { emptyTimeline, layer as recorderLayer } from "./parts/SimRecorder.ts"
import type { SimTimeline } from "./parts/SimRecorder.ts"
import { recogniser } from "./parts/SimRecogniser.ts"
import * as SimSegmenter from "./parts/SimSegmenter.ts"
import * as SimTransport from "./parts/SimTransport.ts"
import { voice } from "./parts/SimVoice.ts"
import * as SimVoiceActivity from "./parts/SimVoiceActivity.ts"
import { checkReplay, checkTorn, torn } from "./Recordings.ts"
import { RandomStreams } from "./RandomStreams.ts"
import { drawScenario } from "./Scenario.ts"
import type { Scenario, ScenarioOptions } from "./Scenario.ts"
import { inputLine, outputLine } from "./Trace.ts"
import { placementsOf, stateStoreOf, whenFree } from "./Takeover.ts"
import type { StateWrite } from "./Takeover.ts"
import { World } from "./World.ts"
import type { WorldOptions } from "./World.ts"

export interface SeedOptions extends ScenarioOptions {
  /** The kinds of fault that the run has, instead of the swarm's choice; none: `[]`. */
  readonly kinds?: ReadonlyArray<FaultKind>
  /** Makes the drawn scenario another one: to shrink it, or to pin a part of it. */
  readonly adapt?: (scenario: Scenario, session: number) => Scenario
  /** Sessions in the one world; 1 by default. */
  readonly sessions?: number
  /** The sessions are placements of one session: the first has it, and each other takes it over when it is free. */
  readonly takeover?: boolean
  readonly order?: WorldOptions["order"]
  /** Called with each line of the live trace, and the world's time in ms. */
  readonly trace?: (atMs: number, line: string) => void
  /** Whether each recording is replayed and compared; it is, by default. */
  readonly replay?: boolean
  /** Instead of the registered checkers; `[]` checks nothing but liveness. */
  readonly check?: (header: TimelineHeader, records: ReadonlyArray<TimelineRecord>) => ReadonlyArray<Violation>
  /** Instead of the rules of the second phase. */
  readonly checkLived?: (lived: Lived) => ReadonlyArray<Violation>
}

/** What one session of a run left. */
export interface SessionResult {
  readonly scenario: Scenario
  readonly header: TimelineHeader | undefined
  readonly records: ReadonlyArray<TimelineRecord>
  readonly disk: SimTimeline["disk"]
  /** Whether its recording was executed again and came out the same; absent where it was not tried. */
  readonly replaysIdentical?: boolean
  /** How often each kind of fault struck. */
  readonly struck: ReadonlyMap<FaultKind, number>
  /** The error that the session ended with, by its tag; absent where it ended in another way. */
  readonly failure?: string
  /** Frames of the agent that reached the transport. */
  readonly frames: number
  /** When each event of the script happened, in ms of the world. */
  readonly happened: ReadonlyArray<number | undefined>
  /** Connections of its providers; counted where there is a script. */
  readonly connections: { readonly opened: number; readonly open: number; readonly most: number }
}

export interface SeedResult {
  readonly seed: number
  readonly sessions: ReadonlyArray<SessionResult>
  readonly violations: ReadonlyArray<Violation>
  /** Writes of session state that its placements asked for, in order; empty unless it can be taken over. */
  readonly writes: ReadonlyArray<StateWrite>
  readonly simulatedMs: number
  readonly realMs: number
  readonly tasks: number
}

/** Time by which every run must have come to its end, in ms of the world. */
const horizonMs = 1_800_000

/** Unix time at which every simulated world starts: 2026-01-01. */
const startMillis = 1_767_225_600_000

/** The calls of a seed as they are drawn, each with the streams of its session. */
export const drawCalls = (
  seed: number,
  options: SeedOptions = {}
): ReadonlyArray<{ readonly scenario: Scenario; readonly own: RandomStreams }> => {
  const streams = new RandomStreams(seed)
  return Array.from({ length: options.sessions ?? 1 }, (_, i) => {
    const own = streams.within(`session/${i}`)
    const drawn = drawScenario(
      own,
      (untilMs) => drawFaults(own, { untilMs, ...(options.kinds === undefined ? {} : { kinds: options.kinds }) }),
      options
    )
    return { scenario: options.adapt === undefined ? drawn : options.adapt(drawn, i), own }
  })
}

/**
 * Runs one seed: draws a scenario and its faults, lets the real session live through it, and checks what came of it.
 *
 * The same seed and options give the same result, byte for byte (but for `realMs`). It never throws: a world that came
 * to a stop is a violation like any other.
 */
export const runSeed = (seed: number, options: SeedOptions = {}): SeedResult => {
  const began = performance.now()
  const scenarios = drawCalls(seed, options)
  const world = new World({
    seed,
    horizonMs: Math.max(horizonMs, ...scenarios.map(({ scenario }) => scenario.hangUpMs + horizonMs)),
    startMillis,
    // A provider that does not end when it is told to is left behind; it has 3 s to die.
    survivors: { named: /^provider |^\d+ × provider /u, ms: 3500 },
    preemptOps: Math.min(...scenarios.map(({ scenario }) => scenario.preemptOps)),
    ...(options.order === undefined ? {} : { order: options.order })
  })
  const placements = options.takeover === true ? placementsOf(world, scenarios.length) : []
  const shared = Effect.runSync(Effect.provide(AdmissionLedger, AdmissionLedger.layer))
  const calls = scenarios.map(({ own, scenario }, i) => ({
    call: makeCall(placements[i]?.process.world ?? world, scenario, own, placements[i]),
    // A placement is a process of its own; calls without one are in one process.
    ledger: placements[i] === undefined
      ? shared
      : Effect.runSync(Effect.provide(AdmissionLedger, AdmissionLedger.layer, { local: true })),
    timeline: emptyTimeline(),
    ended: { exit: undefined as Exit.Exit<unknown, unknown> | undefined, atMs: 0 }
  }))
  const [first] = calls
  if (first !== undefined) processFaults(first.call)
  const violations: Array<Violation> = []
  const replayed = new Map<SimCall, boolean>()
  const { tasks, violations: atTheEnd } = runToEnd(
    world,
    Effect.all(
      calls.map(({ call, ended, ledger, timeline }) =>
        Effect.map(Effect.exit(placed(call, liveCall(call, timeline, ledger, options))), (exit) => {
          ended.exit = exit
          ended.atMs = world.nowMs
        })
      ),
      { concurrency: "unbounded", discard: true }
    )
  )
  violations.push(...atTheEnd)
  for (const { call, ended, timeline } of calls) {
    if (timeline.header !== undefined) {
      const { disk, header, records } = timeline
      violations.push(...(options.check ?? checkTimeline)(header, records))
      if (options.replay ?? true) {
        const diverged = checkReplay(header, records)
        replayed.set(call, diverged.length === 0)
        violations.push(...diverged)
      }
      if (call.faults.strikesLast("recorder.torn")) {
        // Where the disk was full for a while records are missing, and there is nothing to replay.
        const complete = !call.faults.struck.has("recorder.full") && timeline.lost === 0
        violations.push(...checkTorn(torn(header, disk, call.faults.stream("recorder.torn")), complete))
      }
    }
    violations.push(...call.truth.violations, ...(options.checkLived ?? checkLiveness)({ call, timeline, ...ended }))
  }
  return {
    seed,
    sessions: calls.map(({ call, ended, timeline }) => ({
      scenario: call.scenario,
      header: timeline.header,
      records: timeline.records,
      disk: timeline.disk,
      ...(replayed.has(call) ? { replaysIdentical: replayed.get(call) === true } : {}),
      struck: call.faults.struck,
      ...failureOf(ended.exit),
      frames: call.truth.frames,
      happened: call.script.happened,
      connections: call.connections
    })),
    violations,
    writes: placements[0]?.stores.writes ?? [],
    simulatedMs: world.nowMs,
    realMs: performance.now() - began,
    tasks
  }
}

/** Runs the program of a world. W00 it has an end · L00 it ends well · L01 it leaves nothing behind. */
export const runToEnd = <A, E>(
  world: World,
  program: Effect.Effect<A, E>
): { readonly tasks: number; readonly violations: ReadonlyArray<Violation> } => {
  try {
    const { exit, leaks, tasks } = world.run(program)
    const left = leaks.map((message) => ({ rule: "L01", message }))
    const failed = Exit.isFailure(exit) ? [{ rule: "L00", message: Cause.pretty(exit.cause) }] : []
    return { tasks, violations: [...left, ...failed] }
  } catch (error) {
    return { tasks: 0, violations: [{ rule: "W00", message: String(error) }] }
  }
}

const failureOf = (exit: Exit.Exit<unknown, unknown> | undefined): { readonly failure?: string } => {
  const failure = errorTag(exit)
  return failure === undefined ? {} : { failure }
}

/** The bytes of a result that must be the same for the same seed: every record of every session, as canonical JSON. */
export const bytesOf = (result: SeedResult): string =>
  result.sessions
    .flatMap(({ header, records }) => [header ?? null, ...records].map((record) => canonicalJson(record)))
    .join("\n")

/** Lives in the process of its placement, where it has one; one that stands by begins when the session is free. */
const placed = <A, E>(call: SimCall, life: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  const { placement, scenario, script } = call
  if (placement === undefined) return life
  script.halt = (forMs) => placement.process.halt(forMs)
  return placement.process.run(
    placement.standsBy ? Effect.andThen(whenFree(placement, scenario.sessionId), life) : life
  )
}

/** What happens to the whole process, and so to its clock. */
const processFaults = ({ faults, world }: SimCall): void => {
  const stops = [...faults.episodesOf("runtime.stopped")]
  const late = faults.has("runtime.late_timers")
  if (stops.length === 0 && !late) return
  world.lateness = () => {
    let ns = 0
    const [stop] = stops
    if (stop !== undefined && world.nowMs >= stop.atMs) {
      stops.shift()
      if (faults.isOn) ns += stop.forMs * 1e6
    }
    if (late && faults.strikes("runtime.late_timers")) {
      ns += faults.stream("runtime.late_timers").between(1, 15_000) * 1000
    }
    return ns
  }
}

const normalise = (scenario: Scenario) =>
  Effect.flatMap(SpecNormalizer, (normalizer) => normalizer.normalize(scenario.spec)).pipe(
    Effect.provide(SpecNormalizer.layer),
    Effect.map((spec): NormalizedSpec => ({
      ...spec,
      pipeline: {
        ...spec.pipeline,
        provider_bindings: { ...spec.pipeline.provider_bindings, ...scenario.fallbacks }
      }
    }))
  )

/** One call from its first to its last moment. */
const liveCall = (
  call: SimCall,
  timeline: SimTimeline,
  ledger: AdmissionLedger["Service"],
  { trace }: SeedOptions
) =>
  Effect.gen(function*() {
    const { faults, scenario, streams, world } = call
    if (scenario.refused !== undefined) faults.count("start.refused")
    const spec = yield* normalise(scenario)
    const ports = Layer.mergeAll(
      ProviderManager.layerOf({
        stt: [recogniser(call, "sim/stt")],
        llm: [model(call, "sim/llm"), model(call, "sim/llm-b")],
        tts: [voice(call, "sim/tts"), voice(call, "sim/tts-b")]
      }),
      SimSegmenter.layer,
      NodeRegistry.layerOf(simNodes(call)),
      SimVoiceActivity.layer(call),
      SimControlPlane.layer(call, spec),
      SimTransport.layer(call),
      recorderLayer(call, timeline)
    )
    const timers: Array<ReturnType<World["after"]>> = []
    const after = (ns: number, then: () => void) => void timers.push(world.after(ns, then))
    faults.begin(after)
    call.script.begin()
    after(scenario.faultsUntilMs * 1e6 - world.nowNs, () => faults.off())
    const session = Effect.flatMap(Session, (service) =>
      service.run({
        session_id: scenario.sessionId,
        tenant_id: "simulation",
        pipeline: spec.pipeline,
        seed: streams.of("session/seed").next(),
        payloadKey: streams.of("session/key").hex(32),
        clock: "virtual",
        ...(call.placement?.standsBy === true ? { resume: true } : {})
      })).pipe(
        Effect.provide(
          Layer.provide(Session.layerNoLedger, [
            ports,
            Layer.succeed(PoolLimits, { ...generousPool, ...scenario.pool }),
            Layer.succeed(AdmissionLedger, ledger)
          ]),
          { local: true }
        ),
        Effect.provideService(EndOfTurnModel, endOfTurnModel(call)),
        call.placement === undefined
          ? (session) => session
          : Effect.provideService(SessionStateStore, stateStoreOf(call.placement, world)),
        Effect.provideService(SessionObservers, [
          call.truth.observer,
          completionObserver(call),
          ...(scenario.script === undefined ? [] : [call.script.observer]),
          ...(trace === undefined ? [] : [traceObserver(world, trace)])
        ]),
        named(`session ${scenario.sessionId}`)
      )
    const exit = yield* scenario.ending === "shutdown" ? stoppedAfter(session, call) : Effect.exit(session)
    for (const timer of timers) world.callOff(timer)
    call.script.end()
    return yield* exit
  })

/** The process is told to stop while the call goes on. */
const stoppedAfter = <A, E>(session: Effect.Effect<A, E>, call: SimCall) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(session)
    const told = call.scenario.script === undefined ?
      Effect.sleep(call.scenario.hangUpMs) :
      Effect.callback<void>((resume) => {
        call.script.shutdown = () => resume(Effect.void)
      })
    yield* Effect.raceFirst(Fiber.await(fiber), told)
    call.leftMs ??= call.world.nowMs
    yield* Fiber.interrupt(fiber)
    return yield* Fiber.await(fiber)
  })

const completionObserver = (call: SimCall): SessionObserver => ({
  input: ({ input }) => {
    if (input.type === "transcript" && input.finality === "final") {
      for (const tell of call.whenHeard.splice(0)) {
        tell()
      }
    }
  },
  outputs: (outputs) => {
    for (const output of outputs) {
      if (output.record === "command" && output.command.type === "append_evidence") {
        for (const tell of call.whenComplete) tell()
      }
    }
  }
})

const traceObserver = (world: World, trace: (atMs: number, line: string) => void): SessionObserver => ({
  input: (record) => world.outside(() => trace(world.nowMs, inputLine(record))),
  outputs: (outputs) =>
    world.outside(() => {
      for (const output of outputs) trace(world.nowMs, outputLine(output))
    })
})
