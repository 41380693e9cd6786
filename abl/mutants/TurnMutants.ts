import type { Mutant } from "./Mutant.ts"

const lifecycle = "packages/runtime/src/turn/TurnLifecycle.ts"
const arbiter = "packages/runtime/src/turn/TurnArbiter.ts"
const kernel = "packages/runtime/src/kernel/SessionKernel.ts"

/** Defects in how turns open, end and follow each other. */
export const turnMutants: ReadonlyArray<Mutant> = [
  {
    id: "close-dropped",
    file: lifecycle,
    what: "no close follows the terminal",
    find: `    gateway.signal("close", "RK-03", { turn_id: turn.turnId })\n`,
    replace: ""
  },
  {
    id: "terminal-twice",
    file: lifecycle,
    what: "a turn is still the open one after its terminal, and ends again",
    find: "    this.#active = undefined\n    this.#followed.push(turn)",
    replace: "    this.#followed.push(turn)"
  },
  {
    id: "turn-beside-open-turn",
    file: lifecycle,
    what: "a turn opens at once, while the one before it is still ending",
    find: "    if (this.#active === undefined) {\n      this.#open(intent)",
    replace: "    if (this.#pending === undefined) {\n      this.#open(intent)"
  },
  {
    id: "pending-opened-twice",
    file: lifecycle,
    what: "an intent that waited for a turn to end is opened again after the next one",
    find: "    this.#pending = undefined\n    if (pending !== undefined) this.#open(pending)",
    replace: "    if (pending !== undefined) this.#open(pending)"
  },
  {
    id: "pending-forgotten",
    file: lifecycle,
    what: "an intent that waited for a turn to end is dropped without a word",
    find: "    if (pending !== undefined) this.#open(pending)",
    replace: ""
  },
  {
    id: "supersede-without-cancel",
    file: lifecycle,
    what: "a new intent does not cancel the turn that is speaking",
    find: `    if (audible !== undefined) this.cancel(audible, "turn", "superseded")\n`,
    replace: ""
  },
  {
    id: "commit-before-append",
    file: lifecycle,
    what: "a turn commits without waiting for its evidence to be appended",
    find: `    this.#parts.context.command({ type: "append_evidence", turn_id: turn.turnId })`,
    replace: `    this.#parts.context.command({ type: "append_evidence", turn_id: turn.turnId })
    this.#terminal(turn, "commit")`
  },
  {
    id: "refusal-ignored",
    file: lifecycle,
    what: "a turn commits although its evidence was refused",
    find: `    if (result === "refused") {`,
    replace: `    if (result === "refused" && turn.ending !== undefined) {`
  },
  {
    id: "commit-over-cancel",
    file: lifecycle,
    what: "an append that comes back after a cancel commits the turn all the same",
    find: "    if (turn.ending !== undefined) return\n    this.#active?.reply.stop()",
    replace: "    this.#active?.reply.stop()"
  },
  {
    id: "abort-before-fence",
    file: lifecycle,
    what: "an abort does not wait until egress has put up the fence",
    find: "    if (turn.fenced) this.#abort(active.turn)",
    replace: "    this.#abort(active.turn)"
  },
  {
    id: "abort-reason-wrong",
    file: lifecycle,
    what: "an abort gives the cause that came last, not the one that prevailed",
    find: "    turn.ending = arbiter.prevailing(before, cause)",
    replace: "    turn.ending = cause"
  },
  {
    id: "precedence-swapped",
    file: "packages/runtime/src/turn/Turn.ts",
    what: "a cancel prevails over the loss of authority",
    find: "{ authority: 0, cancel: 1,",
    replace: "{ authority: 1, cancel: 0,"
  },
  {
    id: "precedence-reversed",
    file: arbiter,
    what: "of two causes of an end the weaker one prevails",
    find: "endRank[current.kind] <= endRank[incoming.kind]",
    replace: "endRank[current.kind] >= endRank[incoming.kind]"
  },
  {
    id: "turn-left-open",
    file: kernel,
    what: "the end of a session forgets the turn that is open",
    find: "    turns.close()\n",
    replace: ""
  },
  {
    id: "session-ends-before-providers",
    file: kernel,
    what: "the session ends without waiting for the end of its provider calls",
    find: "|| invocations.live() > 0) return",
    replace: "|| invocations.live() > 99) return"
  },
  {
    id: "grace-never-ends",
    file: lifecycle,
    what: "the cancellation grace of a closed turn is never armed, so that its supplement is never sealed",
    find: "    context.arm(`grace:${turn.turnId}`, context.now + context.header.pipeline.cancellation_grace_ms)\n",
    replace: ""
  },
  {
    id: "grace-too-short",
    file: lifecycle,
    what: "a closed turn's supplement is sealed at once",
    find: "context.now + context.header.pipeline.cancellation_grace_ms",
    replace: "context.now"
  },
  {
    id: "quota-off-by-one",
    file: "packages/runtime/src/limits/LocalAdmission.ts",
    what: "the quota of turns lets one turn too many in",
    find: "accepted + 1 > policy.body.max_turns_per_session",
    replace: "accepted > policy.body.max_turns_per_session"
  },
  {
    id: "stale-snapshot-accepted",
    file: "packages/runtime/src/plan/SnapshotStore.ts",
    what: "a turn opens on a snapshot that is past its time",
    find: "now - known.receivedMs > known.snapshot.ttl_ms",
    replace: "now - known.receivedMs > 10 * known.snapshot.ttl_ms"
  },
  {
    id: "plan-ignored",
    file: "packages/runtime/src/graph/TurnGraph.ts",
    what: "a turn asks the pipeline for its providers, not its frozen plan",
    find: "    const bindings = this.turn.plan.provider_bindings\n",
    replace: "    const bindings = this.context.header.pipeline.provider_bindings\n"
  },
  {
    id: "plan-changed-in-turn",
    file: "packages/runtime/src/graph/Recovery.ts",
    what: "the plan of an open turn changes: with the first failure every adaptive action is allowed",
    find: "  const allowed = turn.plan.allowed_adaptive_actions\n",
    replace: `  const allowed = ["retry", "provider_switch", "degrade", "fallback"]\n`
  },
  {
    id: "plan-of-older-snapshots",
    file: "packages/runtime/src/plan/PlanResolver.ts",
    what: "a turn gets the plan of the turn before it, whatever snapshots have come in since",
    find: " && known.revision === snapshots.revision",
    replace: ""
  },
  {
    id: "plan-hash-partial",
    file: "packages/runtime/src/plan/PlanResolver.ts",
    what: "the hash of a plan leaves its budgets out",
    find: "  const text = canonicalJson(common)\n",
    replace: "  const text = canonicalJson({ ...common, budgets: null })\n"
  }
]
