// Holds I-TRIAL-ONE, I-TRIAL-ENDS: a half-open circuit is tried by one call at a time, which decides it for the session.
import { assert, describe, it } from "@effect/vitest"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { HarnessOptions, Scripted } from "./support/KernelHarness.ts"
import { failing, KernelHarness, openKernel, reply, silent, speech } from "./support/KernelHarness.ts"
import { literalPipeline } from "./support/LiteralSession.ts"

const bindings = {
  ...literalPipeline().provider_bindings,
  "stt.fallback": "test/ear2",
  "llm.fallback": "test/mind2",
  "tts.fallback": "test/voice2"
}
const actions = ["retry", "provider_switch"] as const

const session = (providers: Record<string, string>, options: HarnessOptions = {}, spares = true) =>
  KernelHarness.ready({
    llm: () => reply(20, 30),
    ...options,
    pipeline: (base) => ({
      ...base,
      allowed_adaptive_actions: actions,
      ...(spares ? { provider_bindings: bindings } : {})
    }),
    snapshots: { provider_health_snapshot: { providers } }
  })

const told = (h: KernelHarness, providers: Record<string, string>) =>
  h.snapshots({ provider_health_snapshot: { providers } })

const called = (h: KernelHarness, modality: "llm" | "tts" | "stt") =>
  h.started(modality).map(({ provider_id }) => provider_id)

const turn = (h: KernelHarness) => {
  h.type()
  h.runFor(3000)
}

const circuits = (h: KernelHarness) => h.signals.filter((name) => name.startsWith("circuit_event"))

/** The same inputs into a kernel of the same header: what a replay does. */
const again = (h: KernelHarness): ReadonlyArray<KernelOutput> => {
  const kernel = openKernel(h.header)
  return h.inputs.flatMap(({ at, input }) => kernel.step(input, at).outputs)
}

/** Calls of a provider that began while one that was trying its half-open circuit had not ended. */
const together = (outputs: ReadonlyArray<KernelOutput>, provider: string): ReadonlyArray<string> => {
  const live = new Set<string>()
  const found: Array<string> = []
  for (const output of outputs) {
    if (output.record === "invocation") live.delete(output.invocation.provider_invocation_id)
    if (output.record !== "command" || output.command.type !== "start_invocation") continue
    const { provider_id, provider_invocation_id } = output.command
    if (provider_id !== provider) continue
    if (live.size > 0) found.push(provider_invocation_id)
    live.add(provider_invocation_id)
  }
  return found
}

describe("a half-open circuit", () => {
  it("is tried by one turn, without retry, and a success closes it for the session", () => {
    const h = session({ "test/mind": "half_open" })
    turn(h)
    assert.deepStrictEqual(called(h, "llm"), ["test/mind"])
    assert.deepStrictEqual([...h.plan.allowed_adaptive_actions], ["provider_switch"])
    assert.deepStrictEqual(circuits(h), ["circuit_event(closed:test/mind)"])
    turn(h)
    assert.deepStrictEqual([...h.plan.allowed_adaptive_actions], [...actions])
    assert.deepStrictEqual(called(h, "llm"), ["test/mind", "test/mind"])
    // the control plane has heard of it too: nothing is new
    told(h, {})
    assert.lengthOf(circuits(h), 1)
    h.hangUp()
  })

  it("opens for the session when the trial fails: the turn goes on with the stand-in, and so do those after it", () => {
    const h = session({ "test/mind": "half_open" }, {
      llm: ({ provider_id }) => provider_id === "test/mind" ? failing("overload") : reply(20, 30)
    })
    turn(h)
    assert.deepStrictEqual(called(h, "llm"), ["test/mind", "test/mind2"])
    assert.deepStrictEqual(circuits(h), ["circuit_event(open:test/mind)"])
    assert.include(h.signals, "commit")
    turn(h)
    assert.deepStrictEqual(called(h, "llm").slice(2), ["test/mind2"])
    // cooled down: told so twice, with the change in between, it may be tried again
    told(h, { "test/mind": "open" })
    told(h, { "test/mind": "half_open" })
    assert.deepStrictEqual(circuits(h).slice(1), ["circuit_event(half_open:test/mind)"])
    turn(h)
    assert.deepStrictEqual(called(h, "llm").slice(3), ["test/mind", "test/mind2"])
    h.hangUp()
  })

  it("is not tried twice in a turn: the sentences after a failed trial are the stand-in's", () => {
    const h = session({ "test/voice": "half_open" }, {
      llm: () => reply(20, 30, 40),
      tts: ({ provider_id }) => provider_id === "test/voice" ? failing("timeout") : speech(200)
    })
    turn(h)
    assert.deepStrictEqual(called(h, "tts"), ["test/voice", "test/voice2", "test/voice2", "test/voice2"])
    h.hangUp()
  })

  it("is not retried either by a turn that was planned before it was half-open", () => {
    const h = session({}, {
      llm: () => ({ ...reply(20, 30), stepMs: 400 }),
      tts: ({ provider_id }, call) => provider_id === "test/voice" && call > 1 ? failing("timeout") : speech(200)
    })
    h.type()
    h.runFor(400)
    told(h, { "test/voice": "half_open" })
    h.runFor(5000)
    assert.include(h.plan.allowed_adaptive_actions, "retry")
    assert.deepStrictEqual(called(h, "tts"), ["test/voice", "test/voice", "test/voice2"])
    h.hangUp()
  })

  it("is left by the sentence that tried it well: one voice for the reply", () => {
    const h = session({ "test/voice": "half_open" }, { llm: () => reply(20, 30, 40) })
    turn(h)
    assert.deepStrictEqual(called(h, "tts"), ["test/voice", "test/voice", "test/voice"])
    assert.deepStrictEqual(together(h.outputs, "test/voice"), [])
    h.hangUp()
  })

  it.each(["cancelled", "blocked"] as const)("is not decided by a call that was %s", (outcome) => {
    const h = session({ "test/mind": "half_open" }, { llm: (_, call) => call === 1 ? silent : reply(20) })
    h.type()
    h.runFor(200)
    if (outcome === "cancelled") h.cancel()
    else {
      h.step({
        type: "invocation_ended",
        provider_invocation_id: h.started("llm")[0]?.provider_invocation_id ?? "",
        outcome_class: outcome,
        retryable: false,
        attempts: 1,
        late_outputs: 0
      })
    }
    h.runFor(3000)
    assert.deepStrictEqual(circuits(h), [])
    turn(h)
    assert.strictEqual(called(h, "llm").at(-1), "test/mind")
    assert.deepStrictEqual(circuits(h), ["circuit_event(closed:test/mind)"])
    h.hangUp()
  })

  it("is not decided by a call that there was no room for", () => {
    const h = session({ "test/mind": "half_open" }, { llm: () => silent })
    h.type()
    const id = h.started("llm")[0]?.provider_invocation_id ?? ""
    h.step({ type: "dispatch_shed", provider_invocation_id: id, reason: "pool_full" })
    h.step({
      type: "invocation_ended",
      provider_invocation_id: id,
      outcome_class: "overload",
      retryable: false,
      attempts: 1,
      late_outputs: 0
    })
    assert.deepStrictEqual(circuits(h), [])
    h.hangUp()
  })

  it("is tried by one call at a time: a turn that comes while the last one's has not ended takes the stand-in", () => {
    const held = (): [KernelHarness, () => ReadonlyArray<string>] => {
      const h = session({ "test/mind": "half_open" }, {
        llm: ({ provider_id }) => provider_id === "test/mind" ? silent : reply(20),
        cancelAckMs: 5000
      })
      h.type()
      h.runFor(200)
      h.cancel()
      h.runFor(100)
      return [h, () => called(h, "llm")]
    }
    const [h, calls] = held()
    turn(h)
    assert.deepStrictEqual(calls(), ["test/mind", "test/mind2"])
    assert.deepStrictEqual(together(h.outputs, "test/mind"), [])
    // it has ended, and said nothing: the next one tries, in vain
    h.runFor(5000)
    turn(h)
    assert.deepStrictEqual(calls(), ["test/mind", "test/mind2", "test/mind", "test/mind2"])
    h.hangUp()
  })

  it("with no stand-in, a turn is deferred while another call tries it", () => {
    const h = session({ "test/mind": "half_open" }, { llm: () => silent, cancelAckMs: 5000 }, false)
    h.type()
    h.runFor(200)
    h.cancel()
    h.runFor(100)
    h.forget()
    h.type()
    assert.include(h.signals, "defer(provider_unhealthy:test/mind)")
    h.hangUp()
  })

  it("was bound like a closed one by kernels of before, and a replay of theirs does so", () => {
    const flags = Object.values(behaviourFlags).filter((flag) => flag !== behaviourFlags.trials)
    const h = session({ "test/mind": "half_open" }, {
      header: { behaviour_flags: flags },
      llm: () => silent,
      cancelAckMs: 5000
    })
    h.type()
    h.runFor(200)
    h.cancel()
    h.runFor(100)
    assert.deepStrictEqual([...h.plan.allowed_adaptive_actions], [...actions])
    h.type()
    assert.deepStrictEqual(called(h, "llm"), ["test/mind", "test/mind"])
    // so the check above can see two at once
    assert.lengthOf(together(h.outputs, "test/mind"), 1)
    h.hangUp()
  })

  it("decides the same from the same inputs", () => {
    const outcomes = ["overload", "success", "timeout", "cancelled", "success", "infrastructure_failure"] as const
    let call = 0
    const script = (): Scripted => {
      const outcome = outcomes[call++ % outcomes.length] ?? "success"
      return outcome === "success" ? reply(20, 30) : outcome === "cancelled" ? silent : failing(outcome)
    }
    const h = session({ "test/mind": "half_open", "test/voice": "half_open" }, { llm: script })
    for (let at = 0; at < 12; at++) {
      h.type()
      h.runFor(at % 3 === 0 ? 250 : 6000)
      if (at % 4 === 0) h.cancel()
      told(h, {
        "test/mind": at % 2 === 0 ? "open" : "half_open",
        ...(at % 5 === 0 ? {} : { "test/voice": "half_open" })
      })
    }
    h.hangUp()
    assert.isAbove(circuits(h).length, 5)
    assert.deepStrictEqual(again(h), h.outputs)
    for (const provider of ["test/mind", "test/voice"]) assert.deepStrictEqual(together(h.outputs, provider), [])
  })
})

describe("an open circuit", () => {
  it("of the recogniser, open and without a stand-in: it goes on, and turns are not deferred", () => {
    const h = session({ "test/ear": "open" }, {}, false)
    turn(h)
    assert.include(h.signals, "commit")
    assert.strictEqual(h.plan.provider_bindings["stt"], "test/ear")
    h.hangUp()
  })

  it("of the recogniser: its stand-in listens, and no stand-in that is down itself", () => {
    const heardBy = (providers: Record<string, string>, spares = true) => {
      const h = session(providers, {}, spares)
      h.speak(500)
      h.runFor(2000)
      const calls = called(h, "stt")
      h.hangUp()
      return calls
    }
    assert.deepStrictEqual(heardBy({ "test/ear": "open" }), ["test/ear2"])
    assert.deepStrictEqual(heardBy({ "test/ear": "open", "test/ear2": "open" }), ["test/ear"])
    assert.deepStrictEqual(heardBy({ "test/ear": "open" }, false), ["test/ear"])
    assert.deepStrictEqual(heardBy({ "test/ear": "half_open" }), ["test/ear"])
  })

  it.each([["open", 0], ["half_open", 0], ["closed", 1]] as const)(
    "of a model: it is asked early only when it is closed, and it is %s",
    (state, early) => {
      const h = session({ "test/mind": state }, { config: { speculation: { preemptive: true } } })
      h.speak(500)
      h.runFor(5000)
      assert.lengthOf(h.events.filter(({ reason }) => reason === "speculation_started"), early)
      assert.include(h.signals, "commit")
      h.hangUp()
    }
  )
})
