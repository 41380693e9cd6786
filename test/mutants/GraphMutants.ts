import type { Mutant } from "./Mutant.ts"

const graph = (name: string) => `packages/runtime/src/graph/${name}.ts`
const sync = "packages/runtime/src/flow/SyncIntegrity.ts"
const kernel = "packages/runtime/src/kernel/SessionKernel.ts"

/** Defects in graphs that are not one chain: conditions, joins, fallback edges, custom nodes, work ahead, sync groups. */
export const graphMutants: ReadonlyArray<Mutant> = [
  {
    id: "condition-ignored",
    file: graph("EdgeRun"),
    what: "a payload passes an edge whose condition it does not meet",
    find: "      if (!passes(this.edge.condition, item.handle)) return\n",
    replace: ""
  },
  {
    id: "unknown-fact-passes",
    file: graph("EdgeCondition"),
    what: "a fact that is not known meets every condition",
    find: "  if (value === undefined) return false\n",
    replace: "  if (value === undefined) return true\n"
  },
  {
    id: "select-takes-all",
    file: graph("JoinRuns"),
    what: "what a select did not take goes on being worked at",
    find: `    this.work.abandon(lost.map((other) => other.edge), "not_selected")\n`,
    replace: ""
  },
  {
    id: "select-loses-silently",
    file: graph("JoinRuns"),
    what: "what waited on the edges that a select did not take is lost without a notice",
    find: `for (const other of lost) other.close("not_selected")`,
    replace: "for (const other of lost) other.close()"
  },
  {
    id: "select-never-decides",
    file: graph("JoinRuns"),
    what: "a select that prefers one of its edges waits for it for ever",
    find: "    if (!context.isArmed(this.#timer)) context.arm(",
    replace: "    if (context.now < 0) context.arm("
  },
  {
    id: "select-takes-the-last",
    file: graph("JoinRuns"),
    what: "a select that prefers takes whoever comes, in no order",
    find: `    if (this.of.node.select?.rule !== "preferred") return this.#take(first, "first")`,
    replace: `    if (this.of.node.select !== undefined) return this.#take(first, "first")`
  },
  {
    id: "arrival-order-lost",
    file: graph("EdgeRun"),
    what: "of several edges the one with the newest item is served first",
    find: "    if (head === undefined || head.arrival >= arrival) continue",
    replace: "    if (head === undefined || (best !== undefined && head.arrival < arrival)) continue"
  },
  {
    id: "merge-without-lineage",
    file: graph("JoinRuns"),
    what: "a merge does not say what it merged",
    find: "    if (event !== undefined && handle !== undefined) {",
    replace: "    if (event === undefined && handle !== undefined) {"
  },
  {
    id: "fallback-edge-not-allowed",
    file: graph("Recovery"),
    what: "a fallback edge is taken where the plan does not allow it",
    find: `  if (edges.length === 0 || !turn.plan.allowed_adaptive_actions.includes("fallback")) return undefined`,
    replace: "  if (edges.length === 0) return undefined"
  },
  {
    id: "fallback-for-any-cause",
    file: graph("Recovery"),
    what: "a fallback edge for timeouts takes over errors, and the other way round",
    find: "of.fallback.filter((edge) => edge.fallback_on?.includes(cause) === true)",
    replace: "of.fallback.filter((edge) => edge.fallback_on !== undefined && cause !== undefined)"
  },
  {
    id: "sentence-lost-at-handover",
    file: graph("VoiceRun"),
    what: "the sentence at which a voice fails is not given to the one that takes over",
    find: "takeOver(this.work, this.of, invocation, outcome, [segment.handle])",
    replace: "takeOver(this.work, this.of, invocation, outcome, [])"
  },
  {
    id: "items-pushed-together",
    file: graph("ExternalRun"),
    what: "a node gets the next item before it is done with the one before",
    find: "if (this.isOver || this.#current !== undefined || this.#told) return false",
    replace: "if (this.isOver || this.#told) return false"
  },
  {
    id: "end-never-told",
    file: graph("ExternalRun"),
    what: "a node is never told that no more items come",
    find: `      this.work.context.command({ type: "end_items", provider_invocation_id: this.#call.id })\n`,
    replace: ""
  },
  {
    id: "passed-by-unasked",
    file: graph("ExternalRun"),
    what: "a node that fails is gone round although it is not optional",
    find: "    if (this.of.node.optional === true && turn.plan",
    replace: "    if (turn.plan"
  },
  {
    id: "item-lost-with-its-node",
    file: graph("ExternalRun"),
    what: "the item at which an optional node fails is lost",
    find: "      if (current !== undefined) this.#goRound(current.item.handle, current.kind)\n",
    replace: ""
  },
  {
    id: "node-failure-commits",
    file: graph("ExternalRun"),
    what: "a turn whose node failed goes on as if it had given nothing",
    find: `    return { goesOn: false, reason: "node_timeout_or_failure" }`,
    replace: "    this.finish()\n    return goesOn"
  },
  {
    id: "ahead-without-compare",
    file: graph("Speculation"),
    what: "work ahead becomes the turn's own whatever was said meanwhile",
    find: "          if (!same) {",
    replace: "          if (calls.size === 0) {"
  },
  {
    id: "ahead-goes-on",
    file: kernel,
    what: "a model that began too early goes on when the caller does",
    find: `        speculation.withdraw("caller_went_on")\n`,
    replace: ""
  },
  {
    id: "ahead-not-cancelled",
    file: graph("Speculation"),
    what: "work ahead that is given up is not cancelled",
    find: `        if (ahead.end === undefined) invocations.cancel(ahead.invocation.id, "speculation_withdrawn")\n`,
    replace: ""
  },
  {
    id: "ahead-of-everybody",
    file: graph("Speculation"),
    what: "models work ahead although nobody asked for it",
    find: "          if (!enabled) return\n",
    replace: ""
  },
  {
    id: "sink-told-twice",
    file: graph("JoinRuns"),
    what: "a transcript sink gets each line twice",
    find: "      next.served()\n      moved = true\n",
    replace: `      next.served()
      moved = true
      this.work.context.command({
        type: "write_transcript",
        turn_id: this.work.turn.turnId,
        node_id: this.of.node.node_id,
        role: next.edge.payload_kind === "transcript" ? "user" : "assistant",
        handle: item.handle
      })
`
  },
  {
    id: "group-torn",
    file: graph("EdgeRun"),
    what: "the rest of a sentence goes on though a part of it was lost, where it must go whole",
    find: "      if (this.#grouped && this.#work.sync.isDoomed(this.edge.edge_id, syncIdsOf(item))) {",
    replace: "      if (this.#stray(item)) {",
    also: [{
      file: graph("EdgeRun"),
      find: "  /** No more will come. */\n  end(): void {",
      replace: "  #stray(item: Item): boolean {\n    return item.handle.length < 0\n  }\n\n  end(): void {"
    }]
  },
  {
    id: "gap-not-told",
    file: sync,
    what: "a loss in a sync domain is no discontinuity",
    find:
      "            if (policy.sync_domain !== undefined) discontinuity(edgeId, policy.sync_domain, reason, turnId)\n",
    replace: ""
  },
  {
    id: "onlooker-holds-the-turn",
    file: graph("TurnGraph"),
    what: "a turn waits for nodes that lead nowhere",
    find: "for (const run of this.#runs) if (!run.isOver && run.of.isToCaller) return",
    replace: "for (const run of this.#runs) if (!run.isOver) return"
  }
]
