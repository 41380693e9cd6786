import type { Mutant } from "./Mutant.ts"

const reply = "packages/runtime/src/graph/ReplyExecution.ts"
const flow = "packages/runtime/src/flow/FlowControl.ts"
const buffer = "packages/runtime/src/flow/EdgeBuffer.ts"
const budget = "packages/runtime/src/limits/Budget.ts"
const runner = "packages/runtime/src/invocation/InvocationRunner.ts"

/** Defects in provider calls, their budgets, and the edges between them. */
export const providerMutants: ReadonlyArray<Mutant> = [
  {
    id: "buffer-bound-ignored",
    file: buffer,
    what: "an edge takes more items than its bound",
    find: "this.#items + 1 <= policy.max_queue_items && ",
    replace: ""
  },
  {
    id: "drop-notice-omitted",
    file: reply,
    what: "a sentence or chunk that an edge drops is lost without a notice",
    find: `    gateway.signal("drop_notice", "RK-12", {`,
    replace: `    if (edge === "") gateway.signal("drop_notice", "RK-12", {`
  },
  {
    id: "blocked-edge-never-released",
    file: flow,
    what: "the producer of an edge that was full is never told to go on",
    find:
      `            if (held === producer) context.command({ type: "resume_invocation", provider_invocation_id: held })\n`,
    replace: ""
  },
  {
    id: "credit-never-granted",
    file: flow,
    what: "an edge that has drained grants no credit",
    find: "if (free > 0) gateway",
    replace: "if (free < 0) gateway"
  },
  {
    id: "high-mark-ignored",
    file: flow,
    what: "a producer goes on past the high mark of its edge",
    find: `            if (crossing === "high") hold(edgeId, edge, producer, "high_watermark")\n            else`,
    replace: `            if (crossing === "low")`
  },
  {
    id: "blocked-speech-overtaken",
    file: reply,
    what: "a chunk of speech overtakes the one that waits for room",
    find: "    if (this.#blockedChunks.length > 0) {\n      this.#blockedChunks.push",
    replace: "    if (this.#blockedChunks.length > 99) {\n      this.#blockedChunks.push"
  },
  {
    id: "turn-budget-never-armed",
    file: budget,
    what: "a turn may take as long as it likes to its first output",
    find:
      "        context.arm(`budget.turn:${plan.turn_id}`, context.now + plan.budgets.turn_budget_ms)\n        context.arm(`budget.path:${plan.turn_id}`, context.now + plan.budgets.path_budget_ms_default)\n",
    replace: ""
  },
  {
    id: "turn-budget-not-settled",
    file: budget,
    what: "the budget to the first output runs on after the first output",
    find: "        context.disarm(`budget.turn:${turnId}`)\n        context.disarm(`budget.path:${turnId}`)\n",
    replace: ""
  },
  {
    id: "first-result-never-late",
    file: budget,
    what: "a provider call may take as long as it likes to its first result",
    find: "        context.arm(`budget.call:${invocation}`, context.now + capMs)\n",
    replace: ""
  },
  {
    id: "switch-not-allowed",
    file: reply,
    what: "a provider is switched where the plan does not allow it",
    find: "if (silent && action !== undefined && spare",
    replace: "if (silent && spare"
  },
  {
    id: "retry-after-output",
    file: reply,
    what: "a call that has given something is tried again, so that the caller hears it twice",
    find: "if (silent && retryable && allowed",
    replace: "if (retryable && allowed"
  },
  {
    id: "retry-without-bound",
    file: reply,
    what: "a call is tried again for as long as it fails",
    find: "invocation.attempts < maxAttempts",
    replace: "invocation.attempts < 1000"
  },
  {
    id: "failure-ignored",
    file: "packages/runtime/src/kernel/SessionKernel.ts",
    what: "a turn whose provider failed for good stays open",
    find: `    if (!reply.recover(invocation, outcome, retryable)) {
      turns.end({ kind: "failure", reason: "provider_failure" })
    }`,
    replace: "    reply.recover(invocation, outcome, retryable)"
  },
  {
    id: "cut-off-removed",
    file: runner,
    what: "a provider call that does not die is waited for without a bound",
    find: "      if (!call.over) bind(call, graceMs, () => Exit.interrupt())\n",
    replace: ""
  },
  {
    id: "provider-never-interrupted",
    file: runner,
    what: "a cancel does not interrupt the call; it is only given up after its grace",
    find: `      call.cancelled = true
      call.fiber?.interruptUnsafe()`,
    replace: "      call.cancelled = true"
  },
  {
    id: "end-reported-twice",
    file: "packages/runtime/src/invocation/InvocationLedger.ts",
    what: "the end of a call is recorded each time that it is reported",
    find: "      live.delete(invocation.id)\n",
    replace: ""
  }
]
