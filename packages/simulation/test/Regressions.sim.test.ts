// Each bug that the seeded world found, in the smallest call that shows it. They failed before the fix that is named.
import { assert, describe, it } from "@effect/vitest"
import { EgressWriter } from "@rspp/runtime/connection/EgressWriter"
import type { FaultKind } from "@rspp/simulation/Faults"
import { runSeed } from "@rspp/simulation/Run"
import type { SeedOptions, SeedResult } from "@rspp/simulation/Run"
import type { Scenario } from "@rspp/simulation/Scenario"
import { marksOf } from "@rspp/simulation/Sometimes"
import { World } from "@rspp/simulation/World"
import { Effect, Fiber } from "effect"

/** The call as it was when the bug was found: nothing of what is drawn only since then. */
const runAsFound = (seed: number, options: SeedOptions): SeedResult =>
  runSeed(seed, {
    ...options,
    adapt: (all, session) => {
      const { policy: _, ...drawn } = all
      return options.adapt?.(drawn, session) ?? drawn
    }
  })

const range = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i)
const failuresOf = ({ seed, violations }: SeedResult) =>
  violations.map(({ message, rule }) => `seed ${seed}: ${rule} ${message}`)
const failures = (seeds: ReadonlyArray<number>, options: SeedOptions) =>
  seeds.flatMap((seed) => failuresOf(runAsFound(seed, { graph: false, ...options })))

/** The kinds at their full rate, and episodes where they are wanted. */
const pinned = (
  kinds: ReadonlyArray<FaultKind>,
  episodes: (scenario: Scenario) => Scenario["faults"]["episodes"],
  more: (scenario: Scenario) => Partial<Scenario> = () => ({})
): SeedOptions => ({
  kinds,
  adapt: (drawn) => {
    const scenario = { ...drawn, ...more(drawn) }
    const rates = Object.fromEntries(kinds.map((kind) => [kind, 1]))
    return { ...scenario, faults: { kinds, rates, episodes: episodes(scenario) } }
  }
})

describe("found by the seeded world", () => {
  it("a recogniser was woken by a microtask, outside of the session's time and order", () => {
    // AmbientUse named UtteranceFeed.ts; any call with speech in it showed it.
    assert.deepStrictEqual(failures([1], { kinds: [], turns: 1, ending: "all_said" }), [])
  })

  it("a session did not end while the control plane was out of reach", () => {
    const options = pinned(
      ["authority.partition"],
      ({ hangUpMs }) => [{ kind: "authority.partition", atMs: hangUpMs - 300, forMs: 25_000 }],
      () => ({ hangUpMs: 4000, faultsUntilMs: 60_000 })
    )
    assert.deepStrictEqual(failures(range(1, 5), { ...options, ending: "hang_up" }), [])
  })

  it("a provider that took its time to die kept the session open, or out of the record", () => {
    const options = pinned(["provider.slow_cancel"], () => [])
    assert.deepStrictEqual(failures(range(1, 15), { ...options, ending: "shutdown" }), [])
    assert.deepStrictEqual(failures(range(1, 15), { ...options, ending: "hang_up" }), [])
  })

  it("frames that were refused just before a shutdown were never told as lost", () => {
    const options = pinned(
      ["runtime.stopped"],
      ({ hangUpMs }) => [{ kind: "runtime.stopped", atMs: hangUpMs - 2600, forMs: 2500 }],
      () => ({ hangUpMs: 6000 })
    )
    assert.deepStrictEqual(failures(range(1, 15), { ...options, ending: "shutdown" }), [])
    assert.deepStrictEqual(failures(range(1, 15), { ...options, ending: "hang_up" }), [])
  })

  it("a fence came between the checks of a frame and its capture, and the frame was heard", () => {
    const late = range(1, 300).filter((seed) => {
      let fenced = false
      let captured = 0
      let queued = 0
      const race = Effect.gen(function*() {
        const writer = yield* EgressWriter.make(
          {
            capacityMs: 200,
            queuedSamples: () => queued,
            clear: () => {
              const dropped = queued
              queued = 0
              return dropped
            },
            capture: (samples) =>
              Effect.sync(() => {
                if (fenced) captured += samples.length
                queued += samples.length
              })
          },
          () => {},
          { epoch: () => 1, leaseHolds: () => true }
        )
        writer.enqueue("turn_1", "turn_1_seg_1", 1, new Int16Array(3200))
        const egress = yield* Effect.forkChild(writer.run)
        for (let i = 0; i < seed % 8; i++) yield* Effect.yieldNow
        writer.fence("turn_1")
        fenced = true
        yield* Effect.sleep(100)
        yield* Fiber.interrupt(egress)
      })
      new World({ seed, preemptOps: 2 }).run(race)
      return captured > 0
    })
    assert.deepStrictEqual(late, [])
  })

  it("an utterance of an epoch that was over opened a turn when its endpoint timer fired", () => {
    const hits = range(1, 60).filter((seed) => {
      const { sessions } = runAsFound(seed, { graph: false, kinds: ["authority.rotated"], replay: false })
      return sessions.some(({ records }) => marksOf(records).has("row.T3"))
    })
    assert.isAbove(hits.length, 0)
  }, 60_000)

  it("a recogniser that had fallen behind lost audio without a notice", () => {
    const hits = range(1, 40).filter((seed) => {
      const { sessions } = runAsFound(seed, {
        graph: false,
        ...pinned(["runtime.slow_consumer", "runtime.full_edge"], () => []),
        turns: 4
      })
      return sessions.some(({ records }) => marksOf(records).has("loss.media"))
    })
    assert.isAbove(hits.length, 0)
  }, 60_000)

  // Seeds in which a rule broke, each with what was wrong; later draws may have changed what they are about.
  const seeds: ReadonlyArray<readonly [seed: number, was: string]> = [
    [2, "an intent that was turned away took the proposal time, and with it the evidence, of the turn that opened"],
    [42, "a voice edge that keeps the latest held more than its bound"],
    [449, "a call that was cancelled before its first step was over only after the grace"],
    [1715, "a turn that ended without a word stayed the target of barge-in"],
    [2897, "a sentence that waited for room came onto its edge before the one ahead had left"],
    [4361, "what egress had taken just before a cut was told after it"],
    [4377, "audio that was lost just before the transport failed had no notice"],
    [9473, "what custom nodes gave was missing in the evidence"],
    [13_985, "the pressure of a lane was told under an epoch that was over"],
    [15_894, "a session that could not open its recorder did not end"]
  ]
  it.each(seeds)("seed %i: %s", (seed) => {
    assert.deepStrictEqual(failures([seed], {}), [])
  }, 30_000)
})
