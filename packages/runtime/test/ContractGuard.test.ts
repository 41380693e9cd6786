// Holds I-TURN-TERMINAL, I-TURN-CLOSE, I-OUT-AFTER-END, I-PLAN-FROZEN, I-CANCEL-FENCE, I-OUT-FENCE, I-CANCEL-SCOPE,
// I-EPOCH-OUT, I-SEQ-DENSE, I-STATE-DISPOSED, I-EDGE-BOUND: each is broken here on purpose.
import { assert, describe, it } from "@effect/vitest"
import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import { ContractGuard } from "@rspp/runtime/authority/ContractGuard"
import type { SessionGuard } from "@rspp/runtime/authority/ContractGuard"
import { InvariantBroken } from "@rspp/runtime/authority/InvariantBroken"
import { EventGateway } from "@rspp/runtime/events/EventGateway"
import type { SessionGateway } from "@rspp/runtime/events/EventGateway"
import { assertBounded } from "@rspp/runtime/flow/EdgeBuffer"
import { KernelContext } from "@rspp/runtime/kernel/KernelContext"
import { Effect, Layer } from "effect"
import { KernelHarness } from "./support/KernelHarness.ts"
import { literalHeader } from "./support/LiteralSession.ts"

const services = Effect.runSync(
  Effect.provide(
    Effect.all({ gateways: EventGateway, guards: ContractGuard }),
    Layer.mergeAll(EventGateway.layer, ContractGuard.layer)
  )
)

const planned = (): ResolvedTurnPlan => {
  const h = KernelHarness.ready()
  h.type()
  const { plan } = h
  h.hangUp()
  return plan
}
const plan = planned()
const turn_id = plan.turn_id
const about = { turn_id } as const

interface Bench {
  readonly context: KernelContext
  readonly gateway: SessionGateway
  readonly guard: SessionGuard
  /** One step: what `say` puts out is checked. */
  readonly step: (say: () => void) => void
  readonly command: (command: SessionCommand) => void
  readonly plan: (plan: ResolvedTurnPlan) => void
}

const bench = (): Bench => {
  const context = new KernelContext(literalHeader())
  const gateway = services.gateways.open(context)
  const guard = services.guards.open(context, gateway)
  context.epoch = 1
  return {
    context,
    gateway,
    guard,
    step: (say) => {
      context.causeSequence = context.takeSequence()
      context.outputs = []
      say()
      guard.check(context.outputs)
    },
    command: (command) => context.command(command),
    plan: (own) =>
      context.outputs.push({
        record: "plan",
        runtime_sequence: context.takeSequence(),
        runtime_timestamp_ms: 0,
        plan: own
      })
  }
}

const open = (): Bench => {
  const b = bench()
  b.step(() => {
    b.plan(plan)
    b.gateway.signal("turn_open", "RK-03", about)
  })
  return b
}
const breaks = (invariant: string, b: Bench, ...steps: ReadonlyArray<() => void>): void => {
  const last = steps.at(-1)
  for (const say of steps.slice(0, -1)) b.step(say)
  try {
    b.step(last ?? (() => {}))
  } catch (cause) {
    assert.instanceOf(cause, InvariantBroken)
    assert.strictEqual(cause.invariant, invariant)
    return
  }
  assert.fail(`${invariant} was broken and the guard said nothing`)
}
const output = (epoch = 1): SessionCommand => ({
  type: "enqueue_output",
  turn_id,
  segment_id: "seg",
  handle_id: "voice",
  authority_epoch: epoch
})
const fence: SessionCommand = { type: "fence_output", turn_id, authority_epoch: 1, reason: "cut" }

describe("the contract guard", () => {
  it("lets pass what is right", () => {
    const b = open()
    b.step(() => b.command(output()))
    b.step(() => {
      b.gateway.signal("cancel", "RK-16", { ...about, scope: "turn", reason: "cut" })
      b.command(fence)
    })
    b.step(() => {
      b.gateway.signal("abort", "RK-03", { ...about, reason: "cancelled" })
      b.gateway.signal("close", "RK-03", about)
    })
  })

  it("sees a second terminal", () => {
    const b = open()
    const commit = () => void b.gateway.signal("commit", "RK-03", about)
    breaks("I-TURN-TERMINAL", b, commit, commit)
  })

  it("sees a close that no terminal went before", () => {
    const b = open()
    breaks("I-TURN-CLOSE", b, () => void b.gateway.signal("close", "RK-03", about))
  })

  it("sees lifecycle and output after the terminal", () => {
    for (
      const say of [(b: Bench) => void b.gateway.signal("turn_open", "RK-03", about), (b: Bench) => b.command(output())]
    ) {
      const b = open()
      breaks("I-OUT-AFTER-END", b, () => void b.gateway.signal("commit", "RK-03", about), () => say(b))
    }
  })

  it("sees a second plan, and one that can be changed", () => {
    const b = open()
    breaks("I-PLAN-FROZEN", b, () => b.plan(plan))
    const other = bench()
    breaks("I-PLAN-FROZEN", other, () => other.plan({ ...plan }))
    assert.throws(() => Object.assign(plan.budgets, { turn_budget_ms: 1 }), TypeError)
  })

  it("sees a cancel without a fence, and work between the two", () => {
    const cancel = (b: Bench) => b.gateway.signal("cancel", "RK-16", { ...about, scope: "turn", reason: "cut" })
    const b = open()
    breaks("I-CANCEL-FENCE", b, () => void cancel(b))
    const other = open()
    breaks("I-CANCEL-FENCE", other, () => {
      cancel(other)
      other.command({ type: "end_output", turn_id })
      other.command(fence)
    })
  })

  it("sees a cancel without a scope", () => {
    const b = open()
    breaks("I-CANCEL-SCOPE", b, () => void b.gateway.signal("cancel", "RK-16", { ...about, reason: "cut" }))
  })

  it("sees output of a fenced turn, and of another epoch", () => {
    const fenced = open()
    breaks("I-OUT-FENCE", fenced, () => fenced.command(fence), () => fenced.command(output()))
    const stale = open()
    breaks("I-EPOCH-OUT", stale, () => stale.command(output(7)))
  })

  it("sees a number that is missing", () => {
    const b = open()
    breaks("I-SEQ-DENSE", b, () => {
      b.context.takeSequence()
      b.gateway.signal("commit", "RK-03", about)
    })
  })

  it("sees state of a turn that outlives it", () => {
    const b = open()
    breaks("I-STATE-DISPOSED", b, () => {
      b.context.arm(`budget.turn:${turn_id}`, 100)
      b.gateway.signal("commit", "RK-03", about)
      b.gateway.signal("close", "RK-03", about)
    })
  })

  it("sees an edge that holds more than it may", () => {
    const [policy] = Object.values(plan.edge_buffer_policies)
    assert.ok(policy !== undefined)
    const most = { items: policy.max_queue_items, bytes: policy.max_queue_bytes, ms: policy.max_queue_ms }
    assertBounded("e", most, policy)
    for (const dimension of ["items", "bytes", "ms"] as const) {
      assert.throws(() => assertBounded("e", { ...most, [dimension]: most[dimension] + 1 }, policy), /I-EDGE-BOUND/u)
    }
  })
})
