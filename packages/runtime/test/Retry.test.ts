// Holds I-RETRY-SILENT, I-RETRY-WAIT, I-RETRY-FITS.
import { assert, describe, it } from "@effect/vitest"
import { endedMsOf } from "@rspp/contracts/Invocation"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import { backoffOf, retryPolicy } from "@rspp/runtime/invocation/RetryBackoff"
import { Duration } from "effect"
import { failing, KernelHarness, reply, silent, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions, Scripted } from "./support/KernelHarness.ts"

const allowing = (
  allowed_adaptive_actions: NormalizedPipeline["allowed_adaptive_actions"],
  more: Partial<NormalizedPipeline> = {}
): HarnessOptions => ({
  pipeline: (pipeline) => ({
    ...pipeline,
    allowed_adaptive_actions,
    provider_bindings: { ...pipeline.provider_bindings, "llm.fallback": "test/second", "tts.fallback": "test/other" },
    ...more
  })
})

/** A turn that was opened just now. */
const turn = (options: HarnessOptions): KernelHarness => {
  const h = KernelHarness.ready(options)
  h.type()
  return h
}

/** How long after the end of the call before it each call began. */
const waits = (h: KernelHarness, modality: "llm" | "tts"): ReadonlyArray<number> => {
  const calls = h.invocations.filter((facts) => facts.modality === modality)
  return calls.slice(1).map((facts, at) => {
    const before = calls[at]
    return facts.started_ms - (before === undefined ? 0 : endedMsOf(before))
  })
}

const retryTimers = (h: KernelHarness) => h.commands("arm_timer").filter(({ timer }) => timer.startsWith("retry:"))
const busy = (retry_after_ms?: number): Scripted =>
  failing("overload", retry_after_ms === undefined ? {} : { says: { retry_after_ms } })
const overloads = (times: number, retry_after_ms?: number): HarnessOptions => ({
  llm: (_, call) => call <= times ? busy(retry_after_ms) : reply(10)
})

describe("a call that failed before it gave anything", () => {
  it("is tried again after a wait, longer each time, up to three calls in all, under one key", () => {
    const h = turn({ ...allowing(["retry"]), ...overloads(9) })
    h.runFor(3000)
    const calls = h.started("llm")
    assert.lengthOf(calls, 3)
    assert.lengthOf([...new Set(calls.map(({ idempotency_key }) => idempotency_key))], 1)
    assert.deepStrictEqual(
      h.invocations.map(({ attempts, retry_decision }) => [attempts, retry_decision]),
      [[1, "retry"], [2, "retry"], [3, "none"]]
    )
    const [first = 0, second = 0] = waits(h, "llm")
    assert.isTrue(first >= 50 && first <= 100, `${first} ms`)
    assert.isTrue(second >= 100 && second <= 200, `${second} ms`)
    assert.include(h.signals, "abort(provider_failure)")
    h.hangUp()
  })

  it("has a latency of each attempt alone, and one over all attempts and the waits between them", () => {
    for (const modality of ["llm", "tts"] as const) {
      const h = turn({
        ...allowing(["retry"]),
        ...(modality === "llm"
          ? overloads(2)
          : { llm: () => reply(10), tts: (_, call) => call <= 2 ? busy() : speech(60) })
      })
      h.runFor(5000)
      const calls = h.invocations.filter((facts) => facts.modality === modality)
      const [first, second, third] = calls
      assert.lengthOf(calls, 3)
      assert.notProperty(first, "first_started_ms")
      const since = first?.started_ms ?? 0
      for (const later of [second, third]) assert.strictEqual(later?.first_started_ms, first?.started_ms)
      assert.strictEqual(
        second?.total_latency_ms,
        (second?.started_ms ?? 0) + (second?.final_latency_ms ?? 0) - since
      )
      assert.isAtLeast(
        third?.total_latency_ms ?? 0,
        (third?.started_ms ?? 0) + (third?.final_latency_ms ?? 0) - since
      )
      assert.isAbove(third?.total_latency_ms ?? 0, (second?.total_latency_ms ?? 0) + (third?.final_latency_ms ?? 0))
      h.hangUp()
    }
  })

  it("counts another provider's call from its own start", () => {
    const h = turn({ ...allowing(["provider_switch"]), ...overloads(1) })
    h.runFor(5000)
    const models = h.invocations.filter(({ modality }) => modality === "llm")
    assert.deepStrictEqual(models.map(({ provider_id }) => provider_id).slice(1), ["test/second"])
    for (const facts of models) assert.notProperty(facts, "first_started_ms")
    h.hangUp()
  })

  it("is answered by the attempt that succeeds", () => {
    const h = turn({ ...allowing(["retry"]), ...overloads(2) })
    h.runFor(5000)
    assert.deepStrictEqual(
      h.invocations.map(({ attempts, modality, outcome_class }) => [modality, outcome_class, attempts]),
      [["llm", "overload", 1], ["llm", "overload", 2], ["llm", "success", 3], ["tts", "success", 1]]
    )
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("waits for at least as long as its vendor asked, and what it adds to that differs by session", () => {
    const wait = (session_id: string) => {
      const h = turn({ ...allowing(["retry"]), ...overloads(1, 600), header: { session_id } })
      h.runFor(5000)
      assert.include(h.signals, "commit")
      const [one = 0] = waits(h, "llm")
      h.hangUp()
      return one
    }
    const sessions = Array.from({ length: 12 }, (_, i) => `session_${i}`)
    const all = sessions.map(wait)
    assert.isTrue(all.every((ms) => ms >= 650 && ms <= 700), all.join())
    assert.isAbove(new Set(all).size, 4)
    assert.deepStrictEqual(sessions.map(wait), all, "the same session waits the same again")
  })

  it("goes on to another provider at once when the wait does not fit into the turn's budget", () => {
    const h = turn({ ...allowing(["retry", "provider_switch"]), ...overloads(1, 1800) })
    h.runFor(5000)
    assert.deepStrictEqual(h.started("llm").map(({ provider_id }) => provider_id), ["test/mind", "test/second"])
    assert.deepStrictEqual(waits(h, "llm"), [0])
    assert.deepStrictEqual(
      h.invocations.map(({ retry_decision }) => retry_decision),
      ["provider_switch", "none", "none"]
    )
    assert.lengthOf(retryTimers(h), 0)
    h.hangUp()
  })

  it("ends its turn at once when the wait does not fit and nobody else may do it", () => {
    const h = turn({ ...allowing(["retry"]), ...overloads(1, 60_000) })
    h.runFor(100)
    assert.include(h.signals, "abort(provider_failure)")
    assert.lengthOf(retryTimers(h), 0)
    h.hangUp()
  })

  it("goes by the path's budget where that is what is left", () => {
    const budgets = (path_budget_ms_default: number): Partial<NormalizedPipeline> => ({
      budgets: {
        turn_budget_ms: 2000,
        path_budget_ms_default,
        edge_budget_ms_default: 200,
        node_budget_ms_default: 800
      }
    })
    // 30 ms are gone; the wait is at most 100 ms, and 200 ms are for the call.
    const enough = turn({ ...allowing(["retry"], budgets(330)), ...overloads(1) })
    enough.runFor(40)
    assert.lengthOf(retryTimers(enough), 1)
    enough.hangUp()
    const short = turn({ ...allowing(["retry"], budgets(279)), ...overloads(1) })
    short.runFor(40)
    assert.lengthOf(retryTimers(short), 0)
    short.hangUp()
  })

  it("waits after a first result that was too late, too", () => {
    const h = turn({ ...allowing(["retry"]), llm: (_, call) => call === 1 ? silent : reply(10) })
    h.runFor(5000)
    const [one, two] = h.started("llm").map((start) =>
      h.invocations.find((facts) => facts.provider_invocation_id === start.provider_invocation_id)
    )
    assert.deepInclude(one, { outcome_class: "timeout", retry_decision: "retry", started_ms: 0 })
    assert.isTrue((two?.started_ms ?? 0) >= 1050 && (two?.started_ms ?? 0) <= 1100)
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("is not begun again when its turn ends meanwhile", () => {
    const h = turn({ ...allowing(["retry"]), ...overloads(9, 500) })
    h.runFor(100)
    const [timer] = retryTimers(h)
    assert.strictEqual(timer?.timer, "retry:inv_1")
    h.cancel()
    assert.deepStrictEqual(
      h.commands("disarm_timer").filter((one) => one.timer === timer?.timer).map(({ generation }) => generation),
      [timer?.generation]
    )
    h.runFor(3000)
    assert.lengthOf(h.started("llm"), 1)
    assert.deepInclude(h.invocations[0], { outcome_class: "overload", retry_decision: "retry", attempts: 1 })
    h.hangUp()
  })

  it("is not begun again when the caller hangs up meanwhile", () => {
    const h = turn({ ...allowing(["retry"]), ...overloads(9, 500) })
    h.runFor(100)
    h.hangUp()
    assert.lengthOf(h.started("llm"), 1)
  })

  it("is not tried again when it cannot help, or when it has given something", () => {
    for (const llm of [failing("blocked", { retryable: false }), failing("overload", { results: [10] })]) {
      const h = turn({ ...allowing(["retry"]), llm: () => llm })
      h.runFor(3000)
      assert.lengthOf(h.started("llm"), 1)
      assert.lengthOf(retryTimers(h), 0)
      h.hangUp()
    }
  })
})

describe("a voice that failed before it gave anything", () => {
  it("speaks its sentence after a wait, once, and the next ones after it", () => {
    const h = turn({
      ...allowing(["retry"]),
      llm: () => reply(20, 30),
      tts: (_, call) => call === 1 ? busy() : speech(300)
    })
    h.runFor(8000)
    const spoken = h.started("tts").map(({ segment_id }) => segment_id)
    assert.deepStrictEqual(spoken, ["turn_1_seg_1", "turn_1_seg_1", "turn_1_seg_2"])
    const [wait = 0] = waits(h, "tts")
    assert.isTrue(wait >= 50 && wait <= 100, `${wait} ms`)
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("may wait for a path's budget once speech is under way, and no longer", () => {
    const second = (retry_after_ms: number) => {
      const h = turn({
        ...allowing(["retry", "degrade"]),
        llm: () => reply(20, 30),
        tts: (_, call) => call === 2 ? busy(retry_after_ms) : speech(6000)
      })
      h.runFor(30_000)
      const made = h.started("tts").length
      h.hangUp()
      return made
    }
    assert.strictEqual(second(1600), 3)
    assert.strictEqual(second(2000), 2)
  })

  it("is not begun again when its turn is cancelled meanwhile", () => {
    const h = turn({ ...allowing(["retry"]), llm: () => reply(20), tts: () => busy(800) })
    h.runFor(400)
    assert.lengthOf(retryTimers(h), 1)
    h.cancel()
    h.runFor(3000)
    assert.lengthOf(h.started("tts"), 1)
    h.hangUp()
  })
})

describe("a recording of before", () => {
  const before = { behaviour_flags: Object.values(behaviourFlags).filter((flag) => flag !== behaviourFlags.attempts) }

  it("tries once more, at once, whatever its vendor asked", () => {
    const h = turn({ ...allowing(["retry"]), ...overloads(9, 5000), header: before })
    h.runFor(3000)
    assert.lengthOf(h.started("llm"), 2)
    assert.deepStrictEqual(waits(h, "llm"), [0])
    assert.lengthOf(retryTimers(h), 0)
    h.hangUp()
  })

  it("has the latency of the attempt alone for the total", () => {
    const behaviour_flags = Object.values(behaviourFlags).filter((flag) => flag !== behaviourFlags.totalOverAttempts)
    const h = turn({ ...allowing(["retry"]), ...overloads(2), header: { behaviour_flags } })
    h.runFor(5000)
    const second = h.invocations.find(({ attempts }) => attempts === 2)
    assert.notProperty(second, "first_started_ms")
    assert.strictEqual(second?.total_latency_ms, second?.final_latency_ms)
    h.hangUp()
  })
})

describe("the wait between attempts", () => {
  const ms = (attempt: number, name: string, retryAfter?: Duration.Duration) =>
    Duration.toMillis(backoffOf({ seed: 7, name, attempt, retryAfter }))
  const names = Array.from({ length: 200 }, (_, i) => `s/inv_${i}`)

  it("doubles, within half to all of its step, and never passes its cap", () => {
    for (const [attempt, step] of [[1, 100], [2, 200], [3, 400], [4, 800], [5, 1000], [30, 1000]] as const) {
      const all = names.map((name) => ms(attempt, name))
      assert.isAtLeast(Math.min(...all), step / 2)
      assert.isAtMost(Math.max(...all), step)
      assert.isAbove(Math.max(...all) - Math.min(...all), step * 0.4, "it is spread over the half")
    }
  })

  it("comes on top of what the vendor asked for", () => {
    const asked = Duration.seconds(2)
    for (const name of names) assert.strictEqual(ms(1, name, asked), 2000 + ms(1, name))
  })

  it("is a whole number of milliseconds", () => {
    assert.isTrue(names.every((name) => Number.isInteger(ms(2, name))))
    assert.isAbove(retryPolicy.attempts, 1)
  })
})
