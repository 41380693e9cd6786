// The rules of the world and of the second phase, each with planted violations. What the world itself finds, a leak, a
// deadlock, an endless run and the use of the real machine, is in World.test.ts.
import { PressureTruth } from "@rspp/simulation/parts/PressureTruth"
import type { RecordingPressure } from "@rspp/runtime/ports/Recorder"
import { assert, describe, it } from "@effect/vitest"
import type { SignalName } from "@rspp/contracts/Signal"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import type { LeaseRow } from "@rspp/control/LeaseStore"
import { EgressWriter } from "@rspp/runtime/connection/EgressWriter"
import { named } from "@rspp/runtime/determinism/FiberName"
import { TransportFailure } from "@rspp/runtime/ports/Transport"
import type { Violation } from "@rspp/simulation/checkers/Checker"
import { checkLiveness } from "@rspp/simulation/Liveness"
import type { Lived } from "@rspp/simulation/Liveness"
import { soundOfReply } from "@rspp/simulation/parts/Truth"
import type { Truth } from "@rspp/simulation/parts/Truth"
import { runSeed, runToEnd } from "@rspp/simulation/Run"
import type { SeedOptions } from "@rspp/simulation/Run"
import type { Scenario, StartPart } from "@rspp/simulation/Scenario"
import { otherRules } from "@rspp/simulation/SeedReport"
import { World } from "@rspp/simulation/World"
import { Deferred, Effect, Exit, Latch } from "effect"

type Records = ReadonlyArray<TimelineRecord>
type Is = (record: TimelineRecord) => boolean

const isSignal = (name: SignalName): Is => (record) => record.record === "signal" && record.signal.signal === name
const isLoss: Is = ({ record, ...rest }) =>
  record === "input" && "input" in rest && "type" in rest.input && rest.input.type === "media_loss"

/** Milliseconds between the cancel of a call and its end, where both are on record. */
const cancelMs = (record: TimelineRecord): number | undefined => {
  if (record.record !== "invocation") return undefined
  const { cancel_ack_ms: ack, cancel_sent_ms: sent } = record.invocation
  return ack === undefined || sent === undefined ? undefined : ack - sent
}

/** Whether a turn is cut by a fence that nothing prepared. */
const cutShort = (records: Records): boolean => {
  const paused = new Set<string>()
  return records.some((record) => {
    if (record.record === "command" && record.command.type === "pause_output") paused.add(record.command.turn_id)
    return record.record === "input" && record.input.type === "playback_cancelled" && record.input.samples > 0 &&
      !paused.has(record.input.turn_id)
  })
}

/** Makes the drawn call one that cannot open a part. */
const refusing = (refused: StartPart) => ({ adapt: (drawn: Scenario): Scenario => ({ ...drawn, refused }) })

/** Calls in which nothing is wrong, each with what there must be in it. */
const lives = {
  plain: [
    {},
    ({ call, timeline: { records } }) =>
      call.saidLastMs !== undefined && call.truth.taken.length > 0 && records.some(isSignal("barge_in")) &&
      records.some((record) => cancelMs(record) !== undefined)
  ],
  /** The session has no room for the frames that come when its process goes on. */
  stopped: [
    { kinds: ["runtime.stopped"] },
    ({ call, timeline: { records } }) =>
      call.truth.refused > 0 && records.some(isLoss) &&
      call.faults.episodesOf("runtime.stopped").every(({ atMs, forMs }) => atMs + forMs < (call.leftMs ?? 0))
  ],
  /** Calls that are cancelled take their time. */
  slow: [
    { kinds: ["provider.slow_cancel"] },
    ({ timeline: { records } }) => records.some((record) => (cancelMs(record) ?? 0) > 20)
  ],
  /** A turn is fenced while it speaks, and was not paused before. */
  cut: [{ kinds: ["authority.rotated"] }, ({ timeline: { records } }) => cutShort(records)],
  shutdown: [{ ending: "shutdown" }, ({ exit }) => exit !== undefined && Exit.hasInterrupts(exit)],
  broken: [{ kinds: ["transport.break"] }, ({ exit }) => exit !== undefined && Exit.isFailure(exit)],
  noRecorder: [refusing("recorder"), ({ timeline }) => timeline.header === undefined],
  noLease: [refusing("lease"), ({ exit }) => exit !== undefined && Exit.isFailure(exit)]
} satisfies Record<string, readonly [options: SeedOptions, has: (lived: Lived) => boolean]>
type Name = keyof typeof lives

/** Runs a call of a seed; what is left of it is the test's own. */
const runLife = (seed: number, options: SeedOptions): { lived: Lived; violations: ReadonlyArray<Violation> } => {
  let lived: Lived | undefined
  const { violations } = runSeed(seed, {
    kinds: [],
    turns: 4,
    limits: false,
    graph: false,
    ending: "all_said",
    replay: false,
    checkLived: (one) => checkLiveness(lived = one),
    ...options
  })
  if (lived === undefined) throw new Error("nothing lived")
  return { lived, violations }
}
const seeds = new Map<Name, number>()
const lifeOf = (name: Name): Lived => {
  const [options, has]: readonly [SeedOptions, (lived: Lived) => boolean] = lives[name]
  for (let seed = seeds.get(name) ?? 1; seed < 100; seed++) {
    const { lived, violations } = runLife(seed, options)
    assert.deepStrictEqual(violations, [])
    if (!has(lived)) continue
    seeds.set(name, seed)
    return lived
  }
  throw new Error(`no call that is ${name} in a hundred seeds`)
}

/** What the second phase finds in a call that was harmed in one place. */
const harmed = (name: Name, change: (lived: Lived) => Partial<Lived> | void) => (): ReadonlyArray<Violation> => {
  const lived = lifeOf(name)
  return checkLiveness({ ...lived, ...change(lived) })
}
const records = (change: (records: Records, lived: Lived) => Records) => (lived: Lived): Partial<Lived> => {
  const { timeline } = lived
  const changed = change(timeline.records, lived)
  assert.notDeepEqual(changed, timeline.records, "the call has no place for this violation")
  return { timeline: { ...timeline, records: [...changed] } }
}
const without = (is: Is) =>
  records((all) => {
    const place = all.findIndex(is)
    return all.filter((_, index) => index !== place)
  })
/** Every call that was cancelled ended so much later. */
const cancelledLate = (ms: number) =>
  records((all) =>
    all.map((record) => {
      if (record.record !== "invocation" || cancelMs(record) === undefined) return record
      const { cancel_ack_ms: ack = 0 } = record.invocation
      return { ...record, invocation: { ...record.invocation, cancel_ack_ms: ack + ms } }
    })
  )
const endsAfter = (ms: number) => ({ call }: Lived) => ({ atMs: (call.leftMs ?? 0) + ms })
const stampOf = (record: TimelineRecord): number | undefined =>
  record.record === "signal"
    ? record.signal.runtime_timestamp_ms
    : record.record === "event"
    ? record.event.runtime_timestamp_ms
    : undefined

/** What the world's own knowledge says when it is told one thing more than happened. */
const toldLater = (tell: (truth: Truth) => void) => (): ReadonlyArray<Violation> => {
  const { call: { truth } } = lifeOf("plain")
  tell(truth)
  return truth.violations
}
const speaksAgain = (truth: Truth) => {
  for (let reply = 0; reply < 40; reply++) truth.captured(soundOfReply(reply))
}
const row: LeaseRow = {
  revision: 99,
  session_id: "ses_0",
  placement_id: "sim-1",
  authority_epoch: 99,
  lease_token: "planted",
  state: "held",
  expires_at_ms: 10_000
}

const { make } = EgressWriter
type Mistake = (...of: Parameters<typeof make>) => Effect.Effect<EgressWriter>
/** Runs with another egress: that of a runtime with a mistake in it. */
const mistaken = <A>(mistake: Mistake, run: () => A): A => {
  Reflect.set(EgressWriter, "make", mistake)
  try {
    return run()
  } finally {
    Reflect.set(EgressWriter, "make", make)
  }
}
const withEgress = (name: Name, mistake: Mistake) => (): ReadonlyArray<Violation> => {
  lifeOf(name)
  return mistaken(mistake, () => runLife(seeds.get(name) ?? 1, lives[name][0]).violations)
}
const inWorld = (program: Effect.Effect<unknown, unknown>) => () => {
  const survivors = { named: /^provider /u, ms: 3500 }
  return runToEnd(new World({ seed: 1, horizonMs: 60_000, survivors }), program).violations
}

/** What a simulated disk finds of a recorder: `[ms, fill, lag, level, reason]`. */
const pressed = (
  [atMs, fill, lagMs, level, reason]: readonly [
    atMs: number,
    fill: number,
    lagMs: number,
    level?: RecordingPressure["level"],
    reason?: RecordingPressure["reason"]
  ]
) =>
(): ReadonlyArray<Violation> => {
  const found: Array<Violation> = []
  const truth = new PressureTruth("L2", (message) => void found.push({ rule: "W03", message }))
  truth.seen({ atMs, fill, lagMs }, level === undefined || reason === undefined ? undefined : { level, reason })
  return found
}

type Plant = readonly [what: string, says: RegExp, find: () => ReadonlyArray<Violation>]

const planted: Readonly<Record<string, ReadonlyArray<Plant>>> = {
  W00: [
    [
      "a program that waits for what never comes",
      /no fiber can run and no timer is set; waiting: main/u,
      inWorld(named("main")(Effect.flatMap(Deferred.make<void>(), Deferred.await)))
    ],
    ["a program without an end", /goes on past 60000 ms/u, inWorld(Effect.forever(Effect.sleep(1000)))],
    ["the use of the real clock", /Date\.now/u, inWorld(Effect.sync(() => Date.now()))]
  ],
  W03: [
    [
      "a recorder that goes down for nothing",
      /L1 for a buffer that was 0\.8 full for -1 ms/u,
      pressed([0, 0, 0, "L1", "append_queue_fill"])
    ],
    [
      "a recorder that says nothing of a store which is behind",
      /the recorder is under pressure and stays at L2/u,
      pressed([0, 0, 3000])
    ]
  ],
  W01: [
    ["speech that nobody said", /sound 7 of no reply was captured/u, toldLater((truth) => truth.captured(7))],
    ["speech of a turn that is fenced", /a frame of turn_\d+ was captured after its fence/u, toldLater(speaksAgain)],
    [
      "speech of a turn after the next has spoken",
      /turn_\d+ speaks after turn_\d+ has spoken/u,
      toldLater(speaksAgain)
    ],
    [
      "speech of an epoch that is over",
      /of epoch 1, was captured in epoch 2/u,
      toldLater((truth) => {
        truth.leased({ authority_epoch: 2, status: "rotated", ttl_ms: 10_000 })
        speaksAgain(truth)
      })
    ],
    [
      "speech after the lease",
      /was captured after the lease had run out/u,
      toldLater((truth) => {
        truth.leased({ authority_epoch: 1, status: "revoked", ttl_ms: 10_000 })
        speaksAgain(truth)
      })
    ],
    [
      "an epoch that is given twice",
      /epoch 1 was issued again/u,
      toldLater((truth) => {
        truth.leaseWritten(row, 1000)
        truth.leaseWritten({ ...row, revision: 100, authority_epoch: 1, lease_token: "another" }, 1000)
      })
    ],
    [
      "a lease that comes back",
      /the lease of epoch 99 was renewed after its end/u,
      toldLater((truth) => {
        truth.leaseWritten(row, 1000)
        // Whoever wrote last may tell of it first.
        truth.leaseWritten({ ...row, revision: 101, state: "revoked" }, 1000)
        truth.leaseWritten({ ...row, revision: 100, expires_at_ms: 11_000 }, 1000)
      })
    ],
    [
      "a session that fences a turn and leaves its speech in the transport's queue",
      /the transport still holds speech of turn_\d+ after its fence/u,
      withEgress("cut", (output, ...rest) => make(Object.create(output, { clear: { value: () => 0 } }), ...rest))
    ]
  ],
  L00: [
    ["a program that dies", /planted/u, inWorld(Effect.die(new Error("planted")))],
    ["a program that fails", /planted/u, inWorld(Effect.fail("planted"))],
    ["a program that is interrupted", /interrupted/u, inWorld(Effect.interrupt)]
  ],
  L01: [
    [
      "a fiber that waits for ever",
      /fiber left: forgotten waiter/u,
      inWorld(
        Effect.andThen(Effect.forkDetach(named("forgotten waiter")(Latch.makeUnsafe(false).await)), Effect.sleep(1))
      )
    ],
    [
      "a provider that outlives its time",
      /fiber left: provider sim\/stt/u,
      inWorld(Effect.andThen(Effect.forkDetach(named("provider sim/stt")(Effect.sleep(3600))), Effect.sleep(1)))
    ],
    ["a timer", /1 timers left/u, () => {
      const world = new World({ seed: 1 })
      return runToEnd(world, Effect.sync(() => void world.after(5e9, () => {}))).violations
    }],
    [
      "a session that forgets a fiber",
      /fiber left: forgotten/u,
      withEgress("plain", (...of) => Effect.tap(make(...of), () => Effect.forkDetach(named("forgotten")(Effect.never))))
    ]
  ],
  L02: [
    ["a session that did not end", /the session did not end/u, harmed("plain", () => ({ exit: undefined }))],
    [
      "a session that fails",
      /the session failed: .*planted/u,
      harmed("plain", () => ({ exit: Exit.fail("planted") }))
    ],
    [
      "a session that dies when it is told to stop",
      /the session failed: .*planted/u,
      harmed("shutdown", () => ({ exit: Exit.die(new Error("planted")) }))
    ],
    [
      "a session that stops though nobody told it to",
      /the session failed: .*interrupted/u,
      harmed("plain", () => ({ exit: Exit.interrupt(1) }))
    ],
    [
      "a session that blames a transport which held",
      /the session failed: .*planted/su,
      harmed("plain", () => ({ exit: Exit.fail(new TransportFailure({ transport_id: "sim", message: "planted" })) }))
    ],
    [
      "another failure than that of the transport",
      /the session failed: .*planted/u,
      harmed("broken", () => ({ exit: Exit.fail("planted") }))
    ],
    [
      "a session that starts although it cannot",
      /cannot open its recorder and must fail with RecorderFailure; it did not fail/u,
      harmed("noRecorder", () => ({ exit: Exit.void }))
    ],
    [
      "a session that fails to start for another reason",
      /must fail with ControlPlaneFailure; it failed with TransportFailure/u,
      harmed("noLease", () => ({ exit: Exit.fail(new TransportFailure({ transport_id: "sim", message: "planted" })) }))
    ],
    [
      "a command of a session that could not start",
      /gave a command although it could not start/u,
      harmed("noRecorder", ({ timeline }) => ({
        timeline: {
          ...timeline,
          records: lifeOf("plain").timeline.records.filter(({ record }) => record === "command")
        }
      }))
    ]
  ],
  L03: [
    [
      "a session that goes on without its caller",
      /ended 1501 ms after its caller had gone/u,
      harmed("plain", endsAfter(1501))
    ],
    [
      "a session that goes on when it is told to stop",
      /ended 1501 ms after its caller had gone/u,
      harmed("shutdown", endsAfter(1501))
    ],
    [
      "a session that is late for a stop which was over before",
      /ended 1501 ms after its caller had gone/u,
      harmed("stopped", endsAfter(1501))
    ],
    [
      "a session that takes its time to fail",
      /the session took 1501 ms to fail to start/u,
      harmed("noLease", () => ({ atMs: 1501 }))
    ]
  ],
  L04: [
    [
      "a call whose end is not on record",
      /inv_\w+ was started and has no end/u,
      harmed("plain", without(({ record }) => record === "invocation"))
    ]
  ],
  L05: [
    [
      "frames that were refused and are not told",
      /\d+ frames were refused, \d+ were told/u,
      harmed("stopped", without(isLoss))
    ],
    [
      "one frame more than is told",
      /1 frames were refused, 0 were told/u,
      harmed("plain", ({ call }) => void call.truth.refused++)
    ]
  ],
  L06: [
    [
      "last words that nobody answers",
      /what the caller said at [\d.]+ ms was never answered/u,
      harmed(
        "plain",
        records((all, { call: { saidLastMs = 0, zeroMs } }) =>
          all.filter((record) => (stampOf(record) ?? 0) < Math.floor(saidLastMs - zeroMs))
        )
      )
    ],
    [
      "words after the last answer",
      /was never answered/u,
      harmed("plain", ({ atMs, call }) => void (call.saidLastMs = atMs + 1))
    ]
  ],
  L07: [
    [
      "frames that were taken and are not in the timeline",
      /\d+ frames were taken and not applied, the first at sample \d+/u,
      harmed("plain", without(({ record }) => record === "audio"))
    ],
    [
      "frames that were taken, and none is in the timeline",
      /\d+ frames were taken and not applied/u,
      harmed("plain", records((all) => all.filter(({ record }) => record !== "audio")))
    ],
    [
      "a frame that is missing in a row",
      /1 frames were taken and not applied/u,
      harmed(
        "plain",
        records((all) => {
          const place = all.findIndex((record) => record.record === "audio" && record.count > 1)
          return all.map((record, index) =>
            index === place && record.record === "audio" ? { ...record, count: record.count - 1 } : record
          )
        })
      )
    ]
  ],
  L08: [
    [
      "a call that goes on when it is cancelled",
      /inv_\w+ ended \d+ ms after its cancel/u,
      harmed("plain", cancelledLate(21))
    ],
    [
      "a call that is not over within its grace",
      /inv_\w+ ended \d+ ms after its cancel/u,
      harmed("slow", cancelledLate(96))
    ]
  ]
}
const all = Object.entries(planted).flatMap(([id, plants]) =>
  plants.map(([what, says, find]) => [id, what, says, find] as const)
)

describe("the rules of the world and of the second phase", () => {
  it.each(Object.keys(lives) as ReadonlyArray<Name>)("find nothing in a call that is %s", (name) => {
    const lived = lifeOf(name)
    assert.deepStrictEqual(checkLiveness(lived), [])
    assert.deepStrictEqual(lived.call.truth.violations, [])
  }, 60_000)

  it("find nothing in a program that ends and leaves only what has its time", () => {
    const dying = Effect.forkDetach(named("provider sim/stt")(Effect.sleep(3000)))
    assert.deepStrictEqual(inWorld(Effect.andThen(dying, Effect.sleep(1)))(), [])
  })

  it.each(all)("%s finds %s, and no other rule does", (id, _what, says, find) => {
    const found = find()
    assert.deepStrictEqual([...new Set(found.map(({ rule }) => rule))], [id])
    assert.isTrue(found.some(({ message }) => says.test(message)), JSON.stringify(found.slice(0, 3)))
  }, 60_000)

  it("each have planted violations that turn them red", () => {
    // A seed that does not end is of the process that runs it (SeedProcess); recordings have a test of their own.
    const rules = Object.keys(otherRules).filter((id) => id !== "W02" && !id.startsWith("R"))
    assert.sameMembers(Object.keys(planted), rules)
    for (const id of rules) assert.isNotEmpty(planted[id], id)
  })

  it("are asked of every seed: one that uses the real machine is stopped, and its session has no end", () => {
    const { violations } = mistaken(
      (...of) => Effect.tap(make(...of), () => Effect.sync(() => Date.now())),
      () => runSeed(1, { kinds: [] })
    )
    assert.includeMembers(violations.map(({ rule }) => rule), ["W00", "L02"])
  })
})
