import type { Mutant } from "./Mutant.ts"

const edgeRun = "packages/runtime/src/graph/EdgeRun.ts"
const modelRun = "packages/runtime/src/graph/ModelRun.ts"
const recovery = "packages/runtime/src/graph/Recovery.ts"
const turnGraph = "packages/runtime/src/graph/TurnGraph.ts"
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
    file: turnGraph,
    what: "a sentence or chunk that an edge drops is lost without a notice",
    find: `    this.gateway.signal("drop_notice", "RK-12", {`,
    replace: `    if (edgeId === "") this.gateway.signal("drop_notice", "RK-12", {`
  },
  {
    id: "blocked-edge-never-released",
    file: flow,
    what: "the producer of an edge that was full is never told to go on",
    find: "context.command({ type: \"resume_invocation\", provider_invocation_id: held })",
    replace: "void held"
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
    id: "blocked-sentence-overtaken",
    file: edgeRun,
    what: "a sentence overtakes the one that waits for room",
    find: "    if (this.#blocked.length > 0) {\n      // Behind",
    replace: "    if (this.#blocked.length > 99) {\n      // Behind"
  },
  {
    id: "turn-budget-never-armed",
    file: budget,
    what: "a turn may take as long as it likes to its first output",
    find: "    context.arm(timer, context.now + turn_budget_ms)\n",
    replace: ""
  },
  {
    id: "turn-budget-not-settled",
    file: budget,
    what: "the budget to the first output runs on after the first output",
    find: "    for (const timer of envelope.timers) this.#context.disarm(timer)",
    replace: `    for (const timer of envelope.timers) if (timer.includes("_soft:")) this.#context.disarm(timer)`
  },
  {
    id: "first-result-never-late",
    file: budget,
    what: "a provider call may take as long as it likes to its first result",
    find: "    context.arm(call.firstTimer, now + capMs)\n",
    replace: ""
  },
  {
    id: "switch-not-allowed",
    file: recovery,
    what: "a provider is switched where the plan does not allow it",
    find:
      "  if (action === undefined || spare === undefined || spare === invocation.provider) return undefined\n  invocation.decision = action\n",
    replace:
      "  if (spare === undefined || spare === invocation.provider) return undefined\n  invocation.decision = action ?? \"fallback\"\n"
  },
  {
    id: "retry-after-output",
    file: modelRun,
    what: "a call that has given something is tried again, so that the caller hears it twice",
    find: "    const silent = invocation.firstResultMs === undefined\n",
    replace: "    const silent = true\n"
  },
  {
    id: "retry-without-bound",
    file: recovery,
    what: "a call is tried again for as long as it fails",
    find: "  if (attempts >= retryPolicy.attempts) return undefined\n",
    replace: ""
  },
  {
    id: "retry-at-once",
    file: "packages/runtime/src/graph/NodeRun.ts",
    what: "a call is tried again without its wait",
    find: "    if (afterMs === undefined) return start()\n",
    replace: "    if (afterMs !== Infinity) return start()\n"
  },
  {
    id: "retry-before-its-vendor-asked",
    file: "packages/runtime/src/invocation/RetryBackoff.ts",
    what: "how long a vendor asked to wait does not matter",
    find: "  return Duration.sum(retryAfter, ",
    replace: "  return Duration.sum(Duration.times(retryAfter, 0), "
  },
  {
    id: "retry-past-the-budget",
    file: recovery,
    what: "a call waits to be tried again for longer than its turn has",
    find: "  if (Duration.isGreaterThan(Duration.sum(wait, retryPolicy.leastCall), left)) return undefined\n",
    replace: "  void left\n"
  },
  {
    id: "retry-after-the-end",
    file: turnGraph,
    what: "a turn that ends leaves a call to be tried again",
    find: "      else run.stop?.()\n",
    replace: ""
  },
  {
    id: "attempts-of-an-adapter-uncounted",
    file: "packages/runtime/src/invocation/InvocationLedger.ts",
    what: "requests that an adapter made besides are not counted",
    find: "invocation.attempts + input.attempts - 1",
    replace: "invocation.attempts"
  },
  {
    id: "failure-ignored",
    file: "packages/runtime/src/kernel/SessionKernel.ts",
    what: "a turn whose provider failed for good stays open",
    find: `    if (reason !== undefined) turns.end({ kind: "failure", reason })
    turns.checkComplete()`,
    replace: "    if (reason !== undefined) return\n    turns.checkComplete()"
  },
  {
    id: "cut-off-removed",
    file: runner,
    what: "a provider call that does not die is waited for without a bound",
    find: "      if (!call.over) bind(call, graceMs, () => Exit.interrupt(), true)\n",
    replace: ""
  },
  {
    id: "provider-never-interrupted",
    file: runner,
    what: "a cancel does not interrupt the call; it is only given up after its grace",
    find: "      if (call.node === undefined || call.node.cancel(reason)) call.fiber?.interruptUnsafe()\n",
    replace: ""
  },
  {
    id: "end-reported-twice",
    file: "packages/runtime/src/invocation/InvocationLedger.ts",
    what: "the end of a call is recorded each time that it is reported",
    find: "      live.delete(invocation.id)\n",
    replace: ""
  }
]
