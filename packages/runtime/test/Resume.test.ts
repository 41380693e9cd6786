// Holds I-STATE-FENCE.
import { assert, describe, it } from "@effect/vitest"
import type { InputOf } from "@rspp/contracts/SessionInput"
import { layerMemory, SessionStateStore } from "@rspp/runtime/ports/SessionStateStore"
import type { DurableState } from "@rspp/runtime/ports/SessionStateStore"
import { openStateKeeper } from "@rspp/runtime/session/StateKeeper"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { KernelHarness } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"
import { oneSentence, startLive } from "./support/LiveSession.ts"

const pass = (ms: number) =>
  Effect.gen(function*() {
    for (let gone = 0; gone < ms; gone += 10) yield* TestClock.adjust(10)
  })

/** A kernel that takes over what another one has left. */
const takenOver = (before: KernelHarness, options: HarnessOptions = {}, keys: ReadonlyArray<string> = []) => {
  const { conversation, ...counts } = before.session.durable()
  const harness = new KernelHarness(options)
  harness.step({ type: "session_started" })
  const resumed: InputOf<"session_resumed"> = {
    type: "session_resumed",
    ...counts,
    idempotency_keys: keys,
    conversation
  }
  harness.step(resumed)
  harness.snapshots({ routing_view_snapshot: { authority_epoch: 2 } })
  return harness
}

const spoken = () => {
  const before = KernelHarness.ready()
  before.type(7)
  before.runFor(5000)
  before.type(9)
  before.runFor(5000)
  return before
}

describe("a session that is taken over (F8)", () => {
  it("asks for its state to be kept whenever the conversation has changed, and not otherwise", () => {
    const harness = KernelHarness.ready()
    harness.runFor(5000)
    assert.deepStrictEqual(harness.commands("keep_state"), [])
    harness.type(7)
    harness.runFor(200)
    assert.strictEqual(harness.commands("keep_state").length, 1, "what the caller said")
    harness.runFor(8000)
    assert.isAbove(harness.commands("keep_state").length, 1, "what was heard of the reply")
    harness.hangUp()
  })

  it("goes on under a higher epoch: markers, ids that were not given out, and the conversation", () => {
    const before = spoken()
    const harness = takenOver(before)
    harness.lease("issued", 2)
    harness.connection("connected")
    assert.deepStrictEqual(
      harness.signals.filter((signal) => /lease|migration|handoff/u.test(signal)),
      ["lease_rotated", "migration_start", "migration_finish", "session_handoff"]
    )
    assert.strictEqual(harness.signal("session_handoff")?.authority_epoch, 2)
    harness.type(5)
    harness.runFor(6000)
    const [model] = harness.started("llm")
    assert.deepStrictEqual(model?.conversation?.map(({ role }) => role), [
      "user",
      "assistant",
      "user",
      "assistant",
      "user"
    ])
    assert.strictEqual(harness.plan.turn_id, "turn_3")
    const old = new Set(before.invocations.map((facts) => facts.provider_invocation_id))
    for (const { provider_invocation_id } of harness.invocations) assert.isFalse(old.has(provider_invocation_id))
    assert.include(harness.signals, "commit")
    harness.hangUp()
    before.hangUp()
  })

  it("holds no epoch that another placement has held", () => {
    const before = spoken()
    const harness = takenOver(before)
    harness.lease("issued", 1)
    assert.include(harness.signals, "stale_epoch_reject(lease_of_a_lost_epoch)")
    harness.connection("connected")
    harness.type(5)
    harness.runFor(1000)
    assert.notInclude(harness.signals, "turn_open")
    harness.hangUp()
    before.hangUp()
  })

  it("does not do again what was done: keys and quota go on", () => {
    const before = spoken()
    const quota = { admission_policy_snapshot: { max_turns_per_session: 2, over_quota: "reject", reason: "quota" } }
    const harness = takenOver(before, {}, ["text/k1"])
    harness.lease("issued", 2)
    harness.connection("connected")
    harness.step({ type: "typed_text", handle: harness.text(5), idempotency_key: "k1" })
    assert.notInclude(harness.signals, "turn_open_proposed")
    harness.snapshots({ ...quota, routing_view_snapshot: { authority_epoch: 2 } })
    harness.type(5)
    harness.runFor(100)
    assert.include(harness.signals, "reject(quota)")
    harness.hangUp()
    before.hangUp()
  })
})

const state = (authority_epoch: number, revision: number): DurableState => ({
  session_id: "s1",
  authority_epoch,
  revision,
  turns: 1,
  invocations: 1,
  accepted_turns: 1,
  idempotency_keys: [],
  conversation: []
})

describe("the store of session state", () => {
  it.effect("refuses a writer whose epoch is over (I-STATE-FENCE)", () =>
    Effect.gen(function*() {
      const store = yield* SessionStateStore
      yield* store.save(state(2, 1))
      const failure = yield* Effect.flip(store.save(state(1, 9)))
      assert.strictEqual(failure.reason, "stale_epoch")
      assert.strictEqual((yield* store.load("s1"))?.authority_epoch, 2)
    }).pipe(Effect.provide(layerMemory)))

  it.effect("is written at most once at a time, with the newest state; the last is written at the end", () =>
    Effect.gen(function*() {
      const written: Array<number> = []
      const slow = {
        load: () => Effect.succeed(undefined),
        save: (kept: DurableState) => Effect.as(Effect.sleep(100), void written.push(kept.turns))
      }
      const fiber = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
        const keeper = yield* openStateKeeper(slow, [])
        for (const turns of [1, 2, 3]) {
          keeper.keep({ ...state(1, 1), turns })
          yield* Effect.yieldNow
          yield* Effect.yieldNow
        }
        yield* Effect.sleep(50)
        keeper.keep({ ...state(1, 1), turns: 4 })
        yield* Effect.sleep(500)
        keeper.keep({ ...state(1, 1), turns: 5 })
      })))
      yield* pass(1500)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      assert.deepStrictEqual(written, [1, 4, 5])
    }))
})

describe("two runtimes, one after the other", () => {
  it.effect("the second knows what was said, and does not take the same message twice", () =>
    Effect.gen(function*() {
      const asked: Array<ReadonlyArray<string>> = []
      const options = {
        llm: (messages: ReadonlyArray<{ readonly role: string; readonly text: string }>) => {
          asked.push(messages.map(({ role, text }) => `${role}: ${text}`))
          return oneSentence(messages as never)
        }
      }
      const first = yield* startLive({ ...options, epoch: 1 })
      first.ingress.text("what is the time", "k1")
      yield* pass(1500)
      // The process dies: nothing is closed in order.
      yield* Fiber.interrupt(first.fiber)
      yield* pass(500)
      const second = yield* startLive({ ...options, epoch: 2, resume: true })
      second.ingress.text("what is the time", "k1")
      yield* pass(200)
      assert.strictEqual(asked.length, 1)
      second.ingress.text("and in Rome", "k2")
      yield* pass(1500)
      assert.deepStrictEqual(asked.at(-1), ["user: what is the time", "assistant: Fine.", "user: and in Rome"])
      assert.includeMembers([...second.signals()], ["lease_rotated", "session_handoff", "commit"])
      yield* second.hangUp
      yield* pass(300)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(second.fiber)))
    }).pipe(Effect.provide(layerMemory)))
})
